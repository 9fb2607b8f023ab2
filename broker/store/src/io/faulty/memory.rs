//! A file system in memory that knows what of it would survive a crash.
//!
//! Each file has its durable content, its content as the process sees it, and the changes between the two that no
//! sync has covered; the names have the same three. A crash keeps an arbitrary part of the changes:
//! - of a write, any of its 512-byte sectors; of one that makes the file longer perhaps the length alone;
//! - of the changes of names any, but none whose predecessor on the same file or name is lost (a system journals
//!   them in order). A rename happens or does not.

mod content;
mod crash;
mod names;

pub(super) use crash::Survive;

use super::disk::{Disk, DiskFile};
use content::{Change, Content};
use names::{NameChange, Names};
use parking_lot::Mutex;
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Inode = Arc<Mutex<Content>>;

/// The file system.
#[derive(Default)]
pub(super) struct MemoryDisk {
    names: Mutex<Names>,
}

impl MemoryDisk {
    fn get(&self, path: &Path) -> io::Result<Inode> {
        let names = self.names.lock();
        names
            .current
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut names = self.names.lock();
        if names.current.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !path.parent().is_some_and(|folder| names.folders.contains(folder)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = Inode::default();
        names.current.insert(path.to_path_buf(), Arc::clone(&file));
        names.pending.push(NameChange::Create {
            path: path.to_path_buf(),
            file: Arc::clone(&file),
        });
        Ok(Arc::new(MemoryFile { file }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(MemoryFile {
            file: self.get(path)?,
        }))
    }

    fn len(&self, path: &Path) -> u64 {
        self.get(path).map_or(0, |file| file.lock().current.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.get(from)?;
        let change = NameChange::Rename {
            from: from.to_path_buf(),
            to: to.to_path_buf(),
            file,
        };
        let mut names = self.names.lock();
        change.apply(&mut names.current);
        names.pending.push(change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        if let Some(file) = names.current.remove(path) {
            names.pending.push(NameChange::Remove {
                path: path.to_path_buf(),
                file,
            });
        }
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.names
            .lock()
            .folders
            .extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        let inside = |other: &&PathBuf| other.parent() == Some(path);
        if names.current.keys().any(|file| inside(&file))
            || names.folders.iter().any(|folder| inside(&folder))
        {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        names.folders.remove(path);
        names.durable_folders.remove(path);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let names = self.names.lock();
        let inside = names
            .current
            .keys()
            .chain(&names.folders)
            .filter(|other| other.parent() == Some(path));
        let mut listed: Vec<_> = inside
            .filter_map(|path| path.file_name().map(PathBuf::from))
            .collect();
        listed.sort_unstable();
        Ok(listed)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        let names = &mut *names;
        let here = |change: &NameChange| change.paths().iter().any(|other| other.parent() == Some(path));
        let (durable, pending) = std::mem::take(&mut names.pending).into_iter().partition(here);
        names.pending = pending;
        let durable: Vec<NameChange> = durable;
        durable.iter().for_each(|change| change.apply(&mut names.durable));
        let folders = names
            .folders
            .iter()
            .filter(|other| *other == path || other.parent() == Some(path));
        names.durable_folders.extend(folders.cloned());
        Ok(())
    }

    fn sync_all_files(&self, _path: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        let names = &mut *names;
        names.pending.clear();
        names.durable = names.current.clone();
        names.durable_folders = names.folders.clone();
        names.current.values().for_each(|file| file.lock().sync());
        Ok(())
    }

    fn lose_unsynced(&self) {
        for file in self.names.lock().current.values() {
            let mut file = file.lock();
            file.lost |= !file.pending.is_empty();
            file.pending.clear();
        }
    }
}

struct MemoryFile {
    file: Inode,
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = self.file.lock();
        let rest = file.current.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, bytes: Vec<u8>, offset: u64) -> io::Result<()> {
        self.file.lock().change(Change::Write {
            at: offset as usize,
            bytes,
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut file = self.file.lock();
        // Who syncs the file itself hears of what a sync of everything has lost: the system tells each descriptor.
        if std::mem::take(&mut file.lost) {
            file.pending.clear();
            return Err(Errno::IO.into());
        }
        file.sync();
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.lock().change(Change::SetLen(len as usize));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.lock().current.len() as u64)
    }

    fn lose_unsynced(&self) {
        self.file.lock().pending.clear();
    }
}
