//! The one way to change state: propose commands to the log, and learn what applying them answered.

use crate::command::EncodedCommand;
use crate::state::Applied;
use smallvec::SmallVec;
use std::time::Duration;
use thiserror::Error;

/// Commands that are proposed together and answered together, in order.
pub type Batch = SmallVec<[EncodedCommand; 1]>;
/// What applying a batch answered, one result a command, in order.
pub type Results = SmallVec<[Applied; 1]>;

/// Why a batch surely is not in the log and never will be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotProposed {
    /// The queue before the log is full; try again after a moment.
    #[error("too many commands wait for the log: try again after a moment")]
    Busy,
    /// The messages waited for the log for as long as they may: it is given more than it can write.
    #[error("the messages waited {max:?} for the log, and no longer than that: try again after a moment")]
    Late {
        /// How long messages may wait.
        max: Duration,
    },
    /// The command does not fit a segment.
    #[error("a command of {size} bytes does not fit the log: at most {max} bytes fit")]
    TooLarge {
        /// The command's bytes.
        size: usize,
        /// The most that fits.
        max: usize,
    },
    /// The disk is full.
    #[error("the disk of the log is full: free space or lower the retention")]
    NoSpace,
    /// The system does not let the process make files in the log's folder, or write them.
    #[error("the log's folder is closed to the process: put its mode, owner and attributes right")]
    NotPermitted,
    /// The process, or the system, has as many files open as it may.
    #[error("the log can open no more files: let the process open more, or close some")]
    NoDescriptors,
    /// The disk is fuller than it may be for messages; everything else is taken.
    #[error(
        "the disk of the log is fuller than messages may make it: free space, lower the retention, or raise the mark"
    )]
    NearlyFull,
    /// The broker is stopping.
    #[error("the broker is stopping")]
    Stopping,
}

/// How a proposal ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In the log as durably as the flush mode promises, and applied.
    Applied(Results),
    /// Surely not in the log.
    NotProposed(NotProposed),
    /// This node does not lead; the leader's address where known.
    NotLeader(Option<String>),
    /// Nobody knows: it may be in the log, or come to be. Never acknowledge it; the client retries.
    Unknown,
}

/// Called once with the outcome, on the applying thread: it must be short and must not block.
pub type Completion = Box<dyn FnOnce(Outcome) + Send>;

/// An ordered, durable log whose commands are applied in order.
///
/// Batches proposed one after another by one thread are applied in that order when both are applied.
pub trait ReplicatedLog: Send + Sync {
    /// Proposes `batch` and calls `done` once. Never blocks on IO.
    fn propose(&self, batch: Batch, done: Completion);
}
