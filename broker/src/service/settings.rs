//! Settings: what a client announces, and what it is told to do. The broker's values replace the client's wherever
//! the client would trust them.

use super::convert;
use super::invalid::Invalid;
use super::metadata::Caller;
use super::quirks::node::Node;
use super::quirks::{go, python};
use super::validate;
use sluice_core::command::{Backoff, GroupSpec};
use sluice_core::limits;
use sluice_proto::v2;
use sluice_proto::v2::retry_policy::Strategy;
use sluice_proto::v2::settings::PubSub;

const PRODUCER_BACKOFF: Backoff = Backoff::Exponential {
    initial_ms: 10,
    max_ms: 1000,
    multiplier_milli: 2000,
};

/// Subscriptions of a consumer, or topics of a producer.
const TOPICS_MAX: usize = 4096;
/// Addresses of the access point, steps of the back-off, properties of the client: clients announce a few of each. What is announced
/// is kept with the client, and takes many times the bytes that it has on its way.
const PARTS_MAX: usize = 128;

/// Checks what a client announces. The group, if it is a consumer's.
pub fn check(caller: &Caller<'_>, settings: &v2::Settings) -> Result<Option<String>, Invalid> {
    check_parts(settings)?;
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
            // They are not asked for: not every client announces them (quirk rust-settings).
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

fn check_parts(settings: &v2::Settings) -> Result<(), Invalid> {
    let addresses = settings.access_point.as_ref().map_or(0, |at| at.addresses.len());
    let strategy = settings
        .backoff_policy
        .as_ref()
        .and_then(|policy| policy.strategy.as_ref());
    let steps = match strategy {
        Some(Strategy::CustomizedBackoff(steps)) => steps.next.len(),
        _ => 0,
    };
    let topics = match &settings.pub_sub {
        Some(PubSub::Publishing(publishing)) => publishing.topics.len(),
        Some(PubSub::Subscription(subscription)) => subscription.subscriptions.len(),
        None => 0,
    };
    validate::count("addresses of the access point", addresses, PARTS_MAX)?;
    validate::count("steps of the back-off", steps, PARTS_MAX)?;
    validate::count("client properties", settings.client_properties.len(), PARTS_MAX)?;
    validate::count("topics", topics, TOPICS_MAX)
}

/// What the client is told. `group` is the consumer's as the broker has it, or as it would be made.
pub fn merge(
    mut settings: v2::Settings,
    group: Option<&GroupSpec>,
    node: Option<Node>,
    body_max: usize,
) -> v2::Settings {
    match &mut settings.pub_sub {
        Some(PubSub::Publishing(publishing)) => {
            publishing.max_body_size = i32::try_from(body_max).unwrap_or(i32::MAX);
            publishing.validate_message_type = true;
            let announced = settings.backoff_policy.as_ref().map(|policy| policy.max_attempts);
            let attempts = go::attempts(announced);
            let backoff = node.map_or(PRODUCER_BACKOFF, |node| node.backoff(&PRODUCER_BACKOFF));
            settings.backoff_policy = Some(policy(attempts, &backoff));
        }
        Some(PubSub::Subscription(subscription)) => {
            if let Some(group) = group {
                subscription.fifo = Some(group.fifo);
                let attempts = i32::from(group.max_attempts);
                let backoff = match node {
                    Some(node) => node.backoff(&group.backoff),
                    None => python::customized(group),
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

    // Quirk go-attempts.
    #[test]
    fn a_producer_tries_as_often_as_it_announces_where_that_makes_sense() {
        for (announced, told) in [(1, 1), (7, 7), (100, 100), (0, 3), (-1, 3), (101, 3)] {
            let settings = v2::Settings {
                backoff_policy: Some(policy(announced, &PRODUCER_BACKOFF)),
                ..producer()
            };
            let merged = merge(settings, None, None, BODY_MAX);
            assert_eq!(merged.backoff_policy.unwrap().max_attempts, told, "{announced}");
        }
    }

    // Quirks java-body-size, python-body-size.
    #[test]
    fn a_producer_gets_the_brokers_limits() {
        let merged = merge(producer(), None, None, BODY_MAX);
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
        let merged = merge(consumer(), Some(&group), None, BODY_MAX);
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

    // Quirk python-back-off.
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
        let listed = merge(consumer(), Some(&group), None, BODY_MAX);
        assert_eq!(steps(&listed), [5000, 10_000, 20_000, 30_000, 30_000]);
    }
}
