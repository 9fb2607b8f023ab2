//! What the log thread does besides appending: rolls, votes, truncations, purges. Everything before is durable when one begins.

use super::error::{Fatal, LogError};
use super::given_up::GivenUp;
use super::meta::Meta;
use super::op::{Control, Entry, Flushed};
use super::reader::LogReader;
use super::recycle;
use super::segment::{self, DurableSlot, Segment, SegmentHeader};
use super::writer::LogWriter;
use super::{LogId, LogPosition};
use crate::io::write_all_at;
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::sync::Arc;

/// Zeros written at a time.
const ZEROS: usize = 256 << 10;

impl LogWriter {
    /// Seals the active segment and gives birth to the next one, whose first frame has `base_index`; both meta files note it, so that
    /// a start knows if it is lost, also with one of them. On [`LogError::is_no_space`] nothing has changed.
    pub(super) fn roll(&mut self, base_index: LogIndex) -> Result<(), LogError> {
        self.sync()?;
        let header = SegmentHeader {
            base: self.tail.physical,
            base_index,
            ..self.active.header
        };
        let generation = self.slot.generation + 1;
        let next = self.next_segment(header, generation)?;
        let noted = self.note_newest(header.base);
        let is_noted = self.meta.meta().newest_segment == header.base;
        if let Err(error) = &noted
            && !is_noted
            && !matches!(error, LogError::Fatal(_))
        {
            segment::take_back(self.shared.io.as_ref(), &self.shared.log_dir, &next.path)?;
        }
        noted?;
        self.slot = DurableSlot {
            offset: header.base,
            generation,
        };
        self.active.seal(self.tail.physical);
        super::reader::save_sparse(&self.shared, &self.active);
        self.shared
            .change_segments(|segments| segments.push(next.clone()));
        self.active = next;
        self.shared.prefill.ring();
        Ok(())
    }

    fn next_segment(&self, header: SegmentHeader, generation: u64) -> Result<Arc<Segment>, LogError> {
        let shared = &self.shared;
        let _name = shared.spare_name.lock();
        let spare = shared.spare.lock().take();
        segment::create(shared.io.as_ref(), &shared.log_dir, header, generation, spare)
    }

    /// Whether an entry may come next: `Ok(true)` if the log, being empty, must first be made to go on at its index.
    pub(super) fn order_of(&self, entry: &Entry, tail: &LogPosition, first: bool) -> Result<bool, LogError> {
        let (index, term) = (entry.index, entry.term);
        let refuse = |reason| Err(LogError::OutOfOrder { index, term, reason });
        if term < tail.term {
            return refuse("its term is lower than the last entry's");
        }
        let (start, _) = self.shared.first();
        if index == tail.index && index >= start {
            return Ok(false);
        }
        let empty = first && start >= tail.index;
        if empty && index >= start {
            Ok(true)
        } else {
            refuse("its index is not the next one")
        }
    }

    /// Makes an empty log go on at `index`.
    pub(super) fn restart_at(&mut self, index: LogIndex) -> Result<(), LogError> {
        if self.tail.physical == self.active.base() {
            // A segment without frames: its header, one sector, is written anew.
            let header = SegmentHeader {
                base_index: index,
                ..self.active.header
            };
            let path = self.active.path.clone();
            write_all_at(self.active.file.as_ref(), &header.encode(), 0)
                .map_err(LogError::io("write the header of", &path))?;
            self.active.sync()?;
            let file = self.active.file.clone();
            let again = Arc::new(Segment::new(header, path, file, self.active.zeroed()));
            self.shared.change_segments(|segments| {
                segments.pop();
                segments.push(again.clone());
            });
            self.active = again;
        } else {
            self.roll(index)?;
            self.remove_below(index)?;
        }
        self.shared.ring.clear();
        self.tail.index = index;
        Ok(())
    }

    pub(super) fn control(&mut self, control: Control, done: Flushed) -> Result<(), Fatal> {
        let result = match control {
            Control::Vote(vote) => {
                let mut meta = self.meta.meta().clone();
                meta.term = meta.term.max(vote.term);
                meta.vote = Some(vote);
                self.save_meta(meta)
            }
            Control::Truncate(from) => self.truncate(from),
            Control::Purge(upto) => self.purge(upto),
        };
        match result {
            Err(LogError::Fatal(fatal)) => return Err(fatal),
            Err(LogError::Io { doing, path, source }) if !crate::io::is_no_space(&source) => {
                return Err(Fatal::new(doing, &path)(source));
            }
            Err(error) if error.is_no_space() => done(Err(LogError::NoSpace)),
            other => done(other),
        }
        Ok(())
    }

    /// Saves, and lets readers see it. Every save notes the newest segment: a build from before the note may have begun it.
    pub(super) fn save_meta(&mut self, meta: Meta) -> Result<(), LogError> {
        self.save(Meta {
            newest_segment: self.active.base(),
            ..meta
        })
    }

    fn note_newest(&mut self, newest_segment: PhysicalOffset) -> Result<(), LogError> {
        let meta = self.meta.meta().clone();
        self.save(Meta {
            newest_segment,
            ..meta
        })
    }

    fn save(&mut self, meta: Meta) -> Result<(), LogError> {
        let saved = self.meta.save_in_both(meta);
        // One of both may be saved, and counts.
        self.shared.meta.write().clone_from(self.meta.meta());
        saved
    }

