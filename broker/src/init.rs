//! The file for `--init`: topics and groups to make at start where they are absent.
//!
//! ```yaml
//! topics:
//!   - {name: orders, queues: 8, types: fifo}
//!   - {name: mails}
//! groups:
//!   - {name: billing, fifo: true, maxAttempts: 5, backoff: [1s, 10s, 1m]}
//!   - {name: mailer, backoff: {initial: 5s, max: 2h, multiplier: 2}}
//! ```

use crate::engine::{Engine, EngineError};
use crate::service::validate;
use crate::units;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use sluice_core::command::{Backoff, CreateGroup, CreateTopic, StartFrom, Types};
use sluice_core::limits;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

const BACKOFF_MS_MAX: u64 = limits::INVISIBLE_MS_MAX;
const MULTIPLIER_MAX: f64 = 100.0;

/// Why the file cannot be followed.
#[derive(Debug, Error)]
pub enum InitError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// The broker does not take it.
    #[error("cannot make {what} '{name}'")]
    Make {
        /// Topic or group.
        what: &'static str,
        /// Its name.
        name: String,
        /// Why.
        source: EngineError,
    },
}

/// What to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Init {
    /// Topics.
    pub topics: Vec<CreateTopic>,
    /// Consumer groups.
    pub groups: Vec<CreateGroup>,
}

