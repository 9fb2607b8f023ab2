//! Writing a checkpoint.

use super::changed::Changed;
use super::keep::kept;
use super::load::known_root;
use super::pack::PackWriter;
use super::root::Root;
use super::{
    CheckpointError, Checkpoints, HEADER_BYTES_MAX, PACK_SUFFIX, PARTS_MAX, PartKey, ROOT_SUFFIX,
    TEMPORARY_SUFFIX,
};
use crate::io::write_all_at;
use crate::log::LogPosition;
use sluice_core::ids::PhysicalOffset;
use std::time::{Duration, Instant};

/// What a checkpoint took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteStats {
    /// Parts that had changed.
    pub parts: usize,
    /// Those of them of which only the change was written.
    pub patched: usize,
    /// Bytes of pack and root.
    pub bytes: u64,
    /// Bytes of all that it is made of, whichever checkpoint wrote them.
    pub state_bytes: u64,
    /// Parts and patches moved out of old packs.
    pub moved: usize,
    /// Packs that the checkpoint is spread over.
    pub packs: usize,
    /// Older checkpoints of which a file was gone: they are kept no more.
    pub gone: usize,
    /// Stored parts that turned out damaged: give them as changed next time.
    pub damaged: Vec<PartKey>,
    /// How long it took, the sync included.
    pub elapsed: Duration,
}

impl Checkpoints {
    /// The next one shares nothing with older ones, if all parts are given for it: what is stored may be damaged. Until one is written.
    pub fn share_none(&mut self) {
        self.shares_none = true;
    }

    /// Writes the checkpoint at `position`: the parts that changed since the last one, `None` for those that are gone.
    /// Of one that differs little from what is stored only the difference is written.
    /// Queue tails and index must be flushed up to there before; the one sync here makes them durable too.
    /// `starts_segment` is asked of every root, for that a segment starts where one stands may come out later.
    ///
    /// At the newest checkpoint's position there is nothing to do. Where a pack that the new one would share is gone that is
    /// [`CheckpointError::Gone`]: the next one must be given all parts. After an error nothing has changed, and the
    /// same parts must be given to the next one; but after a failed sync the process must end.
    pub fn write(
        &mut self,
        position: LogPosition,
        header: &[u8],
        starts_segment: &dyn Fn(PhysicalOffset) -> bool,
        parts: impl IntoIterator<Item = (PartKey, Option<Vec<u8>>)>,
    ) -> Result<WriteStats, CheckpointError> {
        let started = Instant::now();
        if let Some(newest) = self.kept().last().map(|newest| newest.physical) {
            if position.physical == newest {
                return Ok(WriteStats::default());
            }
            if position.physical < newest {
                return Err(CheckpointError::Backwards {
                    position: position.physical,
                    newest,
                });
            }
        }
        let mut root = Root {
            position,
            header: header.to_vec(),
            parts: self.live.clone(),
        };
        if !self.roots.is_empty() && self.list()?.is_empty() {
            // Somebody has taken it away as a whole.
            self.io
                .create_dir(&self.dir)
                .map_err(|source| CheckpointError::io("create", &self.dir, source))?;
        }
        let written = self.write_files(&mut root, starts_segment, parts);
        // After a failed sync the process ends, and the new one may have its name.
        if written
            .as_ref()
            .is_err_and(|error| !matches!(error, CheckpointError::Sync { .. }))
        {
            // A full disk gets its space back at once. What fails here goes with the next attempt or start.
            let _ = self.io.remove(&self.path(position.physical.0, PACK_SUFFIX));
            let _ = self.io.remove(&self.path(position.physical.0, TEMPORARY_SUFFIX));
        }
        let mut stats = written?;
        self.shares_none = false;
        self.live = std::mem::take(&mut root.parts);
        stats.elapsed = started.elapsed();
        Ok(stats)
    }

