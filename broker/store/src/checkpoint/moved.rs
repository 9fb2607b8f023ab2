//! Emptying old packs: what is still needed of them goes into the pack that is being written.

use super::pack::{HEADER_BYTES, PackReader, PackWriter};
use super::root::{BlobRef, Root};
use super::{CheckpointError, Checkpoints, PACK_SUFFIX, PartKey, WriteStats};
use std::collections::BTreeMap;

/// Packs that the newest checkpoint may be spread over; beyond that the smallest are emptied.
const PACKS_MAX: usize = 64;
/// Bytes that a checkpoint moves out of old packs, at least and at most.
const MOVED_BYTES: (u64, u64) = (64 * 1024, 16 * 1024 * 1024);

impl Checkpoints {
    /// Moves blobs out of packs that are mostly dead, or some of too many, as far as the bound for one checkpoint goes.
    ///
    /// With what has changed it is a twentieth of the state, where that is little; where much has changed, a quarter of that more.
    pub(super) fn move_parts(
        &self,
        root: &mut Root,
        pack: &mut PackWriter<'_>,
        stats: &mut WriteStats,
    ) -> Result<(), CheckpointError> {
        let total: u64 = root.blobs().map(|blob| u64::from(blob.len)).sum();
        let written = pack.len() + root.encoded_len() as u64;
        let most = total / 20;
        let left = most.saturating_sub(written).max(written / 4).min(most);
        let mut budget = left.clamp(MOVED_BYTES.0, MOVED_BYTES.1);
        for (position, parts) in self.packs_to_empty(root) {
            let opened = PackReader::open(&*self.io, &self.path(position, PACK_SUFFIX), position);
            let mut reader = match opened {
                Ok(reader) => reader,
                Err(error) => {
                    tracing::warn!(%error, "a pack of the newest checkpoint cannot be read");
                    stats.damaged.extend(parts.iter().map(|(key, _)| *key));
                    continue;
                }
            };
            for (key, blob) in parts {
                if budget == 0 {
                    return Ok(());
                }
                budget = budget.saturating_sub(u64::from(blob.len).max(1));
                match reader.read(&blob) {
                    Ok(bytes) => {
                        let moved = pack.add(key, bytes)?;
                        if let Some(part) = root.parts.get_mut(&key) {
                            part.moved(&blob, moved);
                        }
                        stats.moved += 1;
                    }
                    Err(error) => {
                        tracing::warn!(%error, ?key, "a part of the newest checkpoint cannot be read");
                        stats.damaged.push(key);
                    }
                }
            }
        }
        Ok(())
    }

    /// Old packs that are mostly dead, or the smallest where there are too many, with what is live of them in order.
    fn packs_to_empty(&self, root: &Root) -> Vec<(u64, Vec<(PartKey, BlobRef)>)> {
        let mut packs: BTreeMap<u64, Vec<(PartKey, BlobRef)>> = BTreeMap::new();
        for (key, part) in &root.parts {
            for blob in part.blobs() {
                packs.entry(blob.pack).or_default().push((*key, blob));
            }
        }
        packs.remove(&root.position.physical.0);
        let mut surplus = (packs.len() + 1).saturating_sub(PACKS_MAX);
        let live =
            |parts: &[(PartKey, BlobRef)]| parts.iter().map(|(_, blob)| u64::from(blob.len)).sum::<u64>();
        let mut order: Vec<_> = packs
            .into_iter()
            .map(|(at, parts)| (live(&parts), at, parts))
            .collect();
        order.sort_unstable_by_key(|(live, at, _)| (*live, *at));
        order.retain(|(live, at, _)| {
            let chosen = surplus > 0 || live * 2 < self.blob_bytes(*at);
            surplus = surplus.saturating_sub(1);
            chosen
        });
        let sorted = |mut parts: Vec<(PartKey, BlobRef)>| {
            parts.sort_unstable_by_key(|(_, blob)| blob.offset);
            parts
        };
        order
            .into_iter()
            .map(|(_, at, parts)| (at, sorted(parts)))
            .collect()
    }

    /// Bytes of all blobs, live and dead, in a pack; 0 if it cannot be read.
    fn blob_bytes(&self, pack: u64) -> u64 {
        let file = self.io.open_read(&self.path(pack, PACK_SUFFIX));
        file.and_then(|file| file.len())
            .map_or(0, |len| len.saturating_sub(HEADER_BYTES))
    }
}
