//! Which topics and groups there are, and how much goes through each.

use std::time::Duration;

use crate::oracle::Group;

/// A topic, its share of the sends, and who consumes it.
pub(super) struct TopicPlan {
    pub(super) name: &'static str,
    pub(super) queues: u32,
    pub(super) fifo: bool,
    /// Of a hundred sends.
    pub(super) share: u32,
    pub(super) groups: &'static [Group],
}

/// A group; one of two takes each message group in order.
pub(super) struct GroupPlan {
    pub(super) name: &'static str,
    pub(super) fifo: bool,
}

pub(super) const TOPICS: &[TopicPlan] = &[
    TopicPlan {
        name: "orders",
        queues: 4,
        fifo: false,
        share: 40,
        groups: &[0, 1],
    },
    TopicPlan {
        name: "clicks",
        queues: 2,
        fifo: false,
        share: 30,
        groups: &[0],
    },
    TopicPlan {
        name: "ledger",
        queues: 4,
        fifo: true,
        share: 30,
        groups: &[2],
    },
];

pub(super) const GROUPS: &[GroupPlan] = &[
    GroupPlan {
        name: "billing",
        fifo: false,
    },
    GroupPlan {
        name: "shipping",
        fifo: false,
    },
    GroupPlan {
        name: "audit",
        fifo: true,
    },
];

/// How long the broker hides what was delivered: the shortest time it takes.
pub(super) const INVISIBLE: Duration = Duration::from_secs(10);

/// After a restart the broker hides so long what it may not have answered.
pub(super) const UNANSWERED: Duration = Duration::from_secs(60);

/// Message groups that one producer sends to in turn: many, since each delivery that a kill loses on its way keeps its
/// message group waiting for as long as [`INVISIBLE`].
pub(super) const LANES: usize = 64;

/// How much load there is.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Sends a second over all topics.
    pub sends_a_second: u32,
    /// Sending tasks a topic.
    pub producers: u32,
    /// Receiving tasks a topic and group that say how long the broker hides what they get.
    pub consumers: u32,
    /// Receiving tasks a topic and group whose deliveries the broker renews, each a client of its own.
    pub push_consumers: u32,
}

impl Shape {
    /// The time between two sends of one producer.
    pub(super) fn send_every(&self, topic: &TopicPlan) -> Duration {
        let a_second = f64::from(self.sends_a_second * topic.share) / 100.0;
        Duration::from_secs_f64(f64::from(self.producers) / a_second)
    }
}

pub(super) fn groups_by_topic() -> Vec<Vec<Group>> {
    TOPICS.iter().map(|topic| topic.groups.to_vec()).collect()
}

/// The topics and groups for the broker's `--init`.
#[must_use]
pub fn init_yaml() -> String {
    let topics = TOPICS.iter().map(|topic| {
        let kind = if topic.fifo { "FIFO" } else { "NORMAL" };
        format!(
            "  - {{name: {}, queues: {}, types: [{kind}]}}\n",
            topic.name, topic.queues
        )
    });
    // Messages come again after each kill; none may end among the dead letters for that.
    let groups = GROUPS.iter().map(|group| {
        format!(
            "  - {{name: {}, fifo: {}, maxAttempts: 1000}}\n",
            group.name, group.fifo
        )
    });
    let lines = ["topics:\n".to_owned()]
        .into_iter()
        .chain(topics)
        .chain(["groups:\n".to_owned()])
        .chain(groups);
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_rate() {
        assert_eq!(TOPICS.iter().map(|topic| topic.share).sum::<u32>(), 100);
        let shape = Shape {
            sends_a_second: 8000,
            producers: 32,
            consumers: 1,
            push_consumers: 1,
        };
        let a_second: f64 = TOPICS
            .iter()
            .map(|topic| f64::from(shape.producers) / shape.send_every(topic).as_secs_f64())
            .sum();
        assert!((a_second - 8000.0).abs() < 1.0, "{a_second}");
    }

    #[test]
    fn every_group_of_a_topic_is_there() {
        assert!(
            groups_by_topic()
                .iter()
                .flatten()
                .all(|group| *group < GROUPS.len())
        );
    }
}
