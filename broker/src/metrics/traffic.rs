//! Messages and bytes in and out, by topic and group.

use super::register;
use crate::service::validate::is_group_topic;
use parking_lot::RwLock;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use sluice_core::ids::{GroupId, TopicId};
use sluice_core::state::{Group, Topic};
use std::collections::HashMap;
use std::sync::Arc;

/// The counters of one topic, or of one group at one topic.
#[derive(Debug)]
pub struct Flow {
    messages: IntCounter,
    bytes: IntCounter,
}

impl Flow {
    /// Counts messages of that many bytes together.
    pub fn count(&self, messages: u64, bytes: u64) {
        self.messages.inc_by(messages);
        self.bytes.inc_by(bytes);
    }
}

/// Counters, with the children kept by id: counting a message hashes a number and no names.
#[derive(Debug)]
pub struct TrafficMetrics {
    messages_in: IntCounterVec,
    bytes_in: IntCounterVec,
    messages_out: IntCounterVec,
    bytes_out: IntCounterVec,
    by_topic: RwLock<HashMap<(TopicId, &'static str), Arc<Flow>>>,
    by_group: RwLock<HashMap<(GroupId, TopicId), Arc<Flow>>>,
}

impl TrafficMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let into = ["topic", "message_type", "is_system"];
        let out_of = ["topic", "consumer_group", "is_retry", "is_system"];
        Ok(Self {
            messages_in: counter(
                "rocketmq_messages_in_total",
                "Messages taken from producers",
                &into,
            )?,
            bytes_in: counter(
                "rocketmq_throughput_in_total",
                "Bytes of bodies taken from producers",
                &into,
            )?,
            messages_out: counter(
                "rocketmq_messages_out_total",
                "Messages delivered to consumers",
                &out_of,
            )?,
            bytes_out: counter(
                "rocketmq_throughput_out_total",
                "Bytes of bodies delivered to consumers",
                &out_of,
            )?,
            by_topic: RwLock::default(),
            by_group: RwLock::default(),
        })
    }

    /// What counts messages of one type into `topic`.
    pub fn in_to(&self, topic: &Topic, message_type: &'static str) -> Arc<Flow> {
        let key = (topic.id, message_type);
        if let Some(flow) = self.by_topic.read().get(&key) {
            return Arc::clone(flow);
        }
        let labels = [topic.spec.name.as_str(), message_type, "false"];
        let flow = Arc::new(Flow {
            messages: self.messages_in.with_label_values(&labels),
            bytes: self.bytes_in.with_label_values(&labels),
        });
        Arc::clone(self.by_topic.write().entry(key).or_insert(flow))
    }

    /// What counts messages out of `topic` to `group`.
    pub fn out_of(&self, topic: &Topic, group: &Group) -> Arc<Flow> {
        let key = (group.id, topic.id);
        if let Some(flow) = self.by_group.read().get(&key) {
            return Arc::clone(flow);
        }
        let is_system = if is_group_topic(&topic.spec.name) {
            "true"
        } else {
            "false"
        };
        let labels = [
            topic.spec.name.as_str(),
            group.spec.name.as_str(),
            "false",
            is_system,
        ];
        let flow = Arc::new(Flow {
            messages: self.messages_out.with_label_values(&labels),
            bytes: self.bytes_out.with_label_values(&labels),
        });
        Arc::clone(self.by_group.write().entry(key).or_insert(flow))
    }

    /// Makes every metric show itself, so that the test of the documentation sees it.
    #[cfg(test)]
    pub(super) fn touch_all(&self) {
        for vec in [&self.messages_in, &self.bytes_in] {
            vec.with_label_values(&["t", "NORMAL", "false"]);
        }
        for vec in [&self.messages_out, &self.bytes_out] {
            vec.with_label_values(&["t", "g", "false", "false"]);
        }
    }
}
