//! Reading checkpoints again: what a start would need.

use super::pack::PackReader;
use super::root::{BYTES_MAX, BlobRef, Root};
use super::{CheckpointError, Expected, PACK_SUFFIX, ROOT_SUFFIX, position_in};
use crate::io::{LogIo, read_exact_aside};
use sluice_core::ids::PhysicalOffset;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The checkpoints at one moment.
pub(crate) struct CheckpointScrub {
    io: Arc<dyn LogIo>,
    folder: PathBuf,
    expected: Expected,
    roots: BTreeSet<u64>,
    /// What roots name and is not read yet: by pack, place, length and checksum.
    parts: BTreeSet<(u64, u64, u32, u32)>,
    pack: Option<(u64, PackReader)>,
}

impl CheckpointScrub {
    pub(crate) fn new(
        io: &Arc<dyn LogIo>,
        folder: &Path,
        expected: &Expected,
    ) -> Result<Self, CheckpointError> {
        let names = io.list(folder);
        let names = names.map_err(|source| CheckpointError::io("list", folder, source))?;
        let roots = names.iter().filter_map(|name| position_in(name, ROOT_SUFFIX));
        let roots = roots.chain(expected.roots()).collect();
        Ok(Self::of(io, folder, expected, roots))
    }

    /// Only the one there.
    pub(crate) fn only(io: &Arc<dyn LogIo>, folder: &Path, expected: &Expected, at: PhysicalOffset) -> Self {
        Self::of(io, folder, expected, BTreeSet::from([at.0]))
    }

    fn of(io: &Arc<dyn LogIo>, folder: &Path, expected: &Expected, roots: BTreeSet<u64>) -> Self {
        Self {
            io: Arc::clone(io),
            folder: folder.to_owned(),
            expected: expected.clone(),
            roots,
            parts: BTreeSet::new(),
            pack: None,
        }
    }

    /// Reads a root, or parts of about so many bytes; answers the bytes read. `None` at the end. Blocks on the disk.
    pub(crate) fn step(&mut self, bytes: u64) -> Option<Result<u64, CheckpointError>> {
        let read = match self.roots.pop_last() {
            Some(root) => self.root(root),
            None if self.parts.is_empty() => return None,
            None => self.parts(bytes),
        };
        match read {
            // Another checkpoint has come since, and this one, or its pack, has gone: unless it should be there still.
            Err(CheckpointError::Io { path, source, .. })
                if source.kind() == ErrorKind::NotFound && !self.expected.has(&path) =>
            {
                Some(Ok(0))
            }
            read => Some(read),
        }
    }

    fn path(&self, position: u64, suffix: &str) -> PathBuf {
        self.folder.join(format!("{position:020}{suffix}"))
    }

    fn root(&mut self, position: u64) -> Result<u64, CheckpointError> {
        let path = self.path(position, ROOT_SUFFIX);
        let failed = |source| CheckpointError::io("read", &path, source);
        let damaged = |what| CheckpointError::Damaged {
            path: path.clone(),
            offset: 0,
            what,
        };
        let file = self.io.open_read(&path).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        if len > BYTES_MAX {
            return Err(damaged("length"));
        }
        let mut bytes = vec![0; len as usize];
        read_exact_aside(&*file, &mut bytes, 0).map_err(failed)?;
        let root = Root::decode(&bytes).map_err(|_| damaged("checksum or format"))?;
        if root.position.physical.0 != position {
            return Err(damaged("position"));
        }
        let blobs = root.blobs();
        self.parts
            .extend(blobs.map(|blob| (blob.pack, blob.offset, blob.len, blob.crc)));
        Ok(len)
    }

    fn parts(&mut self, bytes: u64) -> Result<u64, CheckpointError> {
        let mut read = 0;
        while read < bytes
            && let Some((pack, offset, len, crc)) = self.parts.pop_first()
        {
            if self.pack.as_ref().is_none_or(|(open, _)| *open != pack) {
                let opened = PackReader::open(&*self.io, &self.path(pack, PACK_SUFFIX), pack);
                if opened.is_err() {
                    // Told once, and not for each of its parts.
                    self.parts.retain(|part| part.0 != pack);
                }
                self.pack = Some((pack, opened?.aside()));
            }
            let blob = BlobRef {
                pack,
                offset,
                len,
                crc,
            };
            if let Some((_, reader)) = &mut self.pack {
                reader.read(&blob)?;
            }
            read += u64::from(len);
        }
        Ok(read)
    }
}
