//! Files that fail as planned, for the proofs: nothing of the store may trust more than the IO traits promise.
//!
//! [`FaultyIo::new`] keeps everything in memory and knows what a crash would leave; [`FaultyIo::over`] stands before
//! real files and holds unsynced writes back in the process's memory, so that a kill -9 loses them.

mod disk;
mod memory;
mod overlay;
mod plan;

pub use plan::Fault;

use super::{DirLock, FileHandle, LogFile, LogIo, LogMap, MapHandle, RealIo};
use bytes::Bytes;
use disk::{Disk, DiskFile};
use memory::{MemoryDisk, Survive};
use overlay::Overlay;
use parking_lot::Mutex;
use plan::{Kind, Plan};
use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file system with faults to plant. Clones are the same file system.
#[derive(Clone)]
pub struct FaultyIo {
    plan: Arc<Mutex<Plan>>,
    disk: Backing,
    locks: Arc<Mutex<BTreeSet<PathBuf>>>,
}

#[derive(Clone)]
enum Backing {
    Memory(Arc<MemoryDisk>),
    Real {
        disk: Arc<Overlay>,
        real: RealIo,
        skip_sync: Arc<AtomicBool>,
    },
}

impl FaultyIo {
    /// An empty file system in memory; the seed decides how short the short writes are.
    pub fn new(seed: u64) -> Self {
        Self::with(Backing::Memory(Arc::default()), seed)
    }

    /// Real files, whose unsynced writes stay in the process's memory until a sync. With `skip_sync` the sync of a file
    /// claims success and does nothing; `sync_all_files` still does its work.
    pub fn over(real: RealIo, skip_sync: bool) -> Self {
        let skip_sync = Arc::new(AtomicBool::new(skip_sync));
        let disk = Arc::new(Overlay::new(real.clone(), Arc::clone(&skip_sync)));
        Self::with(
            Backing::Real {
                disk,
                real,
                skip_sync,
            },
            0,
        )
    }

    fn with(disk: Backing, seed: u64) -> Self {
        Self {
            plan: Arc::new(Mutex::new(Plan::new(seed))),
            disk,
            locks: Arc::default(),
        }
    }

    /// Switches the skipping of syncs on or off; in memory there is nothing to switch.
    pub fn set_skip_sync(&self, skip: bool) {
        if let Backing::Real { skip_sync, .. } = &self.disk {
            skip_sync.store(skip, Ordering::Relaxed);
        }
    }

    /// Plants a fault.
    pub fn plant(&self, fault: Fault) {
        self.plan.lock().plant(fault);
    }

    /// Ends [`Fault::NoSpace`], [`Fault::NoSpaceBelow`], [`Fault::OverQuota`], [`Fault::NoDescriptors`] and [`Fault::NamesStay`].
    pub fn lift_no_space(&self) {
        self.plan.lock().lift_no_space();
    }

    /// Ends every [`Fault::ReadError`].
    pub fn lift_read_errors(&self) {
        self.plan.lock().lift_read_errors();
    }

    /// How many operations have changed files or names so far (reads do not count): the crash points to enumerate.
    pub fn operations(&self) -> u64 {
        self.plan.lock().operations()
    }

    /// What a restart finds after a crash now: all that is durable and, as the seed has it, a part of the rest, in
    /// sectors of 512 bytes. This file system stays as it is, so that one moment can be crashed with many seeds.
    /// Over real files everything unsynced is lost.
    pub fn crash(&self, seed: u64) -> Self {
        self.after(Survive::Part { seed }, seed)
    }

    /// What a restart finds if nothing survives that no sync has covered.
    pub fn crash_losing_all(&self) -> Self {
        self.after(Survive::Nothing, 0)
    }

    /// What a restart finds if everything survives: a kill of the process alone.
    pub fn crash_keeping_all(&self) -> Self {
        self.after(Survive::Everything, 0)
    }

    fn after(&self, survive: Survive, seed: u64) -> Self {
        match &self.disk {
            Backing::Memory(disk) => Self::with(Backing::Memory(Arc::new(disk.crash(survive))), seed),
            Backing::Real { real, skip_sync, .. } => {
                Self::over(real.clone(), skip_sync.load(Ordering::Relaxed))
            }
        }
    }

    fn disk(&self) -> &dyn Disk {
        match &self.disk {
            Backing::Memory(disk) => &**disk,
            Backing::Real { disk, .. } => &**disk,
        }
    }

    fn change<T>(&self, change: impl FnOnce(&dyn Disk) -> io::Result<T>) -> io::Result<T> {
        let mut plan = self.plan.lock();
        plan.begin(Kind::Other)?;
        change(self.disk())
    }

    fn handle(&self, path: &Path, file: Arc<dyn DiskFile>, writable: bool) -> FileHandle {
        let (plan, path) = (Arc::clone(&self.plan), path.to_path_buf());
        Arc::new(FaultyFile {
            plan,
            path,
            file,
            writable,
        })
    }
}

