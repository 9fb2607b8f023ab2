//! The file's shape, and what its entries come to.

use super::values::{BackoffEntry, Whole};
use crate::service::validate;
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserializer, IntoDeserializer as _, SeqAccess, Visitor};
use sluice_core::command::{Backoff, CreateGroup, CreateTopic, StartFrom, Types};
use sluice_core::limits;
use std::fmt;

/// All of it. A key without anything behind it is an empty list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "the keys topics and groups")]
pub(super) struct File {
    pub(super) topics: Option<Vec<TopicEntry>>,
    pub(super) groups: Option<Vec<GroupEntry>>,
}

/// A topic of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a topic such as {name: orders, queues: 8}")]
pub(super) struct TopicEntry {
    name: String,
    queues: Option<Whole>,
    types: Option<TypeNames>,
}

/// A consumer group of the file.
#[derive(Debug, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a group such as {name: billing, fifo: true}"
)]
pub(super) struct GroupEntry {
    name: String,
    #[serde(default)]
    fifo: bool,
    #[serde(alias = "max_attempts", alias = "max-attempts", alias = "max attempts")]
    max_attempts: Option<Whole>,
    #[serde(alias = "back_off", alias = "back-off", alias = "backOff")]
    backoff: Option<BackoffEntry>,
    #[serde(alias = "start_from", alias = "start-from")]
    start_from: Option<StartName>,
}

/// A type alone, or a list of them.
#[derive(Debug)]
struct TypeNames(Vec<TypeName>);

impl<'de> Deserialize<'de> for TypeNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = TypeNames;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("normal, fifo, mixed, or a list of them")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<TypeNames, E> {
                let one = TypeName::deserialize(name.into_deserializer())?;
                Ok(TypeNames(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<TypeNames, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(TypeNames)
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TypeName {
    #[serde(alias = "NORMAL")]
    Normal,
    #[serde(alias = "FIFO")]
    Fifo,
    #[serde(alias = "MIXED")]
    Mixed,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StartName {
    Earliest,
    Latest,
}

impl TopicEntry {
    pub(super) fn check(self) -> Result<CreateTopic, String> {
        validate::topic_name(&self.name).map_err(|error| format!("topic '{}': {error}", self.name))?;
        let queues = match self.queues {
            None => limits::QUEUES_DEFAULT,
            Some(number) => number
                .within("queues", limits::QUEUES_MAX)
                .map_err(|reason| format!("topic '{}': {reason}", self.name))?,
        };
        let names = match self.types {
            None => vec![TypeName::Mixed],
            Some(TypeNames(names)) => names,
        };
        let types = names.into_iter().map(TypeName::types).reduce(Types::with);
        let types = types.ok_or_else(|| format!("topic '{}': the list of types is empty", self.name))?;
        Ok(CreateTopic {
            name: self.name,
            queues,
            types,
        })
    }
}

impl TypeName {
    fn types(self) -> Types {
        match self {
            Self::Normal => Types::NORMAL,
            Self::Fifo => Types::FIFO,
            Self::Mixed => Types::ALL,
        }
    }
}

impl GroupEntry {
    pub(super) fn check(self) -> Result<CreateGroup, String> {
        validate::group_name(&self.name).map_err(|error| format!("group '{}': {error}", self.name))?;
        let max_attempts = match self.max_attempts {
            None => limits::ATTEMPTS_DEFAULT,
            Some(number) => number
                .within("maxAttempts", limits::ATTEMPTS_MAX)
                .map_err(|reason| format!("group '{}': {reason}", self.name))?,
        };
        let backoff = match self.backoff {
            None => Backoff::default(),
            Some(entry) => entry
                .check()
                .map_err(|reason| format!("group '{}': {reason}", self.name))?,
        };
        let start_from = match self.start_from {
            None | Some(StartName::Earliest) => StartFrom::Earliest,
            Some(StartName::Latest) => StartFrom::Latest,
        };
        Ok(CreateGroup {
            name: self.name,
            fifo: self.fifo,
            max_attempts,
            backoff,
            start_from,
        })
    }
}
