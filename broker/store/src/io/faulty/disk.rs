//! What the faults are planted in front of: files in memory, or real ones whose unsynced writes are held back.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Like [`LogIo`](crate::io::LogIo), and able to lose what no sync has covered.
pub(super) trait Disk: Send + Sync {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// The length of a file, 0 if there is none.
    fn len(&self, path: &Path) -> u64;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    fn sync_all_files(&self, path: &Path) -> io::Result<()>;
    /// No later sync makes durable what is not durable now.
    fn lose_unsynced(&self);
}

/// Like [`LogFile`](crate::io::LogFile), with whole writes.
pub(super) trait DiskFile: Send + Sync {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_at(&self, bytes: Vec<u8>, offset: u64) -> io::Result<()>;
    fn sync_data(&self) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    /// No later sync makes durable what is not durable now.
    fn lose_unsynced(&self);
}
