//! How much one receive may propose over all its queues: one batch of the log carries it, or the log refuses all of it. And
//! how much it may bring, which the broker holds until it is read.

use super::select::Plan;
use crate::command::{DeadLetter, Deliver};
use crate::limits;

/// What one receive may choose yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    messages: usize,
    commands: usize,
    bytes: usize,
    messages_bytes: usize,
}

impl Room {
    /// Room for this many messages to hand out, in one batch of at most `batch_bytes`.
    pub fn new(messages: usize, batch_bytes: usize) -> Self {
        Self {
            messages,
            commands: limits::BATCH_COMMANDS_MAX,
            bytes: batch_bytes.min(limits::BATCH_BYTES_MAX),
            messages_bytes: limits::RECEIVE_BYTES_MAX,
        }
    }

    /// Whether one more queue can add anything.
    pub fn is_left(&self) -> bool {
        self.holds_more_than(&Plan::default())
    }

    /// Less what `plan` fills.
    pub fn without(self, plan: &Plan) -> Self {
        let load = Load::of(plan);
        Self {
            messages: self.messages.saturating_sub(plan.offers.len()),
            commands: self.commands.saturating_sub(load.commands),
            bytes: self.bytes.saturating_sub(load.bytes),
            messages_bytes: self.messages_bytes.saturating_sub(messages_bytes(plan)),
        }
    }

    /// Whether `plan` and one thing more fit.
    pub(super) fn holds_more_than(&self, plan: &Plan) -> bool {
        let load = Load::of(plan);
        // A queue that adds nothing yet adds its delivery with its first thing.
        let first = if plan.is_empty() {
            Load::DELIVER
        } else {
            Load::default()
        };
        // A dead letter is the largest thing that can follow.
        plan.offers.len() < self.messages
            && messages_bytes(plan) < self.messages_bytes
            && load.commands + first.commands < self.commands
            && load.bytes + first.bytes + DeadLetter::BYTES_MAX <= self.bytes
    }
}

/// What the messages to hand out take in the log.
fn messages_bytes(plan: &Plan) -> usize {
    plan.offers.iter().map(|offer| offer.entry.size as usize).sum()
}

/// At most this much is what a plan's commands come to.
#[derive(Clone, Copy, Default)]
struct Load {
    commands: usize,
    bytes: usize,
}

impl Load {
    const DELIVER: Self = Self {
        commands: 1,
        bytes: Deliver::BYTES_MAX,
    };

    fn of(plan: &Plan) -> Self {
        if plan.is_empty() {
            return Self::default();
        }
        let items = plan.offers.len() * Deliver::TAKEN_BYTES_MAX
            + plan.skipped.len() * Deliver::SKIPPED_BYTES_MAX
            + plan.dead.len() * DeadLetter::BYTES_MAX;
        Self {
            commands: Self::DELIVER.commands + plan.dead.len(),
            bytes: Self::DELIVER.bytes + items,
        }
    }
}
