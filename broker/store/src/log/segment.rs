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

use super::error::{Fatal, LogError};
use super::frame::{FrameSeed, ShardUuid};
use super::sparse::SparseIndex;
use crate::io::{FileHandle, LogIo, MapHandle, write_all_at};
use parking_lot::Mutex;
use sluice_core::codec::{Malformed, Reader};
use sluice_core::ids::{LogIndex, PhysicalOffset};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes before a segment's first frame.
pub const PAGE_BYTES: u64 = 4096;
/// Written in segments and meta files; raised when a reader must know.
pub(super) const FORMAT_VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"SLUICSEG";
const SECTOR: usize = 512;
const HEADER_BYTES: usize = 60;
const SLOT_BYTES: usize = 20;
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

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The shard that it belongs to.
    pub uuid: ShardUuid,
    /// The file's size, page 0 included.
    pub segment_bytes: u64,
    /// Where its first frame starts.
    pub base: PhysicalOffset,
    /// The first frame's index.
    pub base_index: LogIndex,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[16..32].copy_from_slice(&self.uuid.0);
        out[32..40].copy_from_slice(&self.segment_bytes.to_le_bytes());
        out[40..48].copy_from_slice(&self.base.0.to_le_bytes());
        out[48..56].copy_from_slice(&self.base_index.0.to_le_bytes());
        let crc = crc32c::crc32c(&out[..56]);
        out[56..60].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads sector 0.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.take(8)? != MAGIC {
            return Err(Malformed::Range("a segment's magic"));
        }
        if reader.u32()? != FORMAT_VERSION {
            return Err(Malformed::Range("a segment's format version"));
        }
        reader.u32()?;
        let mut uuid = ShardUuid::default();
        uuid.0.copy_from_slice(reader.take(16)?);
        let header = Self {
            uuid,
            segment_bytes: reader.u64()?,
            base: PhysicalOffset(reader.u64()?),
            base_index: LogIndex(reader.u64()?),
        };
        if reader.u32()? != crc32c::crc32c(&bytes[..56]) {
            return Err(Malformed::Range("the checksum of a segment's header"));
        }
        Ok(header)
    }
}

/// Up to where the log was durable when the slot was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DurableSlot {
    /// Everything below it is durable.
    pub(super) offset: PhysicalOffset,
    /// The highest one counts; also says which of the two sectors it stands in.
    pub(super) generation: u64,
}

impl DurableSlot {
    /// Where the slot stands in its file.
    pub(super) fn file_offset(self) -> u64 {
        SECTOR as u64 * (1 + self.generation % 2)
    }

    pub(super) fn encode(self, seed: FrameSeed, base: PhysicalOffset) -> [u8; 20] {
        let mut out = [0; 20];
        out[0..8].copy_from_slice(&self.offset.0.to_le_bytes());
        out[8..16].copy_from_slice(&self.generation.to_le_bytes());
        let crc = Self::checksum(&out[..16], seed, base);
        out[16..20].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], seed: FrameSeed, base: PhysicalOffset) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let offset = PhysicalOffset(reader.u64().ok()?);
        let generation = reader.u64().ok()?;
        let valid = reader.u32().ok()? == Self::checksum(&bytes[..16], seed, base);
        valid.then_some(Self { offset, generation })
    }

    /// Over the base offset as well, so that a recycled file's old slots mean nothing.
    fn checksum(bytes: &[u8], seed: FrameSeed, base: PhysicalOffset) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(seed.0, &base.0.to_le_bytes()), bytes)
    }
}

/// Page 0 of a segment that is being born.
pub(super) fn encode_page(header: &SegmentHeader, slot: DurableSlot) -> Vec<u8> {
    let mut page = vec![0; PAGE_BYTES as usize];
    page[..HEADER_BYTES].copy_from_slice(&header.encode());
    let at = slot.file_offset() as usize;
    page[at..at + 20].copy_from_slice(&slot.encode(header.uuid.into(), header.base));
    page
}

/// Reads page 0: the header, and the newer valid slot.
pub(super) fn decode_page(page: &[u8]) -> Result<(SegmentHeader, DurableSlot), Malformed> {
    let header = SegmentHeader::decode(page)?;
    let slot = (1..=2)
        .filter_map(|sector| page.get(sector * SECTOR..))
        .filter_map(|bytes| DurableSlot::decode(bytes, header.uuid.into(), header.base))
        .max_by_key(|slot| slot.generation);
    Ok((
        header,
        slot.ok_or(Malformed::Range("the checksum of both durable slots"))?,
    ))
}

