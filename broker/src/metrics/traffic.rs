//! Messages and bytes in and out, by topic and group.

use super::page::{Common, Family, Labels, Page};
use super::yes_or_no;
use crate::service::validate::is_group_topic;
use parking_lot::RwLock;
use sluice_core::ids::{GroupId, TopicId};
use sluice_core::state::{Group, Tables, Topic};
use sluice_store::stats::Histogram;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// RocketMQ's steps of a message's size.
const SIZES: &[u64] = &[1 << 10, 4 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20];

const IN: &[&str] = &["topic", "message_type", "is_system"];
const OUT: &[&str] = &["topic", "consumer_group", "is_retry", "is_system"];

static MESSAGES_IN: Family =
    Family::counter("rocketmq_messages_in_total", IN, "Messages taken from producers");
static BYTES_IN: Family = Family::counter(
    "rocketmq_throughput_in_total",
    IN,
    "Bytes of bodies taken from producers",
);
static SIZE: Family = Family::histogram(
    "rocketmq_message_size",
    IN,
    "Messages taken from producers by the bytes of their bodies",
);
static MESSAGES_OUT: Family = Family::counter(
    "rocketmq_messages_out_total",
    OUT,
    "Messages delivered to consumers",
);
static BYTES_OUT: Family = Family::counter(
    "rocketmq_throughput_out_total",
    OUT,
    "Bytes of bodies delivered to consumers",
);

/// What one topic takes in, of one type of messages.
#[derive(Debug)]
pub struct Inflow {
    /// Number and bytes of all of them are in here too.
    sizes: Histogram,
    labels: Labels,
}

impl Inflow {
    /// Counts a message.
    pub fn count(&self, bytes: u64) {
        self.sizes.observe(bytes);
    }
}

/// What goes out of one topic to one group.
#[derive(Debug)]
pub struct Outflow {
    messages: AtomicU64,
    bytes: AtomicU64,
    labels: Labels,
}

impl Outflow {
    /// Counts a message.
    pub fn count(&self, bytes: u64) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Counters, kept by id: counting a message hashes a number and no names.
#[derive(Debug)]
pub struct TrafficMetrics {
    common: Common,
    by_topic: RwLock<HashMap<(TopicId, &'static str), Arc<Inflow>>>,
    by_group: RwLock<HashMap<(GroupId, TopicId), Arc<Outflow>>>,
}

impl TrafficMetrics {
    pub(super) fn new(common: Common) -> Self {
        Self {
            common,
            by_topic: RwLock::default(),
            by_group: RwLock::default(),
        }
    }

    /// What counts messages of one type into `topic`.
    pub fn in_to(&self, topic: &Topic, message_type: &'static str) -> Arc<Inflow> {
        let key = (topic.id, message_type);
        if let Some(flow) = self.by_topic.read().get(&key) {
            return Arc::clone(flow);
        }
        let values = [topic.spec.name.as_str(), message_type, "false"];
        let flow = Arc::new(Inflow {
            sizes: Histogram::new(SIZES),
            labels: self.common.and(IN, &values),
        });
        Arc::clone(self.by_topic.write().entry(key).or_insert(flow))
    }

    /// What counts messages out of `topic` to `group`.
    pub fn out_of(&self, topic: &Topic, group: &Group) -> Arc<Outflow> {
        let key = (group.id, topic.id);
        if let Some(flow) = self.by_group.read().get(&key) {
            return Arc::clone(flow);
        }
        let is_system = yes_or_no(is_group_topic(&topic.spec.name));
        let values = [
            topic.spec.name.as_str(),
            group.spec.name.as_str(),
            "false",
            is_system,
        ];
        let flow = Arc::new(Outflow {
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            labels: self.common.and(OUT, &values),
        });
        Arc::clone(self.by_group.write().entry(key).or_insert(flow))
    }

    /// Forgets topics and groups that are gone.
    pub fn forget_gone(&self, tables: &Tables) {
        let topic_is_there = |topic: TopicId| tables.topic_by_id(topic).is_some();
        self.by_topic
            .write()
            .retain(|(topic, _), _| topic_is_there(*topic));
        self.by_group
            .write()
            .retain(|(group, topic), _| topic_is_there(*topic) && tables.group_by_id(*group).is_some());
    }

    /// Writes all series, but for those of topics and groups that are gone.
    pub(super) fn write(&self, page: &mut Page<'_>, tables: &Tables) {
        // Nothing is locked for long, since calls are counted meanwhile.
        let mut inflows: Vec<_> = copied(&self.by_topic.read());
        let mut outflows: Vec<_> = copied(&self.by_group.read());
        let all = inflows.len() + outflows.len();
        let topic_is_there = |topic: TopicId| tables.topic_by_id(topic).is_some();
        inflows.retain(|((topic, _), _)| topic_is_there(*topic));
        outflows.retain(|((group, topic), _)| topic_is_there(*topic) && tables.group_by_id(*group).is_some());
        if inflows.len() + outflows.len() < all {
            // Of a call that was under way when they went: whoever follows changes came too early for it.
            self.forget_gone(tables);
        }
        let inflows: Vec<_> = inflows
            .iter()
            .map(|(_, flow)| (&flow.labels, flow.sizes.read()))
            .collect();
        page.begin(&MESSAGES_IN);
        inflows
            .iter()
            .for_each(|(labels, sizes)| page.line(&MESSAGES_IN, labels, sizes.count));
        page.begin(&BYTES_IN);
        inflows
            .iter()
            .for_each(|(labels, sizes)| page.line(&BYTES_IN, labels, sizes.sum));
        page.begin(&SIZE);
        inflows
            .iter()
            .for_each(|(labels, sizes)| page.histogram(&SIZE, labels, sizes, 1.0));
        page.begin(&MESSAGES_OUT);
        for (_, flow) in &outflows {
            page.line(&MESSAGES_OUT, &flow.labels, flow.messages.load(Ordering::Relaxed));
        }
        page.begin(&BYTES_OUT);
        for (_, flow) in &outflows {
            page.line(&BYTES_OUT, &flow.labels, flow.bytes.load(Ordering::Relaxed));
        }
    }
}

fn copied<K: Copy, V>(flows: &HashMap<K, Arc<V>>) -> Vec<(K, Arc<V>)> {
    flows.iter().map(|(key, flow)| (*key, Arc::clone(flow))).collect()
}
