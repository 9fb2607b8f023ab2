//! What a broker tells of a group, as the decision takes it.

use crate::autoscale::{Lag, Missing, MissingKind, QueueLag};
use crate::broker::BrokerError;
use sluice_proto::admin::{GroupLag, Member, QueueOffsets};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// What the group has not done. How much of each queue is done comes from `offsets`, where these are known.
pub fn lag(found: &GroupLag, offsets: Option<&[QueueOffsets]>) -> Lag {
    let done: BTreeMap<_, _> = offsets
        .into_iter()
        .flatten()
        .map(|queue| ((&*queue.topic, queue.queue), done(queue)))
        .collect();
    let sum = |of: fn(&sluice_proto::admin::TopicLag) -> u64| {
        found.topics.iter().map(of).fold(0, u64::saturating_add)
    };
    let queues = found.topics.iter().flat_map(|topic| {
        let done = &done;
        topic.queues.iter().map(move |queue| QueueLag {
            queue: format!("{}/{}", topic.topic, queue.queue),
            ready: queue.ready,
            done: done.get(&(&*topic.topic, queue.queue)).copied(),
        })
    });
    Lag {
        ready: sum(|topic| topic.ready),
        inflight: sum(|topic| topic.inflight),
        queues: queues.collect(),
        left_out: None,
    }
}

/// A group of which nobody knows what it reads: nothing to do and not known are the same for the broker.
pub fn no_topics(group: &str) -> Missing {
    Missing {
        kind: MissingKind::Empty,
        detail: format!("'{group}' reads no topic yet: name its topics in spec.subscriptions"),
    }
}

/// A group that is to read topics and reads none yet, with what is known of that.
pub fn unread(group: &str, absent: Option<String>) -> Missing {
    Missing {
        kind: MissingKind::Empty,
        detail: absent.unwrap_or_else(|| {
            format!("'{group}' does not read the topics of spec.subscriptions yet: see the condition Synced")
        }),
    }
}

/// Whether the answer has a topic.
pub fn has_topic(found: &GroupLag, name: &str) -> bool {
    found.topics.iter().any(|topic| topic.topic == name)
}

/// The queues that the group reads.
pub fn queues(found: &GroupLag) -> Option<NonZeroU32> {
    let count = found.topics.iter().map(|topic| topic.queues.len()).sum::<usize>();
    NonZeroU32::new(u32::try_from(count).unwrap_or(u32::MAX))
}

/// How old the oldest message is that is not done, in seconds.
pub fn age_seconds(found: &GroupLag) -> Option<u64> {
    let oldest = found.topics.iter().map(|topic| topic.age_ms).max();
    oldest.map(|ms| ms / 1_000)
}

/// Messages done, over all queues.
pub fn done_total(offsets: &[QueueOffsets]) -> u64 {
    offsets.iter().map(done).fold(0, u64::saturating_add)
}

fn done(queue: &QueueOffsets) -> u64 {
    queue.floor.saturating_add(queue.done_above)
}

/// The messages that each client holds.
pub fn held(members: Vec<Member>) -> BTreeMap<String, u64> {
    let held = |member: &Member| {
        let messages = member.held.iter().map(|held| held.messages);
        messages.fold(0, u64::saturating_add)
    };
    members
        .into_iter()
        .map(|member| {
            let messages = held(&member);
            (member.client_id, messages)
        })
        .collect()
}

/// The broker has not said.
pub fn missing(error: &BrokerError) -> Missing {
    let kind = match error {
        BrokerError::NotFound(_) => MissingKind::Empty,
        _ => MissingKind::Broker,
    };
    Missing {
        kind,
        detail: error.to_string(),
    }
}

/// The broker has no such group.
pub fn unknown_group(group: &str) -> Missing {
    Missing {
        kind: MissingKind::Empty,
        detail: format!("the broker has no consumer group {group} yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_proto::admin::{Held, TopicLag};

    #[test]
    fn a_brokers_answers_are_lag_queues_and_what_is_done() {
        let queue = |queue, ready| sluice_proto::admin::QueueLag {
            queue,
            ready,
            ..Default::default()
        };
        let topic = |name: &str, ready, inflight, age_ms, queues| TopicLag {
            topic: name.to_owned(),
            ready,
            inflight,
            age_ms,
            queues,
            ..TopicLag::default()
        };
        let found = GroupLag {
            group: "billing".to_owned(),
            topics: vec![
                topic("orders", 7, 2, 1_999, vec![queue(0, 7), queue(1, 0)]),
                topic("refunds", 1, 0, 500, vec![queue(0, 1)]),
            ],
        };
        let offsets = [QueueOffsets {
            topic: "orders".to_owned(),
            floor: 40,
            done_above: 2,
            ..QueueOffsets::default()
        }];
        let lag = lag(&found, Some(&offsets));
        assert_eq!((lag.ready, lag.inflight), (8, 2));
        let rows: Vec<_> = lag
            .queues
            .iter()
            .map(|queue| (&*queue.queue, queue.ready, queue.done))
            .collect();
        assert_eq!(
            rows,
            [
                ("orders/0", 7, Some(42)),
                ("orders/1", 0, None),
                ("refunds/0", 1, None)
            ]
        );
        assert_eq!(
            (queues(&found), age_seconds(&found)),
            (NonZeroU32::new(3), Some(1))
        );
        assert_eq!(done_total(&offsets), 42);
        assert_eq!(queues(&GroupLag::default()), None, "it reads nothing yet");
    }

    #[test]
    fn what_a_client_holds_is_counted_over_its_queues() {
        let hold = |messages| Held {
            messages,
            ..Held::default()
        };
        let member = |id: &str, held| Member {
            client_id: id.to_owned(),
            held,
            ..Member::default()
        };
        let held = held(vec![member("a", vec![hold(1), hold(2)]), member("b", vec![])]);
        assert_eq!(held, [("a".to_owned(), 3), ("b".to_owned(), 0)].into());
    }

    #[test]
    fn a_broker_that_does_not_know_the_group_is_told_from_one_that_does_not_answer() {
        for (error, kind) in [
            (BrokerError::NotFound("x".to_owned()), MissingKind::Empty),
            (BrokerError::Unavailable("x".to_owned()), MissingKind::Broker),
            (BrokerError::Unauthenticated("x".to_owned()), MissingKind::Broker),
        ] {
            assert_eq!(missing(&error).kind, kind, "{error:?}");
        }
    }
}
