//! Runs: items in the order of apply, in memory and in files that only grow.
//!
//! ```text
//! index/<12-digit run>.run    items of 24 bytes; behind a closed run's last one
//!                             "SLUICERN" | items u32 | crc32c of the items u32 | first run of the slice u64
//! ```

use super::item::{ITEM_BYTES, Item, Wanted};
use super::{IndexError, IndexPosition, RUN_ITEMS};
use crate::io::{FileHandle, LogIo, read_exact_twice, write_all_at};
use sluice_core::codec::Reader;
use std::io;
use std::path::Path;
use std::sync::Arc;

const TRAILER_MAGIC: &[u8; 8] = b"SLUICERN";
/// Items of a chunk: full chunks are shared with readers, the last one is copied.
const CHUNK: usize = 1024;

/// A run that items are added to.
#[derive(Debug, Default)]
pub(super) struct OpenRun {
    pub(super) at: IndexPosition,
    chunks: Vec<Arc<Vec<Item>>>,
    tail: Vec<Item>,
}

/// Items of a run, or the first part of them.
#[derive(Clone, Debug, Default)]
pub(super) struct RunItems {
    chunks: Vec<Arc<Vec<Item>>>,
}

/// A run that is complete.
#[derive(Debug)]
pub(super) struct ClosedRun {
    /// The position at its end.
    pub(super) at: IndexPosition,
    pub(super) items: RunItems,
}

impl OpenRun {
    /// A run that goes on after these items.
    pub(super) fn new(at: IndexPosition, items: Vec<Item>) -> Self {
        let chunks = if items.is_empty() {
            Vec::new()
        } else {
            vec![Arc::new(items)]
        };
        Self {
            at,
            chunks,
            tail: Vec::new(),
        }
    }

    /// Adds an item; a covered run only counts.
    pub(super) fn push(&mut self, item: Item) {
        self.at.items += 1;
        if self.at.covered {
            return;
        }
        self.at.crc = crc32c::crc32c_append(self.at.crc, &item.encode());
        self.tail.push(item);
        if self.tail.len() == CHUNK {
            let chunk = std::mem::replace(&mut self.tail, Vec::with_capacity(CHUNK));
            self.chunks.push(Arc::new(chunk));
        }
    }

    pub(super) fn items(&self) -> RunItems {
        let mut chunks = self.chunks.clone();
        if !self.tail.is_empty() {
            chunks.push(Arc::new(self.tail.clone()));
        }
        RunItems { chunks }
    }

    pub(super) fn close(&mut self) -> ClosedRun {
        let mut chunks = std::mem::take(&mut self.chunks);
        chunks.push(Arc::new(std::mem::take(&mut self.tail)));
        ClosedRun {
            at: self.at,
            items: RunItems { chunks },
        }
    }
}

impl RunItems {
    pub(super) fn oldest_first(&self) -> impl Iterator<Item = &Item> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Whether the first and the last item leave room for something that is wanted.
    pub(super) fn may_hold(&self, wanted: &Wanted) -> bool {
        let (oldest, newest) = (self.oldest_first().next(), self.newest_first().next());
        oldest.is_some_and(|item| item.physical < wanted.before && item.time < wanted.until)
            && newest.is_some_and(|item| item.time >= wanted.from)
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Item> {
        self.chunks.iter().rev().flat_map(|chunk| chunk.iter().rev())
    }
}

/// What follows the items of a closed run.
fn trailer(at: &IndexPosition) -> Vec<u8> {
    let mut out = TRAILER_MAGIC.to_vec();
    out.extend_from_slice(&at.items.to_le_bytes());
    out.extend_from_slice(&at.crc.to_le_bytes());
    out.extend_from_slice(&at.slice_start.to_le_bytes());
    out
}

/// Writes the items from number `from` up to `to` into the run's file, and the trailer if `closed`; no sync.
pub(super) fn write(
    io: &dyn LogIo,
    path: &Path,
    items: &RunItems,
    from: u32,
    to: u32,
    closed: Option<&IndexPosition>,
) -> Result<(), IndexError> {
    let failed = |source| IndexError::io("write", path, source);
    let file = open_or_create(io, path).map_err(failed)?;
    let wanted = items.oldest_first().take(to as usize).skip(from as usize);
    let mut bytes = Vec::with_capacity((to.saturating_sub(from)) as usize * ITEM_BYTES + ITEM_BYTES);
    wanted.for_each(|item| bytes.extend_from_slice(&item.encode()));
    if let Some(at) = closed {
        bytes.extend_from_slice(&trailer(at));
    }
    write_all_at(&*file, &bytes, u64::from(from) * ITEM_BYTES as u64).map_err(failed)
}

fn open_or_create(io: &dyn LogIo, path: &Path) -> io::Result<FileHandle> {
    match io.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => io.create(path),
        other => other,
    }
}

