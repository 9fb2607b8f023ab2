//! The folders that this process holds, and whether their names still lead to them.
//!
//! A lock is on a file, not on a name. Who takes a folder away and makes another of the same name, with a broker of its own, has two
//! brokers that each hold their lock; files that are made by name would stand in the other one's folder.

use super::LOCK_FILE;
use parking_lot::Mutex;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Device and number.
type Id = (u64, u64);

fn id(metadata: &Metadata) -> Id {
    (metadata.dev(), metadata.ino())
}

/// What was locked: a few folders at most.
#[derive(Debug, Default)]
pub(super) struct Locked(Mutex<Vec<Folder>>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    folder: Id,
    lock: Id,
}

impl Locked {
    /// Takes note of a folder with its lock.
    pub(super) fn note(&self, path: &Path, lock: &File) -> io::Result<()> {
        let locked = Folder {
            path: path.to_path_buf(),
            folder: id(&fs::metadata(path)?),
            lock: id(&lock.metadata()?),
        };
        let mut all = self.0.lock();
        all.retain(|known| known.path != locked.path);
        all.push(locked);
        Ok(())
    }

    /// An error if what is about to be made at `path` would stand in another folder than the one that was locked.
    pub(super) fn check(&self, path: &Path) -> io::Result<()> {
        let all = self.0.lock();
        let Some(locked) = all.iter().find(|locked| path.starts_with(&locked.path)) else {
            return Ok(());
        };
        let is_there = id(&fs::metadata(&locked.path)?) == locked.folder;
        let is_ours = match fs::metadata(locked.path.join(LOCK_FILE)) {
            Ok(lock) => id(&lock) == locked.lock,
            // Nobody else has made one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        if is_there && is_ours {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{} is another folder than the one that this process has locked, which was taken away or put elsewhere",
            locked.path.display()
        )))
    }
}
