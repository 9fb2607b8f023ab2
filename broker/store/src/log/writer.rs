//! The log thread's object: takes what is queued, writes it in groups, syncs, and hands it on.
//!
//! `durable ≤ written` throughout; a frame is given to the sink only when it is durable ([`Flush::Sync`]) or written
//! ([`Flush::Async`]). A group is written together with the durable slot of the group before it, so that one sync
//! makes both durable, and the slot never runs ahead of what it promises. A failed sync ends everything: no callback
//! of the group, or of any later one, is ever called.

mod gather;
mod write;

use super::LogPosition;
use super::error::{Fatal, LogError};
use super::frame::{FRAME_HEADER_BYTES, FrameKind, padded};
use super::given_up::GivenUp;
use super::group::{Group, Next, Owner, next_frame};
use super::late;
use super::meta::{MetaStore, Vote};
use super::op::{Entry, Op, Sink};
use super::options::Flush;
use super::segment::{DurableSlot, Segment};
use super::shared::Shared;
use bytes::Bytes;
use sluice_core::command::{Membership, Voter};
use sluice_core::ids::{LogIndex, PhysicalOffset, Term, TimeMs};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// After this much quiet the durable slot catches up with the log.
const QUIET: Duration = Duration::from_millis(50);

/// What a step did, and when the next one is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something was done; there may be more.
    Worked,
    /// Nothing is queued. The next step is due when something is, or at this time, as `step` counts it.
    Idle(Option<Duration>),
    /// The queue is closed and everything in it is durable.
    Stopped,
}

/// Writes the log. One thread calls [`LogWriter::step`]; so does a simulator.
pub struct LogWriter {
    pub(super) shared: Arc<Shared>,
    pub(super) meta: MetaStore,
    sink: Box<dyn Sink>,
    flush: Flush,
    /// Taken from the queue, not in a group yet.
    backlog: VecDeque<Op>,
    pub(super) active: Arc<Segment>,
    /// Where the next frame goes, its index, and the term of the last one.
    pub(super) tail: LogPosition,
    /// Everything below is durable.
    pub(super) durable: PhysicalOffset,
    /// The newest slot that is durable itself, and the one that will be with the next sync. A second slot is never
    /// begun before the first is durable: one of the two sectors always holds.
    pub(super) slot: DurableSlot,
    slot_pending: Option<DurableSlot>,
    last_write: Duration,
    last_sync: Duration,
    failed: Option<Fatal>,
    /// Segments that the log no longer has, whose files are still to be removed.
    pub(super) left_over: Vec<GivenUp>,
}

impl LogWriter {
    pub(super) fn new(
        shared: Arc<Shared>,
        meta: MetaStore,
        active: Arc<Segment>,
        tail: LogPosition,
        generation: u64,
        flush: Flush,
        sink: Box<dyn Sink>,
    ) -> Self {
        // Recovery has synced everything up to the tail and has said so in a slot.
        let slot = DurableSlot {
            offset: tail.physical,
            generation,
        };
        Self {
            shared,
            meta,
            sink,
            flush,
            backlog: VecDeque::new(),
            active,
            tail,
            durable: tail.physical,
            slot,
            slot_pending: None,
            last_write: Duration::ZERO,
            last_sync: Duration::ZERO,
            failed: None,
            left_over: Vec::new(),
        }
    }

    /// Begins a term as the only voter: raises it in meta, and appends `Membership` to a new log and then `Blank`. They
    /// are durable, and with the sink, when this returns. On a log that raft drives, raft does this. A log that has frames goes
    /// without a `Blank` where there is no room for it: a broker on a full disk must start, or it cannot be drained.
    pub fn lead(&mut self, time: TimeMs) -> Result<Term, LogError> {
        let term = Term(self.meta.meta().term.max(self.tail.term).0 + 1);
        let mut meta = self.meta.meta().clone();
        let node = meta.identity.node;
        meta.term = term;
        meta.vote = Some(Vote {
            term,
            node,
            committed: true,
        });
        let name = meta.identity.shard.clone();
        self.save_meta(meta)?;
        if self.tail.index == LogIndex(0) {
            let membership = Membership {
                voters: vec![Voter { node, name }],
            }
            .encode(time);
            let command = Bytes::copy_from_slice(membership.as_bytes());
            self.append_own(term, FrameKind::Membership, vec![command])?;
        }
        match self.append_own(term, FrameKind::Blank, Vec::new()) {
            // The only voter commits what it writes: the term holds by meta, and the first frame that finds room carries it.
            Err(error) if error.is_no_space() => {
                error.blame(&self.shared.inbox.space().blame);
                tracing::warn!(%error, %term, "the log begins this term without a frame, and takes what there is room for");
            }
            begun => begun?,
        }
        Ok(term)
    }

