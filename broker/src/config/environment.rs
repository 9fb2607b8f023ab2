//! The environment's part of the configuration.

use super::error::ConfigError;
use super::keys::KEYS;
use super::layers::Values;
use crate::nearest::nearest;
use std::ffi::OsString;

const PREFIX: &str = "SLUICE_";

/// What the variables say. An empty one says nothing. One that is no key's but looks as if it was meant to be is
/// refused; others that begin like ours are not looked at: tests and other programs have some, and Kubernetes makes
/// some from the names of services.
pub(super) fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Values, ConfigError> {
    let mut values = Values::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let key = KEYS.iter().find(|key| key.variable == name);
        match key {
            Some(_) if value.is_empty() => {}
            Some(key) => {
                let value = value.into_string().map_err(|_| ConfigError::Value {
                    place: name.to_owned(),
                    reason: "it is not in UTF-8".to_owned(),
                })?;
                values.insert(key.name, value);
            }
            None => {
                // Without the prefix, which would make any two of them alike.
                let bare = KEYS.iter().map(|key| &key.variable[PREFIX.len()..]);
                if let Some(meant) = nearest(&name[PREFIX.len()..], bare) {
                    return Err(ConfigError::Unknown {
                        place: format!("the variable {name}"),
                        nearest: Some(format!("{PREFIX}{meant}")),
                    });
                }
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With their names behind the prefix.
    fn read(variables: &[(&str, &str)]) -> Result<Values, ConfigError> {
        let variables = variables.iter();
        super::read(variables.map(|(name, value)| (format!("{PREFIX}{name}").into(), value.into())))
    }

    #[test]
    fn the_variables_of_keys_are_read_and_empty_ones_are_not() {
        let values = read(&[("GRPC_LISTEN", "127.0.0.1:1"), ("LOG", "")]).unwrap();
        assert_eq!(values, Values::from([("grpcListen", "127.0.0.1:1".to_owned())]));
        let others = [("GRPC_LISTEN".into(), "127.0.0.1:1".into())];
        assert_eq!(super::read(others).unwrap(), Values::new());
    }

    #[test]
    fn a_variable_that_was_meant_to_be_a_key_is_refused() {
        for (name, meant) in [
            ("GRPC_LISEN", "GRPC_LISTEN"),
            ("GRPCLISTEN", "GRPC_LISTEN"),
            ("DATADIR", "DATA_DIR"),
            ("ADMIN_TOKENFILE", "ADMIN_TOKEN_FILE"),
        ] {
            let error = read(&[(name, "x")]).unwrap_err().to_string();
            let (name, meant) = (format!("{PREFIX}{name} "), format!("'{PREFIX}{meant}'"));
            assert!(error.contains(&name) && error.contains(&meant), "{error}");
        }
    }

    #[test]
    fn the_variables_of_others_are_not_looked_at() {
        let variables = [
            // Of sluicectl and of tests.
            "ADMIN",
            "BIN_DIR",
            "PLANTED_FAULT",
            "SEED",
            "KILLS",
            "CRASHES",
            "GOLDEN",
            // What Kubernetes makes of services called sluice and sluice-broker.
            "PORT",
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_GRPC",
            "PORT_8081_TCP_ADDR",
            "BROKER_SERVICE_PORT_GRPC",
            "BROKER_PORT",
        ];
        assert_eq!(read(&variables.map(|name| (name, "x"))).unwrap(), Values::new());
    }
}
