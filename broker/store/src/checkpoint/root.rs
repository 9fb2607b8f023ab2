//! Roots: which blob of which pack each part of a checkpoint is.
//!
//! ```text
//! "SLUICERT" | version u32 | zero u32 | physical u64 | index u64 | term u64 |
//! header len u32 | parts u32 | header | parts × (kind u8 | ids 3 × u32 | pack u64 | offset u64 | len u32 | crc32c u32) |
//! crc32c u32 of all before
//! ```
//! Little-endian. A pack is named by the position of the checkpoint that wrote it.

use super::{HEADER_BYTES_MAX, PART_BYTES_MAX, PARTS_MAX, PartKey};
use crate::log::LogPosition;
use sluice_core::codec::{Malformed, Reader};
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::collections::{BTreeMap, BTreeSet};

const MAGIC: &[u8; 8] = b"SLUICERT";
const VERSION: u32 = 1;
const FIXED_BYTES: usize = 8 + 4 + 4 + 24 + 4 + 4;
const PART_BYTES: usize = 1 + 12 + 8 + 8 + 4 + 4;
const CRC_BYTES: usize = 4;
/// The largest root that is read.
pub(super) const BYTES_MAX: u64 =
    (FIXED_BYTES + HEADER_BYTES_MAX + PARTS_MAX * PART_BYTES + CRC_BYTES) as u64;

/// Where a part's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlobRef {
    pub(super) pack: u64,
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) crc: u32,
}

impl BlobRef {
    pub(super) fn end(&self) -> u64 {
        self.offset + u64::from(self.len)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) position: LogPosition,
    pub(super) header: Vec<u8>,
    pub(super) parts: BTreeMap<PartKey, BlobRef>,
}

impl Root {
    pub(super) fn packs(&self) -> BTreeSet<u64> {
        self.parts.values().map(|blob| blob.pack).collect()
    }

    /// Its packs, and up to where it counts on each.
    pub(super) fn reaches(&self) -> BTreeMap<u64, u64> {
        let mut reaches = BTreeMap::new();
        for blob in self.parts.values() {
            let reach: &mut u64 = reaches.entry(blob.pack).or_default();
            *reach = blob.end().max(*reach);
        }
        reaches
    }

    /// Bytes of [`Root::encode`].
    pub(super) fn encoded_len(&self) -> usize {
        FIXED_BYTES + self.header.len() + self.parts.len() * PART_BYTES + CRC_BYTES
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.position.physical.0.to_le_bytes());
        out.extend_from_slice(&self.position.index.0.to_le_bytes());
        out.extend_from_slice(&self.position.term.0.to_le_bytes());
        out.extend_from_slice(&(self.header.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.parts.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.header);
        for (PartKey { kind, ids }, blob) in &self.parts {
            out.push(*kind);
            ids.iter().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
            out.extend_from_slice(&blob.pack.to_le_bytes());
            out.extend_from_slice(&blob.offset.to_le_bytes());
            out.extend_from_slice(&blob.len.to_le_bytes());
            out.extend_from_slice(&blob.crc.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let sound = bytes
            .split_last_chunk()
            .filter(|(all, crc)| crc32c::crc32c(all) == u32::from_le_bytes(**crc));
        let (bytes, _) = sound.ok_or(Malformed::Range("checksum"))?;
        let mut reader = Reader::new(bytes);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(Malformed::Range("magic"));
        }
        if reader.u32()? != VERSION {
            return Err(Malformed::Range("version"));
        }
        reader.u32()?;
        let position = LogPosition {
            physical: PhysicalOffset(reader.u64()?),
            index: LogIndex(reader.u64()?),
            term: Term(reader.u64()?),
        };
        let (header, count) = (reader.u32()? as usize, reader.u32()? as usize);
        let header = reader.take(header)?.to_vec();
        if reader.rest().len() != count.saturating_mul(PART_BYTES) {
            return Err(Malformed::Range("number of parts"));
        }
        let parts = (0..count)
            .map(|_| read_part(&mut reader))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            position,
            header,
            parts,
        })
    }
}

fn read_part(reader: &mut Reader<'_>) -> Result<(PartKey, BlobRef), Malformed> {
    let key = PartKey {
        kind: reader.u8()?,
        ids: [reader.u32()?, reader.u32()?, reader.u32()?],
    };
    let blob = BlobRef {
        pack: reader.u64()?,
        offset: reader.u64()?,
        len: reader.u32()?,
        crc: reader.u32()?,
    };
    if blob.len as usize > PART_BYTES_MAX || blob.offset > u64::MAX / 2 {
        return Err(Malformed::Range("part"));
    }
    Ok((key, blob))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{ends_in_its_checksum, u32_at, u64_at};

    fn root() -> Root {
        let blob = |n: u32| BlobRef {
            pack: 7,
            offset: u64::from(n) * 100,
            len: n,
            crc: !n,
        };
        Root {
            position: LogPosition {
                physical: PhysicalOffset(1 << 40),
                index: LogIndex(2),
                term: Term(3),
            },
            header: b"header".to_vec(),
            parts: (0..20)
                .map(|n| {
                    (
                        PartKey {
                            kind: 3,
                            ids: [n, 2, 1],
                        },
                        blob(n),
                    )
                })
                .collect(),
        }
    }

    #[test]
    fn the_bytes_are_those_that_the_format_says() {
        let bytes = root().encode();
        assert_eq!(&bytes[..8], b"SLUICERT");
        assert_eq!([8, 12].map(|at| u32_at(&bytes, at)), [1, 0]);
        assert_eq!([16, 24, 32].map(|at| u64_at(&bytes, at)), [1 << 40, 2, 3]);
        assert_eq!([40, 44].map(|at| u32_at(&bytes, at)), [6, 20]);
        assert_eq!(&bytes[48..54], b"header");
        let part = &bytes[54 + 37 * 19..];
        assert_eq!(part[0], 3);
        assert_eq!([1, 5, 9].map(|at| u32_at(part, at)), [19, 2, 1]);
        assert_eq!([13, 21].map(|at| u64_at(part, at)), [7, 1900]);
        assert_eq!([29, 33].map(|at| u32_at(part, at)), [19, !19]);
        assert_eq!(part.len(), 37 + 4);
        assert!(ends_in_its_checksum(&bytes));
    }

    #[test]
    fn a_root_comes_back_from_its_bytes() {
        assert_eq!(Root::decode(&root().encode()), Ok(root()));
        assert_eq!(Root::decode(&Root::default().encode()), Ok(Root::default()));
    }

    #[test]
    fn a_damaged_root_is_refused() {
        let bytes = root().encode();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert!(Root::decode(&flipped).is_err(), "byte {at} flipped");
            assert!(Root::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
