//! The definitions of the resources, in the release and without it.

use serde_json::Value;
use sluice_tests::binaries;
use sluice_tests::kube::helm;

use crate::stage::{of_kind, render};

const KEEP: &str = "helm.sh/resource-policy";

/// What crds/ has, in the order of the files' names.
fn of_repository() -> Vec<Value> {
    let folder = binaries::workspace().join("crds");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    texts.flat_map(|text| helm::objects(&text).unwrap()).collect()
}

/// The value with all numbers alike: Helm writes 9 for 9.0, which is the same to Kubernetes.
fn with_plain_numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().unwrap().into(),
        Value::Array(values) => values.iter().map(with_plain_numbers).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), with_plain_numbers(value)))
            .collect(),
        other => other.clone(),
    }
}

#[test]
fn the_definitions_of_a_release_are_those_of_the_repository_to_the_last_word() {
    let objects = render(&[]);
    let definitions = of_kind(&objects, "CustomResourceDefinition");
    let expected = of_repository();
    assert_eq!(expected.len(), 3);
    assert_eq!(definitions.len(), expected.len());
    for (rendered, expected) in definitions.iter().zip(&expected) {
        assert_eq!(rendered["metadata"]["name"], expected["metadata"]["name"]);
        let same = with_plain_numbers(&rendered["spec"]) == with_plain_numbers(&expected["spec"]);
        assert!(same, "{} is another one", expected["metadata"]["name"]);
    }
}

#[test]
fn definitions_are_kept_unless_it_is_said_that_they_are_not() {
    for (arguments, kept) in [(&[][..], true), (&["--set", "crds.keep=false"], false)] {
        let objects = render(arguments);
        for definition in of_kind(&objects, "CustomResourceDefinition") {
            assert_eq!(
                definition["metadata"]["annotations"][KEEP] == "keep",
                kept,
                "{arguments:?}"
            );
        }
    }
    let objects = render(&["--set", "crds.annotations.a=b"]);
    for definition in of_kind(&objects, "CustomResourceDefinition") {
        let annotations = &definition["metadata"]["annotations"];
        assert_eq!(
            (&annotations["a"], &annotations[KEEP]),
            (&"b".into(), &"keep".into())
        );
    }
}

#[test]
fn without_definitions_there_are_none() {
    let objects = render(&["--set", "crds.enabled=false"]);
    assert!(of_kind(&objects, "CustomResourceDefinition").is_empty());
}
