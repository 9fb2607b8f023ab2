//! Frames off the files, and what repairs have left there.

use super::{LogReader, damaged};
use crate::log::error::ReadError;
use crate::log::frame::{FILL, Frame};
use sluice_core::command::{self, COMMAND_HEADER_BYTES, CommandError};
use sluice_core::ids::LogIndex;

/// Why what a repair has replaced cannot be read.
pub(super) const LOST: &str = "it is lost: the log was damaged there, and was repaired without it";

/// Whether bytes are none of a command, but what a repair has put in the place of one.
pub(super) fn is_lost(bytes: &[u8]) -> bool {
    let replaced = [command::LOST, command::VOID];
    let kind = bytes.get(COMMAND_HEADER_BYTES);
    let is_fill = !bytes.is_empty() && bytes.iter().all(|byte| *byte == FILL);
    let is_whole = match command::check(bytes) {
        Ok(()) => true,
        // It stands in the place of more than the command that was there.
        Err(CommandError::Length { len, room }) => len as usize > room,
        Err(CommandError::Checksum { .. }) => false,
    };
    is_fill || (kind.is_some_and(|kind| replaced.contains(kind)) && is_whole)
}

impl LogReader {
    /// Frames of one segment, from its file; at least one, unless `from` is behind the durable part. Frames that were lost are
    /// [`ReadError::Damaged`].
    pub(super) fn read_cold(
        &self,
        from: LogIndex,
        to: LogIndex,
        max_bytes: usize,
    ) -> Result<Vec<Frame>, ReadError> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut bytes = 0;
        let mut lost = None;
        let walked = self.walk(from, |frame| {
            if frame.index() >= to || (!frames.is_empty() && bytes + frame.bytes().len() > max_bytes) {
                return false;
            }
            if frame.header().is_tombstone() {
                if frame.header().last_index() >= from {
                    lost = Some(frame.start());
                    return false;
                }
            } else if frame.index() >= from {
                bytes += frame.bytes().len();
                frames.push(frame.clone());
            }
            true
        });
        // Whoever goes on behind these meets the damage.
        if frames.is_empty() {
            walked?;
        }
        match lost.filter(|_| frames.is_empty()) {
            None => Ok(frames),
            Some(at) => {
                let segment = self.shared.segment_of(at);
                let (file, at) = segment.map_or_else(Default::default, |segment| {
                    (segment.path.clone(), segment.file_offset(at))
                });
                Err(damaged(file, at, LOST))
            }
        }
    }
}
