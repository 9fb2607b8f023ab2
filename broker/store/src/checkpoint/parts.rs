//! Reading parts: in the order in which they stand, each with what its patch makes of it.

use super::pack::PackReader;
use super::root::{BlobRef, Root};
use super::{CheckpointError, Checkpoints, PACK_SUFFIX, PartKey, patch};
use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Debug, Default)]
pub(super) struct Parts {
    bytes: Vec<u8>,
    ranges: Vec<(PartKey, Range<usize>)>,
}

impl Parts {
    /// In no order.
    pub(super) fn each(&self) -> impl Iterator<Item = (PartKey, &[u8])> {
        let ranges = self.ranges.iter();
        ranges.map(|(key, range)| (*key, &self.bytes[range.clone()]))
    }
}

impl Checkpoints {
    /// All parts of a root; an error if anything of that is not whole.
    pub(super) fn read_parts(&self, root: &Root) -> Result<Parts, CheckpointError> {
        // They are needed one by one where their parts are read, and are small.
        let mut patches = BTreeMap::new();
        let with_patch = root.parts.iter();
        let with_patch = with_patch.filter_map(|(key, part)| Some((*key, part.patch?)));
        self.read_blobs(with_patch.collect(), |key, blob, bytes| {
            patches.insert(key, (*blob, bytes.to_vec()));
            Ok(())
        })?;
        let mut parts = Parts {
            bytes: Vec::new(),
            ranges: Vec::with_capacity(root.parts.len()),
        };
        let bases = root.parts.iter().map(|(key, part)| (*key, part.base));
        self.read_blobs(bases.collect(), |key, _, bytes| {
            let start = parts.bytes.len();
            match patches.remove(&key) {
                None => parts.bytes.extend_from_slice(bytes),
                Some((blob, patch)) => {
                    let patched = patch::apply(bytes, &patch);
                    let damaged = |_| CheckpointError::Damaged {
                        path: self.path(blob.pack, PACK_SUFFIX),
                        offset: blob.offset,
                        what: "patch of a part",
                    };
                    parts.bytes.extend(patched.map_err(damaged)?);
                }
            }
            parts.ranges.push((key, start..parts.bytes.len()));
            Ok(())
        })?;
        Ok(parts)
    }

    /// Reads blobs in the order in which they stand.
    fn read_blobs(
        &self,
        mut blobs: Vec<(PartKey, BlobRef)>,
        mut each: impl FnMut(PartKey, &BlobRef, &[u8]) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        blobs.sort_unstable_by_key(|(_, blob)| (blob.pack, blob.offset));
        for of_pack in blobs.chunk_by(|(_, a), (_, b)| a.pack == b.pack) {
            let Some((_, BlobRef { pack, .. })) = of_pack.first() else {
                continue;
            };
            let mut reader = PackReader::open(&*self.io, &self.path(*pack, PACK_SUFFIX), *pack)?;
            for (key, blob) in of_pack {
                each(*key, blob, reader.read(blob)?)?;
            }
        }
        Ok(())
    }
}
