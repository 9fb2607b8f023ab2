//! A segment made anew, with something else in the place of what is damaged.
//!
//! The new file is written beside the old one, synced, and takes its name by one rename: whatever stops in between leaves
//! the old one. What is replaced is saved before.

mod save;
mod surviving;

pub(crate) use surviving::{surviving_commands, was_message};

use super::error::{Fatal, LogError};
use super::frame::{FILL, FRAME_HEADER_BYTES, Frame, FrameSeed, Tombstone, reseal};
use super::meta::{Meta, MetaStore};
use super::options::SegmentLimits;
use super::scan::{Found, Scanner};
use super::segment::{self, DurableSlot, PAGE_BYTES, Segment, SegmentHeader};
use crate::io::{FileHandle, LogIo, read_exact_at, write_all_at};
use sluice_core::command::{self, COMMAND_HEADER_BYTES};
use sluice_core::ids::PhysicalOffset;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Copied at a time.
const PIECE: usize = 1 << 20;
/// The end of the name of a segment that is being made anew; a start removes it.
pub(super) const TEMPORARY: &str = ".repair.tmp";

/// A damaged command of a frame that is whole otherwise, and the kind of what takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) from: PhysicalOffset,
    pub(crate) kind: u8,
}

/// What is to be different in one segment.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// What its first page says, or is to say.
    pub(crate) header: SegmentHeader,
    /// Whether there is no file yet.
    pub(crate) is_new: bool,
    /// Whether its first page is made anew.
    pub(crate) new_page: bool,
    /// The durable slot that it gets: how far, and its generation.
    pub(crate) slot: Option<(PhysicalOffset, u64)>,
    /// Tombstones in it, in order.
    pub(crate) tombstones: Vec<Tombstone>,
    /// Single commands that are replaced.
    pub(crate) commands: Vec<Replaced>,
    /// From here on commands are given up that do not hold behind a loss.
    pub(crate) void_from: Option<PhysicalOffset>,
    /// The log ends here.
    pub(crate) end: Option<PhysicalOffset>,
}

/// A segment that only needs its name.
pub(crate) struct Prepared {
    temporary: PathBuf,
    path: PathBuf,
    /// Where what it replaces was saved.
    pub(crate) saved: Vec<PathBuf>,
}

/// The file of the segment that begins at `base`.
pub(crate) fn file_of(dir: &Path, base: PhysicalOffset) -> PathBuf {
    dir.join("log").join(segment::file_name(base))
}

/// Notes in meta that the log's newest segment begins at `base`, unless it says so already.
pub(crate) fn save_newest_segment(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    base: PhysicalOffset,
) -> Result<(), LogError> {
    let Some(mut store) = MetaStore::open(io, dir)? else {
        return Ok(());
    };
    if store.meta().newest_segment <= base {
        return Ok(());
    }
    let meta = Meta {
        newest_segment: base,
        ..store.meta().clone()
    };
    store.save_in_both(meta)
}

/// Makes meta say this; what both files held stays beside them where neither was valid. Answers where.
pub(crate) fn save_meta(io: &Arc<dyn LogIo>, dir: &Path, meta: Meta) -> Result<Vec<PathBuf>, LogError> {
    match MetaStore::open(io, dir)? {
        Some(mut store) => store.save_in_both(meta).map(|()| Vec::new()),
        None => MetaStore::create_again(io, dir, meta),
    }
}

impl Change {
    /// A change that changes nothing yet.
    pub(crate) fn of(header: SegmentHeader) -> Self {
        Self {
            header,
            is_new: false,
            new_page: false,
            slot: None,
            tombstones: Vec::new(),
            commands: Vec::new(),
            void_from: None,
            end: None,
        }
    }

