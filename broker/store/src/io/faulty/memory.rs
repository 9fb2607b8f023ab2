//! A file system in memory that knows what of it would survive a crash.
//!
//! Each file has its durable content, its content as the process sees it, and the changes between the two that no
//! sync has covered; the names have the same three. A crash keeps an arbitrary part of the changes:
//! - of a write, any of its 512-byte sectors; of one that makes the file longer perhaps the length alone;
//! - of the changes of names any, but none whose predecessor on the same file or name is lost (a system journals
//!   them in order). A rename happens or does not.

use super::disk::{Disk, DiskFile};
use parking_lot::Mutex;
use rustix::io::Errno;
use sluice_core::hash::mix;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What survives a crash of what no sync has covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survive {
    Nothing,
    Everything,
    Part { seed: u64 },
}

type Inode = Arc<Mutex<Content>>;

#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    current: Vec<u8>,
    pending: Vec<Change>,
    /// A sync of everything has lost what was pending, and no sync of this file has told of it yet.
    lost: bool,
}

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone)]
enum NameChange {
    Create { path: PathBuf, file: Inode },
    Rename { from: PathBuf, to: PathBuf, file: Inode },
    Remove { path: PathBuf, file: Inode },
}

#[derive(Default)]
struct Names {
    durable: BTreeMap<PathBuf, Inode>,
    current: BTreeMap<PathBuf, Inode>,
    pending: Vec<NameChange>,
    folders: BTreeSet<PathBuf>,
    durable_folders: BTreeSet<PathBuf>,
}

/// The file system.
#[derive(Default)]
pub(super) struct MemoryDisk {
    names: Mutex<Names>,
}

/// Yes or no, again and again, with a chance that differs from seed to seed.
struct Coin {
    random: u64,
    percent: u64,
}

impl Coin {
    fn keep(&mut self) -> bool {
        self.random = mix(self.random, 1);
        self.random % 100 < self.percent
    }
}

impl MemoryDisk {
    /// What a restart finds.
    pub(super) fn crash(&self, survive: Survive) -> Self {
        let (mut coin, all) = match survive {
            Survive::Nothing => (
                Coin {
                    random: 0,
                    percent: 0,
                },
                false,
            ),
            Survive::Everything => (
                Coin {
                    random: 0,
                    percent: 100,
                },
                true,
            ),
            Survive::Part { seed } => {
                let random = mix(seed, 0);
                let percent = [10, 50, 90, 98][(random % 4) as usize];
                (Coin { random, percent }, false)
            }
        };
        let names = self.names.lock();
        let mut after = Names::default();
        for (path, file) in &names.survivors(&mut coin) {
            let content = if all {
                file.lock().current.clone()
            } else {
                file.lock().survivor(&mut coin)
            };
            let file = Arc::new(Mutex::new(Content {
                durable: content.clone(),
                current: content,
                pending: Vec::new(),
                lost: false,
            }));
            after
                .folders
                .extend(path.ancestors().skip(1).map(Path::to_path_buf));
            after.current.insert(path.clone(), file);
        }
        let folders = names.folders.iter();
        after.folders.extend(
            folders
                .filter(|path| names.durable_folders.contains(*path) || coin.keep())
                .cloned(),
        );
        // A folder that is there has those above it.
        let above: Vec<_> = after
            .folders
            .iter()
            .flat_map(|path| path.ancestors().map(Path::to_path_buf))
            .collect();
        after.folders.extend(above);
        after.durable = after.current.clone();
        after.durable_folders = after.folders.clone();
        Self {
            names: Mutex::new(after),
        }
    }

    fn get(&self, path: &Path) -> io::Result<Inode> {
        let names = self.names.lock();
        names
            .current
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Names {
    fn survivors(&self, coin: &mut Coin) -> BTreeMap<PathBuf, Inode> {
        let mut names = self.durable.clone();
        let (mut lost_paths, mut lost_files) = (BTreeSet::new(), Vec::<Inode>::new());
        for change in &self.pending {
            let lost = change.paths().iter().any(|path| lost_paths.contains(*path))
                || lost_files.iter().any(|file| Arc::ptr_eq(file, change.file()));
            if !lost && coin.keep() {
                change.apply(&mut names);
            } else {
                lost_paths.extend(change.paths());
                lost_files.push(Arc::clone(change.file()));
            }
        }
        names
    }
}

impl NameChange {
    fn file(&self) -> &Inode {
        match self {
            Self::Create { file, .. } | Self::Rename { file, .. } | Self::Remove { file, .. } => file,
        }
    }

    fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Create { path, .. } | Self::Remove { path, .. } => vec![path],
            Self::Rename { from, to, .. } => vec![from, to],
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Inode>) {
        match self {
            Self::Create { path, file } => {
                names.insert(path.clone(), Arc::clone(file));
            }
            Self::Rename { from, to, file } => {
                names.remove(from);
                names.insert(to.clone(), Arc::clone(file));
            }
            Self::Remove { path, .. } => {
                names.remove(path);
            }
        }
    }
}

impl Content {
    fn change(&mut self, change: Change) {
        apply(&change, &mut self.current);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            apply(&change, &mut self.durable);
        }
    }

    fn survivor(&self, coin: &mut Coin) -> Vec<u8> {
        let mut content = self.durable.clone();
        for change in &self.pending {
            match change {
                Change::SetLen(_) if coin.keep() => apply(change, &mut content),
                Change::SetLen(_) => {}
                Change::Write { at, bytes } => tear(*at, bytes, &mut content, coin),
            }
        }
        content
    }
}

fn apply(change: &Change, content: &mut Vec<u8>) {
    match change {
        Change::SetLen(len) => content.resize(*len, 0),
        Change::Write { at, bytes } => {
            let end = at + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*at..end].copy_from_slice(bytes);
        }
    }
}

/// Writes those sectors of a write that the coin keeps.
fn tear(at: usize, bytes: &[u8], content: &mut Vec<u8>, coin: &mut Coin) {
    let mut done = 0;
    while done < bytes.len() {
        let start = at + done;
        let n = (SECTOR - start % SECTOR).min(bytes.len() - done);
        if coin.keep() {
            let bytes = bytes[done..done + n].to_vec();
            apply(&Change::Write { at: start, bytes }, content);
        } else if content.len() < start + n && coin.keep() && coin.keep() {
            content.resize(start + n, 0); // The length was journalled, the data was not written.
        }
        done += n;
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
