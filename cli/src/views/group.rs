//! Consumer groups.

use super::lag::TopicLag;
use super::topic_description::{columns_of_lag, numbers_of_lag};
use crate::output::{Fields, Show, Table};
use crate::units::{self, Seconds, count, seconds};
use serde::Serialize;
use sluice_proto::admin;
use sluice_proto::admin::backoff::Strategy;
use sluice_proto::admin::start_from::Position;

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Whether each message group is kept in order.
    pub fifo: bool,
    /// Deliveries of a message before it goes to the dead-letter topic.
    pub max_attempts: u32,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// Where it begins: `earliest`, `latest`, or a time.
    pub start_from: String,
    /// How many messages a push consumer takes at a time.
    pub receive_batch: u32,
    /// How long a push consumer waits.
    pub long_poll_seconds: Seconds,
    /// How long messages are hidden.
    pub invisible_seconds: Seconds,
    /// Topics that it reads whether or not it has clients.
    pub subscriptions: Vec<Subscription>,
    /// Which change of it this is.
    pub generation: u64,
    /// Its number.
    pub id: u32,
}

/// Waits between attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Backoff {
    /// One wait an attempt.
    Steps {
        /// In milliseconds; the last one serves all further attempts.
        steps_ms: Vec<u64>,
    },
    /// Growing waits.
    Exponential {
        /// The first, in milliseconds.
        initial_ms: u64,
        /// The longest, in milliseconds.
        max_ms: u64,
        /// The factor in thousandths.
        multiplier_milli: u32,
    },
}

/// A topic with the tags that count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subscription {
    /// The topic.
    pub topic: String,
    /// The tag expression.
    pub expression: String,
}

impl From<admin::StaticSubscription> for Subscription {
    fn from(subscription: admin::StaticSubscription) -> Self {
        let expression = match subscription.expression.as_str() {
            "" => "*".to_owned(),
            _ => subscription.expression,
        };
        Self {
            topic: subscription.topic,
            expression,
        }
    }
}

impl From<admin::Group> for Group {
    fn from(group: admin::Group) -> Self {
        let spec = group.spec.unwrap_or_default();
        let start_from = match spec.start_from.and_then(|start| start.position) {
            Some(Position::Latest(_)) => "latest".to_owned(),
            Some(Position::TimeMs(ms)) => units::rfc3339(ms),
            Some(Position::Earliest(_)) | None => "earliest".to_owned(),
        };
        Self {
            name: group.name,
            fifo: spec.fifo,
            max_attempts: spec.max_attempts,
            backoff: spec.backoff.into(),
            start_from,
            receive_batch: spec.receive_batch,
            long_poll_seconds: seconds(spec.long_poll_ms),
            invisible_seconds: seconds(spec.invisible_ms),
            subscriptions: spec.subscriptions.into_iter().map(Subscription::from).collect(),
            generation: group.generation,
            id: group.id,
        }
    }
}

impl From<Option<admin::Backoff>> for Backoff {
    fn from(backoff: Option<admin::Backoff>) -> Self {
        match backoff.and_then(|backoff| backoff.strategy) {
            Some(Strategy::Exponential(waits)) => Self::Exponential {
                initial_ms: waits.initial_ms,
                max_ms: waits.max_ms,
                multiplier_milli: waits.multiplier_milli,
            },
            Some(Strategy::Customized(waits)) => Self::Steps {
                steps_ms: waits.steps_ms,
            },
            None => Self::Steps { steps_ms: Vec::new() },
        }
    }
}

impl Backoff {
    fn text(&self) -> String {
        match self {
            Self::Steps { steps_ms } => {
                let steps: Vec<String> = steps_ms.iter().map(|ms| units::exact(*ms)).collect();
                steps.join(", ")
            }
            Self::Exponential {
                initial_ms,
                max_ms,
                multiplier_milli,
            } => format!(
                "from {} to {}, times {}.{:03}",
                units::exact(*initial_ms),
                units::exact(*max_ms),
                multiplier_milli / 1000,
                multiplier_milli % 1000
            ),
        }
    }
}

/// Topics with their tags, on one line.
pub fn subscriptions(all: &[Subscription]) -> String {
    let texts: Vec<String> = all
        .iter()
        .map(|one| match one.expression.as_str() {
            "*" => one.topic.clone(),
            expression => format!("{} ({expression})", one.topic),
        })
        .collect();
    texts.join(", ")
}

