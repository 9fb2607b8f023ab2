//! Segments filled with zeros ahead of time, so that a sync has only data to write and no metadata.

use std::fs::{File, OpenOptions};
use std::io::{IoSlice, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The first page of a segment is its header's.
pub const FIRST_BYTE: u64 = 4096;

const FILL_STEP: usize = 1 << 20;

/// A ring of segments and the place where the next frame goes.
#[derive(Debug)]
pub struct Ring {
    segments: Vec<(PathBuf, File)>,
    segment_bytes: u64,
    current: usize,
    position: u64,
    rolls: u64,
}

impl Ring {
    /// Opens the segments in a directory; those absent or of another size are filled and synced, which takes a while.
    ///
    /// # Errors
    /// When the directory cannot be made or a segment cannot be filled or synced.
    pub fn open(directory: &Path, segments: u16, segment_bytes: u64) -> Result<Self> {
        ensure!(
            segment_bytes >= 1 << 20,
            "segment size {segment_bytes} is too small: take 1MiB at least, so that every message fits"
        );
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the data directory {}", directory.display()))?;
        let segments = (0..segments)
            .map(|number| {
                let path = directory.join(format!("{number:05}.seg"));
                let file = fill(&path, segment_bytes)
                    .with_context(|| format!("cannot fill segment {}: is the disk full?", path.display()))?;
                Ok((path, file))
            })
            .collect::<Result<_>>()?;
        // The names must outlive a crash as well.
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .context("cannot sync the data directory")?;
        Ok(Self {
            segments,
            segment_bytes,
            current: 0,
            position: FIRST_BYTE,
            rolls: 0,
        })
    }

    /// Bytes left in the current segment.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.segment_bytes - self.position
    }

    /// The most bytes a write may have.
    #[must_use]
    pub fn room_max(&self) -> u64 {
        self.segment_bytes - FIRST_BYTE
    }

    /// The offset of the next byte in the endless log.
    #[must_use]
    pub fn physical_offset(&self) -> u64 {
        self.rolls * self.room_max() + self.position - FIRST_BYTE
    }

    /// Syncs the current segment and goes on with the next one, overwriting what it holds.
    ///
    /// # Errors
    /// When the sync fails.
    pub fn roll(&mut self) -> Result<()> {
        self.sync()?;
        self.current = (self.current + 1) % self.segments.len();
        self.position = FIRST_BYTE;
        self.rolls += 1;
        Ok(())
    }

    /// Writes all slices at the end; the caller has seen to it that they fit.
    ///
    /// # Errors
    /// When the system refuses the write.
    pub fn write(&mut self, mut slices: &mut [IoSlice<'_>]) -> Result<()> {
        let (path, file) = &self.segments[self.current];
        while !slices.is_empty() {
            let written = rustix::io::pwritev(file, slices, self.position)
                .with_context(|| format!("cannot write to segment {}", path.display()))?;
            ensure!(written > 0, "segment {} takes no more bytes", path.display());
            self.position += written as u64;
            IoSlice::advance_slices(&mut slices, written);
        }
        Ok(())
    }

    /// Makes everything written durable.
    ///
    /// # Errors
    /// When the system reports that it could not; what is durable is unknown then.
    pub fn sync(&self) -> Result<()> {
        let (path, file) = &self.segments[self.current];
        rustix::fs::fdatasync(file).with_context(|| format!("cannot sync segment {}", path.display()))
    }
}

fn fill(path: &Path, bytes: u64) -> Result<File> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    // A segment of an earlier run has all its blocks written already.
    if file.metadata()?.len() == bytes {
        return Ok(file);
    }
    file.set_len(0)?;
    let zeros = vec![0; FILL_STEP];
    let mut left = bytes;
    while left > 0 {
        let step = usize::try_from(left).map_or(FILL_STEP, |left| left.min(FILL_STEP));
        file.write_all(&zeros[..step])?;
        left -= step as u64;
    }
    file.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_writes_in_order_and_starts_over() {
        let directory = tempfile::tempdir().unwrap();
        let mut ring = Ring::open(directory.path(), 2, 1 << 20).unwrap();
        ring.write(&mut [IoSlice::new(b"ab"), IoSlice::new(b"cd")])
            .unwrap();
        ring.sync().unwrap();
        assert_eq!(ring.physical_offset(), 4);
        let bytes = std::fs::read(directory.path().join("00000.seg")).unwrap();
        assert_eq!(bytes.len(), 1 << 20);
        assert_eq!(&bytes[4096..4102], b"abcd\0\0");
        ring.roll().unwrap();
        assert_eq!(ring.physical_offset(), (1 << 20) - 4096);
        ring.roll().unwrap();
        assert_eq!(ring.room(), ring.room_max());
    }
}
