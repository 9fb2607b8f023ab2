//! Files of a disk that does not give every block back, for who looks at the files of a stopped broker or repairs them.
//!
//! Nobody can tell what stands in a sector that the disk never gives again, and whoever reads around it must come past it. A block that
//! the disk fails twice, the second time past the system's cache, reads as [`FILL`] from then on, and is noted: everything that counts
//! on it fails its checksum, as with any other damage. Never under a broker that runs: there such an error may be over the next time,
//! and what waits for it is not lost.

use super::{DirLock, FileHandle, LogFile, LogIo, LogMap, MapHandle, is_of_the_medium, read_exact_at};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What stands for bytes that the disk does not give. Not zero, which means that nothing was written there: the end of a log, or the
/// rest of a file. As a length it is beyond what any file has, and as a kind nothing.
const FILL: u8 = 0xdb;
/// Left out at a time: what the system reads of a disk at once, so that a smaller piece would not be given either.
const BLOCK: u64 = 4096;

/// Blocks by their number, by file. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct BadBlocks(Arc<Mutex<BTreeMap<PathBuf, BTreeSet<u64>>>>);

/// A file system of which blocks may not be given.
pub struct SkippingIo {
    io: Arc<dyn LogIo>,
    bad: BadBlocks,
    /// Whether others than those that are known count too.
    learns: bool,
    /// Below this folder every error is one.
    but: Option<PathBuf>,
}

impl SkippingIo {
    /// Goes past every block that the disk does not give.
    pub fn over(io: &Arc<dyn LogIo>) -> Arc<dyn LogIo> {
        Self::noting(io, &BadBlocks::default())
    }

    /// The same, which notes them.
    pub(crate) fn noting(io: &Arc<dyn LogIo>, bad: &BadBlocks) -> Arc<dyn LogIo> {
        Arc::new(Self {
            io: Arc::clone(io),
            bad: bad.clone(),
            learns: true,
            but: None,
        })
    }

    /// The same for a store's folder but for the checkpoints in it: without one that can be read the next time more would be given up
    /// than is lost.
    pub(crate) fn but_checkpoints(io: &Arc<dyn LogIo>, dir: &Path, bad: &BadBlocks) -> Arc<dyn LogIo> {
        Arc::new(Self {
            io: Arc::clone(io),
            bad: bad.clone(),
            learns: true,
            but: Some(dir.join("checkpoint")),
        })
    }

    /// Goes past these blocks alone: what was decided counts on all others.
    pub(crate) fn knowing(io: &Arc<dyn LogIo>, bad: &BadBlocks) -> Arc<dyn LogIo> {
        Arc::new(Self {
            io: Arc::clone(io),
            bad: bad.clone(),
            learns: false,
            but: None,
        })
    }

    fn file(&self, path: &Path, file: FileHandle) -> FileHandle {
        if self.but.as_ref().is_some_and(|folder| path.starts_with(folder)) {
            return file;
        }
        Arc::new(SkippingFile {
            file,
            path: path.to_owned(),
            bad: self.bad.clone(),
            learns: self.learns,
        })
    }
}

impl BadBlocks {
    /// Where in which files.
    pub(crate) fn all(&self) -> Vec<(PathBuf, Vec<Range<u64>>)> {
        let known = self.0.lock();
        known
            .iter()
            .map(|(path, blocks)| (path.clone(), ranges(blocks)))
            .collect()
    }

    fn of(&self, path: &Path) -> BTreeSet<u64> {
        self.0.lock().get(path).cloned().unwrap_or_default()
    }

    fn touch(&self, path: &Path, range: &Range<u64>) -> bool {
        let known = self.0.lock();
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        !blocks.is_empty()
            && known
                .get(path)
                .is_some_and(|bad| bad.range(blocks).next().is_some())
    }

    fn add(&self, path: &Path, block: u64) {
        self.0.lock().entry(path.to_owned()).or_default().insert(block);
    }

