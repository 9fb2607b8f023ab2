//! Which queue of a topic a message goes to, and what counts it.

use crate::metrics::{Inflow, TrafficMetrics};
use parking_lot::RwLock;
use sluice_core::hash;
use sluice_core::ids::{QueueId, TopicId};
use sluice_core::state::Topic;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What sending to one topic needs beside the topic.
#[derive(Debug)]
pub struct Turn {
    next: AtomicU32,
    normal: Arc<Inflow>,
    fifo: Arc<Inflow>,
}

impl Turn {
    /// The queue for a message: its message group's, else the next one in turn.
    pub fn queue(&self, topic: &Topic, message_group: Option<&str>) -> QueueId {
        let queues = topic.spec.queues.max(1);
        QueueId(match message_group {
            Some(group) => hash::queue_of_message_group(group, queues),
            None => self.next.fetch_add(1, Ordering::Relaxed) % queues,
        })
    }

    /// Counts one message.
    pub fn count(&self, is_fifo: bool, bytes: usize) {
        let flow = if is_fifo { &self.fifo } else { &self.normal };
        flow.count(bytes as u64);
    }
}

/// The turns of all topics.
#[derive(Debug, Default)]
pub struct Turns(RwLock<HashMap<TopicId, Arc<Turn>>>);

impl Turns {
    /// That of `topic`.
    pub fn of(&self, topic: &Topic, traffic: &TrafficMetrics) -> Arc<Turn> {
        if let Some(turn) = self.0.read().get(&topic.id) {
            return Arc::clone(turn);
        }
        let turn = Arc::new(Turn {
            next: AtomicU32::new(0),
            normal: traffic.in_to(topic, "normal"),
            fifo: traffic.in_to(topic, "fifo"),
        });
        Arc::clone(self.0.write().entry(topic.id).or_insert(turn))
    }

    /// Forgets those of topics that do not exist any more.
    pub fn keep(&self, exists: impl Fn(TopicId) -> bool) {
        self.0.write().retain(|topic, _| exists(*topic));
    }
}
