//! The file for `--init`: topics and groups to make at start where they are absent.
//!
//! ```yaml
//! topics:
//!   - {name: orders, queues: 8, types: fifo}
//!   - {name: mails}
//! groups:
//!   - {name: billing, fifo: true, maxAttempts: 5, backoff: [1s, 10s, 1m]}
//!   - {name: mailer, backoff: {initial: 5s, max: 2h, multiplier: 2}, subscriptions: [mails]}
//! ```

mod apply;
mod differences;
mod file;
mod texts;
mod values;

use crate::engine::EngineError;
use crate::yaml;
pub use apply::Left;
use file::File;
use sluice_core::command::{GroupSpec, TopicSpec};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Room for as many topics and groups as there may be, with a few hundred bytes each.
const MEBIBYTES_MAX: u64 = 16;

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
    pub topics: Vec<TopicSpec>,
    /// Consumer groups.
    pub groups: Vec<GroupSpec>,
}

impl Init {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, InitError> {
        let text = yaml::text(path, MEBIBYTES_MAX).map_err(|source| InitError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|reason| InitError::Content {
            path: path.to_owned(),
            reason,
        })
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        yaml::check_depth(text)?;
        let file: Option<File> =
            serde_yaml::from_str(text).map_err(|error| texts::plain(&error.to_string()))?;
        let file = file.unwrap_or_default();
        let mut init = Self::default();
        for topic in file.topics.unwrap_or_default() {
            let spec = topic.check()?;
            if init.topics.iter().any(|other| other.name == spec.name) {
                return Err(format!("topic '{}' stands twice", spec.name));
            }
            init.topics.push(spec);
        }
        for group in file.groups.unwrap_or_default() {
            let spec = group.check()?;
            if init.groups.iter().any(|other| other.name == spec.name) {
                return Err(format!("group '{}' stands twice", spec.name));
            }
            init.groups.push(spec);
        }
        Ok(init)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::command::{Backoff, StartFrom, StaticSubscription, Types};

    #[test]
    fn topics_and_groups_are_read_with_their_defaults() {
        let init = Init::parse(
            "topics:\n  - {name: orders, queues: 8, types: fifo}\n  - {name: mails}\n  - {name: t, types: [normal], closed: true, retentionHours: 12, retentionBytes: 10GiB}\n\
             groups:\n  - {name: a, fifo: true, maxAttempts: 5, backoff: [1s, 500ms, 60]}\n  - {name: b}\n  \
             - {name: c, backoff: {initial: 5s, max: 2h}, startFrom: latest}\n",
        )
        .unwrap();
        assert_eq!(
            init.topics,
            [
                TopicSpec {
                    name: "orders".into(),
                    queues: 8,
                    types: Types::FIFO,
                    closed: false,
                    retention_hours: 0,
                    retention_bytes: 0,
                },
                TopicSpec {
                    name: "mails".into(),
                    queues: 4,
                    types: Types::ALL,
                    closed: false,
                    retention_hours: 0,
                    retention_bytes: 0,
                },
                TopicSpec {
                    name: "t".into(),
                    queues: 4,
                    types: Types::NORMAL,
                    closed: true,
                    retention_hours: 12,
                    retention_bytes: 10 << 30,
                },
            ]
        );
        assert_eq!((init.groups[0].fifo, init.groups[0].max_attempts), (true, 5));
        assert_eq!(
            init.groups[0].backoff,
            Backoff::Customized(vec![1000, 500, 60_000])
        );
        assert_eq!(init.groups[1], GroupSpec::on_first_use("b"));
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
    fn what_groups_may_have_besides_is_read() {
        let init = Init::parse(
            "groups:\n  - {name: a, receiveBatch: 8, longPoll: 5s, invisibleDuration: 2m, startFrom: 1970-01-01T00:01:00.5Z,\n     \
             subscriptions: [orders, {topic: mails, expression: a || b}, {topic: all, expression: ''}]}\n",
        )
        .unwrap();
        let reading = |topic: &str, expression: &str| StaticSubscription {
            topic: topic.to_owned(),
            expression: expression.to_owned(),
        };
        let expected = GroupSpec {
            receive_batch: 8,
            long_poll_ms: 5000,
            invisible_ms: 120_000,
            start_from: StartFrom::Time(60_500),
            subscriptions: vec![
                reading("orders", "*"),
                reading("mails", "a || b"),
                reading("all", "*"),
            ],
            ..GroupSpec::on_first_use("a")
        };
        assert_eq!(init.groups, [expected]);
        let many: Vec<String> = (0..65).map(|n| format!("t{n}")).collect();
        let text = format!("groups: [{{name: a, subscriptions: [{}]}}]\n", many.join(", "));
        is_refused(&text, "it has 65 subscriptions, and may have 64");
    }

    #[test]
    fn an_empty_file_makes_nothing() {
        assert_eq!(Init::parse("").unwrap(), Init::default());
        assert_eq!(Init::parse("topics: []\n").unwrap(), Init::default());
        assert_eq!(Init::parse("topics:\ngroups:\n").unwrap(), Init::default());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("topic: []\n", "did you mean 'topics'?"),
            ("topics: [{name: a, queue: 3}]\n", "did you mean 'queues'?"),
            ("groups: [{name: a, max_atempts: 3}]\n", "maxAttempts"),
            ("topics: [{name: a, queues: 0}]\n", "topic 'a'"),
            ("topics: [{name: a, types: []}]\n", "empty"),
            ("topics: [{name: a, types: delay}]\n", "unknown value `delay`"),
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
            is_refused(text, part);
        }
        is_refused(
            &format!("topics:\n{}", "[".repeat(1000)),
            "brackets are open at line 2",
        );
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len((MEBIBYTES_MAX << 20) + 1).unwrap();
        let error = format!("{:#}", anyhow::Error::new(Init::read(file.path()).unwrap_err()));
        assert!(error.contains("larger than 16 MiB"), "{error}");
    }

