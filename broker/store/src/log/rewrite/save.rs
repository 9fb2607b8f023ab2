//! What a repair replaces is saved beside the segment, as far as the disk gives it.

use super::{Change, Edits};
use crate::io::{FileHandle, LogIo, read_exact_at, write_all_at};
use crate::log::error::{Fatal, LogError};
use crate::log::segment::{PAGE_BYTES, Segment};
use std::path::{Path, PathBuf};

/// Read at a time, and left out at a time where the disk gives an error.
const PIECE: usize = 64 << 10;
/// Names that are tried for one place: a place may be repaired more than once.
const TRIES: u32 = 1000;

/// Saves every part of the old file that the new one has not. Answers the files, which are durable.
pub(super) fn replaced(
    io: &dyn LogIo,
    change: &Change,
    segment: &Segment,
    len: u64,
    edits: &Edits,
) -> Result<Vec<PathBuf>, LogError> {
    let mut parts: Vec<(u64, u64)> = change.spans().chain(edits.range).collect();
    if change.new_page {
        parts.push((0, PAGE_BYTES));
    }
    if let Some(end) = change.end {
        parts.push((
            segment.file_offset(end),
            used_to(segment, segment.file_offset(end), len)?,
        ));
    }
    let mut saved = Vec::new();
    for (from, to) in parts {
        let to = to.min(len);
        if from < to {
            saved.push(save(io, segment, from, to)?);
        }
    }
    Ok(saved)
}

/// Where the last byte is behind `from` that is not zero.
fn used_to(segment: &Segment, from: u64, len: u64) -> Result<u64, LogError> {
    let pieces = super::super::cut::non_zero(&segment.file, from.min(len))
        .map_err(LogError::io("read", &segment.path))?;
    Ok(pieces.last().map_or(from, |(at, used)| at + *used as u64))
}

fn save(io: &dyn LogIo, segment: &Segment, from: u64, to: u64) -> Result<PathBuf, LogError> {
    let log_dir = segment.path.parent().unwrap_or_else(|| Path::new("."));
    let stem = segment.path.file_stem().unwrap_or_default().to_string_lossy();
    let temporary = log_dir.join(format!("{stem}.bak{}", super::TEMPORARY));
    let writing = || LogError::io("save what is replaced in", &temporary);
    io.remove(&temporary).map_err(writing())?;
    let file = io.create(&temporary).map_err(writing())?;
    copy(&segment.file, &file, from, to).map_err(writing())?;
    file.sync_data().map_err(Fatal::new("sync", &temporary))?;
    let names = io.list(log_dir).map_err(LogError::io("list", log_dir))?;
    let name = |n: u32| match n {
        0 => format!("{stem}-{from}-{to}.bak"),
        n => format!("{stem}-{from}-{to}-{n}.bak"),
    };
    let is_free = |name: &String| !names.iter().any(|other| other.ends_with(name));
    // Beyond so many the last one is replaced.
    let free = (0..TRIES).map(name).find(is_free).unwrap_or_else(|| name(TRIES));
    let path = log_dir.join(free);
    io.rename(&temporary, &path)
        .map_err(LogError::io("rename", &path))?;
    io.sync_dir(log_dir)
        .map_err(Fatal::new("sync the folder", log_dir))?;
    Ok(path)
}

/// What the disk does not give is left out, and zeros stand for it: it is what is damaged.
fn copy(old: &FileHandle, new: &FileHandle, from: u64, to: u64) -> std::io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut at = from;
    new.set_len(to - from)?;
    while at < to {
        let piece = &mut buffer[..PIECE.min((to - at) as usize)];
        match read_exact_at(old.as_ref(), piece, at) {
            Ok(()) => write_all_at(new.as_ref(), piece, at - from)?,
            Err(error) => {
                tracing::warn!(at, %error, "a part of what is replaced cannot be read, and is not saved")
            }
        }
        at += piece.len() as u64;
    }
    Ok(())
}
