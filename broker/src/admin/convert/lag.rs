//! Lag.

use crate::engine::lag::{Lag, TopicLag};
use sluice_core::ids::TimeMs;
use sluice_proto::admin;

/// What a group has not done of a topic, with its queues.
pub fn topic(lag: &TopicLag, now: TimeMs) -> admin::TopicLag {
    let queue = |(queue, lag): (usize, &Lag)| admin::QueueLag {
        queue: queue as u32,
        ready: lag.ready,
        inflight: lag.in_flight,
        lag: lag.messages(),
        age_ms: lag.age_ms(now),
        uncounted: lag.uncounted,
    };
    let sum = lag.sum();
    admin::TopicLag {
        topic: lag.topic.spec.name.clone(),
        ready: sum.ready,
        inflight: sum.in_flight,
        lag: sum.messages(),
        age_ms: sum.age_ms(now),
        queues: lag.queues.iter().enumerate().map(queue).collect(),
        expression: lag.expression.clone(),
        uncounted: sum.uncounted,
    }
}

/// What a group that reads a topic has not done of it.
pub fn group(group: &str, lag: Lag, now: TimeMs) -> admin::TopicGroup {
    admin::TopicGroup {
        group: group.to_owned(),
        ready: lag.ready,
        inflight: lag.in_flight,
        lag: lag.messages(),
        age_ms: lag.age_ms(now),
        uncounted: lag.uncounted,
    }
}

/// All queues together.
pub fn sum(by_queue: impl IntoIterator<Item = Lag>) -> Lag {
    by_queue.into_iter().fold(Lag::default(), Lag::and)
}