    /// Another file has this name now, or none.
    fn forget(&self, path: &Path) {
        self.0.lock().remove(path);
    }

    fn rename(&self, from: &Path, to: &Path) {
        let mut known = self.0.lock();
        known.remove(to);
        if let Some(blocks) = known.remove(from) {
            known.insert(to.to_owned(), blocks);
        }
    }
}

/// Blocks side by side as one range of bytes.
fn ranges(blocks: &BTreeSet<u64>) -> Vec<Range<u64>> {
    let mut found: Vec<Range<u64>> = Vec::new();
    for block in blocks {
        let range = block * BLOCK..(block + 1) * BLOCK;
        match found.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => found.push(range),
        }
    }
    found
}

impl LogIo for SkippingIo {
    fn create(&self, path: &Path) -> io::Result<FileHandle> {
        let file = self.io.create(path)?;
        self.bad.forget(path);
        Ok(self.file(path, file))
    }

    fn open(&self, path: &Path) -> io::Result<FileHandle> {
        Ok(self.file(path, self.io.open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<FileHandle> {
        Ok(self.file(path, self.io.open_read(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.io.rename(from, to)?;
        self.bad.rename(from, to);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.io.remove(path)?;
        self.bad.forget(path);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.io.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.io.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.io.list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.io.sync_dir(path)
    }

    fn sync_all_files(&self, path: &Path) -> io::Result<()> {
        self.io.sync_all_files(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        self.io.lock(path)
    }
}

#[derive(Clone)]
struct SkippingFile {
    file: FileHandle,
    path: PathBuf,
    bad: BadBlocks,
    learns: bool,
}

impl SkippingFile {
    /// Reads a part of one block, or what stands for it; fewer bytes at the file's end alone.
    fn read_in_block(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let block = at / BLOCK;
        let is_known = self.bad.of(&self.path).contains(&block);
        if !is_known {
            match self.read_again(buf, at) {
                Err(error) if self.learns && is_of_the_medium(&error) => {
                    tracing::warn!(file = %self.path.display(), at = block * BLOCK, %error, "the disk does not give a block");
                    self.bad.add(&self.path, block);
                }
                read => return read,
            }
        }
        let there = self.file.len()?.saturating_sub(at).min(buf.len() as u64) as usize;
        buf[..there].fill(FILL);
        Ok(there)
    }

    /// Reads, and where the disk fails once more past the system's cache.
    fn read_again(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        match read_fully(&self.file, buf, at) {
            Err(error) if is_of_the_medium(&error) => {
                self.file.drop_cache(at / BLOCK * BLOCK, BLOCK)?;
                read_fully(&self.file, buf, at)
            }
            read => read,
        }
    }
}

/// Fewer bytes than wanted at the file's end alone.
fn read_fully(file: &FileHandle, buf: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(&mut buf[done..], at + done as u64)? {
            0 => break,
            n => done += n,
        }
    }
    Ok(done)
}

impl LogFile for SkippingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let end = offset + buf.len() as u64;
        if !self.bad.touch(&self.path, &(offset..end)) {
            match self.file.read_at(buf, offset) {
                Err(error) if is_of_the_medium(&error) => {}
                read => return read,
            }
        }
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let wanted = ((BLOCK - at % BLOCK) as usize).min(buf.len() - done);
            let read = self.read_in_block(&mut buf[done..done + wanted], at)?;
            done += read;
            if read < wanted {
                break;
            }
        }
        Ok(done)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.file.write_at(bufs, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn map(&self, len: usize) -> io::Result<MapHandle> {
        if self.len()? < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let file = self.clone();
        Ok(Arc::new(SkippingMap { file, len }))
    }

    fn drop_cache(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.drop_cache(offset, len)
    }

    fn not_given(&self) -> Vec<Range<u64>> {
        // One may stand over another, which has gone past them already.
        let mut all = self.file.not_given();
        all.extend(ranges(&self.bad.of(&self.path)));
        all.sort_unstable_by_key(|place| place.start);
        all
    }
}

/// Copies, for nothing of a map could stand for what is not given.
struct SkippingMap {
    file: SkippingFile,
    len: usize,
}

impl LogMap for SkippingMap {
    fn bytes(&self, range: Range<usize>) -> io::Result<Bytes> {
        if range.start > range.end || range.end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut copy = vec![0; range.len()];
        read_exact_at(&self.file, &mut copy, range.start as u64)?;
        Ok(copy.into())
    }

    fn is_looked_at(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fault, FaultyIo, write_all_at};
    use super::*;

    const LEN: usize = 3 * 4096 + 100;

    fn made() -> (FaultyIo, Vec<u8>) {
        let io = FaultyIo::new(0);
        let bytes: Vec<u8> = (0..LEN).map(|at| (at % 251) as u8).collect();
        io.create_dir(Path::new("/")).unwrap();
        let file = io.create(Path::new("/a")).unwrap();
        write_all_at(file.as_ref(), &bytes, 0).unwrap();
        (io, bytes)
    }

    fn plant(io: &FaultyIo, range: Range<u64>) {
        let path = "/a".into();
        io.plant(Fault::ReadError { path, range });
    }

    #[test]
    fn blocks_that_the_disk_does_not_give_read_as_no_zeros_and_all_others_as_they_are() {
        let (io, bytes) = made();
        plant(&io, 5000..5001);
        plant(&io, 3 * 4096 + 50..3 * 4096 + 51);
        let file = SkippingIo::over(&(Arc::new(io.clone()) as _))
            .open_read(Path::new("/a"))
            .unwrap();
        let mut expected = bytes;
        expected[4096..8192].fill(FILL);
        expected[3 * 4096..].fill(FILL);
        for (from, to) in [(0, LEN), (4000, 4100), (5000, 5010), (8191, 8193), (12_000, LEN)] {
            let mut read = vec![0; to - from];
            read_exact_at(file.as_ref(), &mut read, from as u64).unwrap();
            assert!(read == expected[from..to], "{from}..{to}");
            let map = file.map(LEN).unwrap();
            assert!(map.bytes(from..to).unwrap() == expected[from..to]);
        }
        assert_eq!(file.not_given(), [4096..8192, 3 * 4096..4 * 4096]);
        let mut beyond = [0; 10];
        assert_eq!(file.read_at(&mut beyond, LEN as u64 - 4).unwrap(), 4);
        // What was decided once stays so while it is looked at.
        io.lift_read_errors();
        let mut read = [0; 1];
        read_exact_at(file.as_ref(), &mut read, 5000).unwrap();
        assert_eq!(read, [FILL]);
    }

    #[test]
    fn who_knows_the_blocks_goes_past_no_others_and_past_none_of_a_new_file_of_that_name() {
        let (io, bytes) = made();
        plant(&io, 5000..5001);
        let (shared, bad): (Arc<dyn LogIo>, _) = (Arc::new(io.clone()), BadBlocks::default());
        let read = |io: &Arc<dyn LogIo>| {
            let file = io.open_read(Path::new("/a")).unwrap();
            let mut read = vec![0; LEN];
            read_exact_at(file.as_ref(), &mut read, 0).map(|()| read)
        };
        read(&SkippingIo::noting(&shared, &bad)).unwrap();
        let knowing = SkippingIo::knowing(&shared, &bad);
        assert_eq!(read(&knowing).unwrap()[5000], FILL);
        plant(&io, 100..101);
        assert!(is_of_the_medium(&read(&knowing).unwrap_err()));
        io.lift_read_errors();
        knowing.rename(Path::new("/a"), Path::new("/b")).unwrap();
        let file = knowing.create(Path::new("/a")).unwrap();
        write_all_at(file.as_ref(), &bytes, 0).unwrap();
        assert!(read(&knowing).unwrap() == bytes);
    }
}
