//! A group's specification with what the command line changes of it.

use crate::args::{BackoffArg, GroupChanges, StartArg};
use sluice_proto::admin::backoff::Strategy;
use sluice_proto::admin::start_from::Position;
use sluice_proto::admin::{
    Backoff, CustomizedBackoff, ExponentialBackoff, GroupSpec, StartFrom, StaticSubscription,
};

/// Changes what is asked for, and leaves the rest.
pub(super) fn change(spec: &mut GroupSpec, changes: &GroupChanges, now_ms: u64) {
    if let Some(max_attempts) = changes.max_attempts {
        spec.max_attempts = max_attempts;
    }
    if let Some(backoff) = &changes.backoff {
        spec.backoff = Some(to_backoff(backoff));
    }
    if let Some(start) = changes.start_from {
        let position = match start {
            StartArg::Earliest => Position::Earliest(true),
            StartArg::Latest => Position::Latest(true),
            StartArg::Time(moment) => Position::TimeMs(moment.resolve(now_ms)),
        };
        spec.start_from = Some(StartFrom {
            position: Some(position),
        });
    }
    if let Some(batch) = changes.receive_batch {
        spec.receive_batch = batch;
    }
    if let Some(ms) = changes.long_poll {
        spec.long_poll_ms = ms;
    }
    if let Some(ms) = changes.invisible {
        spec.invisible_ms = ms;
    }
    for subscription in &changes.subscribe {
        spec.subscriptions
            .retain(|there| there.topic != subscription.topic);
        spec.subscriptions.push(StaticSubscription {
            topic: subscription.topic.clone(),
            expression: subscription.expression.clone(),
        });
    }
}

fn to_backoff(backoff: &BackoffArg) -> Backoff {
    let strategy = match backoff {
        BackoffArg::Steps(steps_ms) => Strategy::Customized(CustomizedBackoff {
            steps_ms: steps_ms.clone(),
        }),
        BackoffArg::Exponential {
            initial_ms,
            max_ms,
            multiplier_milli,
        } => Strategy::Exponential(ExponentialBackoff {
            initial_ms: *initial_ms,
            max_ms: *max_ms,
            multiplier_milli: *multiplier_milli,
        }),
    };
    Backoff {
        strategy: Some(strategy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::SubscriptionArg;
    use crate::units::Moment;

    #[test]
    fn only_what_is_asked_for_changes() {
        let before = GroupSpec {
            fifo: true,
            max_attempts: 5,
            receive_batch: 8,
            subscriptions: vec![StaticSubscription {
                topic: "orders".to_owned(),
                expression: "a".to_owned(),
            }],
            ..GroupSpec::default()
        };
        let mut spec = before.clone();
        change(&mut spec, &GroupChanges::default(), 0);
        assert_eq!(spec, before);
        let changes = GroupChanges {
            receive_batch: Some(16),
            start_from: Some(StartArg::Time(Moment::Ago(10))),
            subscribe: vec![SubscriptionArg {
                topic: "orders".to_owned(),
                expression: "*".to_owned(),
            }],
            ..GroupChanges::default()
        };
        change(&mut spec, &changes, 1000);
        assert_eq!((spec.fifo, spec.max_attempts, spec.receive_batch), (true, 5, 16));
        assert_eq!(spec.start_from.unwrap().position, Some(Position::TimeMs(990)));
        assert_eq!(
            (
                spec.subscriptions.len(),
                spec.subscriptions[0].expression.as_str()
            ),
            (1, "*")
        );
    }
}
