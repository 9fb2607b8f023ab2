//! What a consumer group is to be: read from the API, checked, with defaults for what is left out.

use crate::admin::status::Wrong;
use crate::service::validate;
use sluice_core::command::{Backoff, GroupSpec, StartFrom, StaticSubscription};
use sluice_core::limits;
use sluice_core::plan::TagFilter;
use sluice_proto::admin::{self, backoff::Strategy, start_from::Position};
use std::fmt::Display;
use std::ops::RangeInclusive;

const MULTIPLIER_MILLI: RangeInclusive<u32> = 1000..=100_000;

/// The specification of the group of this name.
pub fn read(name: &str, spec: &admin::GroupSpec) -> Result<GroupSpec, Wrong> {
    let checked = || {
        Ok(GroupSpec {
            fifo: spec.fifo,
            max_attempts: number(
                "max_attempts",
                spec.max_attempts,
                limits::ATTEMPTS_DEFAULT,
                1..=limits::ATTEMPTS_MAX,
            )?,
            backoff: spec
                .backoff
                .as_ref()
                .map_or_else(|| Ok(Backoff::default()), backoff)?,
            start_from: spec
                .start_from
                .as_ref()
                .map_or(Ok(StartFrom::Earliest), start_from)?,
            receive_batch: number(
                "receive_batch",
                spec.receive_batch,
                limits::RECEIVE_MAX as u8,
                1..=limits::RECEIVE_MAX as u8,
            )?,
            long_poll_ms: number(
                "long_poll_ms",
                spec.long_poll_ms,
                limits::LONG_POLL_MS_MAX,
                limits::LONG_POLL_MS_MIN..=limits::LONG_POLL_MS_MAX,
            )?,
            invisible_ms: number(
                "invisible_ms",
                spec.invisible_ms,
                limits::INVISIBLE_MS_DEFAULT,
                limits::INVISIBLE_MS_MIN..=limits::INVISIBLE_MS_MAX,
            )?,
            subscriptions: subscriptions(&spec.subscriptions)?,
            name: name.to_owned(),
        })
    };
    checked().map_err(|reason: String| Wrong::Spec(format!("consumer group '{name}': {reason}")))
}

/// 0 is the default.
fn number<N, T>(field: &str, given: N, default: T, bounds: RangeInclusive<T>) -> Result<T, String>
where
    N: Into<u64>,
    T: TryFrom<u64> + PartialOrd + Display,
{
    let given: u64 = given.into();
    if given == 0 {
        return Ok(default);
    }
    let fits = T::try_from(given).ok().filter(|number| bounds.contains(number));
    fits.ok_or_else(|| format!("{field} is {given}: give {} to {}", bounds.start(), bounds.end()))
}

fn backoff(given: &admin::Backoff) -> Result<Backoff, String> {
    let wait = |ms: u64| {
        if ms > limits::INVISIBLE_MS_MAX {
            return Err(format!(
                "the back-off's wait of {ms} ms is too long: at most {} are taken",
                limits::INVISIBLE_MS_MAX
            ));
        }
        Ok(ms)
    };
    match &given.strategy {
        None => Err(
            "the back-off is neither customized nor exponential: give one of them, or none at all".to_owned(),
        ),
        Some(Strategy::Customized(admin::CustomizedBackoff { steps_ms })) => {
            if !(1..=limits::BACKOFF_STEPS_MAX).contains(&steps_ms.len()) {
                return Err(format!(
                    "the back-off has {} steps: give 1 to {}",
                    steps_ms.len(),
                    limits::BACKOFF_STEPS_MAX
                ));
            }
            let steps = steps_ms.iter().copied().map(wait);
            Ok(Backoff::Customized(steps.collect::<Result<_, _>>()?))
        }
        Some(Strategy::Exponential(exponential)) => {
            let (initial_ms, max_ms) = (wait(exponential.initial_ms)?, wait(exponential.max_ms)?);
            if initial_ms == 0 || initial_ms > max_ms {
                return Err(format!(
                    "the back-off begins with {initial_ms} ms and ends with {max_ms}: begin with 1 or more, and end with no less"
                ));
            }
            let multiplier_milli = exponential.multiplier_milli;
            if !MULTIPLIER_MILLI.contains(&multiplier_milli) {
                return Err(format!(
                    "the back-off's multiplier_milli is {multiplier_milli}: give {} to {}; 2000 doubles",
                    MULTIPLIER_MILLI.start(),
                    MULTIPLIER_MILLI.end()
                ));
            }
            Ok(Backoff::Exponential {
                initial_ms,
                max_ms,
                multiplier_milli,
            })
        }
    }
}

