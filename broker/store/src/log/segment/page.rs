//! Page 0 of a segment: its header and its durable slots.

use super::{FORMAT_VERSION, PAGE_BYTES};
use crate::log::frame::{FrameSeed, ShardUuid};
use sluice_core::codec::{Malformed, Reader};
use sluice_core::ids::{LogIndex, PhysicalOffset};

const MAGIC: &[u8; 8] = b"SLUICSEG";
const SECTOR: usize = 512;
const HEADER_BYTES: usize = 60;
const SLOT_BYTES: usize = 20;

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
    pub(in crate::log) fn encode(&self) -> [u8; HEADER_BYTES] {
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
    pub(in crate::log) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
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
pub(in crate::log) struct DurableSlot {
    /// Everything below it is durable.
    pub(in crate::log) offset: PhysicalOffset,
    /// The highest one counts; also says which of the two sectors it stands in.
    pub(in crate::log) generation: u64,
}

impl DurableSlot {
    /// Where the slot stands in its file.
    pub(in crate::log) fn file_offset(self) -> u64 {
        SECTOR as u64 * (1 + self.generation % 2)
    }

    pub(in crate::log) fn encode(self, seed: FrameSeed, base: PhysicalOffset) -> [u8; 20] {
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
pub(in crate::log) fn encode_page(header: &SegmentHeader, slot: DurableSlot) -> Vec<u8> {
    let mut page = vec![0; PAGE_BYTES as usize];
    page[..HEADER_BYTES].copy_from_slice(&header.encode());
    let at = slot.file_offset() as usize;
    page[at..at + 20].copy_from_slice(&slot.encode(header.uuid.into(), header.base));
    page
}

/// Reads page 0: the header, and the newer valid slot.
pub(in crate::log) fn decode_page(page: &[u8]) -> Result<(SegmentHeader, DurableSlot), Malformed> {
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
pub(in crate::log) fn stray_byte(page: &[u8], header: &SegmentHeader) -> Option<usize> {
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
}
