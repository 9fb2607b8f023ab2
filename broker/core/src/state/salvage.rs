//! State from a checkpoint of which parts are lost, as somebody has agreed to go on: what is lost is put together from what stands around
//! it, or is begun again. Groups get messages again rather than lose them.

mod groups;

pub use groups::GroupFold;

use super::State;
use super::carried::chunk_of;
use super::group_queue::GroupQueue;
use super::range_set::RangeSet;
use super::snapshot::{RestoreError, ShardKey};
use super::tables::{Group, Topic};
use crate::codec::Reader;
use crate::command::{TopicSpec, Types};
use crate::entry::QueueEntry;
use crate::ids::{GroupId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What is known of a topic without its part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundTopic {
    /// Its name, from a record.
    pub name: Option<String>,
    /// How many queues it has at least.
    pub count: u32,
    /// Where its queues begin and end, by number.
    pub queues: BTreeMap<u32, (u64, u64)>,
}

/// A group's hold on a queue, as far as it tells of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldSpan {
    /// Everything below was done.
    pub floor: u64,
    /// What was done above.
    pub settled: RangeSet,
    /// Behind the last offset that it knows of.
    pub end: u64,
}

/// A checkpoint of which parts are lost, and what else is known.
#[derive(Debug, Default)]
pub struct Remains<'a> {
    /// State's header.
    pub header: &'a [u8],
    /// The parts that can be read.
    pub parts: Vec<(ShardKey, &'a [u8])>,
    /// Those that cannot, each with an earlier version of it where there is one.
    pub lost: Vec<(ShardKey, Option<&'a [u8]>)>,
    /// What is known of topics whose parts are lost.
    pub topics: BTreeMap<TopicId, FoundTopic>,
    /// What the log tells of groups, those whose parts are lost among them.
    pub groups: BTreeMap<GroupId, Arc<Group>>,
    /// Messages that were carried, in the order of the log.
    pub carried: Vec<(TopicQueue, QueueOffset, QueueEntry)>,
}

/// What takes the place of a part that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Salvaged {
    /// A topic with the name and the queues that were found; what it takes and how long it keeps messages is not known.
    Topic(TopicId),
    /// An earlier version of a topic, with the queues that were found.
    EarlierTopic(TopicId),
    /// Nothing: the topic is gone, with its messages and what groups held of it.
    NoTopic(TopicId),
    /// A group as the log has it.
    GroupOfLog(GroupId),
    /// An earlier version of a group.
    EarlierGroup(GroupId),
    /// Nothing: the group is gone, with all that it had done.
    NoGroup(GroupId),
    /// An earlier version of a hold: what the group has done since it does again.
    EarlierHold(GroupQueueId),
    /// A new hold: the group gets all messages of the queue again.
    NewHold(GroupQueueId),
    /// Carried messages, from the log.
    Carried(TopicQueue),
}

impl State {
    /// A topic as its part has it; `None` if that cannot be understood.
    pub fn topic_in(id: TopicId, part: &[u8]) -> Option<Topic> {
        Topic::decode(id, &mut Reader::new(part)).ok()
    }

    /// A group as its part has it; `None` if that cannot be understood.
    pub fn group_in(id: GroupId, part: &[u8]) -> Option<Group> {
        Group::decode(id, &mut Reader::new(part)).ok()
    }

    /// What the part of a hold tells of the queue; `None` if that cannot be understood.
    pub fn hold_in(part: &[u8]) -> Option<HoldSpan> {
        let hold = GroupQueue::decode(&mut Reader::new(part)).ok()?;
        Some(HoldSpan {
            floor: hold.floor().0,
            settled: hold.settled().clone(),
            end: end_of(&hold),
        })
    }

    /// The state, and what was put in the place of each part that is lost.
    pub fn salvage(remains: &Remains<'_>) -> Result<(Self, Vec<Salvaged>), RestoreError> {
        let mut state = Self::new();
        state
            .decode_header(remains.header)
            .map_err(RestoreError::Header)?;
        let mut work = Work {
            holds: BTreeMap::new(),
            done: Vec::new(),
        };
        work.read_holds(remains)?;
        work.topics(&state, remains)?;
        work.groups(&state, remains)?;
        work.carried(&state, remains)?;
        work.holds(&mut state, remains)?;
        Ok((state, work.done))
    }
}

