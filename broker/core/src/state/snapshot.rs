//! A checkpoint's view of state, and state back from a checkpoint.
//!
//! A snapshot is taken between two commands and costs the applier next to nothing: it shares what changed since the last
//! one, and the applier copies a shard that it changes while the snapshot still holds it.

use super::carried::{self, CarriedEntries};
use super::group_queue::GroupQueue;
use super::shard::{FrozenShards, Shard};
use super::tables::{Group, Subscription, Topic};
use super::{LEVEL, State};
use crate::codec::{Malformed, Reader};
use crate::command::Membership;
use crate::ids::{GroupId, GroupQueueId, LogIndex, QueueId, QueueOffset, Term, TimeMs, TopicId, TopicQueue};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;

/// One part of state that is stored on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShardKey {
    /// A topic with the ends of its queues.
    Topic(TopicId),
    /// A consumer group.
    Group(GroupId),
    /// A group's hold on a queue.
    GroupQueue(GroupQueueId),
    /// Carried messages of a queue, from this multiple of [`limits::CARRIED_SPAN`](crate::limits::CARRIED_SPAN) on.
    Carried(TopicQueue, u32),
}

impl ShardKey {
    /// The key as numbers: kind, and up to three ids.
    pub fn to_numbers(self) -> (u8, [u32; 3]) {
        match self {
            Self::Topic(id) => (1, [id.0, 0, 0]),
            Self::Group(id) => (2, [id.0, 0, 0]),
            Self::GroupQueue(id) => (3, [id.group.0, id.at.topic.0, id.at.queue.0]),
            Self::Carried(at, chunk) => (4, [at.topic.0, at.queue.0, chunk]),
        }
    }

    /// The key that these numbers are.
    pub fn from_numbers(kind: u8, ids: [u32; 3]) -> Result<Self, Malformed> {
        let [a, b, c] = ids;
        let at = TopicQueue {
            topic: TopicId(b),
            queue: QueueId(c),
        };
        match kind {
            1 => Ok(Self::Topic(TopicId(a))),
            2 => Ok(Self::Group(GroupId(a))),
            3 => Ok(Self::GroupQueue(GroupQueueId {
                group: GroupId(a),
                at,
            })),
            4 => {
                let (topic, queue) = (TopicId(a), QueueId(b));
                Ok(Self::Carried(TopicQueue { topic, queue }, c))
            }
            _ => Err(Malformed::Range("shard kind")),
        }
    }
}

/// A part of state, frozen.
#[derive(Clone, Debug)]
pub enum ShardView {
    /// A topic and, frozen, the ends and the beginnings of its queues.
    Topic(Arc<Topic>, Vec<u64>, Vec<u64>),
    /// A group.
    Group(Arc<Group>),
    /// A group's hold on a queue.
    GroupQueue(Arc<GroupQueue>),
    /// Carried messages.
    Carried(Arc<CarriedEntries>),
}

/// What changed in state since the last snapshot. Snapshots are to be used, or [absorbed](Self::absorb), in the order in which
/// they were taken.
#[derive(Debug)]
pub struct Snapshot {
    /// The small things: time, level, digest, voters, counters.
    pub header: Vec<u8>,
    /// The parts that changed, but for shards.
    changed: Vec<(ShardKey, ShardView)>,
    shards: FrozenShards,
    /// The parts that are gone.
    pub removed: Vec<ShardKey>,
    /// The digest, for the log line.
    pub digest: u64,
    /// The index of the first frame that is not in it.
    pub next_index: LogIndex,
}

impl Snapshot {
    /// The parts that changed, by key: once, then there are none. Not for the applying thread, which it would hold up.
    pub fn take_changed(&mut self) -> Vec<(ShardKey, ShardView)> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.extend(std::mem::take(&mut self.shards).take());
        changed
    }

    /// Has `all` parts instead of those that changed.
    pub fn make_whole(&mut self, all: Vec<(ShardKey, ShardView)>) {
        // The frozen shards stay: they are the same, and what they have put aside is let go with them.
        self.changed = all;
    }

    /// Takes over what has changed in an older one, which will not be used itself.
    pub fn absorb(&mut self, older: Self) {
        let gone: BTreeSet<ShardKey> = self.removed.iter().copied().collect();
        // What is removed comes before what has changed, and of two versions the later one stays.
        let newer: BTreeSet<ShardKey> = self.changed.iter().map(|(key, _)| *key).collect();
        let older_parts = older.changed.into_iter();
        let stay = |(key, _): &(ShardKey, ShardView)| !gone.contains(key) && !newer.contains(key);
        self.changed.extend(older_parts.filter(stay));
        self.shards.absorb(older.shards, |key| gone.contains(&key));
        self.removed.extend(older.removed);
    }
}

