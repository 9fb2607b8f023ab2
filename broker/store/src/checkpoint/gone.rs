//! Files of checkpoints that somebody has removed or cut while the store runs: state is in memory, so that another checkpoint needs none
//! of them.

use super::again::NAMES;
use super::load::known_root;
use super::pack::PackWriter;
use super::root::Root;
use super::{
    CheckpointError, Checkpoints, DAMAGED_SUFFIX, KnownRoot, PACK_SUFFIX, PartKey, ROOT_SUFFIX,
    TEMPORARY_SUFFIX, WriteStats,
};
use crate::log::LogPosition;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

impl Checkpoints {
    /// Whether the newest one is there with all that it counts on, as far as names and lengths tell.
    pub(crate) fn newest_stands(&self) -> bool {
        self.roots.last().is_some_and(|root| self.lacking(root).is_none())
    }

    /// The first file that the root counts on, itself included, and that is gone or too short.
    fn lacking(&self, root: &KnownRoot) -> Option<PathBuf> {
        let path = self.path(root.position.physical.0, ROOT_SUFFIX);
        if self.lacks(&path, root.bytes) {
            return Some(path);
        }
        self.lacking_pack(root)
    }

    /// The first of the root's packs that is gone or too short.
    pub(super) fn lacking_pack(&self, root: &KnownRoot) -> Option<PathBuf> {
        let packs = root.packs.iter();
        let mut packs = packs.map(|(pack, reach)| (self.path(*pack, PACK_SUFFIX), *reach));
        packs
            .find(|(path, reach)| self.lacks(path, *reach))
            .map(|(path, _)| path)
    }

    /// Whether a file is gone, or shorter than this. One that cannot be looked at now is there.
    fn lacks(&self, path: &Path, bytes: u64) -> bool {
        match self.io.open_read(path).and_then(|file| file.len()) {
            Ok(len) => len < bytes,
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    /// Keeps those no more that are older than the newest and lack a file: the log cannot begin there. Answers how many.
    pub(super) fn forget_lacking(&mut self) -> Result<usize, CheckpointError> {
        let older = self.roots.split_last().map_or(&[][..], |(_, older)| older);
        let lacking = older
            .iter()
            .filter_map(|root| Some((root.position.physical.0, self.lacking(root)?)));
        let lacking: Vec<(u64, PathBuf)> = lacking.collect();
        if lacking.is_empty() {
            return Ok(0);
        }
        // Until then what is left of them is all that there is for sure.
        self.sync_names()?;
        let base = self.roots.first().map(|root| root.position.physical.0);
        // Several may count on one pack.
        let mut told = BTreeSet::new();
        for (position, path) in &lacking {
            let file = path.display();
            if Some(*position) == base && self.lost_base.is_none() && *position > 0 {
                self.lost_base = base;
                tracing::error!(%file, start = position, "a file of the checkpoint at the log's start is gone, while the broker runs: until retention moves the log's start, queue files and index cannot be made again, so copy the folder now, and delete nothing of it");
            } else if told.insert(path) {
                tracing::error!(%file, "a file of an older checkpoint is gone, while the broker runs; newer ones do without it");
            }
        }
        let is_lacking = |root: &KnownRoot| lacking.iter().any(|(at, _)| *at == root.position.physical.0);
        self.expect(|root| !is_lacking(root));
        self.roots.retain(|root| !is_lacking(root));
        for (position, _) in &lacking {
            let (from, to) = (
                self.path(*position, ROOT_SUFFIX),
                self.path(*position, DAMAGED_SUFFIX),
            );
            match self.io.rename(&from, &to) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(%error, file = %from.display(), "what is left of a checkpoint stays where it is");
                }
                _ => {}
            }
        }
        Ok(lacking.len())
    }

    /// Puts a checkpoint with these parts alone in the place of the newest one, at the same position, durably: for a stop, behind which
    /// no other comes. Until then the old one is not touched. After an error as [`Checkpoints::write`].
    pub fn replace(
        &mut self,
        position: LogPosition,
        header: &[u8],
        parts: impl IntoIterator<Item = (PartKey, Option<Vec<u8>>)>,
    ) -> Result<WriteStats, CheckpointError> {
        let started = Instant::now();
        self.io
            .create_dir(&self.dir)
            .map_err(|source| CheckpointError::io("create", &self.dir, source))?;
        let name = self.free_name(position.physical.0)?;
        let mut root = Root {
            position,
            header: header.to_vec(),
            ..Root::default()
        };
        let written = self.write_replacement(&mut root, name, parts);
        if written.is_err() {
            let _ = self.io.remove(&self.path(name, PACK_SUFFIX));
            let _ = self.io.remove(&self.path(position.physical.0, TEMPORARY_SUFFIX));
        }
        let mut stats = written?;
        self.shares_none = false;
        // Only now may go what the old one counted on.
        self.sync_names()?;
        self.roots.pop();
        self.roots.push(known_root(&root));
        self.live = root.parts;
        stats.gone = self.forget_lacking()?;
        self.expect_all();
        if let Err(error) = self.sweep() {
            tracing::warn!(%error, "old checkpoints stay for now");
        }
        stats.elapsed = started.elapsed();
        Ok(stats)
    }

    fn write_replacement(
        &self,
        root: &mut Root,
        name: u64,
        parts: impl IntoIterator<Item = (PartKey, Option<Vec<u8>>)>,
    ) -> Result<WriteStats, CheckpointError> {
        let mut stats = WriteStats::default();
        let mut pack = PackWriter::new(&*self.io, self.path(name, PACK_SUFFIX), name);
        for (key, blob) in parts {
            if let Some(blob) = blob {
                stats.parts += 1;
                root.parts.insert(key, pack.add(key, &blob)?.into());
            }
        }
        stats.bytes = pack.finish()?;
        stats.bytes += self.write_root(root)?;
        stats.state_bytes = root.state_bytes();
        stats.packs = root.packs().len();
        Ok(stats)
    }

    /// A name for a pack of another checkpoint at this position, that none has.
    fn free_name(&self, position: u64) -> Result<u64, CheckpointError> {
        let names = self.list()?;
        let is_taken = |pack: &u64| {
            let is_named = self.roots.iter().any(|root| root.packs.contains_key(pack));
            let path = self.path(*pack, PACK_SUFFIX);
            is_named
                || names
                    .iter()
                    .any(|name| path.file_name() == Some(name.as_os_str()))
        };
        let free = (position + 1..=position + NAMES).find(|pack| !is_taken(pack));
        free.ok_or_else(|| CheckpointError::Gone {
            path: self.path(position, PACK_SUFFIX),
        })
    }
}