    fn append_own(&mut self, term: Term, kind: FrameKind, commands: Vec<Bytes>) -> Result<(), LogError> {
        let entry = Entry {
            term,
            index: self.tail.index,
            kind,
            commands,
        };
        let len = padded(FRAME_HEADER_BYTES + entry.bytes());
        if !self.fits(self.tail.physical, len) {
            self.roll(self.tail.index)?;
        }
        let mut group = Group::new(self.tail.physical, len);
        group.add_entry(&self.shared, &entry, Owner::Proposers(Vec::new()));
        let before = self.tail.index;
        self.write_group(group, self.last_write)?;
        self.sync()?;
        if self.tail.index == before {
            Err(LogError::NoSpace)
        } else {
            Ok(())
        }
    }

    /// Does the next thing there is to do. `now` is the time since any fixed moment; it decides when to sync while idle
    /// and, with [`Flush::Async`], between groups. After an error every later step answers it again.
    pub fn step(&mut self, now: Duration) -> Result<Progress, Fatal> {
        if let Some(fatal) = &self.failed {
            return Err(fatal.clone());
        }
        let progress = self.advance(now);
        if let Err(fatal) = &progress {
            tracing::error!(%fatal, "the log fails");
            self.failed = Some(fatal.clone());
            self.shared.positions.set_failed();
            self.shared.inbox.close();
        }
        progress
    }

    fn advance(&mut self, now: Duration) -> Result<Progress, Fatal> {
        if let Some(fatal) = self.shared.poison.lock().clone() {
            return Err(fatal);
        }
        let closed = self.backlog.is_empty() && self.shared.inbox.take(&mut self.backlog);
        late::refuse(&self.shared, &mut self.backlog);
        match next_frame(&self.backlog, self.shared.limits.batch_bytes) {
            Next::Frame { .. } => {
                if let Some(group) = self.gather()? {
                    self.write_group(group, now)?;
                    self.call_for_zeros();
                }
                Ok(Progress::Worked)
            }
            Next::Control => {
                if let Some(Op::Control { control, done }) = self.backlog.pop_front() {
                    self.last_sync = now;
                    self.sync()?;
                    self.control(control, done)?;
                }
                Ok(Progress::Worked)
            }
            Next::Nothing => self.idle(now, closed),
        }
    }

    /// Nothing to write: catch up on what was put off.
    fn idle(&mut self, now: Duration, closed: bool) -> Result<Progress, Fatal> {
        let written = self.tail.physical;
        if self.durable < written {
            let due = match self.flush {
                Flush::Sync => now,
                Flush::Async { every, .. } => self.last_sync + every,
            };
            if now < due && !closed {
                return Ok(Progress::Idle(Some(due)));
            }
            self.last_sync = now;
            self.sync()?;
            return Ok(Progress::Worked);
        }
        if self.slot.offset < self.durable {
            let due = self.last_write + QUIET;
            if now < due && !closed {
                return Ok(Progress::Idle(Some(due)));
            }
            self.last_write = now;
            if self.write_slot()? {
                self.sync()?;
                return Ok(Progress::Worked);
            }
        }
        Ok(if closed {
            Progress::Stopped
        } else {
            Progress::Idle(None)
        })
    }

    /// Whether a frame fits the active segment at `at`: the roll rule. It depends on nothing but length and offset, so
    /// that every replica rolls at the same frame.
    fn fits(&self, at: PhysicalOffset, len: usize) -> bool {
        at.0 + len as u64 <= self.active.limit().0
    }

    /// Wakes the helper when the zero-filled part runs short or the next segment should be prepared.
    fn call_for_zeros(&self) {
        if super::prefill::is_called(&self.shared, &self.active, self.tail.physical) {
            self.shared.prefill.ring();
        }
    }

    /// Where the next frame goes.
    pub fn tail(&self) -> LogPosition {
        self.tail
    }
}
