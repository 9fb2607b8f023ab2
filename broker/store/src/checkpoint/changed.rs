//! Parts that have changed: where that is little, what has changed of them is written, against the bytes that are stored.

use super::pack::{PackReader, PackWriter};
use super::root::{BlobRef, PartRef, Root};
use super::{CheckpointError, Checkpoints, PACK_SUFFIX, PartKey, WriteStats, patch};
use std::collections::BTreeMap;

/// Bytes of parts that wait until what is stored of them is read, in the order in which it stands.
const WAITING_BYTES: usize = 4 * 1024 * 1024;
/// What is stored of a part that gets a patch. Of less a patch saves little, which has 28 bytes in each root; of more two versions would
/// take too much memory at once.
const BASE_BYTES: (u32, u32) = (1024, 32 * 1024 * 1024);
/// A patch has at most this share of the bytes that it is against: it is written again with each change, and read with them.
const SHARE_OF_BASE: usize = 4;
/// From this share on a part had better be written whole, so that its next patches are small again.
const BETTER_WHOLE: usize = 16;
/// A checkpoint writes so large a share of the state whole for that alone: where all parts change as much, they take turns, rather than that
/// one checkpoint writes them all.
const SHARE_IN_TURN: u64 = 12;
/// A part whose length has changed by as large a share of it is written whole, and nothing is read for it.
const SHARE_OF_LENGTH: u32 = 4;

/// What has changed, on its way into a pack.
pub(super) struct Changed<'a> {
    checkpoints: &'a Checkpoints,
    waiting: BTreeMap<PartKey, (BlobRef, Vec<u8>)>,
    bytes: usize,
    /// Bytes that may still be written whole of parts that could be patched.
    in_turn: u64,
}

impl<'a> Changed<'a> {
    pub(super) fn new(checkpoints: &'a Checkpoints) -> Self {
        let parts = checkpoints.live.values();
        let stored: u64 = parts.map(|part| u64::from(part.base.len)).sum();
        Self {
            checkpoints,
            waiting: BTreeMap::new(),
            bytes: 0,
            in_turn: stored / SHARE_IN_TURN,
        }
    }

    /// A part has these bytes now, or is gone.
    pub(super) fn put(
        &mut self,
        key: PartKey,
        bytes: Option<Vec<u8>>,
        root: &mut Root,
        pack: &mut PackWriter<'_>,
        stats: &mut WriteStats,
    ) -> Result<(), CheckpointError> {
        stats.parts += 1;
        if let Some((_, earlier)) = self.waiting.remove(&key) {
            self.bytes -= earlier.len();
        }
        let Some(bytes) = bytes else {
            root.parts.remove(&key);
            return Ok(());
        };
        match self.base(&key, bytes.len(), root) {
            None => {
                root.parts.insert(key, pack.add(key, &bytes)?.into());
            }
            Some(base) => {
                self.bytes += bytes.len();
                self.waiting.insert(key, (base, bytes));
                if self.bytes >= WAITING_BYTES {
                    self.finish(root, pack, stats)?;
                }
            }
        }
        Ok(())
    }

    /// What a patch of a part with so many bytes is made against.
    fn base(&self, key: &PartKey, bytes: usize, root: &Root) -> Option<BlobRef> {
        let base = root.parts.get(key)?.base;
        let is_stored = base.pack != root.position.physical.0 && !self.checkpoints.shares_none;
        let fits = (BASE_BYTES.0..=BASE_BYTES.1).contains(&base.len);
        let differs = u32::try_from(bytes).ok()?.abs_diff(base.len);
        (is_stored && fits && differs < base.len / SHARE_OF_LENGTH).then_some(base)
    }

    /// Writes what waits.
    pub(super) fn finish(
        &mut self,
        root: &mut Root,
        pack: &mut PackWriter<'_>,
        stats: &mut WriteStats,
    ) -> Result<(), CheckpointError> {
        self.bytes = 0;
        let mut order: Vec<_> = std::mem::take(&mut self.waiting).into_iter().collect();
        order.sort_unstable_by_key(|(_, (base, _))| (base.pack, base.offset));
        for of_pack in order.chunk_by(|(_, (a, _)), (_, (b, _))| a.pack == b.pack) {
            let (mut reader, mut is_told) = (None, false);
            for (key, (base, new)) in of_pack {
                let patched = match self.read(&mut reader, base) {
                    Ok(stored) if stored == new => Some(None),
                    Ok(stored) => {
                        let base = stored.len();
                        let patch = patch::make(stored, new, base / SHARE_OF_BASE);
                        patch
                            .filter(|patch| patch.len() <= base / BETTER_WHOLE || !self.has_its_turn(new))
                            .map(Some)
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut is_told, true) {
                            tracing::warn!(%error, "what is stored of parts that have changed cannot be read: they are written whole");
                        }
                        stats.damaged.push(*key);
                        None
                    }
                };
                let part = match patched {
                    None => pack.add(*key, new)?.into(),
                    Some(patch) => {
                        stats.patched += 1;
                        let patch = patch.map(|patch| pack.add(*key, &patch)).transpose()?;
                        PartRef { base: *base, patch }
                    }
                };
                root.parts.insert(*key, part);
            }
        }
        Ok(())
    }

    /// Whether a part with a large patch is written whole in this checkpoint.
    fn has_its_turn(&mut self, part: &[u8]) -> bool {
        let left = self.in_turn.checked_sub(part.len() as u64);
        self.in_turn = left.unwrap_or(self.in_turn);
        left.is_some()
    }

    /// Bytes as they are stored, with the reader of their pack once there is one.
    fn read<'b>(
        &self,
        reader: &'b mut Option<PackReader>,
        base: &BlobRef,
    ) -> Result<&'b [u8], CheckpointError> {
        let reader = match reader {
            Some(reader) => reader,
            None => {
                let path = self.checkpoints.path(base.pack, PACK_SUFFIX);
                let opened = PackReader::open(&*self.checkpoints.io, &path, base.pack)?;
                reader.insert(opened.singly())
            }
        };
        reader.read(base)
    }
}
