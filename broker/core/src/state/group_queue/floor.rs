//! Moving a group in a queue, and what that would do.

use super::GroupQueue;
use crate::command::Target;
use crate::ids::{QueueOffset, TimeMs};
use crate::state::RangeSet;

/// What moving a group in a queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FloorMove {
    /// Where the group stood.
    pub from: QueueOffset,
    /// Where it stands then.
    pub to: QueueOffset,
    /// Messages that were not done and never will be.
    pub skipped: u64,
    /// Messages that were done and come again.
    pub repeated: u64,
    /// Deliveries under way that are void: their acknowledgements are refused.
    pub voided: u64,
}

impl GroupQueue {
    /// What moving to `target` does at `now`, with `tail` the offset behind the queue's last message, and `gone` what
    /// retention has taken away.
    pub fn floor_move(&self, target: Target, tail: QueueOffset, gone: &RangeSet, now: TimeMs) -> FloorMove {
        let from = self.floor();
        let held = |below: u64| {
            let held = self.pending.range(..below);
            held.filter(|(_, pending)| pending.visible_at > now).count() as u64
        };
        match self.floor_of(target, tail) {
            to if goes_back(target, to, self.floor) => FloorMove {
                from,
                to: QueueOffset(gone.end_of(to).unwrap_or(to)),
                skipped: 0,
                // What is gone counts as done, and does not come again.
                repeated: self.floor - to + self.settled.len() - (gone.len() - gone.len_below(to)),
                voided: held(u64::MAX),
            },
            to => FloorMove {
                from,
                to: QueueOffset(self.settled.end_of(to).unwrap_or(to)),
                skipped: to - self.floor - self.settled.len_below(to),
                repeated: 0,
                voided: held(to),
            },
        }
    }

    /// Moves to `target`. Forward, what is done, in flight or waiting above keeps its place; back, and where it stays
    /// because an administrator asks for this very offset, everything from there on is fresh, and what was chosen before is
    /// chosen in vain.
    pub(in crate::state) fn set_floor(
        &mut self,
        target: Target,
        tail: QueueOffset,
        gone: &RangeSet,
        now: TimeMs,
    ) -> FloorMove {
        let done = self.floor_move(target, tail, gone, now);
        let to = self.floor_of(target, tail);
        let back = goes_back(target, to, self.floor);
        let end = if back { u64::MAX } else { to };
        let void: Vec<u64> = self.pending.range(..end).map(|(offset, _)| *offset).collect();
        void.into_iter().for_each(|offset| self.forget(offset));
        self.settled.remove_below(end);
        self.floor = to;
        if back {
            // Comes round after four billion moves: no choice is that old.
            self.standing.moves = self.standing.moves.wrapping_add(1);
        }
        self.begin_behind(gone);
        debug_assert_eq!(done.to, self.floor());
        done
    }

    fn floor_of(&self, target: Target, tail: QueueOffset) -> u64 {
        // The floor is never behind the last message.
        let tail = tail.0.max(self.floor);
        match target {
            Target::Offset(offset) => offset.0.min(tail),
            Target::Latest => tail,
            Target::Newest(count) => self.floor.max(tail.saturating_sub(count)),
        }
    }

    /// Makes the queue's group FIFO, or not. Only while nothing is pending: no message group is known then.
    pub(in crate::state) fn set_fifo(&mut self, fifo: bool) {
        debug_assert!(self.pending.is_empty(), "order changes under no message");
        self.standing.in_order = fifo;
    }
}

fn goes_back(target: Target, to: u64, floor: u64) -> bool {
    matches!(target, Target::Offset(_)) && to <= floor
}
