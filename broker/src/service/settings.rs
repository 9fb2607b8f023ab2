//! Settings: what a client announces, and what it is told to do. The broker's values replace the client's wherever
//! the client would trust them.

use super::convert;
use super::metadata::Caller;
use super::validate::{self, Invalid};
use sluice_core::command::{Backoff, GroupSpec};
use sluice_core::limits;
use sluice_proto::v2::retry_policy::Strategy;
use sluice_proto::v2::settings::PubSub;
use sluice_proto::v2::{self, Language};

/// Java takes the number literally: a 0 would let no message through.
const PRODUCER_ATTEMPTS: i32 = 3;
const PRODUCER_BACKOFF: Backoff = Backoff::Exponential {
    initial_ms: 10,
    max_ms: 1000,
    multiplier_milli: 2000,
};

/// Checks what a client announces. The group, if it is a consumer's.
pub fn check(caller: &Caller<'_>, settings: &v2::Settings) -> Result<Option<String>, Invalid> {
    match &settings.pub_sub {
        None => Err(Invalid::Request(
            "the settings have neither publishing nor subscription",
        )),
        Some(PubSub::Publishing(publishing)) => {
            for topic in &publishing.topics {
                validate::topic_name(&topic.name)?;
            }
            Ok(None)
        }
        Some(PubSub::Subscription(subscription)) => {
            let group = caller.group(subscription.group.as_ref())?;
            // Simple consumers of the Rust client announce no subscriptions: they are not asked for.
            for topic in subscription
                .subscriptions
                .iter()
                .filter_map(|entry| entry.topic.as_ref())
            {
                validate::readable_topic_name(&topic.name)?;
            }
            Ok(Some(group.into_owned()))
        }
    }
}

/// What the client is told. `group` is the consumer's as the broker has it, or as it would be made.
pub fn merge(
    mut settings: v2::Settings,
    group: Option<&GroupSpec>,
    node: bool,
    body_max: usize,
) -> v2::Settings {
    match &mut settings.pub_sub {
        Some(PubSub::Publishing(publishing)) => {
            publishing.max_body_size = i32::try_from(body_max).unwrap_or(i32::MAX);
            publishing.validate_message_type = true;
            settings.backoff_policy = Some(policy(PRODUCER_ATTEMPTS, &PRODUCER_BACKOFF));
        }
        Some(PubSub::Subscription(subscription)) => {
            if let Some(group) = group {
                subscription.fifo = Some(group.fifo);
                let attempts = i32::from(group.max_attempts);
                let backoff = if node {
                    exponential(&group.backoff)
                } else {
                    customized(group)
                };
                settings.backoff_policy = Some(policy(attempts, &backoff));
            }
            let batch = group.map_or(limits::RECEIVE_MAX as u8, |group| group.receive_batch);
            let long_poll_ms = group.map_or(limits::LONG_POLL_MS_MAX, |group| group.long_poll_ms);
            subscription.receive_batch_size = Some(batch.into());
            subscription.long_polling_timeout = Some(convert::proto_duration(long_poll_ms));
        }
        None => {}
    }
    // Switched on it would need endpoints, and Java would export to them.
    settings.metric = Some(v2::Metric {
        on: false,
        endpoints: None,
    });
    settings
}

/// Whether the client is the one for Node.js, which reads exponential back-offs only.
pub fn is_node(caller: &Caller<'_>, settings: &v2::Settings) -> bool {
    let announced = settings.user_agent.as_ref().map_or(0, |agent| agent.language);
    announced == Language::NodeJs as i32 || matches!(caller.language(), "HTTP" | "NODE_JS" | "NODEJS")
}

fn policy(max_attempts: i32, backoff: &Backoff) -> v2::RetryPolicy {
    let strategy = match backoff {
        Backoff::Customized(steps) => {
            let next = steps.iter().map(|ms| convert::proto_duration(*ms)).collect();
            Strategy::CustomizedBackoff(v2::CustomizedBackoff { next })
        }
        Backoff::Exponential {
            initial_ms,
            max_ms,
            multiplier_milli,
        } => Strategy::ExponentialBackoff(v2::ExponentialBackoff {
            initial: Some(convert::proto_duration(*initial_ms)),
            max: Some(convert::proto_duration(*max_ms)),
            multiplier: *multiplier_milli as f32 / 1000.0,
        }),
    };
    v2::RetryPolicy {
        max_attempts,
        strategy: Some(strategy),
    }
}