    fn write_files(
        &mut self,
        root: &mut Root,
        starts_segment: &dyn Fn(PhysicalOffset) -> bool,
        parts: impl IntoIterator<Item = (PartKey, Option<Vec<u8>>)>,
    ) -> Result<WriteStats, CheckpointError> {
        let mut stats = WriteStats::default();
        let position = root.position.physical.0;
        let mut pack = PackWriter::new(&*self.io, self.path(position, PACK_SUFFIX), position);
        let mut changed = Changed::new(self);
        for (key, bytes) in parts {
            changed.put(key, bytes, root, &mut pack, &mut stats)?;
        }
        changed.finish(root, &mut pack, &mut stats)?;
        self.move_parts(root, &mut pack, &mut stats)?;
        if root.parts.len() > PARTS_MAX || root.header.len() > HEADER_BYTES_MAX {
            let (key, bytes) = (PartKey::default(), root.header.len());
            return Err(CheckpointError::TooLarge {
                key,
                bytes,
                max: HEADER_BYTES_MAX,
            });
        }
        stats.bytes = pack.finish()?;
        let known = known_root(root);
        if let Some(path) = self.lacking_pack(&known) {
            return Err(CheckpointError::Gone { path });
        }
        stats.bytes += self.write_root(root)?;
        stats.state_bytes = root.state_bytes();
        if self.roots.is_empty() {
            // There is none to come back to yet: without a name the base would be lost, and the log could not be used.
            self.io
                .sync_dir(&self.dir)
                .map_err(CheckpointError::sync(&self.dir))?;
        }
        stats.packs = known.packs.len();
        self.roots.push(known);
        stats.gone = self.forget_lacking()?;
        self.expect_all();
        if let Err(error) = self.remove_old(starts_segment) {
            tracing::warn!(%error, "old checkpoints stay for now");
        }
        Ok(stats)
    }

    /// Writes a root, makes it and all it counts on durable, and gives it its name.
    pub(super) fn write_root(&self, root: &Root) -> Result<u64, CheckpointError> {
        let position = root.position.physical.0;
        let bytes = root.encode();
        let temporary = self.path(position, TEMPORARY_SUFFIX);
        let failed = |source| CheckpointError::io("write", &temporary, source);
        self.io.remove(&temporary).map_err(failed)?;
        let file = self.io.create(&temporary).map_err(failed)?;
        write_all_at(&*file, &bytes, 0).map_err(failed)?;
        drop(file);

        self.io
            .sync_all_files(&self.dir)
            .map_err(CheckpointError::sync(&self.dir))?;

        let name = self.path(position, ROOT_SUFFIX);
        self.io
            .rename(&temporary, &name)
            .map_err(|source| CheckpointError::io("rename", &temporary, source))?;
        Ok(bytes.len() as u64)
    }

    /// Writes the base anew, durably, before all others: state without any part, at the log's start.
    pub fn put_base_back(&mut self, position: LogPosition, header: &[u8]) -> Result<(), CheckpointError> {
        debug_assert!(self.kept().all(|kept| kept.physical > position.physical));
        let root = Root {
            position,
            header: header.to_vec(),
            ..Root::default()
        };
        self.write_root(&root)?;
        self.io
            .sync_dir(&self.dir)
            .map_err(CheckpointError::sync(&self.dir))?;
        self.roots.insert(0, known_root(&root));
        self.expect_all();
        Ok(())
    }

    /// Keeps what may still be needed, now that the checkpoint before the newest has a durable name.
    fn remove_old(&mut self, starts_segment: &dyn Fn(PhysicalOffset) -> bool) -> Result<(), CheckpointError> {
        let roots: Vec<_> = self
            .kept()
            .map(|LogPosition { physical, .. }| (physical.0, starts_segment(physical)))
            .collect();
        let stay = self.expect_few(|held| {
            let pinned: Vec<u64> = held.into_iter().chain([self.pinned]).flatten().collect();
            kept(&roots, &pinned)
        });
        let gone = roots
            .iter()
            .map(|(position, _)| *position)
            .filter(|position| !stay.contains(position));
        for position in gone.collect::<Vec<_>>() {
            self.remove(&self.path(position, ROOT_SUFFIX))?;
            self.roots.retain(|root| root.position.physical.0 != position);
        }
        self.sweep()
    }
}