/// Why a checkpoint's content is no state.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RestoreError {
    /// The header cannot be read.
    #[error("the checkpoint's header cannot be read: {0}")]
    Header(Malformed),
    /// A part cannot be read.
    #[error("part {0:?} of the checkpoint cannot be read: {1}")]
    Part(ShardKey, Malformed),
    /// A part names one that is missing.
    #[error("part {0:?} of the checkpoint belongs to a topic or queue that is missing")]
    Orphan(ShardKey),
    /// The log needs a newer build.
    #[error("the log is at level {found}, and this build knows levels up to {LEVEL}: run a newer version")]
    Level {
        /// The level of the log.
        found: u32,
    },
}

impl State {
    /// Freezes what changed since the last call.
    pub fn snapshot(&mut self) -> Snapshot {
        let keys = std::mem::take(&mut self.dirty.keys);
        let groups = std::mem::take(&mut self.dirty.groups).into_iter();
        let mut changed = Vec::with_capacity(keys.len() + groups.len());
        changed.extend(groups.map(|(id, group)| (ShardKey::Group(id), ShardView::Group(group))));
        for key in keys {
            if let Some(view) = self.view(key) {
                if let ShardView::Topic(topic, ..) = &view {
                    topic.dirty.store(false, Ordering::Relaxed);
                }
                changed.push((key, view));
            }
        }
        Snapshot {
            header: self.encode_header(),
            changed,
            shards: self.dirty.shards.freeze(),
            removed: std::mem::take(&mut self.removed).into_iter().collect(),
            digest: self.digest,
            next_index: self.next_index,
        }
    }

    fn shard(&self, id: GroupQueueId) -> Option<Arc<Shard>> {
        let subscription = self.tables.subscription(id.group, id.at.topic)?;
        subscription.shards.get(id.at.queue.0 as usize).cloned()
    }

    fn view(&self, key: ShardKey) -> Option<ShardView> {
        match key {
            ShardKey::Topic(id) => {
                let topic = self.tables.topic_by_id(id)?;
                let offsets = |of: &[Arc<AtomicU64>]| {
                    let offsets = of.iter().map(|offset| offset.load(Ordering::Relaxed));
                    offsets.collect()
                };
                let (tails, firsts) = (offsets(&topic.tails), offsets(&topic.firsts));
                Some(ShardView::Topic(topic, tails, firsts))
            }
            ShardKey::Group(id) => self.tables.group_by_id(id).map(ShardView::Group),
            ShardKey::GroupQueue(id) => {
                let shard = self.shard(id)?;
                Some(ShardView::GroupQueue(shard.view()))
            }
            ShardKey::Carried(at, chunk) => {
                let carried = self.tables.carried.read();
                carried.chunk(at, chunk).cloned().map(ShardView::Carried)
            }
        }
    }

    /// Every part of state, changed or not.
    pub fn all_views(&self) -> Vec<(ShardKey, ShardView)> {
        let topics = self
            .tables
            .all_topics()
            .into_iter()
            .map(|topic| ShardKey::Topic(topic.id));
        let groups = self
            .tables
            .all_groups()
            .into_iter()
            .map(|group| ShardKey::Group(group.id));
        let mut keys: Vec<ShardKey> = topics.chain(groups).collect();
        for ((group, topic), subscription) in self.tables.all_subscriptions() {
            let queues = (0..subscription.shards.len() as u32).map(QueueId);
            keys.extend(queues.map(|queue| {
                ShardKey::GroupQueue(GroupQueueId {
                    group,
                    at: TopicQueue { topic, queue },
                })
            }));
        }
        let carried = self.tables.carried.read();
        keys.extend(carried.chunks().map(|(at, chunk)| ShardKey::Carried(at, chunk)));
        drop(carried);
        keys.into_iter()
            .filter_map(|key| Some((key, self.view(key)?)))
            .collect()
    }

    /// The level and the time of the state that a checkpoint's header is of.
    pub fn level_and_time(header: &[u8]) -> Result<(u32, TimeMs), Malformed> {
        let mut reader = Reader::new(header);
        Ok((reader.varint32()?, reader.varint()?))
    }

