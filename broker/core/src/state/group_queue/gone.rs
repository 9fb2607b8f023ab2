//! What retention has taken away from a queue.

use super::GroupQueue;
use crate::state::RangeSet;

/// What it meant to a group that messages are gone.
#[derive(Debug, Default)]
pub(in crate::state) struct PassedBy {
    /// Messages that it had not done.
    pub(in crate::state) expired: u64,
    /// Message groups, in a FIFO group, of messages that were pending.
    pub(in crate::state) unlocked: Vec<u32>,
}

impl GroupQueue {
    /// Messages that retention took away before the group had done them, since it has its place in the queue.
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// These messages are gone: what was not done of them never will be, and is counted.
    pub(in crate::state) fn pass_by(&mut self, gone: &RangeSet) -> PassedBy {
        let mut passed = PassedBy::default();
        for (start, end) in gone.iter() {
            let start = start.max(self.floor);
            if start >= end {
                continue;
            }
            let pending: Vec<u64> = self
                .pending
                .range(start..end)
                .map(|(offset, _)| *offset)
                .collect();
            for offset in pending {
                if let Some(pending) = self.pending.get(&offset).filter(|_| self.standing.in_order) {
                    passed.unlocked.push(pending.group_hash);
                }
                self.forget(offset);
            }
            passed.expired += end - start - self.settled.len_within(start, end);
            self.settled.insert(start, end);
        }
        self.expired = self.expired.saturating_add(passed.expired);
        self.raise_floor();
        passed
    }

    /// Like [`Self::pass_by`], for a place that is taken only now: there was nothing to do of what is gone.
    pub(in crate::state) fn begin_behind(&mut self, gone: &RangeSet) {
        let before = self.expired;
        self.pass_by(gone);
        self.expired = before;
    }
}
