//! What a ConsumerGroup asks the broker for, and what to make of a group that is there.

use sluice_operator_api::ConsumerGroupSpec as Resource;
use sluice_operator_api::consumer_group::{
    Backoff as Waits, BackoffType, DeliveryOrder, StartFrom as Start, StartPosition,
};
use sluice_proto::admin::backoff::Strategy;
use sluice_proto::admin::start_from::Position;
use sluice_proto::admin::{
    Backoff, CustomizedBackoff, ExponentialBackoff, GroupSpec, StartFrom, StaticSubscription,
};

/// RocketMQ's waits, which the broker takes where none are given: spelt out, so that another one is seen as a difference.
const DEFAULT_STEPS_SECONDS: [u64; 18] = [
    1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200,
];

/// The broker's words for it, with nothing left out.
pub fn wanted(resource: &Resource) -> Result<GroupSpec, String> {
    let tuning = &resource.tuning;
    Ok(GroupSpec {
        fifo: resource.delivery_order == DeliveryOrder::Fifo,
        max_attempts: number("retry.maxAttempts", resource.retry.max_attempts)?,
        backoff: Some(Backoff {
            strategy: Some(strategy(resource.retry.backoff.as_ref())?),
        }),
        start_from: Some(StartFrom {
            position: Some(position(&resource.start_from)?),
        }),
        receive_batch: number("tuning.receiveBatch", tuning.receive_batch)?,
        long_poll_ms: ms("tuning.longPollSeconds", Some(tuning.long_poll_seconds))?,
        invisible_ms: ms("tuning.invisibleSeconds", Some(tuning.invisible_seconds))?,
        subscriptions: resource
            .subscriptions
            .iter()
            .map(|subscription| StaticSubscription {
                topic: subscription.topic.clone(),
                expression: subscription.filter.expression.clone(),
            })
            .collect(),
    })
}

/// Everything is as wanted, or all of it is to be.
pub fn difference(wanted: &GroupSpec, present: &GroupSpec) -> Option<GroupSpec> {
    (in_order(wanted) != in_order(present)).then(|| wanted.clone())
}

/// The order of subscriptions means nothing.
fn in_order(spec: &GroupSpec) -> GroupSpec {
    let mut spec = spec.clone();
    spec.subscriptions.sort_by(|a, b| a.topic.cmp(&b.topic));
    spec
}

fn strategy(waits: Option<&Waits>) -> Result<Strategy, String> {
    let Some(waits) = waits else {
        let steps_ms = DEFAULT_STEPS_SECONDS.map(|seconds| seconds * 1_000).to_vec();
        return Ok(Strategy::Customized(CustomizedBackoff { steps_ms }));
    };
    match waits.type_ {
        BackoffType::Customized => {
            let steps = waits.steps_seconds.iter().flatten();
            let steps = steps.map(|seconds| ms("retry.backoff.stepsSeconds", Some(*seconds)));
            let steps_ms = steps.collect::<Result<Vec<_>, _>>()?;
            if steps_ms.is_empty() {
                return Err("spec.retry.backoff.stepsSeconds has no steps; give 1 to 64".to_owned());
            }
            Ok(Strategy::Customized(CustomizedBackoff { steps_ms }))
        }
        BackoffType::Exponential => Ok(Strategy::Exponential(ExponentialBackoff {
            initial_ms: ms("retry.backoff.initialSeconds", waits.initial_seconds)?,
            max_ms: ms("retry.backoff.maxSeconds", waits.max_seconds)?,
            // From hundredths to thousandths.
            multiplier_milli: number("retry.backoff.multiplierPercent", waits.multiplier_percent())?
                .saturating_mul(10),
        })),
    }
}

fn position(start: &Start) -> Result<Position, String> {
    Ok(match start.position {
        StartPosition::Earliest => Position::Earliest(true),
        StartPosition::Latest => Position::Latest(true),
        StartPosition::Time => {
            let time = start
                .timestamp()
                .and_then(|time| u64::try_from(time.as_millisecond()).ok());
            Position::TimeMs(time.ok_or_else(|| {
                "spec.startFrom.time is no time since 1970; write one such as 2026-01-31T15:04:05Z".to_owned()
            })?)
        }
    })
}

