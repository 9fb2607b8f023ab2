//! Read-only maps of files that never change again. The only unsafe code of the workspace.
//!
//! A map is safe memory as long as nobody cuts the file (a page beyond its end is a SIGBUS) and nobody writes the
//! mapped bytes (a `&[u8]` must not change under its reader). Both are promised by the callers of
//! [`LogFile::map`](crate::io::LogFile::map). A page that the disk cannot give back is a SIGBUS too, and so is a file that
//! somebody has cut nevertheless: so pages are asked for before they are looked at, and what cannot be had is an error. What is
//! left is a page that leaves memory again, and is damaged on the disk, between that and the look:
//! - other processes are kept away by the lock on the data directory ([`LogIo::lock`](crate::io::LogIo::lock));
//! - within the process, only sealed segments and complete queue files are mapped. A segment is written again only when the
//!   log has given it up, nobody has it, and no slice of a map of it lives, of one that gave way to others either. A queue file is only where retention
//!   puts zeros into it, under a lock that keeps readers away, after its map was let go. A file goes away by its name only: the pages stay until the map does.
#![allow(
    unsafe_code,
    reason = "mapping a file cannot be done without; every other file of the workspace is safe"
)]

use crate::io::LogMap;
use bytes::Bytes;
use memmap2::{Advice, Mmap};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A file's first bytes as memory.
pub(crate) struct FileMap {
    file: Arc<File>,
    map: Option<Shared>,
    len: usize,
}

/// Keeps the map while slices of it live.
#[derive(Clone)]
struct Shared(Arc<Mmap>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl FileMap {
    /// The first `len` bytes of `file`; an error if the file is shorter. The map lives as long as slices of it.
    pub(crate) fn new(file: &Arc<File>, len: usize) -> io::Result<Self> {
        if file.metadata()?.len() < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // An empty map is an error to the system.
        let map = match len {
            0 => None,
            // SAFETY: the file has `len` bytes now (checked above), and keeps them unchanged while the map lives: that is
            // what callers of `LogFile::map` promise, on the grounds given at the top of this file. The map is private to
            // this type, which hands out shared slices only.
            _ => Some(Shared(Arc::new(unsafe {
                memmap2::MmapOptions::new().len(len).map(&**file)?
            }))),
        };
        let file = Arc::clone(file);
        Ok(Self { file, map, len })
    }
}

impl LogMap for FileMap {
    fn bytes(&self, range: Range<usize>) -> io::Result<Bytes> {
        if range.start > range.end || range.end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(Shared(map)) = self.map.as_ref().filter(|_| !range.is_empty()) else {
            return Ok(Bytes::new());
        };
        // The system takes whole pages, and answers what a look at them would end in.
        let populated = map.advise_range(Advice::PopulateRead, range.start, range.len());
        if populated.is_ok() {
            return Ok(Bytes::from_owner(Shared(Arc::clone(map))).slice(range));
        }
        // It cannot be had, or the kernel is older than 5.14 and cannot say: a read says which.
        let mut copy = vec![0; range.len()];
        self.file.read_exact_at(&mut copy, range.start as u64)?;
        Ok(copy.into())
    }

    fn is_looked_at(&self) -> bool {
        let map = self.map.as_ref();
        map.is_some_and(|Shared(map)| Arc::strong_count(map) > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_map_outlives_the_file_and_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, [7; 10_000]).unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        let map = FileMap::new(&file, 10_000).unwrap();
        let slice = map.bytes(5_000..5_010).unwrap();
        std::fs::remove_file(&path).unwrap();
        drop((file, map));
        assert_eq!(&slice[..], [7; 10]);
    }

    #[test]
    fn more_than_the_file_holds_is_an_error_not_a_signal() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 100]).unwrap();
        let file = Arc::new(file);
        let kind = |result: io::Result<Bytes>| result.unwrap_err().kind();
        let longer = FileMap::new(&file, 101).map(|_| Bytes::new());
        assert_eq!(kind(longer), io::ErrorKind::UnexpectedEof);
        let empty = FileMap::new(&file, 0).unwrap();
        assert_eq!(empty.bytes(0..0).unwrap().len(), 0);
        let whole = FileMap::new(&file, 100).unwrap();
        assert_eq!(kind(whole.bytes(99..101)), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_cut_off_below_a_map_is_an_error_not_a_signal() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 5 * 4096]).unwrap();
        let file = Arc::new(file);
        let map = FileMap::new(&file, 5 * 4096).unwrap();
        assert_eq!(map.bytes(4 * 4096..4 * 4096 + 9).unwrap()[..], [7; 9]);
        file.set_len(2 * 4096).unwrap();
        let cut = map.bytes(3 * 4096..3 * 4096 + 9);
        assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(map.bytes(4096..4096 + 9).unwrap()[..], [7; 9], "the rest stays");
    }
}
