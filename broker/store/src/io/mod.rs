//! All file access of the store, behind two traits: the real files, and faulty ones for the proofs.
//!
//! What callers may rely on, and faulty implementations must honour:
//! - bytes written are durable once `sync_data` of that file, or `sync_all_files`, has returned `Ok`;
//! - a file's existence and name are durable once `sync_dir` of its folder, or `sync_all_files`, has returned `Ok`;
//! - without that, after a crash any subset of the writes may be there, in any order, torn at any 512 bytes;
//! - after a failed sync nothing is known about the file any more: the process must end.

mod faulty;
mod holder;
mod locked;
mod real;
pub(crate) mod recent;
mod skipping;

pub use faulty::{Fault, FaultyIo};
pub use real::RealIo;
pub(crate) use skipping::BadBlocks;
pub use skipping::SkippingIo;

use bytes::Bytes;
use rustix::io::Errno;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file handle, shared between threads: all access is by offset.
pub type FileHandle = Arc<dyn LogFile>;

/// The file in a locked folder that carries the lock. It stays; only the lock on it comes and goes.
pub(crate) const LOCK_FILE: &str = "lock";

/// What keeps a data directory to one process; released on drop.
pub trait DirLock: Send + Sync {}

/// An open file.
#[expect(clippy::len_without_is_empty, reason = "the length is IO: it can fail")]
pub trait LogFile: Send + Sync {
    /// Reads at most `buf.len()` bytes at `offset`; 0 only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Like [`LogFile::read_at`], for who reads what nobody else wants: what it brings into the system's cache leaves it again, and
    /// what is there already stays, as far as the system says. Of this handle nothing is read ahead any more.
    fn read_aside(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buf, offset)
    }
    /// Writes `bufs` one after another at `offset`, perhaps fewer bytes than they hold. Extends the file where needed.
    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Makes durable what was written, and the file's length.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// The file's length.
    fn len(&self) -> io::Result<u64>;
    /// The file's first `len` bytes as memory, read-only. The caller never writes, cuts or recycles the file while slices of the
    /// map live, or somebody may ask it for one.
    fn map(&self, len: usize) -> io::Result<MapHandle>;
    /// Tells the system that cached pages of this part of the file are not wanted: what is read next comes from the disk. A
    /// length of 0 means up to the file's end.
    fn drop_cache(&self, offset: u64, len: u64) -> io::Result<()>;
    /// Where the disk did not give what was read of it, and something else stands for that: of a [`SkippingIo`] alone.
    fn not_given(&self) -> Vec<Range<u64>> {
        Vec::new()
    }
}

/// A mapped file; slices of it outlive it.
pub type MapHandle = Arc<dyn LogMap>;

/// The first bytes of a file as memory.
pub trait LogMap: Send + Sync {
    /// These bytes; an error where the disk cannot give them back, or the file has become shorter.
    fn bytes(&self, range: Range<usize>) -> io::Result<Bytes>;
    /// Whether slices of it live: the file must not be written until they are gone.
    fn is_looked_at(&self) -> bool;
}

/// A file system.
pub trait LogIo: Send + Sync {
    /// Makes a new file, open for reading and writing; an error of kind `AlreadyExists` if there is one.
    fn create(&self, path: &Path) -> io::Result<FileHandle>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<FileHandle>;
    /// Opens an existing file for reading only.
    fn open_read(&self, path: &Path) -> io::Result<FileHandle>;
    /// Renames a file, replacing what stood there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; it is no error if there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder and those above it where missing.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder if it is there and empty; it is no error if it is not there.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a folder, sorted; empty if there is no such folder.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// Makes names in this folder durable. Whatever its error is, nothing is known about the names any more; so what it needs
    /// besides the disk (a descriptor of the folder) is kept from the first call for a folder on.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes everything on the file system that holds `path` durable (`syncfs`).
    fn sync_all_files(&self, path: &Path) -> io::Result<()>;
    /// Locks the folder against other processes; an error of kind `WouldBlock` if another holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>>;
}

/// Whether an error says that there is no room for now and may be again: on the disk, in the share of it that this process
/// may use (`ENOSPC`, `EDQUOT`), among the files that the process or the system may have open (`EMFILE`, `ENFILE`), or among the
/// names of a folder in which the process may make none (`EACCES`, `EPERM`: somebody has changed its mode or owner). Said of a write or of opening a file nothing is lost, and it is tried again; said of a sync it is a failed sync like
/// any other.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    scarce(error).is_some()
}

/// What there is not enough of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scarce {
    /// Room on the disk, or in this process's share of it.
    Room,
    /// Permission to make files in the folder, or to write them.
    Permission,
    /// Files that may be open.
    Descriptors,
}

/// What there is not enough of, where the error [says no more](is_no_space) than that.
pub(crate) fn scarce(error: &io::Error) -> Option<Scarce> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Scarce::Room),
        io::ErrorKind::PermissionDenied => Some(Scarce::Permission),
        _ => matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
            .then_some(Scarce::Descriptors),
    }
}

/// Whether an error is one of the disk, about what it holds there, and not about how the system is.
pub(crate) fn is_of_the_medium(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::IO | Errno::UCLEAN | Errno::BADMSG | Errno::NODATA | Errno::ILSEQ)
    )
}

/// Like [`read_exact_at`], and where the disk fails once more, past the system's cache: for who makes again what it does not give.
pub(crate) fn read_exact_twice(file: &dyn LogFile, buf: &mut [u8], offset: u64) -> io::Result<()> {
    match read_exact_at(file, buf, offset) {
        Err(error) if is_of_the_medium(&error) => {
            file.drop_cache(0, 0)?;
            read_exact_at(file, buf, offset)
        }
        read => read,
    }
}

/// Reads exactly `buf.len()` bytes at `offset`, however often the system reads short.
pub fn read_exact_at(file: &dyn LogFile, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match file.read_at(buf, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}

/// Like [`read_exact_at`], by [`LogFile::read_aside`].
pub(crate) fn read_exact_aside(file: &dyn LogFile, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match file.read_aside(buf, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}

/// Writes all of `buf` at `offset`, however often the system writes short.
pub fn write_all_at(file: &dyn LogFile, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match file.write_at(&[IoSlice::new(buf)], offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => {
                buf = &buf[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}
