//! The leader's memory of one group's place in one queue, lost with the process and rebuilt by looking again.

use crate::ids::{QueueOffset, TimeMs};
use crate::state::GroupQueue;
use std::collections::{BTreeMap, HashMap};

/// Where the next look into the queue starts, and what is offered at the moment.
#[derive(Debug, Default)]
pub struct Cursor {
    /// Below this offset only what expires or is handed back can be offered.
    pub(super) scan_from: u64,
    /// Offset to message group.
    reserved: BTreeMap<u64, u32>,
    reserved_groups: HashMap<u32, usize>,
}

impl Cursor {
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
        let fresh = QueueOffset(self.scan_from).max(queue.floor());
        expired.map_or(fresh, |expired| expired.min(fresh))
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
            }
        }
    }

    /// The offer came to nothing, or nobody knows: forget it and look at the message again.
    pub fn give_back(&mut self, offset: QueueOffset) {
        self.applied(offset);
        self.look_again_from(offset);
    }

    /// Looks at everything from `offset` on again.
    pub fn look_again_from(&mut self, offset: QueueOffset) {
        self.scan_from = self.scan_from.min(offset.0);
    }
}
