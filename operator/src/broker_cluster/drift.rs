//! Whether an object has to be written: what it was made from is compared by a hash, and what others have changed in it by the
//! values under the fields that are ours.
//!
//! Admission webhooks may give these fields other values than were asked for. What came of our last write is therefore
//! remembered: an object that still is so is left alone, or it would be written, and pods would roll, for ever.

use super::children::Child;
use serde_json::{Map, Value};
use sluice_operator_api::labels;
use std::fmt::Write as _;

/// What came of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// The hash of what was asked for.
    asked: String,
    /// The hash of what there was then.
    found: String,
}

impl Landed {
    /// The API server has answered this to a write of the child.
    pub fn of(child: &Child, answer: &Value) -> Self {
        Self {
            asked: hash(&child.body),
            found: hash(&under(&child.body, answer)),
        }
    }
}

/// What is to be done with a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It is as it is to be.
    Nothing,
    /// It is to be something else than before.
    Update,
    /// Somebody has changed it.
    Correct,
}

/// Compares the child with the object as it is.
pub fn need(child: &Child, live: &Value, landed: Option<&Landed>) -> Need {
    let asked = hash(&child.body);
    if annotation(live, labels::APPLIED_HASH) != Some(asked.as_str()) {
        return Need::Update;
    }
    let now = under(&child.body, live);
    if now == child.body {
        return Need::Nothing;
    }
    let as_it_landed = landed.is_some_and(|landed| landed.asked == asked && landed.found == hash(&now));
    if as_it_landed {
        Need::Nothing
    } else {
        Need::Correct
    }
}

/// The child's body with the hash of it, as it is written.
pub fn stamped(child: &Child) -> Value {
    let mut body = child.body.clone();
    let hash = hash(&child.body);
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata
            .entry("annotations")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(labels::APPLIED_HASH.to_owned(), hash.into());
        }
    }
    body
}

/// An annotation of an object.
pub fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(name)?.as_str()
}

/// A hash of a value that does not depend on the order of its fields.
pub fn hash(value: &Value) -> String {
    let mut text = String::new();
    write_sorted(value, &mut text);
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let mut hash = String::with_capacity(32);
    for byte in &digest.as_ref()[..16] {
        // Writing to a text does not fail.
        let _ = write!(hash, "{byte:02x}");
    }
    hash
}

fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in fields {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_sorted(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for value in values {
                write_sorted(value, text);
                text.push(',');
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

/// The live object under the fields that are asked for: what else it has is others' business.
fn under(asked: &Value, live: &Value) -> Value {
    match (asked, live) {
        (Value::Object(asked), Value::Object(live)) => {
            let fields = asked
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), under(value, live.get(name)?))));
            Value::Object(fields.collect())
        }
        (Value::Array(asked), Value::Array(live)) => Value::Array(elements(asked, live)),
        (_, live) => live.clone(),
    }
}

/// Elements with a name are found by it, since others may have put theirs in between.
fn elements(asked: &[Value], live: &[Value]) -> Vec<Value> {
    fn key(value: &Value) -> Option<&Value> {
        value.get("name").or_else(|| value.get("mountPath"))
    }
    if asked.iter().all(|value| key(value).is_some()) {
        return asked
            .iter()
            .filter_map(|asked| {
                let found = live.iter().find(|live| key(live) == key(asked))?;
                Some(under(asked, found))
            })
            .collect();
    }
    if asked.len() == live.len() {
        return asked
            .iter()
            .zip(live)
            .map(|(asked, live)| under(asked, live))
            .collect();
    }
    live.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker_cluster::children::ChildKind;
    use serde_json::json;

    fn child() -> Child {
        Child::new(
            ChildKind::StatefulSet,
            json!({
                "metadata": {"name": "main", "annotations": {"mine": "1"}},
                "spec": {"image": "a", "containers": [{"name": "broker", "image": "a"}], "args": ["x", "y"]},
            }),
        )
    }

    fn live() -> Value {
        let mut live = stamped(&child());
        live["metadata"]["resourceVersion"] = "5".into();
        live["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log".into();
        live["status"] = json!({"replicas": 1});
        live
    }

    #[test]
    fn what_others_add_is_their_business() {
        let mut live = live();
        assert_eq!(need(&child(), &live, None), Need::Nothing);
        let sidecar = json!({"name": "sidecar", "image": "b"});
        live["spec"]["containers"]
            .as_array_mut()
            .unwrap()
            .insert(0, sidecar);
        live["metadata"]["annotations"]["theirs"] = "2".into();
        assert_eq!(need(&child(), &live, None), Need::Nothing);
    }

    #[test]
    fn what_others_change_of_ours_is_found() {
        for (pointer, value) in [
            ("/spec/image", json!("b")),
            ("/spec/containers/0/image", json!("b")),
            ("/spec/args", json!(["x"])),
            ("/spec/args/1", json!("z")),
            ("/spec/containers", json!([])),
            ("/metadata/annotations/mine", json!("2")),
        ] {
            let mut live = live();
            *live.pointer_mut(pointer).unwrap() = value;
            assert_eq!(need(&child(), &live, None), Need::Correct, "{pointer}");
        }
        let mut without = live();
        without["spec"].as_object_mut().unwrap().remove("args");
        assert_eq!(need(&child(), &without, None), Need::Correct);
    }

    #[test]
    fn what_a_webhook_has_made_of_our_write_is_left_alone_until_it_changes() {
        let mut mutated = live();
        mutated["spec"]["containers"][0]["image"] = "mirror/a".into();
        let landed = Landed::of(&child(), &mutated);
        assert_eq!(need(&child(), &mutated, Some(&landed)), Need::Nothing);
        mutated["spec"]["containers"][0]["image"] = "other/a".into();
        assert_eq!(need(&child(), &mutated, Some(&landed)), Need::Correct);
    }

    #[test]
    fn another_wish_is_an_update_whatever_there_is() {
        let mut wish = child();
        wish.body["spec"]["image"] = "c".into();
        let landed = Landed::of(&child(), &live());
        assert_eq!(need(&wish, &live(), Some(&landed)), Need::Update);
    }

    #[test]
    fn a_hash_depends_on_values_and_not_on_the_order_of_fields() {
        let one: Value = serde_json::from_str(r#"{"a": 1, "b": [1, 2]}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b": [1, 2], "a": 1}"#).unwrap();
        assert_eq!(hash(&one), hash(&other));
        for different in [r#"{"a": 1, "b": [2, 1]}"#, r#"{"a": "1", "b": [1, 2]}"#, "{}"] {
            assert_ne!(
                hash(&one),
                hash(&serde_json::from_str(different).unwrap()),
                "{different}"
            );
        }
        // A release that hashes otherwise writes every object anew, and rolls all pods.
        assert_eq!(hash(&json!({"a": 1})), "aa99a5ce3eb0dd8355f0bfb15376ea1d");
    }
}