struct Work {
    /// `None` where it is lost.
    holds: BTreeMap<GroupQueueId, Option<GroupQueue>>,
    done: Vec<Salvaged>,
}

impl Work {
    fn read_holds(&mut self, remains: &Remains<'_>) -> Result<(), RestoreError> {
        for (key, bytes) in &remains.parts {
            if let ShardKey::GroupQueue(id) = key {
                let hold = GroupQueue::decode(&mut Reader::new(bytes));
                let hold = hold.map_err(|error| RestoreError::Part(*key, error))?;
                self.holds.insert(*id, Some(hold));
            }
        }
        for (key, earlier) in &remains.lost {
            if let ShardKey::GroupQueue(id) = key {
                let earlier = earlier.and_then(|bytes| GroupQueue::decode(&mut Reader::new(bytes)).ok());
                self.done.push(match earlier {
                    Some(_) => Salvaged::EarlierHold(*id),
                    None => Salvaged::NewHold(*id),
                });
                self.holds.insert(*id, earlier);
            }
        }
        Ok(())
    }

    fn topics(&mut self, state: &State, remains: &Remains<'_>) -> Result<(), RestoreError> {
        let mut topics = state.tables.topics.write();
        for (key, bytes) in &remains.parts {
            if let ShardKey::Topic(id) = key {
                let topic = Topic::decode(*id, &mut Reader::new(bytes));
                topics.insert(Arc::new(topic.map_err(|error| RestoreError::Part(*key, error))?));
            }
        }
        for (key, earlier) in &remains.lost {
            let ShardKey::Topic(id) = key else { continue };
            let earlier = earlier.and_then(|bytes| Topic::decode(*id, &mut Reader::new(bytes)).ok());
            let found = remains.topics.get(id);
            self.done.push(match &earlier {
                Some(_) => Salvaged::EarlierTopic(*id),
                None if found.is_some_and(|found| found.name.is_some()) => Salvaged::Topic(*id),
                None => Salvaged::NoTopic(*id),
            });
            if let Some(topic) = self.topic(*id, earlier, found) {
                topics.insert(Arc::new(topic));
            }
        }
        Ok(())
    }

    /// A topic from what is known of it. Its queues end behind everything that is known to have been in them.
    fn topic(&self, id: TopicId, earlier: Option<Topic>, found: Option<&FoundTopic>) -> Option<Topic> {
        let none = FoundTopic::default();
        let found = found.unwrap_or(&none);
        let of_topic = |at: &&GroupQueueId| at.at.topic == id;
        let held = self.holds.keys().filter(of_topic).map(|at| at.at.queue.0);
        let queues = held
            .chain(found.queues.keys().copied())
            .max()
            .map_or(1, |last| last.saturating_add(1))
            .max(found.count);
        let spec = match &earlier {
            Some(earlier) => TopicSpec {
                queues: earlier.spec.queues.max(queues),
                ..earlier.spec.clone()
            },
            None => TopicSpec {
                name: found.name.clone()?,
                queues,
                types: Types::ALL,
                closed: false,
                retention_hours: 0,
                retention_bytes: 0,
            },
        };
        if spec.queues > limits::QUEUES_MAX {
            return None;
        }
        let mut topic = Topic::new(id, spec);
        let (mut tails, mut firsts) = (Vec::new(), Vec::new());
        for queue in 0..topic.spec.queues {
            let (first, mut tail) = found.queues.get(&queue).copied().unwrap_or_default();
            let before = earlier.as_ref().and_then(|earlier| earlier.tail(QueueId(queue)));
            tail = tail.max(before.unwrap_or_default().0);
            for (at, hold) in &self.holds {
                if at.at.topic == id && at.at.queue.0 == queue {
                    tail = tail.max(hold.as_ref().map_or(0, end_of));
                }
            }
            // What nobody has found is not there any more.
            let first = if found.queues.contains_key(&queue) {
                first
            } else {
                tail
            };
            tails.push(Arc::new(AtomicU64::new(tail)));
            firsts.push(Arc::new(AtomicU64::new(first)));
        }
        topic.generation = earlier.map_or(1, |earlier| earlier.generation + 1);
        (topic.tails, topic.firsts) = (tails, firsts);
        Some(topic)
    }

