//! Reads: records by offset, frames by index.
//!
//! A record comes from the ring, else from a sealed segment's mapping, else by pread from the durable part of the active
//! segment. What is not durable is in the ring and nowhere else. Every record is checked by its own checksum.

mod by_start;
mod cold;
mod mended;
mod message;
mod scrub;

use cold::{LOST, is_lost};
pub use scrub::{BadHeader, BadStretch, Scrubbed};

use super::error::ReadError;
use super::frame::Frame;
use super::scan::{Found, Scanner};
use super::segment::Segment;
use super::shared::{Positions, Shared};
use super::sparse::SparseIndex;
use super::{LogId, LogPosition};
use crate::io::{MapHandle, read_exact_at, write_all_at};
use bytes::Bytes;
use sluice_core::command;
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::path::PathBuf;
use std::sync::Arc;

/// What is read of a frame keeps at most so many times its own size in memory.
const FRAMES_KEPT_MAX: usize = 4;
/// Read at a time when looking for a frame.
const PIECE: usize = 256 << 10;

/// Reads the log; clones are cheap and read side by side with the writer.
#[derive(Clone)]
pub struct LogReader {
    shared: Arc<Shared>,
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// How far the log has come.
    pub fn positions(&self) -> &Arc<Positions> {
        &self.shared.positions
    }

    /// Whether a read at `offset` is answered from memory, without a file.
    pub fn is_hot(&self, offset: PhysicalOffset) -> bool {
        self.shared.ring.holds(offset)
    }

    /// The command of `size` bytes at `offset`, its checksum checked. May block on the disk unless it [is
    /// hot](Self::is_hot).
    pub fn read_command(&self, offset: PhysicalOffset, size: u32) -> Result<Bytes, ReadError> {
        if let Some(frame) = self.shared.ring.frame_of(offset) {
            let at = (offset.0 - frame.start().0) as usize;
            let whole = frame
                .bytes()
                .len()
                .checked_sub(at)
                .is_some_and(|left| left >= size as usize);
            let path = || PathBuf::from("a frame in memory");
            if !whole {
                return Err(damaged(
                    path(),
                    at as u64,
                    "the record does not lie within one frame",
                ));
            }
            let range = at..at + size as usize;
            // A slice keeps all of its frame in memory, for however long its reader has it.
            let bytes = if range.len() * FRAMES_KEPT_MAX < frame.bytes().len() {
                Bytes::copy_from_slice(&frame.bytes()[range])
            } else {
                frame.bytes().slice(range)
            };
            return checked(bytes, path, at as u64);
        }
        let end = self.shared.positions.durable();
        if offset.0 + u64::from(size) > end.0 {
            return Err(ReadError::Beyond { offset, end });
        }
        let segment = match self.shared.segment_of(offset) {
            Some(segment) => segment,
            None => {
                return Err(ReadError::Gone {
                    offset,
                    start: self.shared.first().1,
                });
            }
        };
        let at = segment.file_offset(offset);
        let bytes = match segment.sealed_end() {
            Some(sealed) if offset.0 + u64::from(size) > sealed.0 => {
                let reason = "the record does not lie within one segment";
                let damaged = damaged(segment.path.clone(), at, reason);
                return self.mended(&segment, offset).ok_or(damaged);
            }
            Some(sealed) => self
                .map(&segment, sealed)?
                .bytes(at as usize..at as usize + size as usize)
                .map_err(io_error(&segment, at))?,
            None => {
                let mut buffer = vec![0; size as usize];
                read_exact_at(segment.file.as_ref(), &mut buffer, at).map_err(io_error(&segment, at))?;
                Bytes::from(buffer)
            }
        };
        self.checked_in(&segment, offset, bytes)
    }

    /// A sealed segment as memory: mapped once, and unmapped when others have been used since.
    fn map(&self, segment: &Segment, sealed: PhysicalOffset) -> Result<MapHandle, ReadError> {
        let len = segment.file_offset(sealed) as usize;
        let map = segment.maps.get_or(|| segment.file.map(len));
        let (map, is_new) = map.map_err(io_error(segment, 0))?;
        if is_new {
            self.note_mapped(segment.base());
        }
        Ok(map)
    }

