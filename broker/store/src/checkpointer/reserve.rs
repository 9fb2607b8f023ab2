//! Room for the checkpoint with which a full disk gets empty.
//!
//! Files of the log go only after a checkpoint that counts with it, and on a disk that is full to the last byte none can be
//! written: the broker would hold on to what it has given up, and nobody could help it but by making room beside it. So a
//! file keeps room for one. It goes when a checkpoint that is to free space finds none, and is made again when there is some.

use crate::checkpoint::CheckpointError;
use crate::io::{LogIo, write_all_at};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Its name in the shard's folder.
const NAME: &str = "reserve";
/// What a checkpoint writes is what has changed since the one before.
const BYTES: u64 = 16 << 20;
/// Of small segments it is a part, so that what goes is more than it.
const PART_OF_SEGMENT: u64 = 4;
const CHUNK: usize = 256 << 10;

/// A file that stands for room on the disk.
pub(super) struct Reserve {
    io: Arc<dyn LogIo>,
    folder: PathBuf,
    bytes: u64,
    is_whole: bool,
}

impl Reserve {
    /// That of a log of such segments, in its shard's folder; what an earlier run has left is taken over.
    pub(super) fn of(io: Arc<dyn LogIo>, folder: &Path, segment_bytes: u64) -> Self {
        let bytes = BYTES.min(segment_bytes / PART_OF_SEGMENT);
        let len = io.open_read(&folder.join(NAME)).and_then(|file| file.len());
        Self {
            folder: folder.to_path_buf(),
            bytes,
            is_whole: len.is_ok_and(|len| len == bytes),
            io,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// Makes it, if it is not there and the disk has room; otherwise the next checkpoint tries again.
    pub(super) fn keep(&mut self) -> Result<(), CheckpointError> {
        if self.is_whole {
            return Ok(());
        }
        let path = self.path();
        match self.make(&path) {
            Err(error) if error.is_full_disk() => {
                let removed = self.io.remove(&path);
                removed.map_err(|source| CheckpointError::io("remove", &path, source))
            }
            made => {
                self.is_whole = made.is_ok();
                made
            }
        }
    }

    /// In small syncs, between which the log's come through.
    fn make(&self, path: &Path) -> Result<(), CheckpointError> {
        let failed = |action| move |source| CheckpointError::io(action, path, source);
        self.io.remove(path).map_err(failed("remove"))?;
        let file = self.io.create(path).map_err(failed("create"))?;
        let zeros = vec![0; CHUNK];
        let mut at = 0;
        while at < self.bytes {
            let some = (self.bytes - at).min(CHUNK as u64);
            write_all_at(file.as_ref(), &zeros[..some as usize], at).map_err(failed("write"))?;
            file.sync_data().map_err(CheckpointError::sync(path))?;
            at += some;
        }
        Ok(())
    }

    /// Gives the room to whoever is first. `false` if there is none.
    pub(super) fn give(&mut self) -> bool {
        let removed = self.is_whole && self.io.remove(&self.path()).is_ok();
        self.is_whole = false;
        removed
    }
}
