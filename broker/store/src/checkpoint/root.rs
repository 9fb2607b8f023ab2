//! Roots: which blobs of which packs each part of a checkpoint is.
//!
//! ```text
//! "SLUICERT" | version u32 | patches u32 | physical u64 | index u64 | term u64 |
//! header len u32 | parts u32 | header | parts × (kind u8 | ids 3 × u32 | blob) | patches × (number of the part u32 | blob) |
//! crc32c u32 of all before
//! blob: pack u64 | offset u64 | len u32 | crc32c u32
//! ```
//! Little-endian. A pack is named by the position of the checkpoint that wrote it. A part with a patch is what that makes of its
//! blob. Version 1 has no patches; a root without any is one.

use super::{HEADER_BYTES_MAX, PART_BYTES_MAX, PARTS_MAX, PartKey};
use crate::log::LogPosition;
use sluice_core::codec::{Malformed, Reader};
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::collections::{BTreeMap, BTreeSet};
use std::iter;

const MAGIC: &[u8; 8] = b"SLUICERT";
/// Of a root without patches: builds from before there were any read it.
const PLAIN: u32 = 1;
const WITH_PATCHES: u32 = 2;
const FIXED_BYTES: usize = 8 + 4 + 4 + 24 + 4 + 4;
const BLOB_BYTES: usize = 8 + 8 + 4 + 4;
const PART_BYTES: usize = 1 + 12 + BLOB_BYTES;
const PATCH_BYTES: usize = 4 + BLOB_BYTES;
const CRC_BYTES: usize = 4;
/// The largest root that is read.
pub(super) const BYTES_MAX: u64 =
    (FIXED_BYTES + HEADER_BYTES_MAX + PARTS_MAX * (PART_BYTES + PATCH_BYTES) + CRC_BYTES) as u64;

/// Where bytes are.
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

/// What a part's bytes are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartRef {
    /// Its bytes, or those of an earlier version.
    pub(super) base: BlobRef,
    /// What makes its bytes of those.
    pub(super) patch: Option<BlobRef>,
}

impl PartRef {
    pub(super) fn blobs(&self) -> impl Iterator<Item = BlobRef> + use<> {
        iter::once(self.base).chain(self.patch)
    }

    /// One of its blobs stands somewhere else.
    pub(super) fn moved(&mut self, from: &BlobRef, to: BlobRef) {
        if self.base == *from {
            self.base = to;
        } else if self.patch.as_ref() == Some(from) {
            self.patch = Some(to);
        }
    }
}

impl From<BlobRef> for PartRef {
    fn from(base: BlobRef) -> Self {
        Self { base, patch: None }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) position: LogPosition,
    pub(super) header: Vec<u8>,
    pub(super) parts: BTreeMap<PartKey, PartRef>,
}

impl Root {
    /// All that it names.
    pub(super) fn blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        self.parts.values().flat_map(PartRef::blobs)
    }

    pub(super) fn packs(&self) -> BTreeSet<u64> {
        self.blobs().map(|blob| blob.pack).collect()
    }

    /// Its packs, and up to where it counts on each.
    pub(super) fn reaches(&self) -> BTreeMap<u64, u64> {
        let mut reaches = BTreeMap::new();
        for blob in self.blobs() {
            let reach: &mut u64 = reaches.entry(blob.pack).or_default();
            *reach = blob.end().max(*reach);
        }
        reaches
    }

    /// Bytes of itself and of all that it names.
    pub(super) fn state_bytes(&self) -> u64 {
        self.encoded_len() as u64 + self.blobs().map(|blob| u64::from(blob.len)).sum::<u64>()
    }

    /// The patches, each with the number of its part.
    fn patches(&self) -> impl Iterator<Item = (u32, BlobRef)> + '_ {
        let parts = (0..).zip(self.parts.values());
        parts.filter_map(|(number, part)| Some((number, part.patch?)))
    }

    /// Bytes of [`Root::encode`].
    pub(super) fn encoded_len(&self) -> usize {
        let blobs = self.parts.len() * PART_BYTES + self.patches().count() * PATCH_BYTES;
        FIXED_BYTES + self.header.len() + blobs + CRC_BYTES
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let patches = self.patches().count() as u32;
        let version = if patches == 0 { PLAIN } else { WITH_PATCHES };
        let mut out = Vec::with_capacity(self.encoded_len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&version.to_le_bytes());
        out.extend_from_slice(&patches.to_le_bytes());
        out.extend_from_slice(&self.position.physical.0.to_le_bytes());
        out.extend_from_slice(&self.position.index.0.to_le_bytes());
        out.extend_from_slice(&self.position.term.0.to_le_bytes());
        out.extend_from_slice(&(self.header.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.parts.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.header);
        for (PartKey { kind, ids }, part) in &self.parts {
            out.push(*kind);
            ids.iter().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
            put_blob(&mut out, &part.base);
        }
        for (number, patch) in self.patches() {
            out.extend_from_slice(&number.to_le_bytes());
            put_blob(&mut out, &patch);
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
        let patches = match (reader.u32()?, reader.u32()?) {
            (PLAIN, _) => 0,
            (WITH_PATCHES, patches) => patches as usize,
            _ => return Err(Malformed::Range("version")),
        };
        let position = LogPosition {
            physical: PhysicalOffset(reader.u64()?),
            index: LogIndex(reader.u64()?),
            term: Term(reader.u64()?),
        };
        let (header, count) = (reader.u32()? as usize, reader.u32()? as usize);
        let header = reader.take(header)?.to_vec();
        let rest = count
            .saturating_mul(PART_BYTES)
            .saturating_add(patches.saturating_mul(PATCH_BYTES));
        if reader.rest().len() != rest {
            return Err(Malformed::Range("number of parts"));
        }
        let mut parts = (0..count)
            .map(|_| read_part(&mut reader))
            .collect::<Result<Vec<_>, _>>()?;
        for _ in 0..patches {
            let number = reader.u32()? as usize;
            let (_, part) = parts.get_mut(number).ok_or(Malformed::Range("patched part"))?;
            part.patch = Some(read_blob(&mut reader)?);
        }
        Ok(Self {
            position,
            header,
            parts: parts.into_iter().collect(),
        })
    }
}

fn put_blob(out: &mut Vec<u8>, blob: &BlobRef) {
    out.extend_from_slice(&blob.pack.to_le_bytes());
    out.extend_from_slice(&blob.offset.to_le_bytes());
    out.extend_from_slice(&blob.len.to_le_bytes());
    out.extend_from_slice(&blob.crc.to_le_bytes());
}

fn read_part(reader: &mut Reader<'_>) -> Result<(PartKey, PartRef), Malformed> {
    let key = PartKey {
        kind: reader.u8()?,
        ids: [reader.u32()?, reader.u32()?, reader.u32()?],
    };
    Ok((key, read_blob(reader)?.into()))
}

fn read_blob(reader: &mut Reader<'_>) -> Result<BlobRef, Malformed> {
    let blob = BlobRef {
        pack: reader.u64()?,
        offset: reader.u64()?,
        len: reader.u32()?,
        crc: reader.u32()?,
    };
    if blob.len as usize > PART_BYTES_MAX || blob.offset > u64::MAX / 2 {
        return Err(Malformed::Range("part"));
    }
    Ok(blob)
}

#[cfg(test)]
mod tests;
