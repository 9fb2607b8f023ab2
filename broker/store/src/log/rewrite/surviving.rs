//! Commands that are whole in a damaged part of the log: to tell what is lost, never to use them.

use crate::io::{LogIo, read_exact_at};
use crate::log::error::LogError;
use crate::log::frame::{FRAME_HEADER_BYTES, padded};
use crate::log::segment::PAGE_BYTES;
use sluice_core::command::{self, APPEND_RECORD_AT, COMMAND_HEADER_BYTES, Kind};
use sluice_core::ids::PhysicalOffset;
use sluice_core::record::Record;
use std::path::Path;

/// Looked at of one damaged part.
const LOOKED_AT_MAX: u64 = 16 << 20;

/// Gives `visit` the commands between `from` and `to` that stand, one after another, where those of frames would, and whose
/// checksums hold. Answers whether there is nothing else: then these are all.
pub(crate) fn surviving_commands(
    io: &dyn LogIo,
    path: &Path,
    base: PhysicalOffset,
    (from, to): (PhysicalOffset, PhysicalOffset),
    visit: &mut dyn FnMut(&[u8]),
) -> Result<bool, LogError> {
    let file = io.open_read(path).map_err(LogError::io("open", path))?;
    let len = file.len().map_err(LogError::io("measure", path))?;
    let at = PAGE_BYTES + (from.0 - base.0);
    let wanted = to.0 - from.0;
    let there = wanted.min(len.saturating_sub(at)).min(LOOKED_AT_MAX);
    let mut bytes = vec![0; there as usize];
    // What the disk does not give nobody can tell.
    if read_exact_at(file.as_ref(), &mut bytes, at).is_err() {
        return Ok(false);
    }
    let mut place = 0;
    while place + FRAME_HEADER_BYTES <= bytes.len() {
        let mut rest = &bytes[place + FRAME_HEADER_BYTES..];
        let begun = rest.len();
        while let Ok((found, behind)) = command::split(rest)
            && command::check(found).is_ok()
        {
            visit(found);
            rest = behind;
        }
        let used = begun - rest.len();
        let next = padded(place + FRAME_HEADER_BYTES + used);
        // A frame without commands is only a header, and one with others begins behind it.
        if used == 0 && next < bytes.len() {
            return Ok(false);
        }
        place = next;
    }
    Ok(there == wanted && place >= bytes.len())
}

/// Whether the command between `from` and `to`, whose checksum does not hold, still has the shape of a message: its kind, and a record
/// whose lengths fit. Other commands have no such thing in them, so that damage which leaves it has hit the message only.
pub(crate) fn was_message(
    io: &dyn LogIo,
    path: &Path,
    base: PhysicalOffset,
    (from, to): (PhysicalOffset, PhysicalOffset),
) -> Result<bool, LogError> {
    let len = to.0 - from.0;
    if len > LOOKED_AT_MAX {
        return Ok(false);
    }
    let file = io.open_read(path).map_err(LogError::io("open", path))?;
    let mut bytes = vec![0; len as usize];
    let at = PAGE_BYTES + (from.0 - base.0);
    if read_exact_at(file.as_ref(), &mut bytes, at).is_err() {
        return Ok(false);
    }
    let is_append = bytes.get(COMMAND_HEADER_BYTES) == Some(&(Kind::Append as u8));
    let record = bytes.get(APPEND_RECORD_AT..);
    Ok(is_append && record.is_some_and(|record| Record::parse(record).is_ok()))
}
