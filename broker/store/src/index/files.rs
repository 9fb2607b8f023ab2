//! Index files by name.

use super::IndexError;
use super::begin::SUFFIX as BEGIN_SUFFIX;
use super::sorted::{Blocks, Header};
use crate::io::recent::Recent;
use crate::io::{FileHandle, LogIo};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const RUN_SUFFIX: &str = ".run";
const SORTED_SUFFIX: &str = ".idx";
const TEMPORARY_SUFFIX: &str = ".tmp";
const DAMAGED_SUFFIX: &str = ".bad";
/// Sorted files kept open.
const HANDLES_MAX: usize = 64;
/// Damaged files kept for a look.
const DAMAGED_MAX: usize = 4;

/// A sorted file that is in use.
#[derive(Debug)]
pub(super) struct SortedFile {
    pub(super) header: Header,
    pub(super) path: PathBuf,
}

pub(super) struct Files {
    pub(super) io: Arc<dyn LogIo>,
    pub(super) dir: PathBuf,
    handles: Recent<PathBuf, FileHandle>,
}

impl Files {
    pub(super) fn new(io: Arc<dyn LogIo>, dir: &Path) -> Self {
        Self {
            io,
            dir: dir.to_path_buf(),
            handles: Recent::new(HANDLES_MAX),
        }
    }

    pub(super) fn run_path(&self, run: u64) -> PathBuf {
        self.dir.join(format!("{run:012}{RUN_SUFFIX}"))
    }

    pub(super) fn sorted_path(&self, header: &Header) -> PathBuf {
        let Header {
            slice,
            level,
            first_run,
            ..
        } = header;
        self.dir
            .join(format!("{slice:08}-{level}-{first_run:012}{SORTED_SUFFIX}"))
    }

    /// The name of a sorted file until it is whole.
    pub(super) fn temporary_path(&self, header: &Header) -> PathBuf {
        self.sorted_path(header)
            .with_added_extension(&TEMPORARY_SUFFIX[1..])
    }

    /// The runs that have files, and the paths of the sorted files.
    pub(super) fn all(&self) -> Result<(Vec<u64>, Vec<PathBuf>), IndexError> {
        let names = self.list()?;
        let runs = names
            .iter()
            .filter_map(|name| name.to_str()?.strip_suffix(RUN_SUFFIX)?.parse().ok())
            .collect();
        let sorted = names
            .iter()
            .filter(|name| ends(name, SORTED_SUFFIX))
            .map(|name| self.dir.join(name))
            .collect();
        Ok((runs, sorted))
    }

    pub(super) fn list(&self) -> Result<Vec<PathBuf>, IndexError> {
        self.io
            .list(&self.dir)
            .map_err(|source| IndexError::io("list", &self.dir, source))
    }

    pub(super) fn remove(&self, path: &Path) -> Result<(), IndexError> {
        self.handles.forget(|other| other == path);
        self.io
            .remove(path)
            .map_err(|source| IndexError::io("remove", path, source))
    }

    pub(super) fn remove_all(&self) -> Result<(), IndexError> {
        let (runs, sorted) = self.all()?;
        runs.into_iter()
            .map(|run| self.run_path(run))
            .chain(sorted)
            .try_for_each(|path| self.remove(&path))?;
        self.remove_begins()
    }

    /// Removes what says where the index begins, after what was removed before: that must not come back without it.
    pub(super) fn remove_begins(&self) -> Result<(), IndexError> {
        let names = self.list()?;
        let begins: Vec<_> = names.iter().filter(|name| ends(name, BEGIN_SUFFIX)).collect();
        if begins.is_empty() {
            return Ok(());
        }
        self.sync_names()?;
        begins
            .into_iter()
            .try_for_each(|name| self.remove(&self.dir.join(name)))
    }

    /// What a crash left half-written, and all but a few of the damaged files.
    pub(super) fn leftovers(&self) -> Result<Vec<PathBuf>, IndexError> {
        let names = self.list()?;
        let damaged = names
            .iter()
            .filter(|name| ends(name, DAMAGED_SUFFIX))
            .rev()
            .skip(DAMAGED_MAX);
        let half = names.iter().filter(|name| ends(name, TEMPORARY_SUFFIX));
        Ok(half.chain(damaged).map(|name| self.dir.join(name)).collect())
    }

    /// Gives a whole file its name, durably.
    pub(super) fn publish(&self, header: Header) -> Result<SortedFile, IndexError> {
        let (from, path) = (self.temporary_path(&header), self.sorted_path(&header));
        self.io
            .rename(&from, &path)
            .map_err(|source| IndexError::io("rename", &from, source))?;
        self.sync_names()?;
        Ok(SortedFile { header, path })
    }

    pub(super) fn sync_names(&self) -> Result<(), IndexError> {
        self.io.sync_dir(&self.dir).map_err(IndexError::sync(&self.dir))
    }

    /// Takes a damaged file out of the way and keeps it for a look.
    pub(super) fn put_aside(&self, path: &Path, error: &IndexError) -> Result<(), IndexError> {
        let to = path.with_added_extension(&DAMAGED_SUFFIX[1..]);
        tracing::warn!(%error, kept_as = %to.display(), "a damaged index file is put aside");
        self.handles.forget(|other| other == path);
        self.io
            .rename(path, &to)
            .map_err(|source| IndexError::io("rename", path, source))
    }

    pub(super) fn blocks<'a>(&self, file: &'a SortedFile) -> Result<Blocks<'a>, IndexError> {
        let open = || self.io.open_read(&file.path);
        let handle = self
            .handles
            .get(&file.path, open)
            .map_err(|source| IndexError::io("open", &file.path, source))?;
        Ok(Blocks {
            file: handle,
            path: &file.path,
            header: &file.header,
            read: 0,
        })
    }
}

fn ends(name: &Path, suffix: &str) -> bool {
    name.to_str().is_some_and(|name| name.ends_with(suffix))
}
