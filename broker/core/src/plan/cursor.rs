//! The leader's memory of one group's place in one queue, lost with the process and rebuilt by looking again.

use super::parked::Parked;
use crate::command::Standing;
use crate::ids::{QueueOffset, TimeMs};
use crate::state::GroupQueue;
use std::collections::{BTreeMap, HashMap};

/// Where the next look into the queue starts, and what is offered at the moment.
#[derive(Debug, Default)]
pub struct Cursor {
    /// Below this offset only what expires, is handed back or is parked can be offered; nothing is parked beyond it.
    pub(super) scan_from: u64,
    /// How the group stood at the last choice from the queue.
    standing: Standing,
    /// In a FIFO group: what waits for its message group.
    pub(super) parked: Parked,
    /// Offset to message group.
    reserved: BTreeMap<u64, u32>,
    reserved_groups: HashMap<u32, usize>,
}

impl Cursor {
    /// Follows the group where it stands otherwise than at the last choice: by itself, since word of a move may come later
    /// than the choice that stands on it. Where it has become FIFO, or has ceased to be, not before everything that is
    /// offered is concluded: what was chosen without order must not be passed by in order.
    pub(super) fn follows(&mut self, queue: &GroupQueue) -> bool {
        let standing = queue.standing();
        if self.standing.in_order != standing.in_order && self.reserved_len() > 0 {
            return false;
        }
        if self.standing != standing {
            self.standing = standing;
            self.start_over();
        }
        true
    }

    /// Whether `offset` is offered to somebody at the moment.
    pub(super) fn is_reserved(&self, offset: u64) -> bool {
        self.reserved.contains_key(&offset)
    }

    /// Whether a message of this message group is offered to somebody at the moment.
    pub(super) fn is_group_reserved(&self, group_hash: u32) -> bool {
        self.reserved_groups.contains_key(&group_hash)
    }

    /// How many messages are offered at the moment.
    pub(super) fn reserved_len(&self) -> usize {
        self.reserved.len()
    }

    pub(super) fn reserve(&mut self, offset: u64, group_hash: u32) {
        if self.reserved.insert(offset, group_hash).is_none() {
            *self.reserved_groups.entry(group_hash).or_default() += 1;
        }
    }

    /// The lowest offset whose entry choosing from `queue` at `now` would read.
    pub fn reads_from(&self, queue: &GroupQueue, now: TimeMs) -> QueueOffset {
        let expired = queue
            .by_visibility()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, offset)| offset)
            .min();
        let looked_at = match self.standing == queue.standing() {
            true => self.scan_from,
            false => 0,
        };
        let fresh = QueueOffset(looked_at).max(queue.floor());
        let parked = self.parked.lowest_unlocked().map(QueueOffset);
        [expired, parked]
            .into_iter()
            .flatten()
            .fold(fresh, QueueOffset::min)
    }

    /// State now says what became of the offer: forget it. Call only after the command was applied.
    pub fn applied(&mut self, offset: QueueOffset) {
        let Some(group_hash) = self.reserved.remove(&offset.0) else {
            return;
        };
        if let Some(count) = self.reserved_groups.get_mut(&group_hash) {
            *count -= 1;
            if *count == 0 {
                self.reserved_groups.remove(&group_hash);
                // Whatever unlocked the message group while it was reserved went unnoticed.
                if self.parked.has(group_hash) {
                    self.parked.unlock(group_hash);
                }
            }
        }
    }

    /// The offer came to nothing, or nobody knows: forget it and look at the message again.
    pub fn give_back(&mut self, offset: QueueOffset) {
        match self.reserved.get(&offset.0) {
            // The look into the queue is past it and does not come back: others wait behind.
            Some(group_hash) if self.standing.in_order && offset.0 < self.scan_from => {
                self.parked.park(*group_hash, offset.0)
            }
            Some(_) => self.look_again_from(offset),
            None => {}
        }
        self.applied(offset);
    }

    /// A message of this message group is done: what waits for it may go on.
    pub fn unlock(&mut self, group_hash: u32) {
        if self.parked.has(group_hash) {
            self.parked.unlock(group_hash);
        }
    }

    /// Too many message groups were unlocked to name them: look at all that have messages waiting.
    pub fn unlock_all(&mut self) {
        self.parked.unlock_all();
    }

    /// Whether something waits that may go on: somebody should choose from the queue.
    pub fn has_unlocked(&self) -> bool {
        self.parked.unlocked_len() > 0
    }

    /// The group was moved, or its order is another one: everything from its floor on is looked at again. What is offered
    /// stays offered.
    pub fn start_over(&mut self) {
        self.scan_from = 0;
        self.parked = Parked::default();
    }

    /// Looks at everything from `offset` on again.
    pub fn look_again_from(&mut self, offset: QueueOffset) {
        if offset.0 < self.scan_from {
            self.scan_from = offset.0;
            // The look comes past them again, in order: parked, they would wait for themselves.
            self.parked.unpark_from(offset.0);
        }
    }
}
