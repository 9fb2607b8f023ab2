//! Groups: the frames that go to the disk with one write and one sync.

use super::error::LogError;
use super::frame::{FRAME_HEADER_BYTES, Frame, FrameBuilder, FrameHeader, FrameKind, padded};
use super::inbox::Load;
use super::op::{Entry, Flushed, Op, Waiting};
use super::options::GROUP_BYTES;
use super::shared::Shared;
use bytes::Bytes;
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use sluice_core::limits::BATCH_COMMANDS_MAX;
use sluice_core::log::{Completion, Outcome};
use std::collections::VecDeque;

/// Tells that a proposal surely is not in the log, since the system gives it nothing.
pub(super) fn refuse_proposal(shared: &Shared, done: Completion) {
    let why = shared.inbox.space().blame.not_proposed();
    shared.inbox.stats().count_refusal(&why);
    done(Outcome::NotProposed(why));
}

/// Whom a frame's fate is told.
pub(super) enum Owner {
    /// Proposers on this node; empty for a frame that the log made itself. The frame is handed to the sink.
    Proposers(Vec<Waiting>),
    /// Raft, which commits by itself.
    Raft(Option<Flushed>),
}

impl Owner {
    /// Tells that the frame is not in the log and never will be.
    pub(super) fn refuse(self, shared: &Shared) {
        match self {
            Self::Proposers(waiting) => {
                waiting
                    .into_iter()
                    .for_each(|one| refuse_proposal(shared, one.done));
            }
            Self::Raft(Some(done)) => done(Err(LogError::NoSpace)),
            Self::Raft(None) => {}
        }
    }
}

/// Frames that stand one after another in one buffer and in one segment.
pub(super) struct Group {
    pub(super) start: PhysicalOffset,
    pub(super) buffer: Vec<u8>,
    pub(super) frames: Vec<(FrameHeader, Owner)>,
    /// What the group took out of the queue's bounds.
    pub(super) load: Load,
}

/// What the backlog begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The next `ops` operations make one frame of `len` bytes, its padding included.
    Frame { ops: usize, len: usize },
    /// Something that is done on its own.
    Control,
    /// Nothing.
    Nothing,
}

/// Looks at the front of the backlog: which operations share the next frame.
pub(super) fn next_frame(backlog: &VecDeque<Op>, batch_bytes: usize) -> Next {
    let (mut ops, mut bytes, mut commands) = (0, 0, 0);
    for op in backlog {
        match op {
            Op::Propose {
                batch, bytes: more, ..
            } => {
                // One proposer's batch stays whole, also when it alone is larger than a shared frame may be.
                let fits = bytes + more <= batch_bytes && commands + batch.len() <= BATCH_COMMANDS_MAX;
                if ops > 0 && !fits {
                    break;
                }
                ops += 1;
                bytes += more;
                commands += batch.len();
            }
            Op::Append { entry, .. } if ops == 0 => {
                return Next::Frame {
                    ops: 1,
                    len: padded(FRAME_HEADER_BYTES + entry.bytes()),
                };
            }
            Op::Control { .. } if ops == 0 => return Next::Control,
            Op::Append { .. } | Op::Control { .. } => break,
        }
    }
    if ops == 0 {
        Next::Nothing
    } else {
        Next::Frame {
            ops,
            len: padded(FRAME_HEADER_BYTES + bytes),
        }
    }
}

impl Group {
    /// An empty group for frames from `start` on. `expected` bytes of commands wait.
    pub(super) fn new(start: PhysicalOffset, expected: usize) -> Self {
        let room = expected.min(GROUP_BYTES);
        let buffer = Vec::with_capacity(room + room / 16 + 256);
        Self {
            start,
            buffer,
            frames: Vec::new(),
            load: Load::default(),
        }
    }

    pub(super) fn end(&self) -> PhysicalOffset {
        PhysicalOffset(self.start.0 + self.buffer.len() as u64)
    }

    /// Whether a frame of `len` bytes still belongs into this group.
    pub(super) fn takes(&self, len: usize) -> bool {
        self.buffer.is_empty() || self.buffer.len() + len <= GROUP_BYTES
    }

    /// Whether raft owns a frame of it; raft's frames are always synced.
    pub(super) fn has_entries(&self) -> bool {
        self.frames
            .iter()
            .any(|(_, owner)| matches!(owner, Owner::Raft(_)))
    }

    /// Adds one frame of the proposals at the front of the backlog.
    pub(super) fn add_proposals(
        &mut self,
        shared: &Shared,
        term: Term,
        index: LogIndex,
        proposals: impl Iterator<Item = Op>,
    ) {
        let at = self.end();
        let mut builder = FrameBuilder::begin(
            &mut self.buffer,
            shared.seed,
            at,
            term,
            index,
            FrameKind::Commands,
        );
        let mut waiting = Vec::with_capacity(proposals.size_hint().0);
        for op in proposals {
            if let Op::Propose {
                batch, bytes, done, ..
            } = op
            {
                batch.iter().for_each(|command| builder.push(command.as_bytes()));
                self.load.bytes += bytes;
                self.load.commands += batch.len();
                waiting.push(Waiting {
                    commands: batch.len(),
                    done,
                });
            }
        }
        let header = builder.finish();
        self.frames.push((header, Owner::Proposers(waiting)));
    }

    /// Adds one frame of an entry.
    pub(super) fn add_entry(&mut self, shared: &Shared, entry: &Entry, owner: Owner) {
        let at = self.end();
        let mut builder = FrameBuilder::begin(
            &mut self.buffer,
            shared.seed,
            at,
            entry.term,
            entry.index,
            entry.kind,
        );
        entry.commands.iter().for_each(|command| builder.push(command));
        let header = builder.finish();
        self.frames.push((header, owner));
    }

    /// The frames, sharing the group's buffer.
    pub(super) fn into_frames(self) -> impl Iterator<Item = (Frame, Owner)> {
        let bytes = Bytes::from(self.buffer);
        let start = self.start.0;
        self.frames.into_iter().map(move |(header, owner)| {
            let at = (header.physical.0 - start) as usize;
            (
                Frame::built(header, bytes.slice(at..at + header.len as usize)),
                owner,
            )
        })
    }
}