    /// Takes back the frames from `from` on, none of which was applied. A crash in between leaves a prefix that holds at
    /// least what stays: meta's note and the slot are lowered first, segments go from the last one backwards, and the
    /// log is only continued when no residue is left to be mistaken for a continuation.
    fn truncate(&mut self, from: LogIndex) -> Result<(), LogError> {
        let (start, _) = self.shared.first();
        let from = from.max(start);
        if from >= self.tail.index {
            return Ok(());
        }
        let applied = self.shared.positions.applied();
        if from < applied {
            return Err(LogError::Applied { from, applied });
        }
        let reader = LogReader::new(self.shared.clone());
        let cut = reader.position(from)?;
        let target = self.shared.segment_of(cut.physical).ok_or(LogError::Stopped)?;
        let written = target.sealed_end().unwrap_or(self.tail.physical);

        if target.base() < self.meta.meta().newest_segment {
            self.note_newest(target.base())?;
        }
        let slot = DurableSlot {
            offset: cut.physical,
            generation: self.slot.generation + 1,
        };
        target
            .write_slot(slot)
            .map_err(Fatal::new("write the durable slot of", &target.path))?;
        target.sync()?;
        self.slot = slot;
        if self.active.base() > target.base() {
            let segments = self.shared.segments.read().clone();
            let from = segments.iter().filter(|segment| segment.base() >= target.base());
            super::sparse_file::reopen(self.shared.io.as_ref(), &self.shared.log_dir, from)?;
        }
        loop {
            let last = self.shared.active().filter(|last| last.base() > target.base());
            let Some(last) = last else { break };
            self.shared.change_segments(Vec::pop);
            self.remove_file(&last.path)?;
        }
        zero(&target, cut.physical, written)?;
        target.sync()?;

        target.reopen();
        target.sparse.lock().truncate(cut.physical);
        self.shared.ring.truncate(cut.physical);
        self.shared.positions.truncate(cut.physical);
        self.shared.pending.lock().retain(|entry| entry.index < from);
        self.active = target;
        self.tail = cut;
        self.durable = cut.physical;
        let purged = self.meta.meta().purged;
        *self.shared.last.lock() = self.last_before(cut).max(purged);
        Ok(())
    }

    fn last_before(&self, cut: LogPosition) -> Option<LogId> {
        let (start, _) = self.shared.first();
        (cut.index > start).then(|| LogId {
            term: cut.term,
            index: LogIndex(cut.index.0 - 1),
        })
    }

    /// Forgets the frames up to `upto`. The marker is durable in both meta files before a file goes; opening the log removes what a crash
    /// in between has left.
    fn purge(&mut self, upto: LogId) -> Result<(), LogError> {
        if let Some(purged) = self.meta.meta().purged
            && purged.index >= upto.index
        {
            // A purge whose files could not be removed is asked for again.
            return self.remove_below(LogIndex(purged.index.0 + 1));
        }
        let meta = Meta {
            purged: Some(upto),
            ..self.meta.meta().clone()
        };
        self.save_meta(meta)?;
        if upto.index >= self.tail.index {
            *self.shared.last.lock() = Some(upto);
            self.tail.term = self.tail.term.max(upto.term);
        }
        self.remove_below(LogIndex(upto.index.0 + 1))
    }

    /// Lets go of the sealed segments whose frames are all below `index`, the oldest first, and of files that an earlier call could
    /// not remove.
    pub(super) fn remove_below(&mut self, index: LogIndex) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        let given_up = |gone| shared.given_up.push(gone);
        loop {
            while let Some(gone) = self.left_over.last() {
                self.remove_file(&gone.path)?;
                self.left_over.pop().into_iter().for_each(given_up);
            }
            let gone = self.shared.change_segments(|segments| {
                let whole = segments
                    .get(1)
                    .is_some_and(|second| second.header.base_index <= index);
                whole.then(|| segments.remove(0))
            });
            let Some(gone) = gone else { return Ok(()) };
            self.shared.mapped.lock().retain(|base| *base != gone.base());
            self.left_over.push(GivenUp::of(&gone));
            if recycle::take(&self.shared, gone)? {
                self.left_over.pop().into_iter().for_each(given_up);
            }
        }
    }

    fn remove_file(&self, path: &std::path::Path) -> Result<(), LogError> {
        let io = &self.shared.io;
        let sparse = path.with_extension("sparse");
        io.remove(&sparse).map_err(LogError::io("remove", &sparse))?;
        io.remove(path).map_err(LogError::io("remove", path))?;
        io.sync_dir(&self.shared.log_dir)
            .map_err(Fatal::new("sync the folder", &self.shared.log_dir))?;
        Ok(())
    }

    /// The term that this node writes in.
    pub fn term(&self) -> Term {
        self.meta.meta().term
    }
}

/// Overwrites a part of a segment with zeros.
fn zero(target: &segment::Segment, from: PhysicalOffset, to: PhysicalOffset) -> Result<(), Fatal> {
    let zeros = vec![0; ZEROS.min((to.0 - from.0) as usize)];
    let mut at = from;
    while at < to {
        let n = zeros.len().min((to.0 - at.0) as usize);
        write_all_at(target.file.as_ref(), &zeros[..n], target.file_offset(at))
            .map_err(Fatal::new("take back frames in", &target.path))?;
        at.0 += n as u64;
    }
    Ok(())
}
