//! The files of sparse indexes, as a start finds them.

use super::error::{Fatal, LogError};
use super::segment::Segment;
use super::sparse::SparseIndex;
use crate::io::{LogIo, read_exact_at};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// More than any segment's sparse index takes.
const BYTES_MAX: u64 = 4 << 20;

/// The bytes of one.
pub(super) fn read(io: &dyn LogIo, path: &Path) -> io::Result<Vec<u8>> {
    let file = io.open_read(path)?;
    let mut bytes = vec![0; file.len()?.min(BYTES_MAX) as usize];
    read_exact_at(file.as_ref(), &mut bytes, 0)?;
    Ok(bytes)
}

/// Whether a segment has followed this one: its sparse index is written when the next one has its name and is noted, and goes before
/// that one is taken back. Whole, it says so also where nothing else does any more; without it nothing is known.
pub(super) fn says_another_followed(io: &dyn LogIo, segment: &Segment) -> bool {
    let bytes = read(io, &segment.path.with_extension("sparse"));
    let decode = |bytes: Vec<u8>| SparseIndex::decode(&bytes, segment.base(), segment.header.base_index);
    bytes.ok().and_then(decode).is_some()
}

/// Removes those of a segment that becomes the last one again and of all behind it, durably, before these go.
pub(super) fn reopen<'a>(
    io: &dyn LogIo,
    log_dir: &Path,
    segments: impl Iterator<Item = &'a Arc<Segment>>,
) -> Result<(), LogError> {
    for segment in segments {
        let path = segment.path.with_extension("sparse");
        io.remove(&path).map_err(LogError::io("remove", &path))?;
    }
    io.sync_dir(log_dir)
        .map_err(Fatal::new("sync the folder", log_dir))?;
    Ok(())
}

/// Removes those that a crash has left torn, for they are written unsynced and in place: with none there, the index is made
/// again when it is needed. Whatever else is wrong with a file is left to who reads it.
pub(super) fn drop_torn(io: &dyn LogIo, segments: &[Arc<Segment>]) {
    for segment in segments {
        let path = segment.path.with_extension("sparse");
        let Ok(bytes) = read(io, &path) else {
            continue;
        };
        if SparseIndex::decode(&bytes, segment.base(), segment.header.base_index).is_none() {
            let removed = io.remove(&path);
            tracing::info!(file = %path.display(), ?removed, "a sparse index is torn or damaged; it will be made again when it is needed");
        }
    }
}
