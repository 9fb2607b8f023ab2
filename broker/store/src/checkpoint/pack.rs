//! Packs: the blobs that one checkpoint wrote, one after another.
//!
//! ```text
//! "SLUICEPK" | version u32 | zero u32 | physical position u64 | blobs …
//! ```
//! A blob's place, length and CRC stand in the roots.

use super::root::BlobRef;
use super::{CheckpointError, PART_BYTES_MAX, PartKey};
use crate::io::{FileHandle, LogIo, read_exact_aside, read_exact_at, write_all_at};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"SLUICEPK";
const VERSION: u32 = 1;
/// Bytes before the first blob.
pub(super) const HEADER_BYTES: u64 = 24;
/// Bytes collected before they are written, and bytes read ahead.
const BUFFER_BYTES: usize = 1024 * 1024;

fn header(position: u64) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(&position.to_le_bytes());
    header
}

/// Writes a pack; without blobs there is no file.
pub(super) struct PackWriter<'a> {
    io: &'a dyn LogIo,
    path: PathBuf,
    position: u64,
    file: Option<FileHandle>,
    written: u64,
    buffer: Vec<u8>,
}

impl<'a> PackWriter<'a> {
    pub(super) fn new(io: &'a dyn LogIo, path: PathBuf, position: u64) -> Self {
        Self {
            io,
            path,
            position,
            file: None,
            written: 0,
            buffer: header(position),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub(super) fn add(&mut self, key: PartKey, blob: &[u8]) -> Result<BlobRef, CheckpointError> {
        if blob.len() > PART_BYTES_MAX {
            return Err(CheckpointError::TooLarge {
                key,
                bytes: blob.len(),
                max: PART_BYTES_MAX,
            });
        }
        let (offset, crc) = (self.len(), crc32c::crc32c(blob));
        self.buffer.extend_from_slice(blob);
        if self.file.is_none() || self.buffer.len() >= BUFFER_BYTES {
            self.write_out()?;
        }
        Ok(BlobRef {
            pack: self.position,
            offset,
            len: blob.len() as u32,
            crc,
        })
    }

    fn write_out(&mut self) -> Result<(), CheckpointError> {
        let failed = |source| CheckpointError::io("write", &self.path, source);
        let file = match &self.file {
            Some(file) => file,
            // What may stand there is of an attempt that no root names.
            None => {
                self.io.remove(&self.path).map_err(failed)?;
                self.file.insert(self.io.create(&self.path).map_err(failed)?)
            }
        };
        write_all_at(&**file, &self.buffer, self.written).map_err(failed)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the rest, without a sync. Answers the bytes written.
    pub(super) fn finish(mut self) -> Result<u64, CheckpointError> {
        if self.file.is_some() {
            self.write_out()?;
        }
        Ok(self.written)
    }
}

/// Reads blobs of a pack, best in rising order.
pub(super) struct PackReader {
    file: FileHandle,
    path: PathBuf,
    len: u64,
    window: Vec<u8>,
    window_at: u64,
    /// Bytes that are read at least.
    ahead: u64,
    /// Whether it leaves no trace in the system's cache.
    is_aside: bool,
}

impl PackReader {
    pub(super) fn open(io: &dyn LogIo, path: &Path, position: u64) -> Result<Self, CheckpointError> {
        let failed = |source| CheckpointError::io("read", path, source);
        let file = io.open_read(path).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        let damaged = |what| CheckpointError::Damaged {
            path: path.to_path_buf(),
            offset: 0,
            what,
        };
        // Else it would look like a read that the disk has failed, which stops a start.
        if len < HEADER_BYTES {
            return Err(damaged("length"));
        }
        let mut found = [0; HEADER_BYTES as usize];
        read_exact_at(&*file, &mut found, 0).map_err(failed)?;
        if found[..] != header(position) {
            return Err(damaged("header"));
        }
        Ok(Self {
            file,
            path: path.to_path_buf(),
            len,
            window: Vec::new(),
            window_at: 0,
            ahead: BUFFER_BYTES as u64,
            is_aside: false,
        })
    }

    /// Leaves no trace in the system's cache.
    pub(super) fn aside(self) -> Self {
        Self {
            is_aside: true,
            ..self
        }
    }

    /// Reads nothing ahead: few blobs are wanted, or they stand far apart.
    pub(super) fn singly(self) -> Self {
        Self { ahead: 0, ..self }
    }

    pub(super) fn read(&mut self, blob: &BlobRef) -> Result<&[u8], CheckpointError> {
        let damaged = |what| CheckpointError::Damaged {
            path: self.path.clone(),
            offset: blob.offset,
            what,
        };
        if blob.end() > self.len {
            return Err(damaged("length"));
        }
        let held = self.window_at..self.window_at + self.window.len() as u64;
        if blob.offset < held.start || blob.end() > held.end {
            let want = u64::from(blob.len).max(self.ahead).min(self.len - blob.offset);
            let mut window = std::mem::take(&mut self.window);
            window.resize(want as usize, 0);
            let read = if self.is_aside {
                read_exact_aside
            } else {
                read_exact_at
            };
            read(&*self.file, &mut window, blob.offset)
                .map_err(|source| CheckpointError::io("read", &self.path, source))?;
            (self.window, self.window_at) = (window, blob.offset);
        }
        let start = (blob.offset - self.window_at) as usize;
        let bytes = &self.window[start..start + blob.len as usize];
        if crc32c::crc32c(bytes) != blob.crc {
            return Err(damaged("checksum of a part"));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::FaultyIo;
    use crate::tests::{u32_at, u64_at};

    #[test]
    fn the_bytes_are_those_that_the_format_says() {
        let io = FaultyIo::new(0);
        let path = Path::new("/d/a.pack");
        io.create_dir(Path::new("/d")).unwrap();
        let mut pack = PackWriter::new(&io, path.to_owned(), 1 << 40);
        let first = pack.add(PartKey::default(), b"first").unwrap();
        let second = pack.add(PartKey::default(), b"second").unwrap();
        assert_eq!(pack.finish().unwrap(), 35);
        let mut bytes = vec![0; 35];
        read_exact_at(&*io.open_read(path).unwrap(), &mut bytes, 0).unwrap();
        assert_eq!(&bytes[..8], b"SLUICEPK");
        assert_eq!([8, 12].map(|at| u32_at(&bytes, at)), [1, 0]);
        assert_eq!((u64_at(&bytes, 16), &bytes[24..]), (1 << 40, &b"firstsecond"[..]));
        assert_eq!((first.offset, second.offset, second.len), (24, 29, 6));
        assert_eq!(second.crc, crc32c::crc32c(b"second"));
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_damaged_and_no_failed_read() {
        let io = FaultyIo::new(0);
        let path = Path::new("/d/a.pack");
        io.create_dir(Path::new("/d")).unwrap();
        let mut pack = PackWriter::new(&io, path.to_owned(), 7);
        let blob = pack.add(PartKey::default(), b"part").unwrap();
        pack.finish().unwrap();
        for len in (0..28).rev() {
            io.open(path).unwrap().set_len(len).unwrap();
            let read =
                PackReader::open(&io, path, 7).and_then(|mut pack| pack.read(&blob).map(<[u8]>::to_vec));
            assert!(
                matches!(read, Err(CheckpointError::Damaged { .. })),
                "{len}: {read:?}"
            );
        }
    }
}
