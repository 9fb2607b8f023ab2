//! The file: YAML, a key a line.

use super::error::ConfigError;
use super::forms::Form;
use super::keys::{self, KEYS, Key};
use super::layers::{Values, check};
use crate::nearest::nearest;
use crate::yaml;
use serde_yaml::Value;
use std::path::Path;

/// Far more than all keys take.
const MEBIBYTES_MAX: u64 = 1;

/// What an error calls a key of the file.
pub(super) fn place(path: &Path, key: &str) -> String {
    format!("{}: {key}", path.display())
}

/// What the file says.
pub(super) fn read(path: &Path) -> Result<Values, ConfigError> {
    parse(path, &text(path)?)
}

/// The file as it is now.
pub(super) fn text(path: &Path) -> Result<String, ConfigError> {
    yaml::text(path, MEBIBYTES_MAX).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })
}

/// What a file of that path with that text says. A key with nothing behind it says nothing.
pub(super) fn parse(path: &Path, text: &str) -> Result<Values, ConfigError> {
    let wrong = |reason: String| ConfigError::Content {
        path: path.to_owned(),
        reason,
    };
    yaml::check_depth(text).map_err(wrong)?;
    let content: Value = serde_yaml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let mut values = Values::new();
    let entries = match content {
        Value::Null => return Ok(values),
        Value::Mapping(entries) => entries,
        _ => return Err(wrong("it holds no keys: write KEY: VALUE a line".to_owned())),
    };
    for (name, value) in entries {
        let name = match name {
            Value::String(name) => name,
            other => return Err(wrong(format!("{} is no key's name", shown(&other)))),
        };
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            return Err(ConfigError::Unknown {
                place: place(path, &name),
                nearest: nearest(&name, KEYS.iter().map(|key| key.name)).map(str::to_owned),
            });
        };
        if let Some(value) = scalar(key, value).map_err(|reason| ConfigError::Value {
            place: place(path, &name),
            reason,
        })? {
            check(key, &value, || place(path, &name))?;
            values.insert(key.name, value);
        }
    }
    Ok(values)
}

/// Whether it is what is left of a file whose writing failed: blanks or remarks, and not even a mapping without keys.
pub(super) fn says_nothing(text: &str) -> bool {
    yaml::check_depth(text).is_ok() && matches!(serde_yaml::from_str(text), Ok(Value::Null))
}

/// The value as a flag would have it, if it is of the key's type.
fn scalar(key: &Key, value: Value) -> Result<Option<String>, String> {
    if key.name == keys::CONFIG.name {
        return Err(format!(
            "the file cannot name itself: use --{} or {}",
            key.flag, key.variable
        ));
    }
    let wanted = match key.form {
        Form::Switch => "true or false, without quotes",
        Form::Seconds | Form::Count(..) => "a whole number",
        Form::SegmentSize | Form::CheckpointBytes | Form::Bytes(..) | Form::Rate(..) => {
            "a size, such as 512MiB"
        }
        _ => "text",
    };
    match (key.form, value) {
        (_, Value::Null) => Ok(None),
        (Form::Switch, Value::Bool(value)) => Ok(Some(value.to_string())),
        (
            Form::Seconds
            | Form::Count(..)
            | Form::SegmentSize
            | Form::CheckpointBytes
            | Form::Bytes(..)
            | Form::Rate(..),
            Value::Number(number),
        ) => Ok(Some(number.to_string())),
        (Form::Switch | Form::Seconds | Form::Count(..), other) => {
            Err(format!("it takes {wanted}, and not {}", shown(&other)))
        }
        (_, Value::String(text)) => Ok(Some(text)),
        (_, other) => Err(format!("it takes {wanted}, and not {}", shown(&other))),
    }
}

/// A value of a wrong type, for people.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("the text '{text}'"),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a map".to_owned(),
        Value::Tagged(_) => "a value with a tag".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Values, ConfigError> {
        super::parse(Path::new("sluice.yaml"), text)
    }

    #[test]
    fn keys_are_read_with_their_types() {
        let text = "# mine\ngrpcListen: 0.0.0.0:8081\nautoCreateTopics: false\ncheckpointSeconds: 5\n\
                    segmentSize: 1MiB\ncheckpointBytes: 1048576\nlog: off\nadvertise:\n";
        let expected = [
            ("grpcListen", "0.0.0.0:8081"),
            ("autoCreateTopics", "false"),
            ("checkpointSeconds", "5"),
            ("segmentSize", "1MiB"),
            ("checkpointBytes", "1048576"),
            ("log", "off"),
        ];
        let expected = expected.map(|(key, value)| (key, value.to_owned()));
        assert_eq!(parse(text).unwrap(), Values::from(expected));
        for nothing in ["", "# only a remark\n", "---\n"] {
            assert_eq!(parse(nothing).unwrap(), Values::new());
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_file_and_key() {
        let deep = "[".repeat(100_000);
        let indented = "- ".repeat(100_000);
        for (text, parts) in [
            (
                "grpcListn: 0.0.0.0:1",
                [
                    "sluice.yaml: grpcListn is not known",
                    "did you mean 'grpcListen'?",
                ],
            ),
            (
                "grpc_listen: 0.0.0.0:1",
                ["sluice.yaml: grpc_listen", "'grpcListen'"],
            ),
            (
                "colour: red",
                ["sluice.yaml: colour is not known", "config print"],
            ),
            ("7: red", ["sluice.yaml: 7", "no key's name"]),
            ("- a", ["sluice.yaml", "holds no keys"]),
            ("grpcListen: [", ["sluice.yaml", "line 2"]),
            (&deep, ["sluice.yaml", "64 brackets are open at line 1"]),
            // The parser's own limit.
            (&indented, ["sluice.yaml", "recursion limit"]),
            ("log: info\nlog: debug", ["sluice.yaml", "duplicate"]),
            (
                "autoCreateTopics: 'true'",
                [
                    "sluice.yaml: autoCreateTopics",
                    "true or false, without quotes, and not the text 'true'",
                ],
            ),
            ("autoCreateTopics: 1", ["autoCreateTopics", "and not 1"]),
            ("checkpointSeconds: often", ["checkpointSeconds", "whole number"]),
            ("checkpointSeconds: 0", ["checkpointSeconds", "at least 1"]),
            ("checkpointSeconds: 1.5", ["checkpointSeconds", "'1.5'"]),
            ("checkpointBytes: 1", ["checkpointBytes", "64KiB"]),
            ("segmentSize: 3GiB", ["segmentSize", "2GiB"]),
            ("brokerName: 7", ["brokerName", "takes text, and not 7"]),
            ("log: [info]", ["log", "and not a list"]),
            ("log: {level: info}", ["log", "and not a map"]),
            ("log: loud", ["sluice.yaml: log", "'loud'"]),
            ("flush: sometimes", ["sluice.yaml: flush", "write sync or async"]),
            (
                "config: other.yaml",
                ["sluice.yaml: config", "cannot name itself"],
            ),
        ] {
            let error = format!("{:#}", anyhow::Error::new(parse(text).unwrap_err()));
            for part in parts {
                assert!(error.contains(part), "{text}: {error}");
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let large = folder.path().join("large.yaml");
        std::fs::write(&large, "#".repeat((1 << 20) + 1)).unwrap();
        let missing = folder.path().join("missing.yaml");
        for (path, part) in [(large, "larger than 1 MiB"), (missing, "No such file")] {
            let error = format!("{:#}", anyhow::Error::new(read(&path).unwrap_err()));
            assert!(
                error.contains(part) && error.contains(path.to_str().unwrap()),
                "{error}"
            );
        }
    }
}
