//! The real files: positioned reads and writes, `fdatasync`, `syncfs`, and a lock file.

use super::locked::Locked;
use super::{DirLock, FileHandle, LOCK_FILE, LogFile, LogIo, MapHandle, holder};
use crate::mmap::FileMap;
use parking_lot::Mutex;
use rustix::fs::{Advice, FlockOperation};
use rustix::io::{Errno, ReadWriteFlags};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Buffers that one `pwritev` takes (Linux's `IOV_MAX`); what is beyond is a short write.
const BUFFERS_MAX: usize = 1024;

/// The system's files. Clones share what they keep open for syncs.
#[derive(Clone, Debug, Default)]
pub struct RealIo {
    /// One open folder for each file system (by device). `syncfs` reports the write-back errors since *this
    /// descriptor* saw the last one: a descriptor opened just for the sync can miss an error of before.
    file_systems: Arc<Mutex<HashMap<u64, Arc<File>>>>,
    /// The folders whose names are synced, kept open: a process that has run out of descriptors must not take that for
    /// a failed sync. They are few: those of the log, the checkpoints and the index, and what they stand in.
    folders: Arc<Mutex<HashMap<PathBuf, Arc<File>>>>,
    locked: Arc<Locked>,
}

impl RealIo {
    /// The system's files.
    pub fn new() -> Self {
        Self::default()
    }

    /// The descriptor that watches the file system of `folder`, opened at the first call for it.
    fn file_system(&self, folder: &Path) -> io::Result<Arc<File>> {
        let device = fs::metadata(folder)?.dev();
        if let Some(known) = self.file_systems.lock().get(&device) {
            return Ok(Arc::clone(known));
        }
        let opened = File::open(folder)?;
        Ok(Arc::clone(
            self.file_systems
                .lock()
                .entry(opened.metadata()?.dev())
                .or_insert_with(|| Arc::new(opened)),
        ))
    }

    /// Keeps brokers out of a folder that is only read, and lets others read it too; an error of kind `WouldBlock` if a broker
    /// holds it. Nothing is written: where no broker ever ran there is no lock, and none is made.
    pub fn lock_for_reading(&self, path: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        let file = match File::open(path.join(LOCK_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared)?;
        Ok(Some(Box::new(RealLock { _file: file })))
    }

    /// A descriptor of the folder that has this name now, opened at the first call for it.
    fn folder(&self, path: &Path) -> io::Result<Arc<File>> {
        let wanted = fs::metadata(path)?;
        let mut folders = self.folders.lock();
        if let Some(known) = folders.get(path) {
            // An open folder keeps its number, also when it is removed: another one cannot be mistaken for it.
            let found = known.metadata()?;
            if (found.dev(), found.ino()) == (wanted.dev(), wanted.ino()) {
                return Ok(Arc::clone(known));
            }
        }
        let opened = Arc::new(File::open(path)?);
        folders.insert(path.to_path_buf(), Arc::clone(&opened));
        Ok(opened)
    }
}

impl LogIo for RealIo {
    fn create(&self, path: &Path) -> io::Result<FileHandle> {
        self.locked.check(path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        Ok(RealFile::handle(file))
    }

    fn open(&self, path: &Path) -> io::Result<FileHandle> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(RealFile::handle(file))
    }

    fn open_read(&self, path: &Path) -> io::Result<FileHandle> {
        Ok(RealFile::handle(File::open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.locked.check(to)?;
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        none_is_fine(self.locked.check(path))?;
        none_is_fine(fs::remove_file(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.locked.check(path)?;
        fs::create_dir_all(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        none_is_fine(fs::remove_dir(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = entries
            .map(|entry| Ok(entry?.file_name().into()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.folder(path)?.sync_all()?;
        // The folder's own name stands in the one above; a folder that is lost takes its files along.
        match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => self.folder(above)?.sync_all(),
            _ => Ok(()),
        }
    }

    fn sync_all_files(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(self.file_system(path)?)?)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        let lock = path.join(LOCK_FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| holder::held(error.into(), &lock))?;
        self.locked.note(path, &file)?;
        self.file_system(path)?; // From here on no write-back error of the file system goes unseen.
        Ok(Box::new(RealLock { _file: file }))
    }
}

fn none_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The system drops the lock when the file is closed, also when the process is killed.
struct RealLock {
    _file: File,
}

impl DirLock for RealLock {}

struct RealFile {
    file: Arc<File>,
}

impl RealFile {
    fn handle(file: File) -> FileHandle {
        Arc::new(Self { file: Arc::new(file) })
    }
}

impl LogFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        uninterrupted(|| self.file.read_at(buf, offset))
    }

    fn read_aside(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        // What the system reads ahead would be taken for cached before by the next read.
        rustix::fs::fadvise(&*self.file, 0, None, Advice::Random)?;
        let wanted = buf.len() as u64;
        let cached = {
            let mut bufs = [IoSliceMut::new(buf)];
            rustix::io::preadv2(&*self.file, &mut bufs, offset, ReadWriteFlags::NOWAIT)
        };
        match cached {
            Ok(n) if n as u64 == wanted => return Ok(n),
            // Nothing of it is cached, or not all of it.
            Ok(_) | Err(Errno::AGAIN) => {}
            // The system does not say: better too much in the cache than to throw out what others need.
            Err(_) => return self.read_at(buf, offset),
        }
        let read = self.read_at(buf, offset)?;
        self.drop_cache(offset, read.max(1) as u64)?;
        Ok(read)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let bufs = &bufs[..bufs.len().min(BUFFERS_MAX)];
        uninterrupted(|| Ok(rustix::io::pwritev(&*self.file, bufs, offset)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn map(&self, len: usize) -> io::Result<MapHandle> {
        Ok(Arc::new(FileMap::new(&self.file, len)?))
    }

    fn drop_cache(&self, offset: u64, len: u64) -> io::Result<()> {
        let len = NonZeroU64::new(len);
        Ok(rustix::fs::fadvise(&*self.file, offset, len, Advice::DontNeed)?)
    }
}

/// Repeats a read or write that a signal interrupted before it moved a byte.
fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
