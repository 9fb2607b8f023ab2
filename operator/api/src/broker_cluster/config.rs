//! The brokers' configuration as a cluster's resource has it.

use super::BrokerClusterSpec;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Keys that the operator sets itself.
pub const RESERVED_KEYS: &[&str] = &[
    "adminClientCa",
    "adminListen",
    "adminTokenFile",
    "advertise",
    "brokerName",
    "clusterName",
    "config",
    "dataDir",
    "grpcListen",
    "httpListen",
    "init",
    "profile",
    "tlsCert",
    "tlsKey",
];

/// What a key is set to.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum ConfigValue {
    /// A boolean.
    Switch(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
    /// Anything else, which no key takes. The schema cannot refuse it.
    Other(Value),
}

impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(switch) => switch.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Other(value) => value.fmt(f),
        }
    }
}

/// Why a key cannot be given to the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigProblem {
    /// The operator sets it.
    Reserved(String),
    /// Its value is neither text, nor whole number, nor boolean.
    NotAValue(String),
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved(key) => write!(f, "config.{key} is set by the operator: take it out"),
            Self::NotAValue(key) => write!(
                f,
                "config.{key} is no text, whole number or boolean: give one of these"
            ),
        }
    }
}

impl std::error::Error for ConfigProblem {}

impl BrokerClusterSpec {
    /// The keys that the brokers can be given, each with its value as text, and everything that is wrong with the others.
    pub fn configuration(&self) -> (BTreeMap<&str, String>, Vec<ConfigProblem>) {
        let (mut given, mut problems) = (BTreeMap::new(), Vec::new());
        for (key, value) in &self.config {
            match problem(key, value) {
                Some(problem) => problems.push(problem),
                None => drop(given.insert(key.as_str(), value.to_string())),
            }
        }
        (given, problems)
    }
}

fn problem(key: &str, value: &ConfigValue) -> Option<ConfigProblem> {
    if RESERVED_KEYS.contains(&key) {
        return Some(ConfigProblem::Reserved(key.to_owned()));
    }
    matches!(value, ConfigValue::Other(_)).then(|| ConfigProblem::NotAValue(key.to_owned()))
}
