//! What stands in the queue before the log, and what comes out behind it.

use super::LogId;
use super::error::LogError;
use super::frame::{Frame, FrameKind};
use super::meta::Vote;
use bytes::Bytes;
use sluice_core::ids::{LogIndex, Term};
use sluice_core::log::{Batch, Completion};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

/// A proposer who waits for the answers to its commands.
pub struct Waiting {
    /// How many of the frame's commands are its own; proposers stand in the order of their commands.
    pub commands: usize,
    /// To be called once, with the outcome of these commands.
    pub done: Completion,
}

/// A group of frames that may be applied, in order. Frames that nobody here proposed have no proposers.
pub struct Committed {
    /// The frames, each with the proposers of its commands.
    pub frames: Vec<(Frame, Vec<Waiting>)>,
}

/// Takes committed frames off the log thread. May block: the log then waits, and the queue before it fills up.
pub trait Sink: Send {
    /// Takes the next group.
    fn committed(&mut self, group: Committed);
}

impl<F: FnMut(Committed) + Send> Sink for F {
    fn committed(&mut self, group: Committed) {
        self(group);
    }
}

/// A bounded channel to the applier. When the applier is gone, what it would have answered stays unanswered.
pub struct ChannelSink(pub SyncSender<Committed>);

impl Sink for ChannelSink {
    fn committed(&mut self, group: Committed) {
        if self.0.send(group).is_err() {
            tracing::warn!("the applier has stopped before the log");
        }
    }
}

/// A frame's content without its place in the files: how replication hands frames on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The leader's term.
    pub term: Term,
    /// The frame's number.
    pub index: LogIndex,
    /// What it is for.
    pub kind: FrameKind,
    /// Whole commands, each with its header.
    pub commands: Vec<Bytes>,
}

impl Entry {
    /// The entry's identity.
    pub fn id(&self) -> LogId {
        LogId {
            term: self.term,
            index: self.index,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.commands.iter().map(Bytes::len).sum()
    }
}

impl From<&Frame> for Entry {
    fn from(frame: &Frame) -> Self {
        let header = frame.header();
        let commands = frame.commands().map(|(_, _, command)| command).collect();
        Self {
            term: header.term,
            index: header.index,
            kind: header.kind,
            commands,
        }
    }
}

/// Called once when an operation is durable, or surely is not. Not called when the log fails: the process ends.
pub type Flushed = Box<dyn FnOnce(Result<(), LogError>) + Send>;

/// One thing for the log thread to do.
pub(super) enum Op {
    /// Commands of one proposer, who waits `since` then: `bytes` is their sum.
    Propose {
        batch: Batch,
        bytes: usize,
        since: Instant,
        done: Completion,
    },
    /// One entry of a raft append; the last one of the append carries the callback.
    Append {
        entry: Arc<Entry>,
        done: Option<Flushed>,
    },
    /// Something that is not an append.
    Control { control: Control, done: Flushed },
}

pub(super) enum Control {
    Vote(Vote),
    /// Takes back the entries from this index on.
    Truncate(LogIndex),
    /// Forgets the entries up to this one.
    Purge(LogId),
}
