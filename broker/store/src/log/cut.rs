//! What stands behind the log's end after a crash: saved for inspection, then overwritten with zeros.

use super::error::LogError;
use super::frame::FrameError;
use super::recover::Cut;
use super::segment::Segment;
use crate::io::{FileHandle, LogIo, read_exact_at, write_all_at};
use sluice_core::ids::PhysicalOffset;
use std::io;
use std::path::{Path, PathBuf};

/// Looked through at a time.
const PIECE: usize = 1 << 20;
/// Saved of one cut.
const SAVED_MAX: u64 = 1 << 20;
/// Saved cuts that are kept.
const KEPT: usize = 4;
const PREFIX: &str = "cut-";

/// Whether a file holds nothing but zeros from `from` on.
pub(super) fn is_zero_from(file: &FileHandle, from: u64) -> io::Result<bool> {
    Ok(non_zero(file, from)?.is_empty())
}

/// The pieces from `from` to the file's end that are not all zero: each one's place and length.
pub(super) fn non_zero(file: &FileHandle, from: u64) -> io::Result<Vec<(u64, usize)>> {
    let len = file.len()?;
    let mut found = Vec::new();
    let mut buffer = vec![0; PIECE.min(len.saturating_sub(from) as usize)];
    let mut at = from;
    while at < len {
        let n = buffer.len().min((len - at) as usize);
        read_exact_at(file.as_ref(), &mut buffer[..n], at)?;
        // Trailing zeros of the piece need no overwriting, and are not counted.
        let used = buffer[..n]
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        if used > 0 {
            found.push((at, used));
        }
        at += n as u64;
    }
    Ok(found)
}

/// Leaves nothing but zeros behind the log's end at `at` in its last segment. Not synced.
pub(super) fn clean(
    io: &dyn LogIo,
    segment: &Segment,
    at: PhysicalOffset,
    bad: &FrameError,
) -> Result<Option<Cut>, LogError> {
    let path = &segment.path;
    let from = segment.file_offset(at);
    let pieces = non_zero(&segment.file, from).map_err(LogError::io("read", path))?;
    let Some((last, used)) = pieces.last() else {
        return Ok(None);
    };
    let bytes = last + *used as u64 - from;
    let saved = match save(io, segment, at, from, bytes.min(SAVED_MAX)) {
        Ok(saved) => Some(saved),
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "what is cut off could not be saved");
            None
        }
    };
    for (piece, used) in &pieces {
        write_all_at(segment.file.as_ref(), &vec![0; *used], *piece)
            .map_err(LogError::io("cut off the torn end of", path))?;
    }
    tracing::warn!(file = %path.display(), offset = at.0, bytes, reason = %bad, "cut off writes behind the last sync that is noted");
    Ok(Some(Cut {
        at,
        reason: bad.to_string(),
        bytes,
        saved,
    }))
}

fn save(io: &dyn LogIo, segment: &Segment, at: PhysicalOffset, from: u64, len: u64) -> io::Result<PathBuf> {
    let dir = segment.path.parent().unwrap_or_else(|| Path::new("."));
    let path = dir.join(format!("{PREFIX}{:020}.bak", at.0));
    let mut bytes = vec![0; len as usize];
    read_exact_at(segment.file.as_ref(), &mut bytes, from)?;
    let mut old: Vec<PathBuf> = io
        .list(dir)?
        .into_iter()
        .map(|name| dir.join(name))
        .filter(|file| is_cut(file) && *file != path)
        .collect();
    // The names sort by offset: the oldest cuts go.
    old.truncate((old.len() + 1).saturating_sub(KEPT));
    for gone in old {
        io.remove(&gone)?;
    }
    io.remove(&path)?;
    let file = io.create(&path)?;
    write_all_at(file.as_ref(), &bytes, 0)?;
    Ok(path)
}

fn is_cut(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(PREFIX))
}