fn number(field: &str, value: i32) -> Result<u32, String> {
    u32::try_from(value).map_err(|_| format!("spec.{field} is {value}; it cannot be less than 0"))
}

fn ms(field: &str, seconds: Option<i32>) -> Result<u64, String> {
    let seconds = seconds.ok_or_else(|| format!("spec.{field} is not given"))?;
    Ok(u64::from(number(field, seconds)?) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(yaml: &str) -> Result<GroupSpec, String> {
        let text = format!("clusterRef: {{name: main}}\n{yaml}");
        wanted(&serde_yaml::from_str(&text).unwrap())
    }

    #[test]
    fn nothing_said_is_everything_as_the_broker_has_it() {
        let spec = of("").unwrap();
        let Some(Strategy::Customized(CustomizedBackoff { steps_ms })) = spec.backoff.unwrap().strategy
        else {
            panic!("customized by default");
        };
        assert_eq!((steps_ms[0], steps_ms.len()), (1_000, 18));
        assert_eq!(spec.start_from.unwrap().position, Some(Position::Earliest(true)));
        assert_eq!(
            (
                spec.fifo,
                spec.max_attempts,
                spec.receive_batch,
                spec.long_poll_ms,
                spec.invisible_ms
            ),
            (false, 17, 32, 20_000, 60_000)
        );
    }

    #[test]
    fn a_resource_is_said_in_the_brokers_words() {
        let spec = of("subscriptions: [{topic: orders}, {topic: bills, filter: {expression: 'a || b'}}]
deliveryOrder: Fifo
retry: {maxAttempts: 3, backoff: {type: Exponential, initialSeconds: 2, maxSeconds: 60, multiplierPercent: 150}}
startFrom: {position: Time, time: '1970-01-01T00:00:05Z'}
tuning: {receiveBatch: 1, longPollSeconds: 5, invisibleSeconds: 30}")
        .unwrap();
        let exponential = Strategy::Exponential(ExponentialBackoff {
            initial_ms: 2_000,
            max_ms: 60_000,
            multiplier_milli: 1_500,
        });
        assert_eq!(spec.backoff.unwrap().strategy, Some(exponential));
        assert_eq!(spec.start_from.unwrap().position, Some(Position::TimeMs(5_000)));
        let subscriptions: Vec<_> = spec
            .subscriptions
            .iter()
            .map(|subscription| (&*subscription.topic, &*subscription.expression))
            .collect();
        assert_eq!(subscriptions, [("orders", "*"), ("bills", "a || b")]);
        assert_eq!(
            (
                spec.fifo,
                spec.max_attempts,
                spec.receive_batch,
                spec.long_poll_ms,
                spec.invisible_ms
            ),
            (true, 3, 1, 5_000, 30_000)
        );
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_field() {
        for (yaml, field) in [
            (
                "startFrom: {position: Time, time: '2026-02-30T00:00:00Z'}",
                "spec.startFrom.time",
            ),
            ("startFrom: {position: Time}", "spec.startFrom.time"),
            ("retry: {maxAttempts: -1}", "spec.retry.maxAttempts"),
            (
                "retry: {backoff: {type: Customized}}",
                "spec.retry.backoff.stepsSeconds",
            ),
            (
                "retry: {backoff: {type: Exponential, initialSeconds: 1}}",
                "spec.retry.backoff.maxSeconds",
            ),
            ("tuning: {longPollSeconds: -5}", "spec.tuning.longPollSeconds"),
        ] {
            let refusal = of(yaml).unwrap_err();
            assert!(refusal.contains(field), "{yaml}: {refusal}");
        }
    }

    #[test]
    fn only_a_difference_that_means_something_is_one() {
        let spec = of("subscriptions: [{topic: orders}, {topic: bills}]").unwrap();
        let mut turned = spec.clone();
        turned.subscriptions.reverse();
        assert_eq!(difference(&spec, &turned), None);
        let fewer = GroupSpec {
            max_attempts: 16,
            ..turned
        };
        assert_eq!(difference(&spec, &fewer), Some(spec));
    }
}
