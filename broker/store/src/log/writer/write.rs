//! A group goes to the file and the disk, and then to whoever waits for it.

use super::LogWriter;
use crate::io::is_no_space;
use crate::log::error::Fatal;
use crate::log::frame::Frame;
use crate::log::group::{Group, Owner};
use crate::log::op::Committed;
use crate::log::options::Flush;
use crate::log::segment::DurableSlot;
use crate::log::{LogId, LogPosition};
use sluice_core::ids::{LogIndex, PhysicalOffset};
use std::time::{Duration, Instant};

impl LogWriter {
    /// Writes a group and the slot of the one before, syncs, and hands the frames on.
    pub(super) fn write_group(&mut self, group: Group, now: Duration) -> Result<(), Fatal> {
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
    pub(super) fn write_slot(&mut self) -> Result<bool, Fatal> {
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
    pub(in crate::log) fn sync(&mut self) -> Result<(), Fatal> {
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
}
