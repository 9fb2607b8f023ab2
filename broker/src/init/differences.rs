//! Where what is there differs from what the file says, in the file's own words.

use sluice_core::command::{Backoff, GroupSpec, StartFrom, StaticSubscription, TopicSpec, Types};
use sluice_core::units;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// None where both are the same.
pub(super) fn of_topics(present: &TopicSpec, asked: &TopicSpec) -> Option<String> {
    said(&[
        ("queues", present.queues.to_string(), asked.queues.to_string()),
        ("types", types(present.types), types(asked.types)),
        ("closed", present.closed.to_string(), asked.closed.to_string()),
        (
            "retentionHours",
            or_none(present.retention_hours, u32::to_string),
            or_none(asked.retention_hours, u32::to_string),
        ),
        (
            "retentionBytes",
            or_none(present.retention_bytes, |bytes| units::write_size(*bytes)),
            or_none(asked.retention_bytes, |bytes| units::write_size(*bytes)),
        ),
    ])
}

/// A bound, of which 0 is none: as where the file says nothing of it.
fn or_none<T: Default + PartialEq>(bound: T, write: impl Fn(&T) -> String) -> String {
    if bound == T::default() {
        return "none".to_owned();
    }
    write(&bound)
}

/// None where both are the same.
pub(super) fn of_groups(present: &GroupSpec, asked: &GroupSpec) -> Option<String> {
    said(&[
        ("fifo", present.fifo.to_string(), asked.fifo.to_string()),
        (
            "maxAttempts",
            present.max_attempts.to_string(),
            asked.max_attempts.to_string(),
        ),
        ("backoff", backoff(&present.backoff), backoff(&asked.backoff)),
        ("startFrom", start(present.start_from), start(asked.start_from)),
        (
            "receiveBatch",
            present.receive_batch.to_string(),
            asked.receive_batch.to_string(),
        ),
        ("longPoll", wait(&present.long_poll_ms), wait(&asked.long_poll_ms)),
        (
            "invisibleDuration",
            wait(&present.invisible_ms),
            wait(&asked.invisible_ms),
        ),
        (
            "subscriptions",
            subscriptions(&present.subscriptions),
            subscriptions(&asked.subscriptions),
        ),
    ])
}

fn said(keys: &[(&str, String, String)]) -> Option<String> {
    let differing = keys.iter().filter(|(_, present, asked)| present != asked);
    let said: Vec<String> = differing
        .map(|(key, present, asked)| format!("{key} is {present}, and {asked} in the file"))
        .collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn types(types: Types) -> String {
    let name = match types {
        Types::NORMAL => "normal",
        Types::FIFO => "fifo",
        _ => "mixed",
    };
    name.to_owned()
}

fn start(from: StartFrom) -> String {
    match from {
        StartFrom::Earliest => "earliest".to_owned(),
        StartFrom::Latest => "latest".to_owned(),
        StartFrom::Time(ms) => {
            let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
            let written = time.ok().and_then(|time| time.format(&Rfc3339).ok());
            written.unwrap_or_else(|| format!("{ms} ms after the epoch"))
        }
    }
}

fn subscriptions(all: &[StaticSubscription]) -> String {
    let one = |subscription: &StaticSubscription| match subscription.expression.as_str() {
        "*" => subscription.topic.clone(),
        tags => format!("{{topic: {}, expression: {tags}}}", subscription.topic),
    };
    format!("[{}]", all.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn wait(ms: &u64) -> String {
    units::write(Duration::from_millis(*ms))
}

fn backoff(backoff: &Backoff) -> String {
    match backoff {
        Backoff::Customized(waits) => {
            let waits: Vec<String> = waits.iter().map(wait).collect();
            format!("[{}]", waits.join(", "))
        }
        Backoff::Exponential {
            initial_ms,
            max_ms,
            multiplier_milli,
        } => format!(
            "{{initial: {}, max: {}, multiplier: {}}}",
            wait(initial_ms),
            wait(max_ms),
            f64::from(*multiplier_milli) / 1000.0
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_that_differs_is_named_with_both_values_and_no_other() {
        let topic = |queues, types| TopicSpec {
            name: "orders".to_owned(),
            queues,
            types,
            closed: false,
            retention_hours: 0,
            retention_bytes: 0,
        };
        assert_eq!(of_topics(&topic(4, Types::ALL), &topic(4, Types::ALL)), None);
        assert_eq!(
            of_topics(&topic(2, Types::ALL), &topic(5, Types::FIFO)).unwrap(),
            "queues is 2, and 5 in the file; types is mixed, and fifo in the file"
        );
        let kept = |retention_hours, retention_bytes| TopicSpec {
            retention_hours,
            retention_bytes,
            ..topic(4, Types::ALL)
        };
        assert_eq!(
            of_topics(&kept(0, 10 << 30), &kept(24, 0)).unwrap(),
            "retentionHours is none, and 24 in the file; retentionBytes is 10GiB, and none in the file"
        );
        let present = GroupSpec::on_first_use("billing");
        let asked = GroupSpec {
            backoff: Backoff::Exponential {
                initial_ms: 1500,
                max_ms: 7_200_000,
                multiplier_milli: 1500,
            },
            start_from: StartFrom::Time(60_500),
            invisible_ms: 90_000,
            subscriptions: ["*", "a || b"]
                .map(|tags| StaticSubscription {
                    topic: format!("t{}", tags.len()),
                    expression: tags.to_owned(),
                })
                .into(),
            ..present.clone()
        };
        let present = GroupSpec {
            backoff: Backoff::Customized(vec![1000, 90_000, 3_600_000]),
            ..present
        };
        assert_eq!(of_groups(&present, &present), None);
        assert_eq!(
            of_groups(&present, &asked).unwrap(),
            "backoff is [1s, 90s, 1h], and {initial: 1500ms, max: 2h, multiplier: 1.5} in the file; startFrom is earliest, and \
             1970-01-01T00:01:00.5Z in the file; invisibleDuration is 1m, and 90s in the file; subscriptions is [], and \
             [t1, {topic: t6, expression: a || b}] in the file"
        );
    }
}
