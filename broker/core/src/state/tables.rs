//! The tables that readers and the applier share.

use super::group_queue::GroupQueue;
use crate::command::{CreateGroup, CreateTopic};
use crate::ids::{GroupId, QueueId, QueueOffset, TimeMs, TopicId};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The name of a group's dead-letter topic.
pub fn dead_letter_topic(group: &str) -> String {
    format!("%DLQ%{group}")
}

/// A topic and the ends of its queues.
#[derive(Debug)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// How it was made.
    pub spec: CreateTopic,
    pub(super) tails: Vec<AtomicU64>,
    pub(super) dirty: AtomicBool,
}

impl Topic {
    pub(super) fn new(id: TopicId, spec: CreateTopic) -> Self {
        let tails = (0..spec.queues).map(|_| AtomicU64::new(0)).collect();
        Self {
            id,
            spec,
            tails,
            dirty: AtomicBool::new(false),
        }
    }

    /// The offset behind the last message of `queue`: what the next message gets. `None` if there is no such queue.
    pub fn tail(&self, queue: QueueId) -> Option<QueueOffset> {
        self.tails
            .get(queue.0 as usize)
            .map(|tail| QueueOffset(tail.load(Ordering::Acquire)))
    }
}

/// A consumer group.
#[derive(Debug)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// How it was made.
    pub spec: CreateGroup,
}

/// One group's hold on one queue, behind its lock.
#[derive(Debug)]
pub struct Shard {
    pub(super) queue: Mutex<Arc<GroupQueue>>,
    pub(super) dirty: AtomicBool,
}

impl Shard {
    pub(super) fn new(queue: GroupQueue) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::new(Arc::new(queue)),
            dirty: AtomicBool::new(false),
        })
    }

    /// The shard as it is now, for looks that take longer. While the view lives the applier's next change copies the
    /// shard, so do not keep it.
    pub fn view(&self) -> Arc<GroupQueue> {
        Arc::clone(&self.queue.lock())
    }

    /// Looks at the shard under its lock: `look` must be short, for the applier waits.
    pub fn read<T>(&self, look: impl FnOnce(&GroupQueue) -> T) -> T {
        look(&self.queue.lock())
    }
}

/// A group's hold on all queues of a topic, by queue number.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// One shard a queue.
    pub shards: Arc<[Arc<Shard>]>,
}

#[derive(Debug, Default)]
pub(super) struct TopicTable {
    pub(super) by_id: BTreeMap<TopicId, Arc<Topic>>,
    pub(super) by_name: HashMap<String, Arc<Topic>>,
    pub(super) next: u32,
}

#[derive(Debug, Default)]
pub(super) struct GroupTable {
    pub(super) by_id: BTreeMap<GroupId, Arc<Group>>,
    pub(super) by_name: HashMap<String, Arc<Group>>,
    pub(super) next: u32,
}

#[derive(Debug, Default)]
pub(super) struct SubscriptionTable {
    pub(super) by_id: BTreeMap<(GroupId, TopicId), Subscription>,
    /// The queues of all subscriptions together.
    pub(super) queues: usize,
}

/// Everything that readers see.
#[derive(Debug, Default)]
pub struct Tables {
    pub(super) topics: RwLock<TopicTable>,
    pub(super) groups: RwLock<GroupTable>,
    pub(super) subscriptions: RwLock<SubscriptionTable>,
    pub(super) now: AtomicU64,
}

impl Tables {
    /// State's time as last applied.
    pub fn now(&self) -> TimeMs {
        self.now.load(Ordering::Acquire)
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().by_name.get(name).cloned()
    }

    /// The topic with this id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.topics.read().by_id.get(&id).cloned()
    }

    /// All topics, by id.
    pub fn all_topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().by_id.values().cloned().collect()
    }

    /// The consumer group of this name.
    pub fn group(&self, name: &str) -> Option<Arc<Group>> {
        self.groups.read().by_name.get(name).cloned()
    }

    /// The consumer group with this id.
    pub fn group_by_id(&self, id: GroupId) -> Option<Arc<Group>> {
        self.groups.read().by_id.get(&id).cloned()
    }

    /// All consumer groups, by id.
    pub fn all_groups(&self) -> Vec<Arc<Group>> {
        self.groups.read().by_id.values().cloned().collect()
    }

    /// What the group holds of the topic, if it has subscribed.
    pub fn subscription(&self, group: GroupId, topic: TopicId) -> Option<Subscription> {
        self.subscriptions.read().by_id.get(&(group, topic)).cloned()
    }

    /// All subscriptions, by group and topic.
    pub fn all_subscriptions(&self) -> Vec<((GroupId, TopicId), Subscription)> {
        self.subscriptions
            .read()
            .by_id
            .iter()
            .map(|(key, subscription)| (*key, subscription.clone()))
            .collect()
    }
}

impl TopicTable {
    pub(super) fn insert(&mut self, topic: Arc<Topic>) {
        self.by_name.insert(topic.spec.name.clone(), Arc::clone(&topic));
        self.by_id.insert(topic.id, topic);
    }
}

impl GroupTable {
    pub(super) fn insert(&mut self, group: Arc<Group>) {
        self.by_name.insert(group.spec.name.clone(), Arc::clone(&group));
        self.by_id.insert(group.id, group);
    }
}

impl SubscriptionTable {
    pub(super) fn insert(&mut self, id: (GroupId, TopicId), subscription: Subscription) {
        self.queues += subscription.shards.len();
        if let Some(before) = self.by_id.insert(id, subscription) {
            self.queues -= before.shards.len();
        }
    }
}