    fn groups(&mut self, state: &State, remains: &Remains<'_>) -> Result<(), RestoreError> {
        let mut groups = state.tables.groups.write();
        for (key, bytes) in &remains.parts {
            if let ShardKey::Group(id) = key {
                let group = Group::decode(*id, &mut Reader::new(bytes));
                groups.insert(Arc::new(group.map_err(|error| RestoreError::Part(*key, error))?));
            }
        }
        for (key, earlier) in &remains.lost {
            let ShardKey::Group(id) = key else { continue };
            if let Some(group) = remains.groups.get(id) {
                groups.insert(Arc::clone(group));
                self.done.push(Salvaged::GroupOfLog(*id));
                continue;
            }
            match earlier.and_then(|bytes| Group::decode(*id, &mut Reader::new(bytes)).ok()) {
                Some(group) => {
                    groups.insert(Arc::new(group));
                    self.done.push(Salvaged::EarlierGroup(*id));
                }
                None => self.done.push(Salvaged::NoGroup(*id)),
            }
        }
        Ok(())
    }

    fn carried(&mut self, state: &State, remains: &Remains<'_>) -> Result<(), RestoreError> {
        let mut table = state.tables.carried.write();
        let stands = |at: TopicQueue, offset: QueueOffset| {
            let topic = state.tables.topic_by_id(at.topic);
            let tail = topic.and_then(|topic| topic.tail(at.queue));
            tail.is_some_and(|tail| offset < tail)
        };
        for (key, bytes) in &remains.parts {
            if let ShardKey::Carried(at, _) = key {
                let entries = super::carried::decode(&mut Reader::new(bytes));
                for (offset, entry) in entries.map_err(|error| RestoreError::Part(*key, error))? {
                    if stands(*at, QueueOffset(offset)) {
                        table.insert(*at, QueueOffset(offset), entry);
                    }
                }
            }
        }
        let mut lost = BTreeSet::new();
        for (key, _) in &remains.lost {
            if let ShardKey::Carried(at, chunk) = key {
                lost.insert((*at, *chunk));
                self.done.push(Salvaged::Carried(*at));
            }
        }
        for (at, offset, entry) in &remains.carried {
            let is_lost = chunk_of(*offset).is_some_and(|chunk| lost.contains(&(*at, chunk)));
            if is_lost && stands(*at, *offset) {
                table.insert(*at, *offset, *entry);
            }
        }
        Ok(())
    }

    fn holds(&mut self, state: &mut State, remains: &Remains<'_>) -> Result<(), RestoreError> {
        let subscriptions: BTreeSet<(GroupId, TopicId)> =
            self.holds.keys().map(|id| (id.group, id.at.topic)).collect();
        let lost_topic = |(key, _): &(ShardKey, Option<&[u8]>)| match key {
            ShardKey::Topic(id) => Some(*id),
            _ => None,
        };
        let anew: BTreeSet<TopicId> = remains.lost.iter().filter_map(lost_topic).collect();
        let mut queues = BTreeMap::new();
        for (group, topic) in subscriptions {
            let known = state
                .tables
                .topic_by_id(topic)
                .zip(state.tables.group_by_id(group));
            let Some((of, reader)) = known else { continue };
            let mut shards = BTreeMap::new();
            for queue in (0..of.spec.queues).map(QueueId) {
                let at = TopicQueue { topic, queue };
                let id = GroupQueueId { group, at };
                let lost = remains
                    .lost
                    .iter()
                    .any(|(key, _)| *key == ShardKey::GroupQueue(id));
                let known = self.holds.remove(&id).flatten();
                // A queue that is put together may begin later than it did, which is no retention's doing.
                let begins = lost || known.is_none() || anew.contains(&topic);
                let mut hold = known.unwrap_or_else(|| GroupQueue::new(reader.spec.fifo, QueueOffset(0)));
                if begins {
                    hold.begin_behind(&state.tables.gone(at));
                }
                shards.insert(queue.0, super::shard::Shard::new(hold));
            }
            queues.insert((group, topic), shards);
        }
        state.attach(queues)?;
        state.check_carried()
    }
}

/// Behind the last offset that a hold knows of.
fn end_of(hold: &GroupQueue) -> u64 {
    let pending = hold.all_pending().last().map_or(0, |(offset, _)| offset.0 + 1);
    let settled = hold.settled().last_end().unwrap_or(0);
    hold.floor().0.max(pending).max(settled)
}

#[cfg(test)]
mod tests;
