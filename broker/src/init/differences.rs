//! Where what is there differs from what the file says, in the file's own words.

use crate::units;
use sluice_core::command::{Backoff, GroupSpec, StartFrom, TopicSpec, Types};
use std::time::Duration;

/// None where both are the same.
pub(super) fn of_topics(present: &TopicSpec, asked: &TopicSpec) -> Option<String> {
    said(&[
        ("queues", present.queues.to_string(), asked.queues.to_string()),
        ("types", types(present.types), types(asked.types)),
    ])
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
        StartFrom::Time(ms) => format!("{ms} ms after the epoch"),
    }
}

fn backoff(backoff: &Backoff) -> String {
    let wait = |ms: &u64| units::write(Duration::from_millis(*ms));
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
        };
        assert_eq!(of_topics(&topic(4, Types::ALL), &topic(4, Types::ALL)), None);
        assert_eq!(
            of_topics(&topic(2, Types::ALL), &topic(5, Types::FIFO)).unwrap(),
            "queues is 2, and 5 in the file; types is mixed, and fifo in the file"
        );
        let present = GroupSpec::on_first_use("billing");
        let asked = GroupSpec {
            backoff: Backoff::Exponential {
                initial_ms: 1500,
                max_ms: 7_200_000,
                multiplier_milli: 1500,
            },
            ..present.clone()
        };
        let present = GroupSpec {
            backoff: Backoff::Customized(vec![1000, 90_000, 3_600_000]),
            ..present
        };
        assert_eq!(of_groups(&present, &present), None);
        assert_eq!(
            of_groups(&present, &asked).unwrap(),
            "backoff is [1s, 90s, 1h], and {initial: 1500ms, max: 2h, multiplier: 1.5} in the file"
        );
    }
}
