//! The file's shape, and what its entries come to.

use super::values::{BackoffEntry, Size, Span, StartEntry, SubscriptionEntry, Whole, span_within};
use crate::service::validate;
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserializer, IntoDeserializer as _, SeqAccess, Visitor};
use sluice_core::command::{GroupSpec, TopicSpec, Types};
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
    #[serde(default)]
    closed: bool,
    #[serde(rename = "retentionHours")]
    retention_hours: Option<Whole>,
    #[serde(rename = "retentionBytes")]
    retention_bytes: Option<Size>,
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
    start_from: Option<StartEntry>,
    #[serde(alias = "receive_batch", alias = "receive-batch")]
    receive_batch: Option<Whole>,
    #[serde(alias = "long_poll", alias = "long-poll")]
    long_poll: Option<Span>,
    #[serde(alias = "invisible_duration", alias = "invisible-duration")]
    invisible_duration: Option<Span>,
    subscriptions: Option<Vec<SubscriptionEntry>>,
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

impl TopicEntry {
    pub(super) fn check(self) -> Result<TopicSpec, String> {
        validate::administered_topic_name(&self.name)
            .map_err(|error| format!("topic '{}': {error}", self.name))?;
        let queues = match self.queues {
            None => limits::QUEUES_DEFAULT,
            Some(number) => number
                .within("queues", limits::QUEUES_MAX)
                .map_err(|reason| format!("topic '{}': {reason}", self.name))?,
        };
        let retention_hours = match self.retention_hours {
            None => 0,
            Some(number) => number
                .within("retentionHours", limits::RETENTION_HOURS_MAX)
                .map_err(|reason| format!("topic '{}': {reason}", self.name))?,
        };
        let retention_bytes = match self.retention_bytes {
            None => 0,
            Some(size) => size
                .within(
                    "retentionBytes",
                    limits::RETENTION_BYTES_MIN..=limits::RETENTION_BYTES_MAX,
                )
                .map_err(|reason| format!("topic '{}': {reason}", self.name))?,
        };
        let names = match self.types {
            None => vec![TypeName::Mixed],
            Some(TypeNames(names)) => names,
        };
        let types = names.into_iter().map(TypeName::types).reduce(Types::with);
        let types = types.ok_or_else(|| format!("topic '{}': the list of types is empty", self.name))?;
        Ok(TopicSpec {
            name: self.name,
            queues,
            types,
            closed: self.closed,
            retention_hours,
            retention_bytes,
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
    pub(super) fn check(self) -> Result<GroupSpec, String> {
        validate::group_name(&self.name).map_err(|error| format!("group '{}': {error}", self.name))?;
        let mut spec = GroupSpec::on_first_use(&self.name);
        self.fill(&mut spec)
            .map_err(|reason| format!("group '{}': {reason}", spec.name))?;
        Ok(spec)
    }

    fn fill(self, spec: &mut GroupSpec) -> Result<(), String> {
        spec.fifo = self.fifo;
        if let Some(number) = self.max_attempts {
            spec.max_attempts = number.within("maxAttempts", limits::ATTEMPTS_MAX)?;
        }
        if let Some(entry) = self.backoff {
            spec.backoff = entry.check()?;
        }
        if let Some(StartEntry(from)) = self.start_from {
            spec.start_from = from;
        }
        if let Some(number) = self.receive_batch {
            spec.receive_batch = number.within("receiveBatch", limits::RECEIVE_MAX as u8)?;
        }
        if let Some(span) = self.long_poll {
            let bounds = limits::LONG_POLL_MS_MIN..=limits::LONG_POLL_MS_MAX;
            spec.long_poll_ms = span_within(span, "longPoll", bounds)?;
        }
        if let Some(span) = self.invisible_duration {
            let bounds = limits::INVISIBLE_MS_MIN..=limits::INVISIBLE_MS_MAX;
            spec.invisible_ms = span_within(span, "invisibleDuration", bounds)?;
        }
        for entry in self.subscriptions.unwrap_or_default() {
            let subscription = entry.check()?;
            if spec.expression(&subscription.topic).is_some() {
                return Err(format!("it reads topic '{}' twice", subscription.topic));
            }
            spec.subscriptions.push(subscription);
        }
        if spec.subscriptions.len() > limits::SUBSCRIPTIONS_MAX {
            return Err(format!(
                "it has {} subscriptions, and may have {}",
                spec.subscriptions.len(),
                limits::SUBSCRIPTIONS_MAX
            ));
        }
        Ok(())
    }
}