impl Group {
    pub(super) fn fields(&self) -> Fields {
        Fields::default()
            .with("name", &self.name)
            .with("fifo", if self.fifo { "yes" } else { "no" })
            .with("start from", &self.start_from)
            .with("max attempts", self.max_attempts.to_string())
            .with("back-off", self.backoff.text())
            .with("receive batch", self.receive_batch.to_string())
            .with("long poll", self.long_poll_seconds.exact())
            .with("invisible", self.invisible_seconds.exact())
            .with("subscriptions", subscriptions(&self.subscriptions))
            .with("generation", self.generation.to_string())
            .with("id", self.id.to_string())
    }
}

/// A group with everything about it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct GroupDescription {
    /// The group.
    #[serde(flatten)]
    pub group: Group,
    /// Clients that have announced themselves.
    pub members: u32,
    /// Messages in its dead-letter topic.
    pub dead_letters: u64,
    /// What it reads, with its lag.
    pub topics: Vec<TopicLag>,
}

impl From<admin::GroupDescription> for GroupDescription {
    fn from(description: admin::GroupDescription) -> Self {
        Self {
            group: description.group.unwrap_or_default().into(),
            members: description.members,
            dead_letters: description.dead_letters,
            topics: description.topics.into_iter().map(TopicLag::from).collect(),
        }
    }
}

impl Show for GroupDescription {
    fn text(&self, _wide: bool) -> String {
        let fields = self
            .group
            .fields()
            .with("members", self.members.to_string())
            .with("dead letters", count(self.dead_letters));
        let mut topics = Table::new("it reads no topic yet", &columns_of_lag("TOPIC"));
        for topic in &self.topics {
            let numbers = [topic.ready, topic.inflight, topic.lag];
            let [ready, inflight, lag] = numbers_of_lag(numbers, topic.uncounted);
            topics.row([
                topic.topic.clone(),
                ready,
                inflight,
                lag,
                topic.age_seconds.to_string(),
            ]);
        }
        format!("{}\n\n{}", fields.render(), topics.render())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::output::{Format, Report as _};
    use serde_json::{Value, json};

    pub(in crate::views) fn group() -> admin::Group {
        admin::Group {
            name: "readers".to_owned(),
            spec: Some(admin::GroupSpec {
                fifo: true,
                max_attempts: 5,
                backoff: Some(admin::Backoff {
                    strategy: Some(Strategy::Customized(admin::CustomizedBackoff {
                        steps_ms: vec![1000, 30_000],
                    })),
                }),
                start_from: Some(admin::StartFrom {
                    position: Some(Position::TimeMs(1_700_000_000_000)),
                }),
                receive_batch: 32,
                long_poll_ms: 20_000,
                invisible_ms: 60_000,
                subscriptions: vec![admin::StaticSubscription {
                    topic: "orders".to_owned(),
                    expression: "a || b".to_owned(),
                }],
            }),
            generation: 2,
            id: 9,
        }
    }

    #[test]
    fn waits_that_were_set_are_shown_to_the_millisecond() {
        let steps = Backoff::Steps {
            steps_ms: vec![0, 1_050, 90_500],
        };
        assert_eq!(steps.text(), "0s, 1s50ms, 1m30s500ms");
        let growing = Backoff::Exponential {
            initial_ms: 50,
            max_ms: 12_500,
            multiplier_milli: 1500,
        };
        assert_eq!(growing.text(), "from 50ms to 12s500ms, times 1.500");
    }

    #[test]
    fn a_group_is_shown_with_everything_that_was_set() {
        let description = GroupDescription::from(admin::GroupDescription {
            group: Some(group()),
            topics: vec![],
            members: 1,
            dead_letters: 1234,
        });
        let json: Value = serde_json::from_str(&description.render(Format::Json, false)).unwrap();
        assert_eq!(
            json["backoff"],
            json!({"kind": "steps", "steps_ms": [1000, 30_000]})
        );
        assert_eq!(json["start_from"], "2023-11-14T22:13:20.000Z");
        assert_eq!(
            (&json["long_poll_seconds"], &json["dead_letters"]),
            (&json!(20), &json!(1234))
        );
        let text = description.text(false);
        for line in [
            "back-off:       1s, 30s",
            "subscriptions:  orders (a || b)",
            "dead letters:   1,234",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
