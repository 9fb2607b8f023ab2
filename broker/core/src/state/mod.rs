//! State: the fold over the log's commands.
//!
//! Rules of apply, which everything in this module keeps:
//! - it is a function of the state and the command: no clock, no randomness, no configuration, no floats, no order of a
//!   hash map, no reading of records;
//! - a command that does not fit is answered with a [`Refused`] and changes nothing but time and digest;
//! - time is `now = max(now, command's time)`, and never goes back;
//! - what apply does may depend on [`LEVEL`] alone. A new behaviour comes with a new level.
//!
//! One thread applies. Others read through [`Tables`]: tables behind short locks, and one short lock for each group
//! and queue, so that readers never stop the applier for longer than a look.

mod administer;
mod answer;
mod apply;
mod carried;
mod clients;
mod dirty;
mod encode;
mod group_queue;
mod make;
mod range_set;
mod retention;
mod salvage;
mod shard;
mod snapshot;
mod tables;

pub use answer::{Applied, Delivered, Done, Put, Refused};
pub use carried::{CarriedAt, CarriedEntries};
use dirty::Dirty;
pub use group_queue::{Delivery, FloorMove, GroupQueue, Lag, Pending};
pub use range_set::RangeSet;
pub use salvage::{FoundTopic, GroupFold, HoldSpan, Remains, Salvaged};
pub use shard::Shard;
pub use snapshot::{RestoreError, ShardKey, ShardView, Snapshot};
pub use tables::{Fenced, Group, LogBounds, Subscription, Tables, Topic, dead_letter_topic};

use crate::command::Membership;
use crate::entry::QueueEntry;
use crate::ids::{
    GroupId, GroupQueueId, LogIndex, PhysicalOffset, QueueOffset, Term, TimeMs, TopicId, TopicQueue,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The highest level of behaviour that this build knows.
pub const LEVEL: u32 = 3;

/// Where a command stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandAt {
    /// Its frame's index.
    pub index: LogIndex,
    /// Its place in the frame, from 0.
    pub place: u16,
    /// Where its first byte is.
    pub physical: PhysicalOffset,
}

/// What is not what it was, or is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The topic has another specification.
    Topic(TopicId),
    /// The topic is deleted: its queues are not needed any more.
    TopicGone(TopicId),
    /// The group has another specification.
    Group(GroupId),
    /// The group is deleted.
    GroupGone(GroupId),
}

/// What applying makes happen outside of state. Called in the order of the log: `entry` and `carried` before readers can see
/// the change, all others after it.
pub trait Effects {
    /// The queue has this entry at this offset, its next one.
    fn entry(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry);
    /// From `when` on, messages of this queue may be ready for this group that were not before.
    fn ready(&mut self, id: GroupQueueId, when: TimeMs);
    /// A message of this message group is done in a FIFO group: what waits for the message group may go on.
    fn unlocked(&mut self, id: GroupQueueId, group_hash: u32);
    /// The group was moved in the queue: all that is fresh from its floor on is to be looked at again.
    fn moved(&mut self, id: GroupQueueId);
    /// A topic or group is not what it was.
    fn changed(&mut self, what: Changed);
    /// The message at this offset stands elsewhere in the log from now on, as this entry says.
    fn carried(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry);
    /// The queue begins here now: below it there is nothing but carried messages.
    fn trimmed(&mut self, at: TopicQueue, first: QueueOffset);
    /// A carried message is gone.
    fn dropped(&mut self, at: TopicQueue, offset: QueueOffset);
}

/// For who wants the state alone.
impl Effects for () {
    fn entry(&mut self, _: TopicQueue, _: QueueOffset, _: &QueueEntry) {}
    fn ready(&mut self, _: GroupQueueId, _: TimeMs) {}
    fn unlocked(&mut self, _: GroupQueueId, _: u32) {}
    fn moved(&mut self, _: GroupQueueId) {}
    fn changed(&mut self, _: Changed) {}
    fn carried(&mut self, _: TopicQueue, _: QueueOffset, _: &QueueEntry) {}
    fn trimmed(&mut self, _: TopicQueue, _: QueueOffset) {}
    fn dropped(&mut self, _: TopicQueue, _: QueueOffset) {}
}

/// All state of one log.
#[derive(Debug)]
pub struct State {
    tables: Arc<Tables>,
    now: TimeMs,
    level: u32,
    digest: u64,
    term: Term,
    next_index: LogIndex,
    membership: Membership,
    dirty: Dirty,
    removed: BTreeSet<ShardKey>,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// The state before the first frame.
    pub fn new() -> Self {
        Self {
            tables: Arc::new(Tables::default()),
            now: 0,
            level: 0,
            digest: 0,
            term: Term(0),
            next_index: LogIndex(0),
            membership: Membership::default(),
            dirty: Dirty::default(),
            removed: BTreeSet::new(),
        }
    }

    /// What other threads read.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// The state's time.
    pub fn now(&self) -> TimeMs {
        self.now
    }

    /// The level of behaviour that the log has switched on.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// The rolling digest over everything applied: equal for equal prefixes.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The index of the next frame to apply.
    pub fn next_index(&self) -> LogIndex {
        self.next_index
    }

    /// The term of the last applied frame.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The ids that the next topic and the next group get: all smaller ones were given.
    pub fn next_ids(&self) -> (TopicId, GroupId) {
        let (topics, groups) = (self.tables.topics.read().next, self.tables.groups.read().next);
        (TopicId(topics), GroupId(groups))
    }

    /// Who votes.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Takes note of a whole applied frame. `index` is the next one; frames come without holes, terms never fall.
    pub fn end_frame(&mut self, term: Term, index: LogIndex) {
        debug_assert_eq!(index, self.next_index, "frames are applied in order");
        debug_assert!(term >= self.term, "terms never fall");
        self.term = term;
        self.next_index = LogIndex(index.0 + 1);
        self.mix(index.0);
        self.mix(term.0);
    }

    /// As [`Self::end_frame`], for what stands in the place of the frames from `first` to `last`, which were lost.
    pub fn end_frames(&mut self, term: Term, first: LogIndex, last: LogIndex) {
        debug_assert!(first <= last, "a frame stands for itself at least");
        self.end_frame(term, first);
        self.next_index = LogIndex(last.0 + 1);
    }

    fn mix(&mut self, value: u64) {
        self.digest = crate::hash::mix(self.digest, value);
    }
}

#[cfg(test)]
mod tests;
