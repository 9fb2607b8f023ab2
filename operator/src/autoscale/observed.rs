//! What is the case when a decision is made.

use super::time::Time;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// What was read just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What the group has not done, or why that is not known.
    pub lag: Result<Lag, Missing>,
    /// The queues that can be read, over all topics and brokers; `None` where that is not known.
    pub queues: Option<NonZeroU32>,
    /// What is scaled.
    pub target: Target,
    /// Readings of the policy's guards with a threshold, by their names.
    pub guards: BTreeMap<String, GuardReading>,
    /// Messages done since whenever it was counted from; smaller than before where that began anew.
    pub consumed_total: Option<u64>,
    /// Messages that went to the dead-letter topic, counted alike.
    pub dead_letters_total: Option<u64>,
    /// What people have stopped.
    pub pauses: Pauses,
    /// Who else scales the target, such as `HorizontalPodAutoscaler orders`.
    pub conflict: Option<String>,
    /// Who else has written the target's replicas last, where that is known.
    pub writer: Option<ReplicasWriter>,
    /// What people have said last.
    pub said: Said,
}

/// What a group has not done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Messages that nobody holds.
    pub ready: u64,
    /// Messages that consumers hold, or that wait for a retry.
    pub inflight: u64,
    /// The single queues; none where they are not known.
    pub queues: Vec<QueueLag>,
    /// What is left out of it, for people, if that is known.
    pub left_out: Option<String>,
}

/// What a group has not done in one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLag {
    /// Which one, such as `orders/3`.
    pub queue: String,
    /// Messages that nobody holds.
    pub ready: u64,
    /// How many messages of it are done, where that is known. Not the floor alone: while one message below hinders that, the
    /// others go on, and more replicas do them sooner.
    pub done: Option<u64>,
}

/// Why a reading is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The kind.
    pub kind: MissingKind,
    /// A sentence for people, with the source's name.
    pub detail: String,
}

/// The kinds of missing readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingKind {
    /// The source did not answer, or refused.
    Unreachable,
    /// The source does not know the group.
    Empty,
    /// The answer is too old.
    Stale,
    /// The answer is no number of messages.
    NotANumber,
    /// The query cannot be answered as it is.
    Refused,
    /// The query has several values.
    Several,
    /// It is not said where to read.
    NotConfigured,
    /// What says how to read, such as a Secret, is not there.
    ReferenceNotFound,
    /// The broker does not answer.
    Broker,
}

/// What is scaled, as its `/scale` and its pods show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// How many replicas it is to have.
    pub replicas: u32,
    /// Pods that work.
    pub ready: u32,
    /// Pods that no node has taken for longer than that takes.
    pub pending: u32,
    /// Whether its pods are being exchanged.
    pub rolling_out: bool,
}

/// What a guard's query said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardReading {
    /// A value beyond the threshold, with the words for it, such as `91 is above 85`.
    Beyond(String),
    /// One that is not.
    Within,
    /// None, and why.
    Missing(String),
}

/// What people have stopped, by annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// Everything.
    pub all: bool,
    /// Taking replicas away.
    pub scale_in: bool,
    /// Adding them.
    pub scale_out: bool,
}

/// Who has written a target's replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicasWriter {
    /// What it calls itself, such as `argocd-controller`.
    pub name: String,
    /// By which operation: `Apply` or `Update`.
    pub operation: String,
    /// Through which subresource, if through one.
    pub subresource: Option<String>,
    /// When.
    pub at: Option<Time>,
}

/// What people have said of the group last. Whatever they say anew is an answer to what they were told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Counts the changes of what is wanted.
    pub generation: i64,
    /// By which somebody has asked for a look at once, if anybody has.
    pub asked: Option<String>,
}

impl Said {
    /// Tells whether this was said after that.
    pub(super) fn is_newer_than(&self, before: &Self) -> bool {
        self.generation != before.generation || (self.asked.is_some() && self.asked != before.asked)
    }
}