impl LogIo for FaultyIo {
    fn create(&self, path: &Path) -> io::Result<FileHandle> {
        self.plan.lock().open(path)?;
        let file = self.change(|disk| disk.create(path))?;
        Ok(self.handle(path, file, true))
    }

    fn open(&self, path: &Path) -> io::Result<FileHandle> {
        self.plan.lock().open(path)?;
        Ok(self.handle(path, self.disk().open(path)?, true))
    }

    fn open_read(&self, path: &Path) -> io::Result<FileHandle> {
        self.plan.lock().open(path)?;
        Ok(self.handle(path, self.disk().open(path)?, false))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plan.lock().take_name(from)?;
        let replaced = self.disk().len(to);
        self.change(|disk| disk.rename(from, to))?;
        let mut plan = self.plan.lock();
        plan.give_space(to, replaced);
        plan.moved(from, Some(to));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.plan.lock().take_name(path)?;
        let removed = self.disk().len(path);
        self.change(|disk| disk.remove(path))?;
        let mut plan = self.plan.lock();
        plan.give_space(path, removed);
        plan.moved(path, None);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|disk| disk.create_dir(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|disk| disk.remove_dir(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.plan.lock().open(path)?;
        self.disk().list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.lock().begin(Kind::Sync(path))?;
        self.disk().sync_dir(path)
    }

    fn sync_all_files(&self, path: &Path) -> io::Result<()> {
        let mut plan = self.plan.lock();
        let begun = plan.begin(Kind::Sync(path));
        if begun.is_err() && plan.alive().is_ok() {
            self.disk().lose_unsynced();
        }
        begun?;
        self.disk().sync_all_files(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        self.plan.lock().alive()?;
        if let Backing::Real { real, .. } = &self.disk {
            return real.lock(path);
        }
        if !self.locks.lock().insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock {
            locks: Arc::clone(&self.locks),
            path: path.to_path_buf(),
        }))
    }
}

struct MemoryLock {
    locks: Arc<Mutex<BTreeSet<PathBuf>>>,
    path: PathBuf,
}

impl DirLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.locks.lock().remove(&self.path);
    }
}

struct FaultyFile {
    plan: Arc<Mutex<Plan>>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    writable: bool,
}

impl FaultyFile {
    /// Counts a change and fails it where planned; nothing else happens to any file meanwhile.
    fn change<T>(&self, kind: Kind<'_>, change: impl FnOnce(&mut Plan) -> io::Result<T>) -> io::Result<T> {
        let sync = matches!(kind, Kind::Sync(_));
        if !self.writable && !sync {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut plan = self.plan.lock();
        if let Err(error) = plan.begin(kind) {
            if sync && plan.alive().is_ok() {
                self.file.lose_unsynced();
            }
            return Err(error);
        }
        change(&mut plan)
    }
}

impl LogFile for FaultyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.plan
            .lock()
            .read(&self.path, offset..offset + buf.len() as u64)?;
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.change(Kind::Write, |plan| {
            let mut bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            let growth = (offset + bytes.len() as u64).saturating_sub(self.file.len()?.max(offset));
            let admitted = plan.admit(&self.path, bytes.len(), growth)?;
            bytes.truncate(admitted);
            self.file.write_at(bytes, offset)?;
            plan.written(&self.path, offset..offset + admitted as u64);
            Ok(admitted)
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let delay = self.plan.lock().sync_delay();
        std::thread::sleep(delay);
        self.change(Kind::Sync(&self.path), |_| self.file.sync_data())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Kind::Other, |plan| {
            let before = self.file.len()?;
            plan.take_space(&self.path, len.saturating_sub(before))?;
            plan.give_space(&self.path, before.saturating_sub(len));
            self.file.set_len(len)
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.plan.lock().alive()?;
        self.file.len()
    }

    fn map(&self, len: usize) -> io::Result<MapHandle> {
        if self.len()? < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let file = Self {
            path: self.path.clone(),
            plan: Arc::clone(&self.plan),
            file: Arc::clone(&self.file),
            writable: false,
        };
        Ok(Arc::new(FaultyMap { file, len }))
    }

    fn drop_cache(&self, _: u64, _: u64) -> io::Result<()> {
        self.plan.lock().alive()
    }
}

/// Reads at each look, and so fails where the medium does.
struct FaultyMap {
    file: FaultyFile,
    len: usize,
}

impl LogMap for FaultyMap {
    fn bytes(&self, range: Range<usize>) -> io::Result<Bytes> {
        if range.start > range.end || range.end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut copy = vec![0; range.len()];
        super::read_exact_at(&self.file, &mut copy, range.start as u64)?;
        Ok(copy.into())
    }

    fn is_looked_at(&self) -> bool {
        // Slices are copies.
        false
    }
}
