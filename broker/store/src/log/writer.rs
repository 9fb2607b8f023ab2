//! The log thread's object: takes what is queued, writes it in groups, syncs, and hands it on.
//!
//! `durable ≤ written` throughout; a frame is given to the sink only when it is durable ([`Flush::Sync`]) or written
//! ([`Flush::Async`]). A group is written together with the durable slot of the group before it, so that one sync
//! makes both durable, and the slot never runs ahead of what it promises. A failed sync ends everything: no callback
//! of the group, or of any later one, is ever called.

use super::error::{Fatal, LogError};
use super::frame::{FRAME_HEADER_BYTES, Frame, FrameKind, padded};
use super::group::{Group, Next, Owner, next_frame};
use super::inbox::Load;
use super::late;
use super::meta::{MetaStore, Vote};
use super::op::{Committed, Entry, Op, Sink};
use super::options::Flush;
use super::segment::{DurableSlot, Segment};
use super::shared::Shared;
use super::{LogId, LogPosition};
use crate::io::is_no_space;
use bytes::Bytes;
use sluice_core::command::{Membership, Voter};
use sluice_core::ids::{LogIndex, PhysicalOffset, Term, TimeMs};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// Files of segments that the log no longer has, still to be removed.
    pub(super) left_over: Vec<PathBuf>,
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
    /// are durable, and with the sink, when this returns. On a log that raft drives, raft does this.
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
        self.append_own(term, FrameKind::Blank, Vec::new())?;
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
            return if self.write_slot()? {
                self.sync()?;
                Ok(Progress::Worked)
            } else {
                Ok(if closed {
                    Progress::Stopped
                } else {
                    Progress::Idle(None)
                })
            };
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

    /// Makes the next group of what is queued. `None` when what stood first was refused.
    fn gather(&mut self) -> Result<Option<Group>, Fatal> {
        let mut group = Group::new(self.tail.physical, self.shared.inbox.bytes());
        let mut tail = self.tail;
        while let Next::Frame { ops, len } = next_frame(&self.backlog, self.shared.limits.batch_bytes) {
            if !group.takes(len) {
                break;
            }
            if !self.fits(group.end(), len) {
                if !group.frames.is_empty() {
                    break;
                }
                if !self.roll_or_refuse(tail.index, ops)? {
                    return Ok(None);
                }
                group.start = self.tail.physical;
            }
            if matches!(self.backlog.front(), Some(Op::Append { .. })) {
                if !self.add_entry(&mut group, &mut tail)? {
                    break;
                }
            } else {
                let term = self.meta.meta().term;
                debug_assert!(tail.term <= term, "a proposal in an old term");
                group.add_proposals(&self.shared, term, tail.index, self.backlog.drain(..ops));
                tail.term = term;
                tail.index.0 += 1;
            }
        }
        Ok((!group.frames.is_empty()).then_some(group))
    }

    /// Adds the raft entry at the front, or refuses it if it does not continue the log. False: the group ends here.
    fn add_entry(&mut self, group: &mut Group, tail: &mut LogPosition) -> Result<bool, Fatal> {
        let Some(Op::Append { entry, done }) = self.backlog.pop_front() else {
            return Ok(false);
        };
        let result = self.order_of(&entry, tail, group.frames.is_empty());
        let result = match result {
            Ok(true) => self.restart_at(entry.index).map(|()| {
                group.start = self.tail.physical;
                tail.index = entry.index;
            }),
            Ok(false) => Ok(()),
            Err(refusal) => Err(refusal),
        };
        match result {
            Ok(()) => {
                group.add_entry(&self.shared, &entry, Owner::Raft(done));
                tail.index.0 += 1;
                tail.term = entry.term;
                Ok(true)
            }
            Err(LogError::Fatal(fatal)) => Err(fatal),
            Err(refusal) => {
                self.shared.forget_pending(&[entry.index]);
                if let Some(done) = done {
                    done(Err(refusal));
                }
                Ok(false)
            }
        }
    }

    /// Rolls, or refuses the first `ops` operations when there is no space for a new segment.
    fn roll_or_refuse(&mut self, base_index: LogIndex, ops: usize) -> Result<bool, Fatal> {
        match self.roll(base_index) {
            Ok(()) => Ok(true),
            Err(error) if error.is_no_space() => {
                let blame = &self.shared.inbox.space().blame;
                error.blame(blame);
                let why = blame.not_proposed();
                self.shared.inbox.space().tell(&error);
                for op in self.backlog.drain(..ops) {
                    match op {
                        Op::Propose {
                            batch, bytes, done, ..
                        } => {
                            let commands = batch.len();
                            let load = Load { bytes, commands };
                            self.shared.inbox.give_back(load, done, why.clone());
                        }
                        Op::Append { entry, done } => {
                            self.shared.forget_pending(&[entry.index]);
                            Owner::Raft(done).refuse(&self.shared);
                        }
                        Op::Control { .. } => debug_assert!(false, "frames are made of appends"),
                    }
                }
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a group and the slot of the one before, syncs, and hands the frames on.
    fn write_group(&mut self, group: Group, now: Duration) -> Result<(), Fatal> {
        debug_assert_eq!(group.start, self.tail.physical);
        let (start, end) = (group.start, group.end());
        self.active.claim(end);
        self.write_slot()?;
        if !self.write_frames(&group.buffer, start)? {
            self.refuse(group);
            return Ok(());
        }
        self.last_write = now;
        let load = group.load;
        let entries = group.has_entries();
        let stats = self.shared.inbox.stats();
        stats.group_bytes.observe(end.0 - start.0);
        let frames: Vec<_> = group.into_frames().collect();
        frames
            .iter()
            .for_each(|(frame, _)| stats.frame_commands.observe(frame.header().count.into()));
        self.note_written(&frames, end, entries);
        self.shared.inbox.release(load);
        let due = match self.flush {
            Flush::Sync => true,
            Flush::Async { every, bytes } => end.0 - self.durable.0 >= bytes || now >= self.last_sync + every,
        };
        if due || entries {
            self.last_sync = now;
            self.sync()?;
        }
        self.hand_on(frames);
        Ok(())
    }

    /// The group's bytes are in the file: readers may see its frames.
    fn note_written(&mut self, frames: &[(Frame, Owner)], end: PhysicalOffset, entries: bool) {
        self.shared
            .ring
            .push(frames.iter().map(|(frame, _)| frame.clone()));
        {
            let mut sparse = self.active.sparse.lock();
            frames
                .iter()
                .for_each(|(frame, _)| sparse.note(frame.index(), frame.start()));
        }
        if let Some((last, _)) = frames.last() {
            let header = last.header();
            self.tail = LogPosition {
                physical: end,
                index: LogIndex(header.index.0 + 1),
                term: header.term,
            };
            *self.shared.last.lock() = Some(LogId {
                term: header.term,
                index: header.index,
            });
        }
        self.shared.positions.set_written(end);
        if entries {
            let next = self.tail.index;
            self.shared.pending.lock().retain(|entry| entry.index >= next);
        }
    }

    fn hand_on(&mut self, frames: Vec<(Frame, Owner)>) {
        let mut committed = Committed {
            frames: Vec::with_capacity(frames.len()),
        };
        let mut next = None;
        for (frame, owner) in frames {
            match owner {
                Owner::Proposers(waiting) => {
                    next = Some(LogIndex(frame.index().0 + 1));
                    committed.frames.push((frame, waiting));
                }
                Owner::Raft(Some(done)) => done(Ok(())),
                Owner::Raft(None) => {}
            }
        }
        if let Some(next) = next {
            // Before the sink has them, so that applied never overtakes committed.
            self.shared.positions.set_committed(next);
            self.sink.committed(committed);
        }
    }

    fn refuse(&mut self, group: Group) {
        self.shared.inbox.release(group.load);
        if group.has_entries() {
            let refused: Vec<LogIndex> = group.frames.iter().map(|(header, _)| header.index).collect();
            self.shared.forget_pending(&refused);
        }
        let frames = group.frames.into_iter();
        frames.for_each(|(_, owner)| owner.refuse(&self.shared));
    }

    /// Writes a slot if more is durable than the last one says; it counts after the next sync. False when the disk is
    /// full: the slot before still counts.
    fn write_slot(&mut self) -> Result<bool, Fatal> {
        debug_assert!(self.durable >= self.active.base());
        let said = self.slot_pending.unwrap_or(self.slot);
        if said.offset >= self.durable {
            return Ok(true);
        }
        let slot = DurableSlot {
            offset: self.durable,
            generation: self.slot.generation + 1,
        };
        match self.active.write_slot(slot) {
            Ok(()) => {
                self.slot_pending = Some(slot);
                Ok(true)
            }
            Err(error) if is_no_space(&error) => Ok(false),
            Err(error) => Err(Fatal::new("write the durable slot of", &self.active.path)(error)),
        }
    }

    /// Makes everything written durable, slot and frames.
    pub(super) fn sync(&mut self) -> Result<(), Fatal> {
        if self.durable == self.tail.physical && self.slot_pending.is_none() {
            return Ok(());
        }
        let begun = Instant::now();
        self.active.sync()?;
        let stats = self.shared.inbox.stats();
        stats.sync_micros.observe_micros(begun.elapsed());
        if let Some(slot) = self.slot_pending.take() {
            self.slot = slot;
        }
        self.durable = self.tail.physical;
        self.shared.positions.set_durable(self.durable);
        self.shared.ring.evict(self.durable);
        Ok(())
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
