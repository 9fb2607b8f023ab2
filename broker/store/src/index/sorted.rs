//! Sorted files: the items of one or more runs of a slice, by hash and place in the log, to be searched from the disk.
//!
//! ```text
//! index/<8-digit slice>-<level>-<12-digit first run>.idx        block 0: header; then blocks of items and fences
//! header: "SLUICEIX" | version u32 | level u32 | slice u64 | slice's first run u64 | first run u64 | runs u32 | root u32 |
//!         blocks u32 | items u64 | least and greatest time, hash, physical offset 6 × u64 | crc32c u32
//! ```
//! A tree, written in one go: a block of fences comes right behind the blocks it is about, the root last. The block
//! of items before another is the nearest one before it in the file. A look-up reads one block a level, and then as
//! many as its answer fills.

use super::IndexError;
pub(super) use super::block::BLOCK_BYTES;
use super::block::{Block, FENCES_MAX, Fence, ITEMS_MAX};
use super::item::{Item, Wanted};
use crate::io::{
    FileHandle, LogFile, LogIo, read_exact_aside, read_exact_at, read_exact_twice, write_all_at,
};
use sluice_core::codec::{Malformed, Reader};
use sluice_core::ids::{PhysicalOffset, TimeMs};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"SLUICEIX";
const VERSION: u32 = 1;
/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 256 * 1024;

/// What a sorted file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) level: u32,
    pub(super) slice: u64,
    pub(super) slice_start: u64,
    pub(super) first_run: u64,
    pub(super) runs: u32,
    pub(super) root: u32,
    /// Blocks, this header's included.
    pub(super) blocks: u32,
    pub(super) items: u64,
    pub(super) times: (TimeMs, TimeMs),
    pub(super) hashes: (u64, u64),
    pub(super) places: (PhysicalOffset, PhysicalOffset),
}

impl Header {
    pub(super) fn runs(&self) -> Range<u64> {
        self.first_run..self.first_run + u64::from(self.runs)
    }

    /// Whether something that is wanted may be in the file.
    pub(super) fn may_hold(&self, wanted: &Wanted) -> bool {
        (self.hashes.0..=self.hashes.1).contains(&wanted.hash)
            && self.times.1 >= wanted.from
            && self.times.0 < wanted.until
            && self.places.0 < wanted.before
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        [VERSION, self.level]
            .iter()
            .for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        [self.slice, self.slice_start, self.first_run]
            .iter()
            .for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        [self.runs, self.root, self.blocks]
            .iter()
            .for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        let (times, hashes, places) = (self.times, self.hashes, self.places);
        [
            self.items, times.0, times.1, hashes.0, hashes.1, places.0.0, places.1.0,
        ]
        .iter()
        .for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.resize(BLOCK_BYTES, 0);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.take(MAGIC.len())? != MAGIC || reader.u32()? != VERSION {
            return Err(Malformed::Range("magic or version"));
        }
        let header = Self {
            level: reader.u32()?,
            slice: reader.u64()?,
            slice_start: reader.u64()?,
            first_run: reader.u64()?,
            runs: reader.u32()?,
            root: reader.u32()?,
            blocks: reader.u32()?,
            items: reader.u64()?,
            times: (reader.u64()?, reader.u64()?),
            hashes: (reader.u64()?, reader.u64()?),
            places: (PhysicalOffset(reader.u64()?), PhysicalOffset(reader.u64()?)),
        };
        let covered = bytes.len() - reader.rest().len();
        let sound = reader.u32()? == crc32c::crc32c(&bytes[..covered])
            && reader.rest().iter().all(|byte| *byte == 0)
            && header.first_run.checked_add(u64::from(header.runs)).is_some();
        if sound {
            Ok(header)
        } else {
            Err(Malformed::Range("checksum"))
        }
    }
}

/// Writes a sorted file from items that come in order, under its temporary name and without a sync.
pub(super) struct Builder {
    file: FileHandle,
    path: PathBuf,
    header: Header,
    items: Vec<Item>,
    /// Fences that wait for their block to be full, by level.
    fences: Vec<Vec<Fence>>,
    buffer: Vec<u8>,
    written: u64,
}

