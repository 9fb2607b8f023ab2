//! Reading sorted files again, whether or not anybody looks for something in them, and whether the files of runs are there.

use super::files::SortedFile;
use super::sorted::{BLOCK_BYTES, Blocks};
use super::{IndexError, IndexStore};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The sorted files at one moment, and which block of them is next.
pub(crate) struct IndexScrub {
    index: IndexStore,
    files: Vec<Arc<SortedFile>>,
    block: u32,
    /// Files of runs that were gone when it began.
    gone: Vec<PathBuf>,
}

impl IndexStore {
    /// All sorted files that are in use now.
    pub(crate) fn scrub(&self) -> IndexScrub {
        IndexScrub {
            files: self.inner.live.lock().sorted.to_vec(),
            index: self.clone(),
            block: 1,
            gone: self.gone_runs(),
        }
    }

    /// The files of runs that somebody has removed. What they held is in memory: the next flush writes it again.
    fn gone_runs(&self) -> Vec<PathBuf> {
        let (mut flushed, files) = (self.inner.flushed.lock(), &self.inner.files);
        let mut gone = Vec::new();
        for (run, items) in flushed.items.iter_mut().filter(|(_, items)| **items > 0) {
            let path = files.run_path(*run);
            let opened = files.io.open_read(&path);
            if opened.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                *items = 0;
                gone.push(path);
            }
        }
        gone
    }
}

impl IndexScrub {
    /// Reads up to `blocks` blocks of the next file; answers the bytes. `None` at the end. A damaged file is put aside, as when
    /// somebody looks for something in it. Blocks on the disk.
    pub(crate) fn step(&mut self, blocks: u32) -> Option<Result<u64, IndexError>> {
        if let Some(path) = self.gone.pop() {
            return Some(Err(IndexError::Gone { path }));
        }
        let file = Arc::clone(self.files.last()?);
        let end = self.block.saturating_add(blocks).min(file.header.blocks);
        let read = self.read(&file, end);
        let bytes = u64::from(end.saturating_sub(self.block)) * BLOCK_BYTES as u64;
        self.block = end;
        if end >= file.header.blocks || read.is_err() {
            self.files.pop();
            self.block = 1;
        }
        match read {
            Err(error) => match self.index.put_aside_if_damaged(&file, error) {
                // Merging, or retention, has taken it away since.
                IndexError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(Ok(0)),
                error => Some(Err(error)),
            },
            Ok(()) => Some(Ok(bytes)),
        }
    }

    fn read(&self, file: &Arc<SortedFile>, end: u32) -> Result<(), IndexError> {
        let opened = self.index.inner.files.io.open_read(&file.path);
        let mut blocks = Blocks {
            file: opened.map_err(|source| IndexError::io("open", &file.path, source))?,
            path: &file.path,
            header: &file.header,
            read: 0,
        };
        (self.block..end).try_for_each(|block| blocks.block_aside(block).map(drop))
    }
}
