//! Which message of a queue waits longest for somebody to take it.

use super::GroupQueue;
use crate::ids::{QueueOffset, TimeMs};

impl GroupQueue {
    /// The first message that is ready, with `tail` the offset behind the queue's last message: one never delivered, or
    /// one whose delivery has run out. Looks at no more than what is settled and pending above the floor.
    pub fn first_ready(&self, tail: QueueOffset, now: TimeMs) -> Option<QueueOffset> {
        let mut pending = self.pending.iter().peekable();
        let mut settled = self.settled.iter().peekable();
        let mut at = self.floor;
        while at < tail.0 {
            if let Some((offset, held)) = pending.next_if(|(offset, _)| **offset == at) {
                if held.visible_at <= now {
                    return Some(QueueOffset(*offset));
                }
                at += 1;
            } else if let Some((_, end)) = settled.next_if(|(start, _)| *start == at) {
                at = end;
            } else {
                // Neither settled nor pending: it was never delivered.
                return Some(QueueOffset(at));
            }
        }
        None
    }
}