    /// Makes the segment anew under a name that means nothing yet, and saves what it replaces. `None` if nothing would be
    /// different.
    pub(crate) fn prepare(&self, io: &dyn LogIo, dir: &Path) -> Result<Option<Prepared>, LogError> {
        let path = file_of(dir, self.header.base);
        let failed = || LogError::io("read", &path);
        let old = match self.is_new {
            true => None,
            false => Some(io.open_read(&path).map_err(LogError::io("open", &path))?),
        };
        let old_len = old.as_ref().map_or(Ok(0), |old| old.len()).map_err(failed())?;
        let segment = old.as_ref().map(|old| self.open(&path, old, old_len));
        let mut edits = Edits::default();
        if let Some(segment) = &segment {
            self.edit(segment, &mut |at, bytes| {
                edits.note(at, bytes.len() as u64);
                Ok(())
            })
            .map_err(failed())?;
        }
        if edits.is_empty() && !self.changes_more() {
            return Ok(None);
        }
        let log_dir = dir.join("log");
        let saved = match &segment {
            Some(segment) => save::replaced(io, self, segment, old_len, &edits)?,
            None => Vec::new(),
        };
        let temporary = path.with_extension(&TEMPORARY[1..]);
        let writing = || LogError::io("write", &temporary);
        io.remove(&temporary)
            .map_err(LogError::io("remove", &temporary))?;
        let new = io
            .create(&temporary)
            .map_err(LogError::io("create", &temporary))?;
        let len = self
            .spans()
            .map(|span| span.1)
            .fold(old_len.max(PAGE_BYTES), u64::max);
        new.set_len(len).map_err(writing())?;
        if let (Some(segment), Some(old)) = (&segment, &old) {
            self.copy(old, old_len, &new, &path)?;
            self.edit(segment, &mut |at, bytes| write_all_at(new.as_ref(), bytes, at))
                .map_err(writing())?;
        }
        self.put_page(&new).map_err(writing())?;
        for tombstone in &self.tombstones {
            self.put(&new, tombstone).map_err(writing())?;
        }
        new.sync_data().map_err(Fatal::new("sync", &temporary))?;
        io.sync_dir(&log_dir)
            .map_err(Fatal::new("sync the folder", &log_dir))?;
        Ok(Some(Prepared {
            temporary,
            path,
            saved,
        }))
    }

    fn changes_more(&self) -> bool {
        self.is_new || self.new_page || !self.tombstones.is_empty() || self.end.is_some()
    }

    fn open(&self, path: &Path, file: &FileHandle, len: u64) -> Segment {
        let zeroed = PhysicalOffset(self.header.base.0 + len.saturating_sub(PAGE_BYTES));
        Segment::new(self.header, path.to_owned(), file.clone(), zeroed)
    }

    /// Where in the file tombstones stand, in bytes.
    fn spans(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let at = |physical: PhysicalOffset| PAGE_BYTES + (physical.0 - self.header.base.0);
        self.tombstones.iter().map(move |tombstone| {
            let from = at(tombstone.physical);
            (from, from + u64::from(tombstone.span))
        })
    }

    /// Copies what stays. What a tombstone takes the place of is not read: the disk may not give it.
    fn copy(&self, old: &FileHandle, len: u64, new: &FileHandle, path: &Path) -> Result<(), LogError> {
        let until = self
            .end
            .map_or(len, |end| len.min(PAGE_BYTES + (end.0 - self.header.base.0)));
        let mut at = 0;
        let mut buffer = vec![0; PIECE];
        while at < until {
            if let Some((_, to)) = self.spans().find(|(from, to)| (*from..*to).contains(&at)) {
                at = to;
                continue;
            }
            let stop = self.spans().map(|(from, _)| from).filter(|from| *from > at).min();
            let n = (stop.unwrap_or(until).min(until) - at).min(PIECE as u64) as usize;
            let piece = &mut buffer[..n];
            // A first page that is made anew need not be readable.
            let is_page = self.new_page && at < PAGE_BYTES;
            let n = if is_page {
                n.min((PAGE_BYTES - at) as usize)
            } else {
                n
            };
            if !is_page {
                read_exact_at(old.as_ref(), piece, at).map_err(LogError::io("read", path))?;
                leave_out(old.not_given(), piece, at);
                // What is not written is zero already.
                if piece.iter().any(|byte| *byte != 0) {
                    write_all_at(new.as_ref(), piece, at).map_err(LogError::io("copy", path))?;
                }
            }
            at += n as u64;
        }
        Ok(())
    }

    fn put_page(&self, new: &FileHandle) -> std::io::Result<()> {
        let (offset, generation) = self.slot.unwrap_or((self.header.base, 0));
        let slot = DurableSlot { offset, generation };
        if self.new_page || self.is_new {
            return write_all_at(new.as_ref(), &segment::encode_page(&self.header, slot), 0);
        }
        if self.slot.is_none() {
            return Ok(());
        }
        let bytes = slot.encode(self.header.uuid.into(), self.header.base);
        write_all_at(new.as_ref(), &bytes, slot.file_offset())
    }

