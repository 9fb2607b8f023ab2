//! Read-only maps of files that never change again. The only unsafe code of the workspace.
//!
//! A map is safe memory as long as nobody cuts the file (a page beyond its end is a SIGBUS) and nobody writes the
//! mapped bytes (a `&[u8]` must not change under its reader). Both are promised by the callers of
//! [`LogFile::map`](crate::io::LogFile::map):
//! - other processes are kept away by the lock on the data directory ([`LogIo::lock`](crate::io::LogIo::lock));
//! - within the process, only sealed segments and complete queue files are mapped. Segments are never written again. A
//!   queue file is only where retention puts zeros into it, under a lock that keeps readers away, after its map was let
//!   go. A file goes away by its name only: the pages stay until the map does.
#![allow(
    unsafe_code,
    reason = "mapping a file cannot be done without; every other file of the workspace is safe"
)]

use bytes::Bytes;
use std::fs::File;
use std::io;

/// The first `len` bytes of `file` as memory; an error if the file is shorter. The map lives as long as the returned
/// bytes or slices of them; the file itself may be closed before.
pub(crate) fn map(file: &File, len: usize) -> io::Result<Bytes> {
    if len == 0 {
        return Ok(Bytes::new()); // An empty map is an error to the system.
    }
    if file.metadata()?.len() < len as u64 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // SAFETY: the file has `len` bytes now (checked above), and keeps them unchanged while the map lives: that is what
    // callers of `LogFile::map` promise, on the grounds given at the top of this file. The map is private to the
    // returned `Bytes`, which hands out shared slices only.
    let map = unsafe { memmap2::MmapOptions::new().len(len).map(file)? };
    Ok(Bytes::from_owner(map))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_map_outlives_the_file_and_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        file.write_all(&[7; 10_000]).unwrap();
        let all = map(&file, 10_000).unwrap();
        let slice = all.slice(5_000..5_010);
        std::fs::remove_file(&path).unwrap();
        drop((file, all));
        assert_eq!(&slice[..], [7; 10]);
    }

    #[test]
    fn more_than_the_file_holds_is_an_error_not_a_signal() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 100]).unwrap();
        assert_eq!(map(&file, 101).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(map(&file, 0).unwrap().len(), 0);
    }
}