/// The open run as a checkpoint's position says, with its items; `None` if the file does not hold them.
pub(super) fn read_open(
    io: &dyn LogIo,
    path: &Path,
    at: &IndexPosition,
) -> Result<Option<OpenRun>, IndexError> {
    let Some(bytes) = read_file(io, path)? else {
        return Ok(None);
    };
    let items = bytes
        .get(..at.items as usize * ITEM_BYTES)
        .filter(|items| crc32c::crc32c(items) == at.crc);
    Ok(items.and_then(decode).map(|items| OpenRun::new(*at, items)))
}

/// A closed run, whose number `at` has; `None` if the file does not hold a whole one.
pub(super) fn read_closed(io: &dyn LogIo, path: &Path, run: u64) -> Result<Option<ClosedRun>, IndexError> {
    let Some(bytes) = read_file(io, path)? else {
        return Ok(None);
    };
    Ok(parse_closed(&bytes, run))
}

pub(super) fn parse_closed(bytes: &[u8], run: u64) -> Option<ClosedRun> {
    let (body, end) = bytes.split_at_checked(bytes.len().checked_sub(ITEM_BYTES)?)?;
    let mut reader = Reader::new(end.strip_prefix(TRAILER_MAGIC)?);
    let (count, crc, slice_start) = (reader.u32().ok()?, reader.u32().ok()?, reader.u64().ok()?);
    if body.len() != count as usize * ITEM_BYTES || crc32c::crc32c(body) != crc {
        return None;
    }
    let items = decode(body)?;
    let slice = super::live::slice_of(items.first()?.time);
    let at = IndexPosition {
        run,
        items: count,
        crc,
        slice,
        slice_start,
        covered: false,
    };
    let mut open = OpenRun::new(at, items);
    Some(open.close())
}

fn decode(bytes: &[u8]) -> Option<Vec<Item>> {
    let mut reader = Reader::new(bytes);
    (0..bytes.len() / ITEM_BYTES)
        .map(|_| Item::read(&mut reader).ok())
        .collect()
}

/// The whole file; `None` if there is none, or it is no run.
pub(super) fn read_file(io: &dyn LogIo, path: &Path) -> Result<Option<Vec<u8>>, IndexError> {
    let unread = IndexError::unread(path);
    let file = match io.open_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(&unread)?,
    };
    let len = file.len().map_err(&unread)?;
    if len > (RUN_ITEMS as u64 + 1) * ITEM_BYTES as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    read_exact_twice(&*file, &mut bytes, 0).map_err(&unread)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::FaultyIo;
    use crate::tests::{u32_at, u64_at};
    use sluice_core::ids::PhysicalOffset;

    #[test]
    fn the_bytes_are_those_that_the_format_says() {
        let io = FaultyIo::new(0);
        let path = Path::new("/d/a.run");
        io.create_dir(Path::new("/d")).unwrap();
        let mut run = OpenRun::default();
        for n in 1..=2 {
            run.push(Item {
                hash: n,
                physical: PhysicalOffset(n * 10),
                time: n * 100,
            });
        }
        run.at.slice_start = 5;
        let closed = run.close();
        write(&io, path, &closed.items, 0, 2, Some(&closed.at)).unwrap();
        let bytes = read_file(&io, path).unwrap().unwrap();
        let items = [0, 8, 16, 24, 32, 40].map(|at| u64_at(&bytes, at));
        assert_eq!(items, [1, 10, 100, 2, 20, 200]);
        assert_eq!((&bytes[48..56], u32_at(&bytes, 56)), (&b"SLUICERN"[..], 2));
        assert_eq!(u32_at(&bytes, 60), crc32c::crc32c(&bytes[..48]));
        assert_eq!((u64_at(&bytes, 64), bytes.len()), (5, 72));
    }
}