fn start_from(given: &admin::StartFrom) -> Result<StartFrom, String> {
    match given.position {
        Some(Position::Earliest(true)) => Ok(StartFrom::Earliest),
        Some(Position::Latest(true)) => Ok(StartFrom::Latest),
        Some(Position::TimeMs(time)) => Ok(StartFrom::Time(time)),
        None | Some(Position::Earliest(false) | Position::Latest(false)) => Err(
            "start_from says nothing: set earliest or latest to true, give time_ms, or leave it out"
                .to_owned(),
        ),
    }
}

fn subscriptions(given: &[admin::StaticSubscription]) -> Result<Vec<StaticSubscription>, String> {
    if given.len() > limits::SUBSCRIPTIONS_MAX {
        return Err(format!(
            "it has {} static subscriptions: at most {} are taken",
            given.len(),
            limits::SUBSCRIPTIONS_MAX
        ));
    }
    let mut read: Vec<StaticSubscription> = Vec::with_capacity(given.len());
    for subscription in given {
        let one = one_subscription(subscription)?;
        if read.iter().any(|other| other.topic == one.topic) {
            return Err(format!(
                "topic '{}' stands twice among the static subscriptions: write one expression, such as 'a || b'",
                one.topic
            ));
        }
        read.push(one);
    }
    Ok(read)
}