impl Init {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, InitError> {
        let text = std::fs::read_to_string(path).map_err(|source| InitError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|reason| InitError::Content {
            path: path.to_owned(),
            reason,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: Option<File> = serde_yaml::from_str(text).map_err(|error| with_hint(&error.to_string()))?;
        let file = file.unwrap_or_default();
        let mut init = Self::default();
        for topic in file.topics {
            let spec = topic.check()?;
            if init.topics.iter().any(|other| other.name == spec.name) {
                return Err(format!("topic '{}' stands twice", spec.name));
            }
            init.topics.push(spec);
        }
        for group in file.groups {
            let spec = group.check()?;
            if init.groups.iter().any(|other| other.name == spec.name) {
                return Err(format!("group '{}' stands twice", spec.name));
            }
            init.groups.push(spec);
        }
        Ok(init)
    }

    /// Makes what is absent; says where what is there differs, and leaves it as it is.
    pub async fn apply(self, engine: &Engine) -> Result<(), InitError> {
        for spec in self.topics {
            let made = engine.create_topic(spec.clone()).await;
            let topic = made.map_err(|source| InitError::Make {
                what: "topic",
                name: spec.name.clone(),
                source,
            })?;
            if topic.spec != spec {
                tracing::warn!(topic = %spec.name, present = ?topic.spec, "the topic exists already and stays as it is");
            }
        }
        for spec in self.groups {
            let made = engine.create_group(spec.clone()).await;
            let group = made.map_err(|source| InitError::Make {
                what: "group",
                name: spec.name.clone(),
                source,
            })?;
            if group.spec != spec {
                tracing::warn!(group = %spec.name, present = ?group.spec, "the group exists already and stays as it is");
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    topics: Vec<TopicEntry>,
    #[serde(default)]
    groups: Vec<GroupEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicEntry {
    name: String,
    queues: Option<u32>,
    types: Option<OneOrMore<TypeName>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GroupEntry {
    name: String,
    #[serde(default)]
    fifo: bool,
    #[serde(alias = "max_attempts", alias = "max-attempts", alias = "max attempts")]
    max_attempts: Option<u16>,
    #[serde(alias = "back_off", alias = "back-off", alias = "backOff")]
    backoff: Option<BackoffEntry>,
    #[serde(alias = "start_from", alias = "start-from")]
    start_from: Option<StartName>,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "back-off is a list of waits such as [1s, 10s, 1m], or {initial: 5s, max: 2h, multiplier: 2}"
)]
enum BackoffEntry {
    Customized(Vec<Span>),
    Exponential(Exponential),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exponential {
    initial: Span,
    max: Span,
    #[serde(default = "doubling")]
    multiplier: f64,
}

fn doubling() -> f64 {
    2.0
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "types are normal, fifo, mixed, or a list of them")]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
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

/// A duration: text with a unit, or seconds.
#[derive(Clone, Copy, Debug)]
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a duration such as 500ms or 10s")]
        enum Form {
            Seconds(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Seconds(seconds) => Ok(Self(Duration::from_secs(seconds))),
            Form::Text(text) => units::duration(&text).map(Self).map_err(D::Error::custom),
        }
    }
}

impl TopicEntry {
    fn check(self) -> Result<CreateTopic, String> {
        validate::topic_name(&self.name).map_err(|error| format!("topic '{}': {error}", self.name))?;
        let queues = self.queues.unwrap_or(limits::QUEUES_DEFAULT);
        if queues == 0 || queues > limits::QUEUES_MAX {
            return Err(format!(
                "topic '{}': queues is {queues}, and may be 1 to {}",
                self.name,
                limits::QUEUES_MAX
            ));
        }
        let names = match self.types {
            None => vec![TypeName::Mixed],
            Some(OneOrMore::One(name)) => vec![name],
            Some(OneOrMore::More(names)) => names,
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
    fn check(self) -> Result<CreateGroup, String> {
        validate::group_name(&self.name).map_err(|error| format!("group '{}': {error}", self.name))?;
        let max_attempts = self.max_attempts.unwrap_or(limits::ATTEMPTS_DEFAULT);
        if max_attempts == 0 || max_attempts > limits::ATTEMPTS_MAX {
            return Err(format!(
                "group '{}': maxAttempts is {max_attempts}, and may be 1 to {}",
                self.name,
                limits::ATTEMPTS_MAX
            ));
        }
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

impl BackoffEntry {
    fn check(self) -> Result<Backoff, String> {
        let ms = |span: Span| {
            let ms = span.0.as_millis() as u64;
            if ms > BACKOFF_MS_MAX {
                Err("a wait is longer than 12h".to_owned())
            } else {
                Ok(ms)
            }
        };
        match self {
            Self::Customized(steps) if steps.is_empty() || steps.len() > limits::BACKOFF_STEPS_MAX => {
                Err(format!(
                    "the back-off has {} waits, and may have 1 to {}",
                    steps.len(),
                    limits::BACKOFF_STEPS_MAX
                ))
            }
            Self::Customized(steps) => Ok(Backoff::Customized(
                steps.into_iter().map(ms).collect::<Result<_, _>>()?,
            )),
            Self::Exponential(Exponential {
                initial,
                max,
                multiplier,
            }) => {
                let (initial_ms, max_ms) = (ms(initial)?, ms(max)?);
                if initial_ms == 0 || initial_ms > max_ms {
                    return Err("the back-off's initial wait is 0 or longer than its max".to_owned());
                }
                if !(1.0..=MULTIPLIER_MAX).contains(&multiplier) {
                    return Err(format!(
                        "the back-off's multiplier is {multiplier}, and may be 1 to {MULTIPLIER_MAX}"
                    ));
                }
                Ok(Backoff::Exponential {
                    initial_ms,
                    max_ms,
                    multiplier_milli: (multiplier * 1000.0).round() as u32,
                })
            }
        }
    }
}

/// serde names the unknown key and all known ones; this adds the nearest.
fn with_hint(message: &str) -> String {
    let nearest = || {
        let (_, rest) = message.split_once("unknown field `")?;
        let (unknown, known) = rest.split_once('`')?;
        let known = known.split('`').skip(1).step_by(2);
        known
            .map(|key| (distance(unknown, key), key))
            .min()
            .filter(|(steps, _)| *steps <= 3)
    };
    match nearest() {
        Some((_, key)) => format!("{message}; did you mean '{key}'?"),
        None => message.to_owned(),
    }
}

/// Levenshtein's: insertions, deletions and replacements, not counting case.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(!x.eq_ignore_ascii_case(&y));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_groups_are_read_with_their_defaults() {
        let init = Init::parse(
            "topics:\n  - {name: orders, queues: 8, types: fifo}\n  - {name: mails}\n  - {name: t, types: [normal]}\n\
             groups:\n  - {name: a, fifo: true, maxAttempts: 5, backoff: [1s, 500ms, 60]}\n  - {name: b}\n  \
             - {name: c, backoff: {initial: 5s, max: 2h}, startFrom: latest}\n",
        )
        .unwrap();
        assert_eq!(
            init.topics,
            [
                CreateTopic {
                    name: "orders".into(),
                    queues: 8,
                    types: Types::FIFO
                },
                CreateTopic {
                    name: "mails".into(),
                    queues: 4,
                    types: Types::ALL
                },
                CreateTopic {
                    name: "t".into(),
                    queues: 4,
                    types: Types::NORMAL
                },
            ]
        );
        assert_eq!((init.groups[0].fifo, init.groups[0].max_attempts), (true, 5));
        assert_eq!(
            init.groups[0].backoff,
            Backoff::Customized(vec![1000, 500, 60_000])
        );
        assert_eq!(init.groups[1], CreateGroup::on_first_use("b"));
        let doubling = Backoff::Exponential {
            initial_ms: 5000,
            max_ms: 7_200_000,
            multiplier_milli: 2000,
        };
        assert_eq!(
            (&init.groups[2].backoff, init.groups[2].start_from),
            (&doubling, StartFrom::Latest)
        );
    }

    #[test]
    fn an_empty_file_makes_nothing() {
        assert_eq!(Init::parse("").unwrap(), Init::default());
        assert_eq!(Init::parse("topics: []\n").unwrap(), Init::default());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("topic: []\n", "did you mean 'topics'?"),
            ("topics: [{name: a, queue: 3}]\n", "did you mean 'queues'?"),
            ("groups: [{name: a, max_atempts: 3}]\n", "maxAttempts"),
            ("topics: [{name: a, queues: 0}]\n", "topic 'a'"),
            ("topics: [{name: a, types: []}]\n", "empty"),
            ("topics: [{name: a, types: delay}]\n", "normal, fifo, mixed"),
            ("topics: [{name: 'a b'}]\n", "'a b'"),
            ("topics: [{name: a}, {name: a}]\n", "twice"),
            ("groups: [{name: a, maxAttempts: 0}]\n", "1 to 1000"),
            ("groups: [{name: a, backoff: []}]\n", "0 waits"),
            ("groups: [{name: a, backoff: 5s}]\n", "[1s, 10s, 1m]"),
            (
                "groups: [{name: a, backoff: {initial: 5s, max: 1s}}]\n",
                "initial",
            ),
            ("groups: [{name: a}, {name: a}]\n", "twice"),
        ] {
            let error = Init::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