    fn put(&self, new: &FileHandle, tombstone: &Tombstone) -> std::io::Result<()> {
        let mut at = PAGE_BYTES + (tombstone.physical.0 - self.header.base.0);
        let end = at + u64::from(tombstone.span);
        let seed = FrameSeed::from(self.header.uuid);
        write_all_at(new.as_ref(), &tombstone.encode(seed), at)?;
        at += FRAME_HEADER_BYTES as u64;
        let fill = vec![FILL; PIECE.min((end - at) as usize)];
        while at < end {
            let n = fill.len().min((end - at) as usize);
            write_all_at(new.as_ref(), &fill[..n], at)?;
            at += n as u64;
        }
        Ok(())
    }

    /// Gives `write` each frame in which commands are different, and where it stands in the file.
    fn edit(
        &self,
        segment: &Segment,
        write: &mut dyn FnMut(u64, &[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let Some(limits) = SegmentLimits::of(self.header.segment_bytes) else {
            return Ok(());
        };
        if self.commands.is_empty() && self.void_from.is_none() {
            return Ok(());
        }
        let seed = FrameSeed::from(self.header.uuid);
        let scan = |at| Scanner::new(segment, seed, limits.frame_bytes(), at, PIECE);
        let mut scanner = scan(segment.base());
        loop {
            let here = scanner.at();
            if self.end.is_some_and(|end| here >= end) {
                return Ok(());
            }
            if let Some(tombstone) = self
                .tombstones
                .iter()
                .find(|tombstone| tombstone.physical == here)
            {
                scanner = scan(PhysicalOffset(here.0 + u64::from(tombstone.span)));
                continue;
            }
            let Found::Frame(frame) = scanner.next()? else {
                return Ok(());
            };
            if let Some(bytes) = self.edited(&frame, seed) {
                write(segment.file_offset(frame.start()), &bytes)?;
            }
        }
    }

    /// The frame as it is to be, if it is to be different.
    fn edited(&self, frame: &Frame, seed: FrameSeed) -> Option<Vec<u8>> {
        let mut bytes: Option<Vec<u8>> = None;
        for (_, physical, command) in frame.commands() {
            let at = (physical.0 - frame.start().0) as usize;
            let replaced = self.commands.iter().find(|replaced| replaced.from == physical);
            let kind = command
                .get(COMMAND_HEADER_BYTES)
                .copied()
                .unwrap_or(command::VOID);
            let gives_up =
                self.void_from.is_some_and(|from| physical >= from) && !command::holds_behind_a_loss(kind);
            if replaced.is_none() && !gives_up {
                continue;
            }
            let bytes = bytes.get_or_insert_with(|| frame.bytes().to_vec());
            let place = &mut bytes[at..at + command.len()];
            match replaced {
                Some(replaced) => command::put_lost(place, replaced.kind),
                None => command::make_void(place),
            }
        }
        let mut bytes = bytes?;
        // The frame was whole, and its commands are as long as before.
        reseal(&mut bytes, frame.header().count, seed).ok()?;
        Some(bytes)
    }
}

/// Puts zeros where the disk does not give what stood there: in a command that is about to be replaced, or where nothing is read.
fn leave_out(not_given: Vec<Range<u64>>, piece: &mut [u8], at: u64) {
    for place in not_given {
        let within = |offset: u64| (offset.saturating_sub(at) as usize).min(piece.len());
        let (from, to) = (within(place.start), within(place.end));
        piece[from..to].fill(0);
    }
}

/// Where frames are different.
#[derive(Default)]
struct Edits {
    /// From the first one's place in the file to the last one's end.
    range: Option<(u64, u64)>,
}

impl Edits {
    fn note(&mut self, at: u64, len: u64) {
        let (from, to) = self.range.unwrap_or((at, at));
        self.range = Some((from.min(at), to.max(at + len)));
    }

    fn is_empty(&self) -> bool {
        self.range.is_none()
    }
}

impl Prepared {
    /// Gives the new segment the old one's name, durably.
    pub(crate) fn commit(&self, io: &dyn LogIo) -> Result<(), LogError> {
        let log_dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        // Of the old one; it is made when it is needed.
        let sparse = self.path.with_extension("sparse");
        io.remove(&sparse).map_err(LogError::io("remove", &sparse))?;
        io.rename(&self.temporary, &self.path)
            .map_err(LogError::io("rename the repaired segment to", &self.path))?;
        io.sync_dir(log_dir)
            .map_err(Fatal::new("sync the folder", log_dir))?;
        Ok(())
    }
}

/// Whether a file is a segment that a repair was stopped in the middle of making.
pub(super) fn is_temporary(name: &Path) -> bool {
    name.to_string_lossy().ends_with(TEMPORARY)
}