impl Builder {
    /// Starts the file; the header gives level, slice and runs.
    pub(super) fn new(io: &dyn LogIo, path: PathBuf, header: Header) -> Result<Self, IndexError> {
        let failed = |source| IndexError::io("create", &path, source);
        io.remove(&path).map_err(failed)?;
        let file = io.create(&path).map_err(failed)?;
        let header = Header {
            blocks: 1,
            times: (TimeMs::MAX, 0),
            hashes: (u64::MAX, 0),
            places: (PhysicalOffset(u64::MAX), PhysicalOffset(0)),
            ..header
        };
        let written = BLOCK_BYTES as u64;
        Ok(Self {
            file,
            path,
            header,
            items: Vec::new(),
            fences: Vec::new(),
            buffer: Vec::new(),
            written,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn blocks(&self) -> u32 {
        self.header.blocks
    }

    pub(super) fn push(&mut self, item: Item) -> Result<(), IndexError> {
        let Header {
            times,
            hashes,
            places,
            items,
            ..
        } = &mut self.header;
        *items += 1;
        *times = (times.0.min(item.time), times.1.max(item.time));
        *hashes = (hashes.0.min(item.hash), hashes.1.max(item.hash));
        *places = (places.0.min(item.physical), places.1.max(item.physical));
        self.items.push(item);
        if self.items.len() == ITEMS_MAX {
            self.end_items()
        } else {
            Ok(())
        }
    }

    fn end_items(&mut self) -> Result<(), IndexError> {
        let Some(first) = self.items.first().copied() else {
            return Ok(());
        };
        let items = std::mem::take(&mut self.items);
        let block = self.write(&Block::Items(items))?;
        self.add_fence(0, Fence { first, block })
    }

    fn add_fence(&mut self, level: usize, fence: Fence) -> Result<(), IndexError> {
        if self.fences.len() <= level {
            self.fences.resize(level + 1, Vec::new());
        }
        self.fences[level].push(fence);
        if self.fences[level].len() == FENCES_MAX {
            self.end_fences(level)
        } else {
            Ok(())
        }
    }

    fn end_fences(&mut self, level: usize) -> Result<(), IndexError> {
        let fences = std::mem::take(&mut self.fences[level]);
        let Some(first) = fences.first().map(|fence| fence.first) else {
            return Ok(());
        };
        let block = self.write(&Block::Fences {
            level: level as u8,
            fences,
        })?;
        self.add_fence(level + 1, Fence { first, block })
    }

    fn write(&mut self, block: &Block) -> Result<u32, IndexError> {
        let number = self.header.blocks;
        self.buffer.extend_from_slice(&block.encode(number));
        self.header.blocks += 1;
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_out()?;
        }
        Ok(number)
    }

    fn write_out(&mut self) -> Result<(), IndexError> {
        let failed = |source| IndexError::io("write", &self.path, source);
        write_all_at(&*self.file, &self.buffer, self.written).map_err(failed)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left and the header, and makes the content durable.
    pub(super) fn finish(mut self) -> Result<Header, IndexError> {
        self.end_items()?;
        let mut level = 0;
        while let Some(fences) = self.fences.get(level) {
            match fences[..] {
                // The only one of the highest level: what it is about is the root.
                [Fence { block, .. }] if level + 1 == self.fences.len() => {
                    self.header.root = block;
                    break;
                }
                _ => self.end_fences(level)?,
            }
            level += 1;
        }
        self.write_out()?;
        let failed = |source| IndexError::io("write", &self.path, source);
        write_all_at(&*self.file, &self.header.encode(), 0).map_err(failed)?;
        self.file.sync_data().map_err(IndexError::sync(&self.path))?;
        Ok(self.header)
    }
}

/// Reads the header of a file and checks that the file is as long as it says.
pub(super) fn read_header(io: &dyn LogIo, path: &Path) -> Result<Header, IndexError> {
    let unread = IndexError::unread(path);
    let file = io.open_read(path).map_err(&unread)?;
    let len = file.len().map_err(&unread)?;
    let mut bytes = vec![0; BLOCK_BYTES.min(len as usize)];
    read_exact_twice(&*file, &mut bytes, 0).map_err(&unread)?;
    match Header::decode(&bytes) {
        Ok(header) if u64::from(header.blocks) * BLOCK_BYTES as u64 == len && header.root > 0 => Ok(header),
        _ => Err(IndexError::Damaged {
            path: path.to_path_buf(),
            offset: 0,
        }),
    }
}

/// Reads blocks of one file.
pub(super) struct Blocks<'a> {
    pub(super) file: FileHandle,
    pub(super) path: &'a Path,
    pub(super) header: &'a Header,
    /// Blocks read so far.
    pub(super) read: u64,
}

impl Blocks<'_> {
    pub(super) fn block(&mut self, number: u32) -> Result<Block, IndexError> {
        self.block_by(number, read_exact_at)
    }

    /// Without a trace in the system's cache.
    pub(super) fn block_aside(&mut self, number: u32) -> Result<Block, IndexError> {
        self.block_by(number, read_exact_aside)
    }

    fn block_by(
        &mut self,
        number: u32,
        read: impl FnOnce(&dyn LogFile, &mut [u8], u64) -> io::Result<()>,
    ) -> Result<Block, IndexError> {
        let offset = u64::from(number) * BLOCK_BYTES as u64;
        let damaged = || IndexError::Damaged {
            path: self.path.to_path_buf(),
            offset,
        };
        if number == 0 || number >= self.header.blocks {
            return Err(damaged());
        }
        let mut bytes = vec![0; BLOCK_BYTES];
        read(&*self.file, &mut bytes, offset).map_err(|source| IndexError::io("read", self.path, source))?;
        self.read += 1;
        Block::decode(&bytes, number).ok_or_else(damaged)
    }

    /// Adds what is wanted to `out`, newest first, until that holds `limit`.
    pub(super) fn find(
        &mut self,
        wanted: &Wanted,
        limit: usize,
        out: &mut Vec<(PhysicalOffset, TimeMs)>,
    ) -> Result<(), IndexError> {
        let Some((mut number, mut items)) = self.seek(wanted)? else {
            return Ok(());
        };
        let mut left = items.partition_point(|item| wanted.is_before_end(item));
        loop {
            for item in items[..left].iter().rev() {
                if out.len() >= limit || !wanted.takes(item) {
                    return Ok(());
                }
                let found = (item.physical, item.time);
                // A key given twice in one message is one find.
                if out.last() != Some(&found) {
                    out.push(found);
                }
            }
            let Some((before, items_before)) = self.items_before(number)? else {
                return Ok(());
            };
            (number, items, left) = (before, items_before, usize::MAX);
            left = left.min(items.len());
        }
    }

    /// The block with the last item before the end of what is wanted; `None` if even the first item is not.
    fn seek(&mut self, wanted: &Wanted) -> Result<Option<(u32, Vec<Item>)>, IndexError> {
        let mut number = self.header.root;
        loop {
            match self.block(number)? {
                Block::Items(items) => return Ok(Some((number, items))),
                Block::Fences { fences, .. } => {
                    let before = fences.partition_point(|fence| wanted.is_before_end(&fence.first));
                    let Some(fence) = before.checked_sub(1).and_then(|n| fences.get(n)) else {
                        return Ok(None);
                    };
                    if fence.block >= number {
                        let offset = u64::from(number) * BLOCK_BYTES as u64;
                        return Err(IndexError::Damaged {
                            path: self.path.to_path_buf(),
                            offset,
                        });
                    }
                    number = fence.block;
                }
            }
        }
    }

    /// The nearest block of items before this one.
    fn items_before(&mut self, mut number: u32) -> Result<Option<(u32, Vec<Item>)>, IndexError> {
        while number > 1 {
            number -= 1;
            if let Block::Items(items) = self.block(number)? {
                return Ok(Some((number, items)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{ends_in_its_checksum, u32_at, u64_at};

    #[test]
    fn the_header_is_the_one_that_the_format_says() {
        let header = Header {
            level: 2,
            slice: 3,
            slice_start: 4,
            first_run: 5,
            runs: 6,
            root: 7,
            blocks: 8,
            items: 9,
            times: (10, 11),
            hashes: (12, 13),
            places: (PhysicalOffset(14), PhysicalOffset(15)),
        };
        let bytes = header.encode();
        assert_eq!((&bytes[..8], bytes.len()), (&b"SLUICEIX"[..], 4096));
        assert_eq!([8, 12].map(|at| u32_at(&bytes, at)), [1, 2]);
        assert_eq!([16, 24, 32].map(|at| u64_at(&bytes, at)), [3, 4, 5]);
        assert_eq!([40, 44, 48].map(|at| u32_at(&bytes, at)), [6, 7, 8]);
        let rest = [52, 60, 68, 76, 84, 92, 100].map(|at| u64_at(&bytes, at));
        assert_eq!(rest, [9, 10, 11, 12, 13, 14, 15]);
        assert!(ends_in_its_checksum(&bytes[..112]));
        assert_eq!(Header::decode(&bytes), Ok(header));
    }
}
