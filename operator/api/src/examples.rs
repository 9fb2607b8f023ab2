//! The manifests in docs/examples are what they say they are.

use crate::testing::{self, refusals};
use crate::{BrokerCluster, ConsumerGroup, Topic};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A manifest with the file that it is in.
struct Example {
    file: String,
    value: Value,
}

fn examples() -> Vec<Example> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples"));
    let mut examples = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if !file.ends_with(".yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for document in serde_yaml::Deserializer::from_str(&text) {
            let value = Value::deserialize(document).unwrap_or_else(|error| panic!("{file}: {error}"));
            examples.push(Example {
                file: file.clone(),
                value,
            });
        }
    }
    examples
}

impl Example {
    fn of_ours(&self) -> bool {
        self.value["apiVersion"] == format!("{}/{}", crate::GROUP, crate::VERSION)
    }

    /// What is wrong with it.
    fn faults(&self) -> Vec<String> {
        match self.value["kind"].as_str() {
            Some("BrokerCluster") => self.faults_as::<BrokerCluster>(),
            Some("ConsumerGroup") => self.faults_as::<ConsumerGroup>(),
            Some("Topic") => self.faults_as::<Topic>(),
            kind => vec![format!("{kind:?} is no kind of ours")],
        }
    }

    fn faults_as<K: Resource<DynamicType = ()> + Serialize + DeserializeOwned>(&self) -> Vec<String> {
        let object: K = match serde_json::from_value(self.value.clone()) {
            Ok(object) => object,
            Err(error) => return vec![error.to_string()],
        };
        let mut faults = refusals(&object, None);
        let schema = testing::schema::<K>();
        let spec = &schema.properties.as_ref().unwrap()["spec"];
        strangers("spec", &self.value["spec"], spec, &mut faults);
        faults
    }
}

/// Names that the schema does not know: Kubernetes would drop them.
fn strangers(path: &str, value: &Value, schema: &JSONSchemaProps, faults: &mut Vec<String>) {
    match (
        value,
        &schema.properties,
        &schema.additional_properties,
        &schema.items,
    ) {
        (Value::Object(object), Some(properties), _, _) => {
            for (name, value) in object {
                let path = format!("{path}.{name}");
                match properties.get(name) {
                    Some(property) => strangers(&path, value, property, faults),
                    None => faults.push(format!("{path} is not known")),
                }
            }
        }
        (Value::Object(object), None, Some(JSONSchemaPropsOrBool::Schema(values)), _) => {
            for (name, value) in object {
                strangers(&format!("{path}.{name}"), value, values, faults);
            }
        }
        (Value::Array(array), _, _, Some(JSONSchemaPropsOrArray::Schema(items))) => {
            for (index, value) in array.iter().enumerate() {
                strangers(&format!("{path}[{index}]"), value, items, faults);
            }
        }
        _ => {}
    }
}

#[test]
fn every_example_can_be_applied() {
    let examples = examples();
    let ours: Vec<_> = examples.iter().filter(|example| example.of_ours()).collect();
    assert!(ours.len() >= 10, "there are {} examples only", ours.len());
    for example in ours {
        assert_eq!(
            example.faults(),
            [""; 0],
            "{}: {}",
            example.file,
            example.value["metadata"]["name"]
        );
    }
}

#[test]
fn no_two_examples_are_of_one_name() {
    let mut names = BTreeSet::new();
    for Example { file, value } in examples() {
        let name = format!("{} {}", value["kind"], value["metadata"]["name"]);
        assert!(names.insert(name.clone()), "{file}: {name} stands there twice");
    }
}

/// Together the examples use every field there is, so that all of the schema is tried where they are applied.
#[test]
fn the_examples_use_every_field_of_a_spec() {
    let examples = examples();
    let unused = testing::spec_fields(|field| {
        // Only one of two such fields can be given.
        let alternatives = [
            "url",
            "bearerTokenSecretRef",
            "digest",
            "tokenSecretRef",
            "nodePort",
            "loadBalancerClass",
            "below",
        ];
        let other = ["runtimeClassName"];
        let spared = alternatives
            .iter()
            .chain(&other)
            .any(|name| field.path.split('.').any(|part| part == *name));
        !spared && !examples.iter().any(|example| uses(&example.value, field.path))
    });
    assert_eq!(unused, [""; 0]);
}

/// Whether a manifest has a value at a path such as `.spec.listeners[].port`.
fn uses(value: &Value, path: &str) -> bool {
    let Some(rest) = path.strip_prefix('.') else {
        return match path.strip_prefix("[]") {
            Some(rest) => value
                .as_array()
                .is_some_and(|values| values.iter().any(|value| uses(value, rest))),
            None => path.is_empty(),
        };
    };
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    value
        .get(&rest[..end])
        .is_some_and(|value| uses(value, &rest[end..]))
}

#[test]
fn a_name_that_is_not_known_is_found() {
    let value = serde_json::json!({
        "kind": "Topic", "apiVersion": "sluice.dev/v1alpha1", "metadata": {"name": "x"},
        "spec": {"clusterRef": {"name": "c", "namespace": "n"}, "queue": 8, "topicName": "%DLQ%x"},
    });
    let faults = Example {
        file: String::new(),
        value,
    }
    .faults();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert_eq!(
        faults[1..],
        [
            "spec.clusterRef.namespace is not known",
            "spec.queue is not known"
        ]
    );
}
