//! The tables that readers and the applier share.

use super::carried::{CarriedAt, CarriedTable};
use super::range_set::RangeSet;
use super::shard::Shard;
use crate::command::{GroupSpec, TopicSpec};
use crate::entry::QueueEntry;
use crate::ids::{GroupId, PhysicalOffset, QueueId, QueueOffset, TimeMs, TopicId, TopicQueue};
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The name of a group's dead-letter topic.
pub fn dead_letter_topic(group: &str) -> String {
    format!("%DLQ%{group}")
}

/// A topic and the ends of its queues. A change puts another one in its place, with the same ends: who holds the old one
/// reads true ends, and never learns of new queues.
#[derive(Debug)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// What it is.
    pub spec: TopicSpec,
    /// 1 when it is made, one more with each change.
    pub generation: u64,
    pub(super) tails: Vec<Arc<AtomicU64>>,
    pub(super) firsts: Vec<Arc<AtomicU64>>,
    pub(super) dirty: Arc<AtomicBool>,
}

impl Topic {
    pub(super) fn new(id: TopicId, spec: TopicSpec) -> Self {
        let zeros = || (0..spec.queues).map(|_| Arc::default()).collect();
        let (tails, firsts) = (zeros(), zeros());
        Self {
            id,
            spec,
            generation: 1,
            tails,
            firsts,
            dirty: Arc::default(),
        }
    }

    /// The topic with another specification, that has at least as many queues.
    pub(super) fn changed(&self, spec: TopicSpec) -> Self {
        let mut tails = self.tails.clone();
        tails.resize_with(spec.queues as usize, Arc::default);
        let mut firsts = self.firsts.clone();
        firsts.resize_with(spec.queues as usize, Arc::default);
        Self {
            id: self.id,
            spec,
            generation: self.generation + 1,
            tails,
            firsts,
            dirty: Arc::clone(&self.dirty),
        }
    }

    /// The offset behind the last message of `queue`: what the next message gets. `None` if there is no such queue.
    pub fn tail(&self, queue: QueueId) -> Option<QueueOffset> {
        self.tails
            .get(queue.0 as usize)
            .map(|tail| QueueOffset(tail.load(Ordering::Acquire)))
    }

    /// Where `queue` begins: below it there is nothing but carried messages. `None` if there is no such queue.
    pub fn first(&self, queue: QueueId) -> Option<QueueOffset> {
        let first = self.firsts.get(queue.0 as usize)?;
        Some(QueueOffset(first.load(Ordering::Acquire)))
    }

    /// The messages of all queues, but for those carried from below where they begin.
    pub fn messages(&self) -> u64 {
        let queues = self.tails.iter().zip(&self.firsts);
        // The beginning first: it never overtakes the end.
        let of_queue = |(tail, first): (&Arc<AtomicU64>, &Arc<AtomicU64>)| {
            let first = first.load(Ordering::Acquire);
            tail.load(Ordering::Acquire).saturating_sub(first)
        };
        queues.map(of_queue).sum()
    }
}

/// A consumer group. A change puts another one in its place.
#[derive(Debug)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// What it is.
    pub spec: GroupSpec,
    /// 1 when it is made, one more with each change.
    pub generation: u64,
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

/// Who may write, of those that fence each other off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fenced {
    /// Writes with an older epoch are refused; 0 if nobody ever fenced.
    pub epoch: u64,
    /// Who has this epoch.
    pub holder: String,
}

/// What the log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogBounds {
    /// Everything before is given up; files may be there yet.
    pub start: PhysicalOffset,
    /// What stands before this is not linked any more.
    pub links_from: PhysicalOffset,
}

/// Everything that readers see.
#[derive(Debug, Default)]
pub struct Tables {
    pub(super) topics: RwLock<TopicTable>,
    pub(super) groups: RwLock<GroupTable>,
    pub(super) subscriptions: RwLock<SubscriptionTable>,
    pub(super) fenced: RwLock<Fenced>,
    pub(super) carried: RwLock<CarriedTable>,
    pub(super) bounds: RwLock<LogBounds>,
    pub(super) level: AtomicU32,
    pub(super) now: AtomicU64,
}

impl Tables {
    /// State's time as last applied.
    pub fn now(&self) -> TimeMs {
        self.now.load(Ordering::Acquire)
    }

    /// The level of behaviour that the log has switched on.
    pub fn level(&self) -> u32 {
        self.level.load(Ordering::Acquire)
    }