/// The first byte of page 0 that is not zero although it is neither of the header nor of a valid durable slot.
pub(super) fn stray_byte(page: &[u8], header: &SegmentHeader) -> Option<usize> {
    let is_slot = |at: usize| {
        let bytes = page.get(at..).unwrap_or_default();
        DurableSlot::decode(bytes, header.uuid.into(), header.base).is_some()
    };
    let belongs = |at: usize| {
        let (sector, within) = (at / SECTOR, at % SECTOR);
        match sector {
            0 => within < HEADER_BYTES,
            1 | 2 => within < SLOT_BYTES && is_slot(sector * SECTOR),
            _ => false,
        }
    };
    let mut stray = page.iter().enumerate().filter(|(_, byte)| **byte != 0);
    stray.find(|(at, _)| !belongs(*at)).map(|(at, _)| at)
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
    /// The sealed file as memory, while it is mapped.
    pub(super) map: Mutex<Option<MapHandle>>,
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
            map: Mutex::new(None),
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
        self.map.lock().take();
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

/// A prepared file: zero-filled from its start, synced, under the name [`SPARE`].
pub(super) struct Spare {
    pub(super) file: FileHandle,
    /// Bytes of the file that are zero-filled.
    pub(super) filled: u64,
}

/// Gives birth to a segment: file, page 0 and name are durable when this returns. When that fails nothing is left of it:
/// the log may go on in the segment before, and then the next one begins elsewhere.
pub(super) fn create(
    io: &dyn LogIo,
    log_dir: &Path,
    header: SegmentHeader,
    generation: u64,
    spare: Option<Spare>,
) -> Result<Arc<Segment>, LogError> {
    let path = log_dir.join(file_name(header.base));
    let created = give_birth(io, log_dir, &path, header, generation, spare);
    // After a failed sync the process ends, and the next start finds a segment without frames.
    if created
        .as_ref()
        .is_err_and(|error| !matches!(error, LogError::Fatal(_)))
    {
        take_back(io, log_dir, &path)?;
    }
    created
}

/// Removes a segment that has no frame yet, durably.
pub(super) fn take_back(io: &dyn LogIo, log_dir: &Path, path: &Path) -> Result<(), Fatal> {
    io.remove(path)
        .map_err(Fatal::new("remove the unborn segment", path))?;
    io.sync_dir(log_dir)
        .map_err(Fatal::new("sync the folder", log_dir))
}

fn give_birth(
    io: &dyn LogIo,
    log_dir: &Path,
    path: &Path,
    header: SegmentHeader,
    generation: u64,
    spare: Option<Spare>,
) -> Result<Arc<Segment>, LogError> {
    let (file, filled) = match spare {
        Some(spare) => {
            io.rename(&log_dir.join(SPARE), path)
                .map_err(LogError::io("rename the spare segment to", path))?;
            (spare.file, spare.filled)
        }
        None => {
            // A crash in the middle of this may have left one without frames.
            io.remove(path).map_err(LogError::io("remove", path))?;
            (io.create(path).map_err(LogError::io("create", path))?, 0)
        }
    };
    let page = encode_page(
        &header,
        DurableSlot {
            offset: header.base,
            generation,
        },
    );
    write_all_at(file.as_ref(), &page, 0).map_err(LogError::io("write the header of", path))?;
    file.sync_data().map_err(Fatal::new("sync", path))?;
    io.sync_dir(log_dir)
        .map_err(Fatal::new("sync the folder", log_dir))?;
    let zeroed = PhysicalOffset(header.base.0 + filled.saturating_sub(PAGE_BYTES));
    Ok(Arc::new(Segment::new(header, path.to_owned(), file, zeroed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            uuid: ShardUuid([7; 16]),
            segment_bytes: 256 << 10,
            base: PhysicalOffset(8000),
            base_index: LogIndex(12),
        }
    }

    #[test]
    fn page_0_comes_back_and_any_flipped_bit_of_the_header_is_caught() {
        let slot = DurableSlot {
            offset: PhysicalOffset(8000),
            generation: 4,
        };
        let page = encode_page(&header(), slot);
        assert_eq!(decode_page(&page), Ok((header(), slot)));
        for bit in (0..HEADER_BYTES * 8).filter(|bit| !(96..128).contains(bit)) {
            let mut flipped = page.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_page(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn the_newer_slot_counts_and_a_torn_one_leaves_the_older() {
        let mut page = encode_page(
            &header(),
            DurableSlot {
                offset: PhysicalOffset(8000),
                generation: 4,
            },
        );
        let newer = DurableSlot {
            offset: PhysicalOffset(9000),
            generation: 5,
        };
        let at = newer.file_offset() as usize;
        page[at..at + 20].copy_from_slice(&newer.encode(header().uuid.into(), header().base));
        assert_eq!(decode_page(&page).unwrap().1, newer);
        page[at + 3] ^= 1;
        assert_eq!(decode_page(&page).unwrap().1.generation, 4);
    }

    #[test]
    fn a_byte_of_page_0_that_belongs_to_nothing_is_found() {
        let slot = DurableSlot {
            offset: PhysicalOffset(8000),
            generation: 4,
        };
        let page = encode_page(&header(), slot);
        assert_eq!(stray_byte(&page, &header()), None);
        for at in (HEADER_BYTES..page.len()).filter(|at| page[*at] == 0) {
            let mut flipped = page.clone();
            flipped[at] ^= 1;
            assert!(stray_byte(&flipped, &header()).is_some(), "byte {at}");
        }
    }

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
