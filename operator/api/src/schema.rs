//! Schemas that cannot be derived.

use k8s_openapi::api::core::v1::{EnvVar, Volume};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// The schema of one of Kubernetes' own types without its descriptions, which are in Kubernetes' manual and would make most of
/// ours.
pub fn bare<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(generator);
    if let Some(object) = schema.as_object_mut() {
        object.remove("description");
        object.values_mut().for_each(undescribe);
    }
    schema
}

fn undescribe(value: &mut Value) {
    match value {
        Value::Object(object) => {
            // A property can have the name `description` too: that is a schema and no text.
            if object.get("description").is_some_and(Value::is_string) {
                object.remove("description");
            }
            object.values_mut().for_each(undescribe);
        }
        Value::Array(values) => values.iter_mut().for_each(undescribe),
        _ => {}
    }
}

/// A map to any values. A structural schema cannot say "text, number or boolean".
pub fn map_of_anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "x-kubernetes-preserve-unknown-fields": true },
    })
}

/// The variables of an environment, with the bounds that a rule on their names needs.
pub fn env(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = bare::<Vec<EnvVar>>(generator);
    let name = schema
        .pointer_mut("/items/properties/name")
        .and_then(Value::as_object_mut);
    if let Some(name) = name {
        name.insert("maxLength".to_owned(), 256.into());
    }
    schema
}

/// What volumes can be made of. Those that Kubernetes has given up, and those made for one pod alone, would be half of the
/// definition.
const VOLUME_SOURCES: &[&str] = &[
    "name",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "hostPath",
    "image",
    "nfs",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// The volumes of a pod.
pub fn volumes(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = bare::<Vec<Volume>>(generator);
    let sources = schema
        .pointer_mut("/items/properties")
        .and_then(Value::as_object_mut);
    if let Some(sources) = sources {
        sources.retain(|name, _| VOLUME_SOURCES.contains(&name.as_str()));
    }
    schema
}

/// Labels.
pub fn labels(_: &mut SchemaGenerator) -> Schema {
    texts(64, 63)
}

/// Annotations.
pub fn annotations(_: &mut SchemaGenerator) -> Schema {
    texts(64, 16_384)
}

fn texts(entries_max: usize, value_chars_max: usize) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string", "maxLength": value_chars_max },
        "maxProperties": entries_max,
    })
}

/// Takes the description of a type away that would stand in place of an optional field's own.
pub fn undescribed(schema: &mut Schema) {
    schema.remove("description");
}