    /// What the log holds, as the state says that a checkpoint's header is of.
    pub fn bounds_in(header: &[u8]) -> Result<super::LogBounds, Malformed> {
        let mut state = Self::new();
        state.decode_header(header)?;
        Ok(state.tables.bounds())
    }

    /// Where queues end in a topic that a checkpoint holds as these bytes.
    pub fn ends_of_topic(id: TopicId, part: &[u8]) -> Result<Vec<(TopicQueue, QueueOffset)>, Malformed> {
        let topic = Topic::decode(id, &mut Reader::new(part))?;
        let queues = (0..topic.spec.queues).map(QueueId);
        let end = |queue| Some((TopicQueue { topic: id, queue }, topic.tail(queue)?));
        Ok(queues.filter_map(end).collect())
    }

    /// State from a checkpoint's header and parts, in any order.
    pub fn restore<'a>(
        header: &[u8],
        parts: impl IntoIterator<Item = (ShardKey, &'a [u8])>,
    ) -> Result<Self, RestoreError> {
        let mut state = Self::new();
        // Before all else: what follows the level may be more than this build knows.
        let found = Reader::new(header).varint32().map_err(RestoreError::Header)?;
        if found > LEVEL {
            return Err(RestoreError::Level { found });
        }
        state.decode_header(header).map_err(RestoreError::Header)?;
        let mut queues: BTreeMap<(GroupId, TopicId), BTreeMap<u32, Arc<Shard>>> = BTreeMap::new();
        for (key, bytes) in parts {
            let wrong = |error| RestoreError::Part(key, error);
            match key {
                ShardKey::Topic(id) => {
                    let topic = Topic::decode(id, &mut Reader::new(bytes)).map_err(wrong)?;
                    state.tables.topics.write().insert(Arc::new(topic));
                }
                ShardKey::Group(id) => {
                    let group = Group::decode(id, &mut Reader::new(bytes)).map_err(wrong)?;
                    state.tables.groups.write().insert(Arc::new(group));
                }
                ShardKey::GroupQueue(id) => {
                    let queue = GroupQueue::decode(&mut Reader::new(bytes)).map_err(wrong)?;
                    let of = queues.entry((id.group, id.at.topic)).or_default();
                    of.insert(id.at.queue.0, Shard::new(queue));
                }
                ShardKey::Carried(at, chunk) => {
                    let entries = carried::decode(&mut Reader::new(bytes)).map_err(wrong)?;
                    let mut table = state.tables.carried.write();
                    table.restore(at, chunk, entries).map_err(wrong)?;
                }
            }
        }
        state.attach(queues)?;
        state.check_carried()?;
        Ok(state)
    }

    pub(super) fn attach(
        &mut self,
        queues: BTreeMap<(GroupId, TopicId), BTreeMap<u32, Arc<Shard>>>,
    ) -> Result<(), RestoreError> {
        let mut subscriptions = self.tables.subscriptions.write();
        for ((group, topic), shards) in queues {
            let at = TopicQueue {
                topic,
                queue: QueueId(0),
            };
            let orphan = || RestoreError::Orphan(ShardKey::GroupQueue(GroupQueueId { group, at }));
            let spec = self.tables.topic_by_id(topic).ok_or_else(orphan)?;
            self.tables.group_by_id(group).ok_or_else(orphan)?;
            let whole = shards.keys().copied().eq(0..spec.spec.queues);
            if !whole {
                return Err(orphan());
            }
            subscriptions.insert(
                (group, topic),
                Subscription {
                    shards: shards.into_values().collect(),
                },
            );
        }
        Ok(())
    }

    /// Carried messages stand in queues that there are.
    pub(super) fn check_carried(&self) -> Result<(), RestoreError> {
        let carried = self.tables.carried.read();
        for (at, chunk) in carried.chunks() {
            let tail = self
                .tables
                .topic_by_id(at.topic)
                .and_then(|topic| topic.tail(at.queue));
            let last = carried
                .chunk(at, chunk)
                .and_then(|entries| entries.last_key_value());
            if last.is_none_or(|(offset, _)| tail.is_none_or(|tail| *offset >= tail.0)) {
                return Err(RestoreError::Orphan(ShardKey::Carried(at, chunk)));
            }
        }
        Ok(())
    }

    pub(super) fn set_position(&mut self, term: Term, next_index: LogIndex, membership: Membership) {
        self.term = term;
        self.next_index = next_index;
        self.membership = membership;
    }
}