fn one_subscription(given: &admin::StaticSubscription) -> Result<StaticSubscription, String> {
    let admin::StaticSubscription { topic, expression } = given;
    validate::readable_topic_name(topic).map_err(|error| error.to_string())?;
    let all = expression.trim().is_empty();
    let expression = if all { "*" } else { expression };
    let of_topic = |reason: String| format!("the static subscription to topic '{topic}': {reason}");
    if expression.len() > limits::EXPRESSION_BYTES_MAX {
        return Err(of_topic(format!(
            "the expression has {} bytes: at most {} are taken",
            expression.len(),
            limits::EXPRESSION_BYTES_MAX
        )));
    }
    TagFilter::parse(expression).map_err(|error| of_topic(error.to_string()))?;
    Ok(StaticSubscription {
        topic: topic.clone(),
        expression: expression.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::convert::group;

    type Change = fn(&mut admin::GroupSpec);

    fn changed(change: impl FnOnce(&mut admin::GroupSpec)) -> Result<GroupSpec, Wrong> {
        let mut spec = admin::GroupSpec::default();
        change(&mut spec);
        read("billing", &spec)
    }

    fn subscription(topic: &str, expression: &str) -> admin::StaticSubscription {
        admin::StaticSubscription {
            topic: topic.to_owned(),
            expression: expression.to_owned(),
        }
    }

    fn exponential(initial_ms: u64, max_ms: u64, multiplier_milli: u32) -> Option<admin::Backoff> {
        Some(group::backoff(&Backoff::Exponential {
            initial_ms,
            max_ms,
            multiplier_milli,
        }))
    }

    fn customized(steps_ms: Vec<u64>) -> Option<admin::Backoff> {
        let customized = Strategy::Customized(admin::CustomizedBackoff { steps_ms });
        Some(admin::Backoff {
            strategy: Some(customized),
        })
    }

    fn starting(position: Option<Position>) -> Option<admin::StartFrom> {
        Some(admin::StartFrom { position })
    }

    #[test]
    fn nothing_said_is_a_group_as_made_on_first_use() {
        let read = changed(|_| {}).unwrap();
        assert_eq!(read, GroupSpec::on_first_use("billing"));
    }

    #[test]
    fn back_offs_and_starts_are_read_as_they_are_told() {
        for backoff in [
            Backoff::Customized(vec![0, 1000, limits::INVISIBLE_MS_MAX]),
            Backoff::Exponential {
                initial_ms: 1,
                max_ms: 1,
                multiplier_milli: 1000,
            },
        ] {
            let read = changed(|spec| spec.backoff = Some(group::backoff(&backoff))).unwrap();
            assert_eq!(read.backoff, backoff);
        }
        for start in [StartFrom::Earliest, StartFrom::Latest, StartFrom::Time(7)] {
            let read = changed(|spec| spec.start_from = Some(group::start_from(start))).unwrap();
            assert_eq!(read.start_from, start);
        }
    }

    #[test]
    fn static_subscriptions_take_all_tags_unless_they_say_which() {
        let read = changed(|spec| {
            spec.subscriptions = vec![
                subscription("a", ""),
                subscription("b", "x || y"),
                subscription("%DLQ%g", "*"),
            ];
        });
        let read = read.unwrap().subscriptions;
        let read: Vec<_> = read
            .iter()
            .map(|one| (one.topic.as_str(), one.expression.as_str()))
            .collect();
        assert_eq!(read, [("a", "*"), ("b", "x || y"), ("%DLQ%g", "*")]);
    }

    #[test]
    fn what_no_group_can_be_is_refused_with_what_it_can_be() {
        let cases: [(Change, &str); 19] = [
            (
                |spec| spec.max_attempts = 1001,
                "max_attempts is 1001: give 1 to 1000",
            ),
            (
                |spec| spec.receive_batch = 33,
                "receive_batch is 33: give 1 to 32",
            ),
            (|spec| spec.receive_batch = u32::MAX, "give 1 to 32"),
            (
                |spec| spec.long_poll_ms = 999,
                "long_poll_ms is 999: give 1000 to 20000",
            ),
            (|spec| spec.long_poll_ms = 20_001, "give 1000 to 20000"),
            (
                |spec| spec.invisible_ms = 9999,
                "invisible_ms is 9999: give 10000 to 43200000",
            ),
            (|spec| spec.invisible_ms = u64::MAX, "give 10000 to 43200000"),
            (
                |spec| spec.backoff = Some(admin::Backoff { strategy: None }),
                "neither customized nor",
            ),
            (
                |spec| spec.backoff = customized(Vec::new()),
                "0 steps: give 1 to 64",
            ),
            (
                |spec| spec.backoff = customized(vec![1; 65]),
                "65 steps: give 1 to 64",
            ),
            (
                |spec| spec.backoff = customized(vec![43_200_001]),
                "43200001 ms is too long",
            ),
            (|spec| spec.backoff = exponential(0, 1, 2000), "begins with 0 ms"),
            (|spec| spec.backoff = exponential(2, 1, 2000), "ends with 1"),
            (
                |spec| spec.backoff = exponential(1, 2, 999),
                "999: give 1000 to 100000",
            ),
            (|spec| spec.start_from = starting(None), "start_from says nothing"),
            (
                |spec| spec.start_from = starting(Some(Position::Latest(false))),
                "start_from says nothing",
            ),
            (|spec| spec.subscriptions = vec![subscription("a b", "")], "'a b'"),
            (
                |spec| spec.subscriptions = vec![subscription("a", ""), subscription("a", "x")],
                "'a' stands twice",
            ),
            (
                |spec| spec.subscriptions = vec![subscription("a", "||")],
                "to topic 'a': ",
            ),
        ];
        for (change, part) in cases {
            let refusal = changed(change).unwrap_err().to_string();
            assert!(
                refusal.contains(part) && refusal.contains("'billing'"),
                "{refusal}"
            );
        }
        let many = changed(|spec| {
            spec.subscriptions = (0..65).map(|n| subscription(&format!("t{n}"), "")).collect()
        });
        assert!(many.unwrap_err().to_string().contains("at most 64"));
        let long = changed(|spec| spec.subscriptions = vec![subscription("a", &"x".repeat(1025))]);
        assert!(long.unwrap_err().to_string().contains("at most 1024"));
    }
}
