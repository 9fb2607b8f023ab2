//! Segments that retention has given up become the next ones: their blocks are the disk's already, so that zeros over them cost
//! no more than that, and no other process can take the space.
//!
//! 1. Nobody reads it, and no slice of a map of it lives: the log thread gives the file another name, durably. From then on a
//!    start does not take it for a segment, and removes it. The maps themselves, of which nobody can ask for slices any more, are
//!    let go by who had the segment given up.
//! 2. The helper writes zeros over all of it, in pieces, about as fast as the log grows; then it is the spare segment.
//!
//! Frames that stood in it never reappear: it is a segment again only when it holds nothing but zeros.

use super::error::{Fatal, LogError};
use super::segment::{RECYCLED, SPARE, Segment, Spare};
use super::shared::Shared;
use crate::io::{FileHandle, write_all_at};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The zeros are this much ahead of the log at its segment's start, and in the end by a file's eighth.
const AHEAD: u64 = 32 << 20;

/// A file that is to become a segment anew.
pub(super) struct Recycled {
    file: FileHandle,
    /// Its bytes, and how many of them are zeros again, from the first on.
    len: u64,
    /// Only the helper moves it.
    cleaned: AtomicU64,
}

/// Takes the file of a segment that the log no longer has; `false` if somebody still looks at it, if there is one already, or if
/// the disk has more need of the space: then it is to be removed.
pub(super) fn take(shared: &Shared, gone: Arc<Segment>) -> Result<bool, LogError> {
    if shared.recycled.lock().is_some() || shared.inbox.refuses() {
        return Ok(false);
    }
    // The list was the last to lend it: whoever has it now is the last one.
    let Ok(gone) = Arc::try_unwrap(gone) else {
        return Ok(false);
    };
    if gone.maps.are_in_use() {
        return Ok(false);
    }
    let len = gone.file.len().map_err(LogError::io("measure", &gone.path))?;
    let (io, path) = (&shared.io, shared.log_dir.join(RECYCLED));
    let sparse = gone.path.with_extension("sparse");
    io.remove(&sparse).map_err(LogError::io("remove", &sparse))?;
    match io.rename(&gone.path, &path) {
        // Somebody has removed it while it was served: there is nothing to take.
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(false),
        renamed => renamed.map_err(LogError::io("give another name to", &gone.path))?,
    }
    io.sync_dir(&shared.log_dir)
        .map_err(Fatal::new("sync the folder", &shared.log_dir))?;
    *shared.recycled.lock() = Some(Arc::new(Recycled {
        file: gone.file,
        len,
        cleaned: AtomicU64::new(0),
    }));
    shared.prefill.ring();
    Ok(true)
}

/// Whether there is a piece to clean now, with so much written in the active segment.
pub(super) fn is_due(shared: &Shared, written: u64) -> bool {
    let wanted = written + written / 8 + AHEAD;
    let is_behind = |of: &Arc<Recycled>| of.cleaned.load(Ordering::Relaxed) < wanted;
    shared.recycled.lock().as_ref().is_some_and(is_behind) && shared.spare.lock().is_none()
}

/// Writes zeros over the next piece, and makes the file the spare segment when it is clean.
pub(super) fn clean(shared: &Shared, zeros: &[u8]) -> Result<(), LogError> {
    let path = shared.log_dir.join(RECYCLED);
    // The log thread looks at this for every group: no lock is held over the disk's work.
    let Some(of) = shared.recycled.lock().clone() else {
        return Ok(());
    };
    let cleaned = of.cleaned.load(Ordering::Relaxed);
    let piece = (of.len - cleaned).min(zeros.len() as u64);
    write_all_at(of.file.as_ref(), &zeros[..piece as usize], cleaned)
        .map_err(LogError::io("zero-fill", &path))?;
    of.file.sync_data().map_err(Fatal::new("sync", &path))?;
    of.cleaned.store(cleaned + piece, Ordering::Relaxed);
    if cleaned + piece < of.len {
        return Ok(());
    }
    let _name = shared.spare_name.lock();
    match shared.io.rename(&path, &shared.log_dir.join(SPARE)) {
        // Somebody has removed it: the log makes a spare segment of its own.
        Err(source) if source.kind() == ErrorKind::NotFound => {}
        renamed => {
            renamed.map_err(LogError::io("rename", &path))?;
            *shared.spare.lock() = Some(Spare {
                file: of.file.clone(),
                filled: of.len,
            });
        }
    }
    *shared.recycled.lock() = None;
    Ok(())
}