    fn is_refused(text: &str, part: &str) {
        let error = Init::parse(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
        for word in ["struct", "variant", "field", "u16", "u32", "u64", "f64", "Entry"] {
            assert!(!error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_its_key_is_named_with_what_does() {
        is_refused(
            "topics: [orders]\n",
            "topics[0]: invalid type: string \"orders\", expected a topic such as {name: orders, queues: 8}",
        );
        is_refused("groups: [7]\n", "expected a group such as {name: billing");
        is_refused("7\n", "expected the keys topics and groups");
        for (topic, part) in [
            ("queues: many", "\"many\", expected a whole number"),
            ("types: [fifo, delay]", "unknown value `delay`"),
            ("types: 5", "expected normal, fifo, mixed, or a list of them"),
            ("retentionHours: 0", "retentionHours is 0, and may be 1 to 876000"),
            (
                "retentionBytes: 1000",
                "retentionBytes is 1000B, and may be 1MiB to 1PiB",
            ),
            (
                "retentionBytes: 1025TiB",
                "retentionBytes is 1025TiB, and may be 1MiB to 1PiB",
            ),
            ("retentionBytes: 10 gallons", "'10 gallons' is no size"),
            ("retentionBytes: [1]", "expected a size such as 10GiB"),
        ] {
            is_refused(&format!("topics: [{{name: a, {topic}}}]\n"), part);
        }
        for (group, part) in [
            ("maxAttempts: 70000", "maxAttempts is 70000, and may be 1 to 1000"),
            ("maxAttempts: -1", "expected a whole number"),
            ("backoff: [1s, 10parsecs]", "'10parsecs' is no duration"),
            ("backoff: [1s, 1.5]", "`1.5`, expected a duration such as"),
            ("backoff: {initial: 5x, max: 1h}", "'5x' is no duration"),
            ("backoff: {max: 1h}", "missing key `initial`"),
            (
                "backoff: {initial: 5s, max: 1h, multiplier: x}",
                "expected a number",
            ),
            ("backoff: [13h]", "wait of 13h is longer than 12h"),
            (
                "startFrom: earlist",
                "\"earlist\", expected earliest, latest, or a time such as 2026-01-31T15:04:05Z",
            ),
            ("startFrom: 1960-01-31T15:04:05Z", "expected earliest, latest"),
            ("receiveBatch: 33", "receiveBatch is 33, and may be 1 to 32"),
            ("longPoll: 30s", "longPoll is 30s, and may be 1s to 20s"),
            (
                "invisibleDuration: 5s",
                "invisibleDuration is 5s, and may be 10s to 12h",
            ),
            ("subscriptions: [5]", "expected a topic's name, or {topic: orders"),
            ("subscriptions: [{topic: t, tags: a}]", "unknown key `tags`"),
            ("subscriptions: ['a b']", "'a b'"),
            ("subscriptions: [{topic: t, expression: '||'}]", "names no tag"),
            ("subscriptions: [t, {topic: t}]", "it reads topic 't' twice"),
        ] {
            is_refused(&format!("groups: [{{name: a, {group}}}]\n"), part);
        }
        is_refused("topics: [{queues: 3}]\n", "missing key `name`");
    }
}