    /// The fence as it stands.
    pub fn fenced(&self) -> Fenced {
        self.fenced.read().clone()
    }

    /// What the log holds.
    pub fn bounds(&self) -> LogBounds {
        *self.bounds.read()
    }

    /// How many places in queues carried messages stand at.
    pub fn carried_len(&self) -> usize {
        self.carried.read().len()
    }

    /// The entry of a carried message.
    pub fn carried(&self, at: TopicQueue, offset: QueueOffset) -> Option<QueueEntry> {
        self.carried.read().get(at, offset).copied()
    }

    /// The carried messages of a queue, in order.
    pub fn carried_of(&self, at: TopicQueue) -> Vec<(QueueOffset, QueueEntry)> {
        let carried = self.carried.read();
        let entries = carried.of_queue(at);
        entries.map(|(offset, entry)| (offset, *entry)).collect()
    }

    /// The queues that have carried messages, in order.
    pub fn carried_queues(&self) -> Vec<TopicQueue> {
        let carried = self.carried.read();
        let mut queues: Vec<_> = carried.chunks().map(|(at, _)| at).collect();
        queues.dedup();
        queues
    }

    /// The first `max` carried messages whose records stand in this part of the log, in its order.
    pub fn carried_standing(
        &self,
        from: PhysicalOffset,
        below: PhysicalOffset,
        max: usize,
    ) -> Vec<(TopicQueue, QueueOffset)> {
        self.carried.read().standing(from, below).take(max).collect()
    }

    /// The next `max` of them behind one, or the first ones: who wants all, however many, asks until none is left.
    pub fn carried_behind(
        &self,
        after: Option<CarriedAt>,
        below: PhysicalOffset,
        max: usize,
    ) -> Vec<CarriedAt> {
        let carried = self.carried.read();
        let behind = carried.behind(after);
        behind.take_while(|(at, ..)| *at < below).take(max).collect()
    }

    /// What retention has taken away from a queue; nothing of one that is not there.
    pub fn gone(&self, at: TopicQueue) -> RangeSet {
        let topic = self.topic_by_id(at.topic);
        let first = topic.and_then(|topic| topic.first(at.queue));
        self.carried.read().gone(at, first.unwrap_or_default())
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

    /// What the group holds, by topic.
    pub fn subscriptions_of(&self, group: GroupId) -> Vec<(TopicId, Subscription)> {
        self.subscriptions.read().of_group(group)
    }

    /// What groups hold of the topic, by group.
    pub fn subscribers_of(&self, topic: TopicId) -> Vec<(GroupId, Subscription)> {
        self.subscriptions.read().of_topic(topic)
    }

    /// How many subscriptions there are.
    pub fn subscriptions_len(&self) -> usize {
        self.subscriptions.read().by_id.len()
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

    pub(super) fn remove(&mut self, topic: &Topic) {
        self.by_name.remove(&topic.spec.name);
        self.by_id.remove(&topic.id);
    }
}

impl GroupTable {
    pub(super) fn insert(&mut self, group: Arc<Group>) {
        self.by_name.insert(group.spec.name.clone(), Arc::clone(&group));
        self.by_id.insert(group.id, group);
    }

    pub(super) fn remove(&mut self, group: &Group) {
        self.by_name.remove(&group.spec.name);
        self.by_id.remove(&group.id);
    }
}

impl SubscriptionTable {
    pub(super) fn insert(&mut self, id: (GroupId, TopicId), subscription: Subscription) {
        self.queues += subscription.shards.len();
        if let Some(before) = self.by_id.insert(id, subscription) {
            self.queues -= before.shards.len();
        }
    }

    pub(super) fn remove(&mut self, id: (GroupId, TopicId)) {
        if let Some(gone) = self.by_id.remove(&id) {
            self.queues -= gone.shards.len();
        }
    }

    pub(super) fn of_topic(&self, topic: TopicId) -> Vec<(GroupId, Subscription)> {
        let all = self.by_id.iter().filter(|((_, of), _)| *of == topic);
        all.map(|((group, _), subscription)| (*group, subscription.clone()))
            .collect()
    }

    pub(super) fn of_group(&self, group: GroupId) -> Vec<(TopicId, Subscription)> {
        let all = self.by_id.range((group, TopicId(0))..=(group, TopicId(u32::MAX)));
        all.map(|((_, topic), subscription)| (*topic, subscription.clone()))
            .collect()
    }
}
