//! Topics and groups: how many there are, how many queues they have, and what went to dead-letter topics.

use super::page::{Common, Family, Labels, Page};
use sluice_core::ids::{GroupId, QueueId, TopicId};
use sluice_core::state::{Tables, Topic, dead_letter_topic};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const DEAD_LETTERS: &[&str] = &["consumer_group", "topic", "is_system"];
const QUEUES: &[&str] = &["topic", "perm"];

static TOPICS: Family = Family::gauge("rocketmq_topic_number", &[], "Topics");
static GROUPS: Family = Family::gauge("rocketmq_consumer_group_number", &[], "Consumer groups");
static PERMISSION: Family = Family::gauge(
    "rocketmq_broker_permission",
    &[],
    "What clients may do, as RocketMQ writes it: 6 is read and write",
);
static QUEUE_NUMBER: Family = Family::gauge(
    "rocketmq_topic_queue_number",
    QUEUES,
    "Queues of a topic that messages are read from, or written to",
);
static RETENTION: Family = Family::gauge(
    "sluice_topic_retention_seconds",
    &["topic"],
    "How long messages of a topic are kept that keeps them longer or less long than the broker does",
);
static RETENTION_BYTES: Family = Family::gauge(
    "sluice_topic_retention_bytes",
    &["topic"],
    "How many bytes of messages a topic keeps that has a bound of its own",
);
static DEAD: Family = Family::counter(
    "rocketmq_send_to_dlq_messages_total",
    DEAD_LETTERS,
    "Messages that went to a group's dead-letter topic",
);

const SECONDS_PER_HOUR: u64 = 3_600;
/// RocketMQ's bits for reading and writing.
const READ_AND_WRITE: u64 = 6;

/// The topics and groups seen by the last look, with their labels.
#[derive(Debug)]
pub(super) struct Topics {
    common: Common,
    topics: HashMap<TopicId, (Labels, Labels)>,
    groups: HashMap<GroupId, Labels>,
}

impl Topics {
    pub(super) fn new(common: Common) -> Self {
        Self {
            common,
            topics: HashMap::new(),
            groups: HashMap::new(),
        }
    }

    /// Writes the series of all topics and groups, and forgets those that are gone. `kept` is how long the broker keeps messages.
    pub(super) fn write(&mut self, page: &mut Page<'_>, tables: &Tables, kept: Duration) {
        let (topics, groups) = (tables.all_topics(), tables.all_groups());
        page.single(&TOPICS, topics.len() as u64);
        page.single(&GROUPS, groups.len() as u64);
        page.single(&PERMISSION, READ_AND_WRITE);
        let common = &self.common;
        self.topics.retain(|id, _| tables.topic_by_id(*id).is_some());
        page.begin(&QUEUE_NUMBER);
        for topic in &topics {
            let name = topic.spec.name.as_str();
            let (read, write) = self.topics.entry(topic.id).or_insert_with(|| {
                (
                    common.and(QUEUES, &[name, "read"]),
                    common.and(QUEUES, &[name, "write"]),
                )
            });
            page.line(&QUEUE_NUMBER, read, u64::from(topic.spec.queues));
            let written = if topic.spec.closed { 0 } else { topic.spec.queues };
            page.line(&QUEUE_NUMBER, write, u64::from(written));
        }
        write_retention(page, &topics, kept);
        self.groups.retain(|id, _| tables.group_by_id(*id).is_some());
        page.begin(&DEAD);
        for group in &groups {
            let (name, topic) = (group.spec.name.as_str(), dead_letter_topic(&group.spec.name));
            // Without the topic there were none. Said all the same: the first one is an increase then.
            let dead = tables.topic(&topic).map_or(0, |topic| messages_ever(&topic));
            let labels = self
                .groups
                .entry(group.id)
                .or_insert_with(|| common.and(DEAD_LETTERS, &[name, &topic, "true"]));
            page.line(&DEAD, labels, dead);
        }
    }
}

/// Only of topics that keep messages in their own way: on most brokers there are few or none.
fn write_retention(page: &mut Page<'_>, topics: &[Arc<Topic>], kept: Duration) {
    page.begin(&RETENTION);
    for topic in topics {
        let own = Duration::from_secs(u64::from(topic.spec.retention_hours) * SECONDS_PER_HOUR);
        if !own.is_zero() && own != kept {
            let labels = page.labels(&RETENTION, &[&topic.spec.name]);
            page.line(&RETENTION, &labels, own.as_secs());
        }
    }
    page.begin(&RETENTION_BYTES);
    for topic in topics.iter().filter(|topic| topic.spec.retention_bytes > 0) {
        let labels = page.labels(&RETENTION_BYTES, &[&topic.spec.name]);
        page.line(&RETENTION_BYTES, &labels, topic.spec.retention_bytes);
    }
}

fn messages_ever(topic: &Topic) -> u64 {
    let ends = (0..topic.spec.queues).filter_map(|queue| topic.tail(QueueId(queue)));
    ends.map(|end| end.0).sum()
}
