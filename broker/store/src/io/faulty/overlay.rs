//! Real files whose unsynced writes stay in the process's memory: a kill -9 loses them, as a power cut would.
//!
//! Reads see them, a sync writes them out. Names change at once in the real folder. With `skip_sync` a sync of a file
//! claims success and does nothing: the planted fault that a checker of acknowledged messages must notice.

use super::disk::{Disk, DiskFile};
use crate::io::{FileHandle, LogIo, RealIo, write_all_at};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of the pieces in which unsynced content is kept.
const PAGE: usize = 4096;

/// The file system.
pub(super) struct Overlay {
    real: RealIo,
    files: Mutex<HashMap<PathBuf, Arc<Shared>>>,
    skip_sync: Arc<AtomicBool>,
}

/// One file, whoever has it open.
struct Shared {
    real: FileHandle,
    unsynced: Mutex<Unsynced>,
}

struct Unsynced {
    len: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

impl Overlay {
    pub(super) fn new(real: RealIo, skip_sync: Arc<AtomicBool>) -> Self {
        Self {
            real,
            files: Mutex::default(),
            skip_sync,
        }
    }

    fn share(&self, path: &Path, real: FileHandle) -> io::Result<Arc<dyn DiskFile>> {
        let len = real.len()?;
        let unsynced = Mutex::new(Unsynced {
            len,
            pages: BTreeMap::new(),
        });
        let shared = Arc::new(Shared { real, unsynced });
        self.files.lock().insert(path.to_path_buf(), Arc::clone(&shared));
        Ok(Arc::new(self.handle(shared)))
    }

    fn handle(&self, shared: Arc<Shared>) -> OverlayFile {
        OverlayFile {
            shared,
            skip_sync: Arc::clone(&self.skip_sync),
        }
    }
}

impl Shared {
    fn write_out(&self) -> io::Result<()> {
        let mut unsynced = self.unsynced.lock();
        let len = unsynced.len;
        for (page, bytes) in &unsynced.pages {
            let at = page * PAGE as u64;
            let n = len.saturating_sub(at).min(PAGE as u64) as usize;
            write_all_at(&*self.real, &bytes[..n], at)?;
        }
        if self.real.len()? != len {
            self.real.set_len(len)?;
        }
        unsynced.pages.clear();
        Ok(())
    }
}

impl Unsynced {
    /// The page, read from the file if it is not held yet.
    fn page(&mut self, real: &FileHandle, page: u64) -> io::Result<&mut [u8; PAGE]> {
        Ok(match self.pages.entry(page) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(free) => {
                let mut bytes = Box::new([0; PAGE]);
                let mut done = 0;
                while done < PAGE {
                    match real.read_at(&mut bytes[done..], page * PAGE as u64 + done as u64)? {
                        0 => break,
                        n => done += n,
                    }
                }
                free.insert(bytes)
            }
        })
    }
}

impl Disk for Overlay {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.share(path, self.real.create(path)?)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let shared = self.files.lock().get(path).cloned();
        match shared {
            Some(shared) => Ok(Arc::new(self.handle(shared))),
            None => self.share(path, self.real.open(path)?),
        }
    }

    fn len(&self, path: &Path) -> u64 {
        self.open(path).and_then(|file| file.len()).unwrap_or(0)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.real.rename(from, to)?;
        let mut files = self.files.lock();
        files.remove(to);
        if let Some(file) = files.remove(from) {
            files.insert(to.to_path_buf(), file);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.lock().remove(path);
        self.real.remove(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.real.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.real.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.real.list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.real.sync_dir(path)
    }

    fn sync_all_files(&self, path: &Path) -> io::Result<()> {
        let files: Vec<_> = self.files.lock().values().cloned().collect();
        files.iter().try_for_each(|file| file.write_out())?;
        drop(files);
        // Nobody has them open and nothing is held back: their descriptors may go.
        self.files
            .lock()
            .retain(|_, file| Arc::strong_count(file) > 1 || !file.unsynced.lock().pages.is_empty());
        self.real.sync_all_files(path)
    }

    fn lose_unsynced(&self) {
        self.files.lock().clear();
    }
}

struct OverlayFile {
    shared: Arc<Shared>,
    skip_sync: Arc<AtomicBool>,
}

impl DiskFile for OverlayFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let unsynced = self.shared.unsynced.lock();
        let n = (buf.len() as u64).min(unsynced.len.saturating_sub(offset)) as usize;
        let mut done = 0;
        while done < n {
            let at = offset + done as u64;
            let (page, within) = (at / PAGE as u64, (at % PAGE as u64) as usize);
            let piece = (PAGE - within).min(n - done);
            let target = &mut buf[done..done + piece];
            done += match unsynced.pages.get(&page) {
                Some(bytes) => {
                    target.copy_from_slice(&bytes[within..within + piece]);
                    piece
                }
                None => match self.shared.real.read_at(target, at)? {
                    0 => {
                        target.fill(0); // Lengthened, not written.
                        piece
                    }
                    read => read,
                },
            };
        }
        Ok(n)
    }

    fn write_at(&self, bytes: Vec<u8>, offset: u64) -> io::Result<()> {
        let mut unsynced = self.shared.unsynced.lock();
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let within = (at % PAGE as u64) as usize;
            let piece = (PAGE - within).min(bytes.len() - done);
            let page = unsynced.page(&self.shared.real, at / PAGE as u64)?;
            page[within..within + piece].copy_from_slice(&bytes[done..done + piece]);
            done += piece;
        }
        unsynced.len = unsynced.len.max(offset + done as u64);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.skip_sync.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.shared.write_out()?;
        self.shared.real.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut unsynced = self.shared.unsynced.lock();
        if len < unsynced.len {
            // Cut at once, also in the real file: what is cut must read as zeros if the file grows again.
            unsynced.pages.retain(|page, _| page * (PAGE as u64) < len);
            if let Some(bytes) = unsynced.pages.get_mut(&(len / PAGE as u64)) {
                bytes[(len % PAGE as u64) as usize..].fill(0);
            }
            if self.shared.real.len()? > len {
                self.shared.real.set_len(len)?;
            }
        }
        unsynced.len = len;
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.shared.unsynced.lock().len)
    }

    fn lose_unsynced(&self) {
        self.shared.unsynced.lock().pages.clear();
    }
}
