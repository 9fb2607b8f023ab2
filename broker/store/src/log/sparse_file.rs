//! The files of sparse indexes, as a start finds them.

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
