//! What the tests share: a broker with its command line, and looks at what was printed.

use serde_json::Value;
use sluice_tests::process::{Broker, Setup};
use sluice_tests::sluicectl::{Said, Sluicectl};

/// A broker, and the command line for it.
pub fn stage() -> (Broker, Sluicectl) {
    let broker = Setup::new().start().unwrap();
    let sluicectl = Sluicectl::of(&broker).unwrap();
    (broker, sluicectl)
}

/// Asserts that a command ends with this code, and that its error has this reason and these parts.
pub fn fails(sluicectl: &Sluicectl, arguments: &[&str], code: i32, reason: &str, parts: &[&str]) -> Said {
    let said = sluicectl.run(&[arguments, &["-o", "json"]].concat()).unwrap();
    assert_eq!(said.code, code, "{arguments:?}: {said:?}");
    let error = said.error().unwrap();
    assert_eq!(error["reason"], Value::from(reason), "{arguments:?}: {error}");
    for part in parts {
        assert!(
            error.to_string().contains(part),
            "{arguments:?}: {part} in {error}"
        );
    }
    // People are told the same.
    let told = sluicectl.run(arguments).unwrap();
    assert_eq!(told.code, code, "{arguments:?}: {told:?}");
    assert!(
        told.stderr.starts_with("error: ") && told.stdout.is_empty(),
        "{told:?}"
    );
    said
}

/// The names in a JSON object.
pub fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    object.keys().map(String::as_str).collect()
}

/// Asserts that each of these is among the object's keys.
pub fn has_keys(value: &Value, wanted: &[&str]) {
    let found = keys(value);
    let missing: Vec<_> = wanted.iter().filter(|key| !found.contains(key)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing in {value}");
}

/// RFC 3339 in UTC.
pub fn is_moment(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == "2026-07-01T12:00:00.000Z".len() && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}
