//! Definitions as YAML: the same text from the same definition, whatever else is compiled along.

use anyhow::{Context, Result};
use serde_json::Value;
use serde_yaml::{Mapping, Value as Yaml};
use std::collections::BTreeMap;

const HEAD: &str = "# Written by `sluice-operator crds`: change operator/api and write it anew.\n";

/// A file for each resource: its name and its text.
pub fn files() -> Result<Vec<(String, String)>> {
    let definitions = sluice_operator_api::definitions().into_iter().map(|definition| {
        let value = serde_json::to_value(&definition).context("cannot write a definition")?;
        let text = serde_yaml::to_string(&plain(&value)).context("cannot write a definition as YAML")?;
        Ok((
            format!("{}.yaml", definition.spec.names.plural),
            format!("{HEAD}{text}"),
        ))
    });
    definitions.collect()
}

/// Keys in order, and whole numbers without a fraction: bounds are floats in a definition.
fn plain(value: &Value) -> Yaml {
    match value {
        Value::Null => Yaml::Null,
        Value::Bool(switch) => Yaml::Bool(*switch),
        Value::String(text) => Yaml::String(text.clone()),
        Value::Array(values) => Yaml::Sequence(values.iter().map(plain).collect()),
        Value::Object(object) => {
            let sorted: BTreeMap<_, _> = object.iter().collect();
            let entries = sorted
                .into_iter()
                .map(|(key, value)| (Yaml::String(key.clone()), plain(value)));
            Yaml::Mapping(entries.collect::<Mapping>())
        }
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Yaml::Number(whole.into()),
            // Both ends are within what a float has exactly.
            (None, Some(float)) if float.fract() == 0.0 && float.abs() < 1e15 => {
                Yaml::Number((float as i64).into())
            }
            (None, float) => Yaml::Number(float.unwrap_or_default().into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_and_whole_numbers_have_no_fraction() {
        let value = json!({"b": [1.0, -2_147_483_648.0, 0.5, 7], "a": {"z": null, "y": true, "x": "1.0"}});
        let text = serde_yaml::to_string(&plain(&value)).unwrap();
        assert_eq!(
            text,
            "a:\n  x: '1.0'\n  y: true\n  z: null\nb:\n- 1\n- -2147483648\n- 0.5\n- 7\n"
        );
    }
}
