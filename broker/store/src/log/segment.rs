//! A segment file: one page of header, then frames.
//!
//! ```text
//! page 0   sector 0     magic "SLUICSEG" · version u32 · reserved u32 · shard UUID 16 · segment size u64 ·
//!                       base offset u64 · base index u64 · crc32c u32
//!          sector 1, 2  a durable slot each: physical offset u64 · generation u64 · crc32c u32
//! 4096 …                frames; file offset = 4096 + physical offset − base offset
//! ```
//! Slots are written alternately, so that a torn one leaves the other; the valid one of the highest generation in the
//! log says how much of it was durable. A segment is born (page 0 and its name synced) and noted in meta before any of
//! its frames is written: a last segment without a valid page 0, of which meta does not know, has no frames.

mod create;
mod maps;
mod page;

pub(super) use create::{Spare, create, take_back};
pub use page::SegmentHeader;
pub(super) use page::{DurableSlot, decode_page, encode_page, stray_byte};

use super::error::Fatal;
use super::frame::Frame;
use super::sparse::SparseIndex;
use crate::io::{FileHandle, write_all_at};
pub(super) use maps::Maps;
use parking_lot::Mutex;
use sluice_core::ids::PhysicalOffset;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes before a segment's first frame.
pub const PAGE_BYTES: u64 = 4096;
/// Written in segments and meta files; raised when a reader must know.
pub(super) const FORMAT_VERSION: u32 = 1;
const SUFFIX: &str = ".seg";
/// A segment in preparation.
pub(super) const SPARE: &str = "spare.seg";
/// One that was given up, and is not clean yet.
pub(super) const RECYCLED: &str = "recycled.seg";

/// A segment's name: 20 digits of its base offset.
pub(super) fn file_name(base: PhysicalOffset) -> String {
    format!("{:020}{SUFFIX}", base.0)
}

/// The base offset that a segment's name says.
pub(super) fn parse_name(path: &Path) -> Option<PhysicalOffset> {
    let digits = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    let canonical = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    canonical
        .then(|| digits.parse().ok().map(PhysicalOffset))
        .flatten()
}

/// An open segment. Its header never changes; a segment that is made anew is a new value.
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) path: PathBuf,
    pub(super) file: FileHandle,
    /// Where its last frame ends, once it is sealed: written no more.
    sealed_end: AtomicU64,
    /// Up to here the file is zero-filled or written. Whoever moves it holds `zeroing`.
    zeroed: AtomicU64,
    zeroing: Mutex<()>,
    /// The sealed file as memory.
    pub(super) maps: Arc<Maps>,
    /// Index to offset; grows while the segment is active.
    pub(super) sparse: Mutex<SparseIndex>,
}

const ACTIVE: u64 = u64::MAX;

impl Segment {
    pub(super) fn new(
        header: SegmentHeader,
        path: PathBuf,
        file: FileHandle,
        zeroed: PhysicalOffset,
    ) -> Self {
        Self {
            header,
            path,
            file,
            sealed_end: AtomicU64::new(ACTIVE),
            zeroed: AtomicU64::new(zeroed.0.max(header.base.0)),
            zeroing: Mutex::new(()),
            maps: Arc::default(),
            sparse: Mutex::new(SparseIndex::new(header.base, header.base_index)),
        }
    }

    pub(super) fn base(&self) -> PhysicalOffset {
        self.header.base
    }

    /// The first offset that can never be in this segment.
    pub(super) fn limit(&self) -> PhysicalOffset {
        PhysicalOffset(self.header.base.0 + self.header.segment_bytes - PAGE_BYTES)
    }

    pub(super) fn file_offset(&self, at: PhysicalOffset) -> u64 {
        debug_assert!(at >= self.header.base && at <= self.limit());
        PAGE_BYTES + (at.0 - self.header.base.0)
    }

    /// Where in the file a command's header begins that does not stand there as it was read; `None` for any other frame.
    pub(super) fn mended_at(&self, frame: &Frame) -> Option<u64> {
        let mend = frame.mended()?;
        Some(self.file_offset(frame.start()) + mend.at as u64)
    }

    /// Says that such a header is damaged.
    pub(super) fn tell_mended(&self, frame: &Frame) {
        if let Some(offset) = self.mended_at(frame) {
            let file = self.path.display();
            tracing::warn!(%file, offset, "the length or the checksum of a command is damaged, and read as the rest of its frame says: nothing is lost");
        }
    }

    /// Where its last frame ends, if it is sealed.
    pub(super) fn sealed_end(&self) -> Option<PhysicalOffset> {
        let end = self.sealed_end.load(Ordering::Acquire);
        (end != ACTIVE).then_some(PhysicalOffset(end))
    }

    pub(super) fn seal(&self, end: PhysicalOffset) {
        debug_assert!(end >= self.header.base && end <= self.limit());
        self.sealed_end.store(end.0, Ordering::Release);
    }

    /// Makes a sealed segment the active one again, after a truncation into it.
    pub(super) fn reopen(&self) {
        self.maps.let_go();
        self.sealed_end.store(ACTIVE, Ordering::Release);
    }

    pub(super) fn zeroed(&self) -> PhysicalOffset {
        PhysicalOffset(self.zeroed.load(Ordering::Acquire))
    }

    /// Before the writer writes up to `end`: from now on nobody zero-fills below it. Waits at most for one zero-fill.
    pub(super) fn claim(&self, end: PhysicalOffset) {
        if self.zeroed() < end {
            let _zeroing = self.zeroing.lock();
            self.zeroed.fetch_max(end.0, Ordering::AcqRel);
        }
    }

    /// Fills with zeros what lies behind the zero-filled and written part, through `file`, up to the
    /// segment's end.
    pub(super) fn zero_fill(&self, file: &FileHandle, zeros: &[u8]) -> std::io::Result<()> {
        let _zeroing = self.zeroing.lock();
        let at = self.zeroed();
        let room = (self.limit().0 - at.0).min(zeros.len() as u64);
        write_all_at(file.as_ref(), &zeros[..room as usize], self.file_offset(at))?;
        self.zeroed.store(at.0 + room, Ordering::Release);
        Ok(())
    }

    /// Writes a slot; it is durable with the file's next sync.
    pub(super) fn write_slot(&self, slot: DurableSlot) -> std::io::Result<()> {
        let bytes = slot.encode(self.header.uuid.into(), self.header.base);
        write_all_at(self.file.as_ref(), &bytes, slot.file_offset())
    }

    pub(super) fn sync(&self) -> Result<(), Fatal> {
        self.file.sync_data().map_err(Fatal::new("sync", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_twenty_digits() {
        let name = file_name(PhysicalOffset(12_345));
        assert_eq!(name, "00000000000000012345.seg");
        assert_eq!(parse_name(Path::new(&name)), Some(PhysicalOffset(12_345)));
        for other in [
            "spare.seg",
            "12345.seg",
            "+0000000000000012345.seg",
            "00000000000000012345.sparse",
        ] {
            assert_eq!(parse_name(Path::new(other)), None, "{other}");
        }
    }
}
