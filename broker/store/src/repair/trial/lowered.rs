//! Which messages get other offsets by a repair.
//!
//! Behind a loss that no checkpoint counts in, messages of a queue follow the last one before the loss: each stands as many offsets lower
//! as messages of its queue are lost. Groups are moved with them, but whoever keeps offsets themselves has to be told.

use sluice_core::ids::{QueueId, QueueOffset, TopicQueue};
use sluice_core::state::Tables;
use std::collections::{BTreeMap, BTreeSet};

/// Queues that are told one by one.
const QUEUES_MAX: usize = 32;

/// The queues of messages behind a loss.
#[derive(Debug, Default)]
pub(in crate::repair) struct Lowered {
    /// Where queues ended at the loss. One that was made behind it lacks nothing.
    ends: BTreeMap<TopicQueue, QueueOffset>,
    queues: BTreeSet<TopicQueue>,
}

impl Lowered {
    /// With state as it is at the loss.
    pub(super) fn at_the_loss(tables: &Tables) -> Self {
        let topics = tables.all_topics().into_iter();
        let ends = topics.flat_map(|topic| {
            let queues = (0..topic.spec.queues).map(QueueId);
            let ends = queues.filter_map(|queue| {
                let at = TopicQueue {
                    topic: topic.id,
                    queue,
                };
                Some((at, topic.tail(queue)?))
            });
            ends.collect::<Vec<_>>()
        });
        Self {
            ends: ends.collect(),
            queues: BTreeSet::new(),
        }
    }

    /// Takes in that a message behind the loss goes to this queue.
    pub(super) fn take_in(&mut self, at: TopicQueue) {
        self.queues.insert(at);
    }

    /// Which these are, in words.
    pub(in crate::repair) fn in_words(&self, tables: &Tables) -> String {
        let from = |at: &TopicQueue| {
            let (first, topic) = self.ends.get(at).zip(tables.topic_by_id(at.topic))?;
            Some(format!(
                "{} queue {} from offset {first} on",
                topic.spec.name, at.queue
            ))
        };
        let told: Vec<String> = self.queues.iter().filter_map(from).collect();
        let (named, rest) = told.split_at(told.len().min(QUEUES_MAX));
        let mut which = named.join("; ");
        if named.is_empty() {
            which.push_str("none stands there yet");
        }
        if !rest.is_empty() {
            which.push_str(&format!("; and in {} queues more", rest.len()));
        }
        format!(
            "messages behind the loss stand at lower offsets than their sends were answered with, by as many as are lost of their queue, and the next \
             ones get offsets that lost ones had: who keeps offsets themselves (PullConsumer) must be told, for they would miss as many. Messages behind \
             the loss: {which}"
        )
    }
}