/// From the first step to the last, doubling: for the client that reads no lists.
fn exponential(backoff: &Backoff) -> Backoff {
    match backoff {
        Backoff::Customized(steps) => {
            let initial_ms = steps.first().copied().unwrap_or(1000).max(1);
            let max_ms = steps.last().copied().unwrap_or(initial_ms).max(initial_ms);
            Backoff::Exponential {
                initial_ms,
                max_ms,
                multiplier_milli: 2000,
            }
        }
        Backoff::Exponential { .. } => backoff.clone(),
    }
}

/// As a list, one step a retry: the client for Python reads nothing else, and all others do read it.
fn customized(group: &GroupSpec) -> Backoff {
    match group.backoff {
        Backoff::Customized(_) => group.backoff.clone(),
        Backoff::Exponential {
            initial_ms,
            max_ms,
            multiplier_milli,
        } => {
            let retries = usize::from(group.max_attempts)
                .saturating_sub(1)
                .clamp(1, limits::BACKOFF_STEPS_MAX);
            let grow = |ms: &u64| Some((ms.saturating_mul(u64::from(multiplier_milli)) / 1000).min(max_ms));
            let steps = std::iter::successors(Some(initial_ms.min(max_ms)), grow);
            Backoff::Customized(steps.take(retries).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY_MAX: usize = 4 << 20;

    fn producer() -> v2::Settings {
        let publishing = v2::Publishing {
            max_body_size: 128 << 20,
            ..Default::default()
        };
        v2::Settings {
            metric: Some(v2::Metric {
                on: true,
                endpoints: None,
            }),
            pub_sub: Some(PubSub::Publishing(publishing)),
            ..Default::default()
        }
    }

    fn consumer() -> v2::Settings {
        v2::Settings {
            pub_sub: Some(PubSub::Subscription(v2::Subscription::default())),
            ..Default::default()
        }
    }

    fn steps(settings: &v2::Settings) -> Vec<u64> {
        match &settings.backoff_policy.as_ref().unwrap().strategy {
            Some(Strategy::CustomizedBackoff(list)) => list
                .next
                .iter()
                .map(|step| convert::duration_ms(step).unwrap())
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_producer_gets_the_brokers_limits() {
        let merged = merge(producer(), None, false, BODY_MAX);
        let Some(PubSub::Publishing(publishing)) = &merged.pub_sub else {
            panic!("{merged:?}")
        };
        assert_eq!(
            (publishing.max_body_size, publishing.validate_message_type),
            (4 << 20, true)
        );
        let policy = merged.backoff_policy.unwrap();
        assert_eq!(policy.max_attempts, 3);
        let Some(Strategy::ExponentialBackoff(backoff)) = policy.strategy else {
            panic!("{:?}", policy.strategy)
        };
        assert_eq!(backoff.initial, Some(convert::proto_duration(10)));
        assert_eq!(
            (backoff.max, backoff.multiplier),
            (Some(convert::proto_duration(1000)), 2.0)
        );
        assert!(!merged.metric.unwrap().on);
    }

    #[test]
    fn a_consumer_gets_everything_that_it_may_rely_on() {
        let group = GroupSpec {
            fifo: true,
            ..GroupSpec::on_first_use("g")
        };
        let merged = merge(consumer(), Some(&group), false, BODY_MAX);
        let Some(PubSub::Subscription(subscription)) = &merged.pub_sub else {
            panic!("{merged:?}")
        };
        assert_eq!(
            (subscription.fifo, subscription.receive_batch_size),
            (Some(true), Some(32))
        );
        assert_eq!(
            subscription.long_polling_timeout,
            Some(convert::proto_duration(20_000))
        );
        assert_eq!(merged.backoff_policy.as_ref().unwrap().max_attempts, 17);
        assert_eq!(steps(&merged)[..4], [1000, 5000, 10_000, 30_000]);
        assert!(!merged.metric.unwrap().on);
    }

    #[test]
    fn the_backoff_has_the_form_that_the_client_reads() {
        let backoff = Backoff::Exponential {
            initial_ms: 5000,
            max_ms: 30_000,
            multiplier_milli: 2000,
        };
        let group = GroupSpec {
            max_attempts: 6,
            backoff,
            ..GroupSpec::on_first_use("g")
        };
        let listed = merge(consumer(), Some(&group), false, BODY_MAX);
        assert_eq!(steps(&listed), [5000, 10_000, 20_000, 30_000, 30_000]);
        let node = merge(consumer(), Some(&GroupSpec::on_first_use("g")), true, BODY_MAX);
        let Some(Strategy::ExponentialBackoff(backoff)) = node.backoff_policy.unwrap().strategy else {
            panic!()
        };
        assert_eq!(backoff.initial, Some(convert::proto_duration(1000)));
        assert_eq!(backoff.max, Some(convert::proto_duration(7_200_000)));
    }
}
