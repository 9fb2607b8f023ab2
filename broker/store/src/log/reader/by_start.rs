//! A command of which only the start is known: what the index has of a message.

use super::cold::LOST;
use super::{LogReader, damaged, io_error};
use crate::applier::index_command;
use crate::io::read_exact_at;
use crate::log::error::ReadError;
use crate::log::frame::FILL;
use bytes::Bytes;
use sluice_core::ids::PhysicalOffset;

const LENGTH_BYTES: usize = 4;

impl LogReader {
    /// The command at a place at which the index has an item of this hash: a message's id or one of its keys. Where another
    /// command stands there, without an error of its own, it is [`ReadError::Damaged`] all the same. May block on the disk.
    pub fn read_indexed(&self, offset: PhysicalOffset, hash: u64) -> Result<Bytes, ReadError> {
        let command = self.read_command_at(offset)?;
        let mut has_it = false;
        index_command(&command, |other| has_it |= other == hash);
        if has_it {
            return Ok(command);
        }
        let reason = "no message stands there that has what the index says";
        Err(self.is_another(offset, reason))
    }

    /// As [`Self::read_command`], for who knows where a command starts and not its size. What stands at an `offset` that is
    /// none of a command's is [`ReadError::Damaged`]. May block on the disk.
    pub fn read_command_at(&self, offset: PhysicalOffset) -> Result<Bytes, ReadError> {
        let length = |bytes: &[u8]| bytes.first_chunk().map(|len| u32::from_le_bytes(*len));
        if let Some(frame) = self.shared.ring.frame_of(offset) {
            let at = (offset.0 - frame.start().0) as usize;
            let len = frame.bytes().get(at..).and_then(length).unwrap_or_default();
            return self.read_command(offset, len);
        }
        let (end, (_, start)) = (self.shared.positions.durable(), self.shared.first());
        if offset.0.saturating_add(LENGTH_BYTES as u64) > end.0 {
            return Err(ReadError::Beyond { offset, end });
        }
        let gone = ReadError::Gone { offset, start };
        let segment = self.shared.segment_of(offset).ok_or(gone)?;
        let (mut len, at) = ([0; LENGTH_BYTES], segment.file_offset(offset));
        read_exact_at(segment.file.as_ref(), &mut len, at).map_err(io_error(&segment, at))?;
        let len = u32::from_le_bytes(len);
        // Before it is believed: as much is allocated as it says.
        if len == u32::from_le_bytes([FILL; LENGTH_BYTES]) {
            return Err(damaged(segment.path.clone(), at, LOST));
        }
        if len as usize > self.shared.limits.frame_bytes() || offset.0 + u64::from(len) > end.0 {
            let reason = format!("the length of a command there, {len}, is beyond what fits");
            let damaged = damaged(segment.path.clone(), at, &reason);
            return self.mended(&segment, offset).ok_or(damaged);
        }
        self.read_command(offset, len)
    }
}
