//! Index to offset, one entry a mebibyte: where to begin looking for a frame.
//!
//! ```text
//! magic "SLUICSPX" · count u32 · (index u64 · offset u64) × count · crc32c u32
//! ```
//! Kept in memory for the active segment, written to `<base>.sparse` when the segment is sealed. It is derived: with the file
//! missing or damaged, the search begins at the segment's start, and the file is written anew.

use sluice_core::codec::Reader;
use sluice_core::ids::{LogIndex, PhysicalOffset};

/// An entry at most every so many bytes.
const STRIDE: u64 = 1 << 20;
const MAGIC: &[u8; 8] = b"SLUICSPX";

/// Where the frames of one segment start, coarsely. Always holds the segment's first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SparseIndex {
    entries: Vec<(LogIndex, PhysicalOffset)>,
    /// Whether every mebibyte of the segment so far has its entry.
    pub(super) complete: bool,
}

impl SparseIndex {
    pub(super) fn new(base: PhysicalOffset, base_index: LogIndex) -> Self {
        Self {
            entries: vec![(base_index, base)],
            complete: true,
        }
    }

    /// Notes a frame; frames come in order.
    pub(super) fn note(&mut self, index: LogIndex, offset: PhysicalOffset) {
        if let Some((_, last)) = self.entries.last()
            && offset.0 >= last.0 + STRIDE
        {
            self.entries.push((index, offset));
        }
    }

    /// The last noted frame at or before `index`, if the segment can hold it.
    pub(super) fn floor(&self, index: LogIndex) -> Option<(LogIndex, PhysicalOffset)> {
        let after = self.entries.partition_point(|(noted, _)| *noted <= index);
        self.entries.get(after.checked_sub(1)?).copied()
    }

    /// Forgets frames at or above `from`; the segment's first stays.
    pub(super) fn truncate(&mut self, from: PhysicalOffset) {
        let keep = self.entries.partition_point(|(_, offset)| *offset < from).max(1);
        self.entries.truncate(keep);
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + self.entries.len() * 16);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for (index, offset) in &self.entries {
            out.extend_from_slice(&index.0.to_le_bytes());
            out.extend_from_slice(&offset.0.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the file of the segment that begins with this frame.
    pub(super) fn decode(bytes: &[u8], base: PhysicalOffset, base_index: LogIndex) -> Option<Self> {
        let body = bytes.len().checked_sub(4)?;
        let crc = u32::from_le_bytes(*bytes[body..].first_chunk()?);
        if crc32c::crc32c(&bytes[..body]) != crc {
            return None;
        }
        let mut reader = Reader::new(&bytes[..body]);
        if reader.take(8).ok()? != MAGIC {
            return None;
        }
        let count = reader.u32().ok()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push((LogIndex(reader.u64().ok()?), PhysicalOffset(reader.u64().ok()?)));
        }
        reader.finish().ok()?;
        let fits = entries.first() == Some(&(base_index, base)) && entries.is_sorted();
        fits.then_some(Self {
            entries,
            complete: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{ends_in_its_checksum, u32_at, u64_at};

    fn sample() -> SparseIndex {
        let mut sparse = SparseIndex::new(PhysicalOffset(100), LogIndex(10));
        for frame in 0..100_u64 {
            sparse.note(LogIndex(10 + frame), PhysicalOffset(100 + frame * (STRIDE / 10)));
        }
        sparse
    }

    #[test]
    fn a_frame_is_looked_for_from_the_last_entry_before_it() {
        let sparse = sample();
        assert_eq!(sparse.floor(LogIndex(9)), None);
        assert_eq!(
            sparse.floor(LogIndex(10)),
            Some((LogIndex(10), PhysicalOffset(100)))
        );
        let (index, offset) = sparse.floor(LogIndex(60)).unwrap();
        assert!(index <= LogIndex(60) && index > LogIndex(47));
        assert_eq!(offset.0, 100 + (index.0 - 10) * (STRIDE / 10));
    }

    #[test]
    fn the_bytes_are_those_that_the_format_says() {
        let mut sparse = SparseIndex::new(PhysicalOffset(100), LogIndex(10));
        sparse.note(LogIndex(11), PhysicalOffset(99 + STRIDE));
        sparse.note(LogIndex(12), PhysicalOffset(100 + STRIDE));
        let bytes = sparse.encode();
        assert_eq!((&bytes[..8], u32_at(&bytes, 8)), (&b"SLUICSPX"[..], 2));
        let numbers = [12, 20, 28, 36].map(|at| u64_at(&bytes, at));
        assert_eq!(numbers, [10, 100, 12, 100 + (1 << 20)]);
        assert_eq!(bytes.len(), 12 + 2 * 16 + 4);
        assert!(ends_in_its_checksum(&bytes));
    }

    #[test]
    fn the_file_comes_back_and_damage_is_noticed() {
        let sparse = sample();
        let bytes = sparse.encode();
        assert_eq!(
            SparseIndex::decode(&bytes, PhysicalOffset(100), LogIndex(10)),
            Some(sparse)
        );
        assert_eq!(
            SparseIndex::decode(&bytes, PhysicalOffset(101), LogIndex(10)),
            None
        );
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert_eq!(
                SparseIndex::decode(&flipped, PhysicalOffset(100), LogIndex(10)),
                None,
                "byte {at}"
            );
            assert_eq!(
                SparseIndex::decode(&bytes[..at], PhysicalOffset(100), LogIndex(10)),
                None,
                "cut at {at}"
            );
        }
    }

    #[test]
    fn a_truncation_keeps_the_first_entry() {
        let mut sparse = sample();
        sparse.truncate(PhysicalOffset(0));
        assert_eq!(sparse, SparseIndex::new(PhysicalOffset(100), LogIndex(10)));
    }
}
