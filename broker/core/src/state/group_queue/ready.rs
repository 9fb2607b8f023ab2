//! Which message of a queue waits longest for somebody to take it.

use super::GroupQueue;
use crate::ids::{QueueOffset, TimeMs};

impl GroupQueue {
    /// The first message that is ready, with `tail` the offset behind the queue's last message: one never delivered, or
    /// one whose delivery has run out. Looks at no more than what is settled and pending above the floor.
    pub fn first_ready(&self, tail: QueueOffset, now: TimeMs) -> Option<QueueOffset> {
        self.first_ready_from(QueueOffset(0), tail, now)
    }

    /// The same of the messages from `from` on.
    pub fn first_ready_from(&self, from: QueueOffset, tail: QueueOffset, now: TimeMs) -> Option<QueueOffset> {
        let mut at = self.floor.max(from.0);
        let mut pending = self.pending.range(at..).peekable();
        let mut settled = self
            .settled
            .iter()
            .skip_while(|(_, end)| *end <= from.0)
            .peekable();
        while at < tail.0 {
            if let Some((offset, held)) = pending.next_if(|(offset, _)| **offset == at) {
                if held.visible_at <= now {
                    return Some(QueueOffset(*offset));
                }
                at += 1;
            } else if let Some((_, end)) = settled.next_if(|(start, _)| *start <= at) {
                at = end;
            } else {
                // Neither settled nor pending: it was never delivered.
                return Some(QueueOffset(at));
            }
        }
        None
    }
    /// All that is ready, as ranges `(start, end)` in order that do not touch; `tail` is the offset behind the queue's last
    /// message.
    pub fn ready_ranges(&self, tail: QueueOffset, now: TimeMs) -> Vec<(u64, u64)> {
        let held = self.pending.iter().filter(|(_, held)| held.visible_at > now);
        let mut held = held.map(|(offset, _)| (*offset, offset + 1)).peekable();
        let mut settled = self.settled.iter().peekable();
        let mut ranges = Vec::new();
        let mut at = self.floor;
        while at < tail.0 {
            let next_held = held.peek().map_or(u64::MAX, |(start, _)| *start);
            let next_settled = settled.peek().map_or(u64::MAX, |(start, _)| *start);
            let (start, end) = match next_held < next_settled {
                true => held.next(),
                false => settled.next(),
            }
            .unwrap_or((u64::MAX, u64::MAX));
            if at < start.min(tail.0) {
                ranges.push((at, start.min(tail.0)));
            }
            at = end;
        }
        ranges
    }

    /// The first message that is held at `now`.
    pub fn first_held(&self, now: TimeMs) -> Option<QueueOffset> {
        let mut pending = self.pending.iter();
        let held = pending.find(|(_, held)| held.visible_at > now);
        held.map(|(offset, _)| QueueOffset(*offset))
    }
}