    /// Notes a new mapping and gives up the oldest one beyond the bound; slices of it live on by themselves.
    fn note_mapped(&self, base: PhysicalOffset) {
        let mut mapped = self.shared.mapped.lock();
        mapped.retain(|other| *other != base);
        mapped.push_back(base);
        if mapped.len() <= self.shared.mapped_max {
            return;
        }
        let oldest = mapped.pop_front();
        drop(mapped);
        if let Some(segment) = oldest.and_then(|oldest| self.shared.segment_of(oldest)) {
            segment.maps.let_go();
        }
    }

    /// Whether the first frame of a segment stands at `offset`.
    pub fn starts_segment(&self, offset: PhysicalOffset) -> bool {
        self.shared
            .segment_of(offset)
            .is_some_and(|segment| segment.base() == offset)
    }

    /// The first frame that is kept; behind the last one if the log is empty.
    pub fn first_index(&self) -> LogIndex {
        self.shared.first().0
    }

    /// The last frame written, or the last one purged if that is later; `None` for a log that never had one.
    pub fn last(&self) -> Option<LogId> {
        *self.shared.last.lock()
    }

    /// The last frame that was purged.
    pub fn purged(&self) -> Option<LogId> {
        self.shared.meta.read().purged
    }

    /// Frames from `from` up to but without `to`: all that are written, durable or not, but no more than `max_bytes` unless
    /// the first one alone is larger. Empty if `from` is behind the log's end.
    pub fn read_frames(
        &self,
        from: LogIndex,
        to: LogIndex,
        max_bytes: usize,
    ) -> Result<Vec<Frame>, ReadError> {
        if from < self.first_index() {
            let (_, start) = self.shared.first();
            return Err(ReadError::Gone {
                offset: PhysicalOffset(0),
                start,
            });
        }
        let last = self.last();
        if from >= to || last.is_none_or(|last| from > last.index) {
            return Ok(Vec::new());
        }
        let mut frames = Vec::new();
        let mut bytes = 0;
        let mut next = from;
        while next < to && (frames.is_empty() || bytes < max_bytes) {
            let hot = self
                .shared
                .ring
                .starting_at(next, to, max_bytes - bytes.min(max_bytes));
            let more = match hot.is_empty() {
                true => self.read_cold(next, to, max_bytes - bytes.min(max_bytes)),
                false => Ok(hot),
            };
            let more = match more {
                // Whoever goes on behind these meets the damage.
                Err(_) if !frames.is_empty() => return Ok(frames),
                more => more?,
            };
            if more.is_empty() {
                break;
            }
            for frame in more {
                if !frames.is_empty() && bytes + frame.bytes().len() > max_bytes {
                    return Ok(frames);
                }
                bytes += frame.bytes().len();
                next = frame.header().next_index();
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    /// Calls `visit` with the durable frames of the segment that holds `index`, from shortly before it on, until it answers
    /// false. Frames are checked with their commands.
    fn walk(&self, index: LogIndex, mut visit: impl FnMut(&Frame) -> bool) -> Result<(), ReadError> {
        let (_, start) = self.shared.first();
        let gone = ReadError::Gone {
            offset: PhysicalOffset(0),
            start,
        };
        let Some(segment) = self.shared.segment_of_index(index) else {
            return Err(gone);
        };
        let end = segment
            .sealed_end()
            .unwrap_or_else(|| self.shared.positions.durable());
        let floor = self.sparse_floor(&segment, index);
        let max_frame = self.shared.limits.frame_bytes();
        let mut scanner = Scanner::new(&segment, self.shared.seed, max_frame, floor, PIECE);
        while scanner.at() < end {
            let at = segment.file_offset(scanner.at());
            let checked = match scanner.next().map_err(io_error(&segment, at))? {
                Found::Frame(frame) => frame.check_commands().map(|()| frame),
                Found::Bad(error) => Err(error),
            };
            match checked {
                Ok(frame) if visit(&frame) => {}
                Ok(_) => return Ok(()),
                // Below the durable position every frame is good, or the file is damaged.
                Err(error) => return Err(damaged(segment.path.clone(), at, &error.to_string())),
            }
        }
        Ok(())
    }

    /// Where to begin looking for `index` in its segment.
    fn sparse_floor(&self, segment: &Segment, index: LogIndex) -> PhysicalOffset {
        let mut sparse = segment.sparse.lock();
        if !sparse.complete && segment.sealed_end().is_some() {
            *sparse = self.load_sparse(segment);
        }
        sparse
            .floor(index)
            .map_or_else(|| segment.base(), |(_, offset)| offset)
    }

    /// A sealed segment's sparse index from its file, or else made anew from the frames.
    fn load_sparse(&self, segment: &Segment) -> SparseIndex {
        let path = segment.path.with_extension("sparse");
        let (base, base_index) = (segment.base(), segment.header.base_index);
        let stored = super::sparse_file::read(&*self.shared.io, &path);
        if let Some(sparse) = stored
            .ok()
            .and_then(|bytes| SparseIndex::decode(&bytes, base, base_index))
        {
            return sparse;
        }
        let mut sparse = SparseIndex::new(base, base_index);
        let end = segment.sealed_end().unwrap_or(base);
        let mut scanner = Scanner::new(
            segment,
            self.shared.seed,
            self.shared.limits.frame_bytes(),
            base,
            PIECE,
        );
        while scanner.at() < end {
            match scanner.next() {
                Ok(Found::Frame(frame)) => sparse.note(frame.index(), frame.start()),
                // Whoever looks for a frame behind this meets the damage and reports it.
                Ok(Found::Bad(_)) | Err(_) => return sparse,
            }
        }
        save(&self.shared, segment, &sparse);
        sparse
    }

    /// Where the frame at `index` starts, and the term of the frame before it.
    pub fn position(&self, index: LogIndex) -> Result<LogPosition, ReadError> {
        let (first, start) = self.shared.first();
        if index < first {
            return Err(ReadError::Gone {
                offset: PhysicalOffset(0),
                start,
            });
        }
        let term = self.term_before(index)?;
        if let Some(frame) = self
            .shared
            .ring
            .starting_at(index, LogIndex(index.0 + 1), 0)
            .first()
        {
            return Ok(LogPosition {
                physical: frame.start(),
                index,
                term,
            });
        }
        let mut physical = None;
        self.walk(index, |frame| {
            if frame.index() == index {
                physical = Some(frame.start());
            }
            frame.index() < index
        })?;
        let end = self.shared.positions.written();
        let physical = physical.ok_or(ReadError::Beyond { offset: end, end })?;
        Ok(LogPosition {
            physical,
            index,
            term,
        })
    }

    fn term_before(&self, index: LogIndex) -> Result<Term, ReadError> {
        let Some(before) = index.0.checked_sub(1).map(LogIndex) else {
            return Ok(Term(0));
        };
        if before < self.first_index() {
            return Ok(self
                .purged()
                .filter(|purged| purged.index == before)
                .map_or(Term(0), |purged| purged.term));
        }
        if let Some(frame) = self.shared.ring.starting_at(before, index, 0).first() {
            return Ok(frame.header().term);
        }
        let mut term = Term(0);
        self.walk(before, |frame| {
            let found = frame.header().last_index() >= before;
            term = if found { frame.header().term } else { term };
            !found
        })?;
        Ok(term)
    }
}

/// Writes the sparse index of a segment that is being sealed, as far as it is known. It is derived: failures are harmless.
pub(super) fn save_sparse(shared: &Shared, segment: &Segment) {
    let sparse = segment.sparse.lock().clone();
    if sparse.complete {
        save(shared, segment, &sparse);
    }
}

fn save(shared: &Shared, segment: &Segment, sparse: &SparseIndex) {
    let path = segment.path.with_extension("sparse");
    let io = &shared.io;
    let written = io
        .remove(&path)
        .and_then(|()| io.create(&path))
        .and_then(|file| write_all_at(file.as_ref(), &sparse.encode(), 0));
    if let Err(error) = written {
        tracing::warn!(file = %path.display(), %error, "a sparse index is not written; it will be made again when it is needed");
    }
}

fn checked(bytes: Bytes, path: impl FnOnce() -> PathBuf, at: u64) -> Result<Bytes, ReadError> {
    match command::check(&bytes) {
        Ok(()) if is_lost(&bytes) => Err(damaged(path(), at, LOST)),
        Ok(()) => Ok(bytes),
        Err(_) if is_lost(&bytes) => Err(damaged(path(), at, LOST)),
        Err(error) => Err(damaged(path(), at, &error.to_string())),
    }
}

fn damaged(file: PathBuf, at: u64, reason: &str) -> ReadError {
    ReadError::Damaged {
        file,
        at,
        reason: reason.to_owned(),
    }
}

fn io_error(segment: &Segment, at: u64) -> impl FnOnce(std::io::Error) -> ReadError {
    let file = segment.path.clone();
    move |source| ReadError::Io { file, at, source }
}
