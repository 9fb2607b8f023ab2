//! The birth of a segment.

use super::{DurableSlot, PAGE_BYTES, SPARE, Segment, SegmentHeader, encode_page, file_name};
use crate::io::{FileHandle, LogIo, write_all_at};
use crate::log::error::{Fatal, LogError};
use sluice_core::ids::PhysicalOffset;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// A prepared file: zero-filled from its start, synced, under the name [`SPARE`].
pub(in crate::log) struct Spare {
    pub(in crate::log) file: FileHandle,
    /// Bytes of the file that are zero-filled.
    pub(in crate::log) filled: u64,
}

/// Gives birth to a segment: file, page 0 and name are durable when this returns. When that fails nothing is left of it:
/// the log may go on in the segment before, and then the next one begins elsewhere.
pub(in crate::log) fn create(
    io: &dyn LogIo,
    log_dir: &Path,
    header: SegmentHeader,
    generation: u64,
    spare: Option<Spare>,
) -> Result<Arc<Segment>, LogError> {
    let path = log_dir.join(file_name(header.base));
    let created = give_birth(io, log_dir, &path, header, generation, spare);
    // After a failed sync the process ends, and the next start finds a segment without frames.
    if created
        .as_ref()
        .is_err_and(|error| !matches!(error, LogError::Fatal(_)))
    {
        take_back(io, log_dir, &path)?;
    }
    created
}

/// Removes a segment that has no frame yet, durably.
pub(in crate::log) fn take_back(io: &dyn LogIo, log_dir: &Path, path: &Path) -> Result<(), Fatal> {
    io.remove(path)
        .map_err(Fatal::new("remove the unborn segment", path))?;
    io.sync_dir(log_dir)
        .map_err(Fatal::new("sync the folder", log_dir))
}

/// Gives the spare segment its name; `None` where somebody has removed the file.
fn name_spare(io: &dyn LogIo, log_dir: &Path, path: &Path, spare: Spare) -> Result<Option<Spare>, LogError> {
    match io.rename(&log_dir.join(SPARE), path) {
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
        renamed => {
            renamed.map_err(LogError::io("rename the spare segment to", path))?;
            Ok(Some(spare))
        }
    }
}

fn give_birth(
    io: &dyn LogIo,
    log_dir: &Path,
    path: &Path,
    header: SegmentHeader,
    generation: u64,
    spare: Option<Spare>,
) -> Result<Arc<Segment>, LogError> {
    let named = spare.map_or(Ok(None), |spare| name_spare(io, log_dir, path, spare))?;
    let (file, filled) = match named {
        Some(spare) => (spare.file, spare.filled),
        None => {
            // A crash in the middle of this may have left one without frames.
            io.remove(path).map_err(LogError::io("remove", path))?;
            (io.create(path).map_err(LogError::io("create", path))?, 0)
        }
    };
    let page = encode_page(
        &header,
        DurableSlot {
            offset: header.base,
            generation,
        },
    );
    write_all_at(file.as_ref(), &page, 0).map_err(LogError::io("write the header of", path))?;
    file.sync_data().map_err(Fatal::new("sync", path))?;
    io.sync_dir(log_dir)
        .map_err(Fatal::new("sync the folder", log_dir))?;
    let zeroed = PhysicalOffset(header.base.0 + filled.saturating_sub(PAGE_BYTES));
    Ok(Arc::new(Segment::new(header, path.to_owned(), file, zeroed)))
}
