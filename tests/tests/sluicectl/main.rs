//! The command line as people and scripts use it: the real executable, against real brokers and their files.
#![cfg(test)]

mod completion;
mod contexts;
mod failures;
mod files;
mod messages;

use serde_json::Value;

/// The names in a JSON object.
fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    object.keys().map(String::as_str).collect()
}

/// Asserts that each of these is among the object's keys.
fn has_keys(value: &Value, wanted: &[&str]) {
    let found = keys(value);
    let missing: Vec<_> = wanted.iter().filter(|key| !found.contains(key)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing in {value}");
}

/// RFC 3339 in UTC.
fn is_moment(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == "2026-07-01T12:00:00.000Z".len() && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}
