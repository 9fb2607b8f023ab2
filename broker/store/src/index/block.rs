//! Blocks of a sorted file.
//!
//! ```text
//! kind u8 (0 items, 1 fences) | level u8 | count u16 | crc32c u32 | entries | zeros        4,096 bytes
//! item:  24 bytes, see `item`         fence:  first item below it, 24 bytes | its block u32
//! ```
//! The CRC is seeded with the block's number and covers everything else, so that a block read from a wrong place shows.

use super::item::{ITEM_BYTES, Item};
use sluice_core::codec::Reader;

pub(super) const BLOCK_BYTES: usize = 4096;
const HEADER_BYTES: usize = 8;
const FENCE_BYTES: usize = ITEM_BYTES + 4;
/// Items of a block.
pub(super) const ITEMS_MAX: usize = (BLOCK_BYTES - HEADER_BYTES) / ITEM_BYTES;
/// Fences of a block.
pub(super) const FENCES_MAX: usize = (BLOCK_BYTES - HEADER_BYTES) / FENCE_BYTES;

const _: () = assert!(ITEMS_MAX == 170 && FENCES_MAX == 146);

/// Where a block of items or fences starts, and the first item below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    pub(super) first: Item,
    pub(super) block: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Items(Vec<Item>),
    Fences { level: u8, fences: Vec<Fence> },
}

impl Block {
    pub(super) fn encode(&self, number: u32) -> Vec<u8> {
        let (kind, level, count) = match self {
            Self::Items(items) => (0, 0, items.len()),
            Self::Fences { level, fences } => (1, *level, fences.len()),
        };
        let mut out = Vec::with_capacity(BLOCK_BYTES);
        out.extend_from_slice(&[kind, level]);
        out.extend_from_slice(&(count as u16).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        match self {
            Self::Items(items) => items
                .iter()
                .for_each(|item| out.extend_from_slice(&item.encode())),
            Self::Fences { fences, .. } => fences.iter().for_each(|fence| {
                out.extend_from_slice(&fence.first.encode());
                out.extend_from_slice(&fence.block.to_le_bytes());
            }),
        }
        out.resize(BLOCK_BYTES, 0);
        let crc = checksum(&out, number);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The block these bytes are, if they are the whole block with this number.
    pub(super) fn decode(bytes: &[u8], number: u32) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let (kind, level) = (reader.u8().ok()?, reader.u8().ok()?);
        let (count, crc) = (reader.u16().ok()? as usize, reader.u32().ok()?);
        if bytes.len() != BLOCK_BYTES || crc != checksum(bytes, number) {
            return None;
        }
        match kind {
            0 if count > 0 => (0..count)
                .map(|_| Item::read(&mut reader).ok())
                .collect::<Option<_>>()
                .map(Self::Items),
            1 if count > 0 => {
                let fence = |_| {
                    Some(Fence {
                        first: Item::read(&mut reader).ok()?,
                        block: reader.u32().ok()?,
                    })
                };
                let fences = (0..count).map(fence).collect::<Option<_>>()?;
                Some(Self::Fences { level, fences })
            }
            _ => None,
        }
    }
}

fn checksum(bytes: &[u8], number: u32) -> u32 {
    let crc = crc32c::crc32c(&number.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(crc, &bytes[..4]), &bytes[HEADER_BYTES..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{u32_at, u64_at};
    use sluice_core::ids::PhysicalOffset;

    #[test]
    fn blocks_come_back_whole_or_not_at_all() {
        let item = |n: u64| Item {
            hash: n,
            physical: PhysicalOffset(n * 2),
            time: n * 3,
        };
        let items = Block::Items((0..170).map(item).collect());
        let fences = Block::Fences {
            level: 2,
            fences: (0..146)
                .map(|n| Fence {
                    first: item(n),
                    block: 9,
                })
                .collect(),
        };
        for block in [items, fences] {
            let bytes = block.encode(7);
            let crc = [&7_u32.to_le_bytes(), &bytes[..4], &bytes[8..]].concat();
            assert_eq!(u32_at(&bytes, 4), crc32c::crc32c(&crc));
            // The first entry's item is all zeros; the second begins 24 or 28 bytes behind it.
            match bytes[..4] {
                [0, 0, 170, 0] => assert_eq!(u64_at(&bytes, 8 + 24), 1),
                [1, 2, 146, 0] => assert_eq!((u32_at(&bytes, 8 + 24), u64_at(&bytes, 8 + 28)), (9, 1)),
                _ => unreachable!("{:?}", &bytes[..4]),
            }
            assert_eq!(Block::decode(&bytes, 7), Some(block));
            assert_eq!(Block::decode(&bytes, 8), None, "not its place");
            for at in 0..BLOCK_BYTES {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1;
                assert_eq!(Block::decode(&flipped, 7), None, "byte {at}");
            }
        }
        assert_eq!(Block::decode(&[0; BLOCK_BYTES], 0), None);
    }
}
