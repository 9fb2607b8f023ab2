//! A command whose header alone is damaged: its frame tells what it was.
//!
//! Its frame is looked for backwards from it: a frame knows where it stands, and is not longer than the longest one. So a look costs
//! no more than that, wherever the command stands and whatever else is damaged.

use super::{LogReader, checked, is_lost};
use crate::io::read_exact_at;
use crate::log::error::ReadError;
use crate::log::frame::{ALIGN, FRAME_HEADER_BYTES, Frame, FrameHeader};
use crate::log::scan::{Found, Scanner};
use crate::log::segment::Segment;
use bytes::Bytes;
use sluice_core::command::{self, COMMAND_HEADER_BYTES, Kind};
use sluice_core::ids::PhysicalOffset;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

/// Read at a time, backwards.
const PIECE: u64 = 64 << 10;
/// Frames that are tried: what stands in a message may look like one.
const TRIED_MAX: u32 = 4;

impl LogReader {
    /// What was read of a file at `offset`, if it is the command there, or what that was.
    pub(super) fn checked_in(
        &self,
        segment: &Segment,
        offset: PhysicalOffset,
        bytes: Bytes,
    ) -> Result<Bytes, ReadError> {
        let checked = checked(bytes, || segment.path.clone(), segment.file_offset(offset));
        checked.or_else(|damaged| self.mended(segment, offset).ok_or(damaged))
    }

    /// The command that begins at `offset`, whose header is damaged in the file, if nothing else of its frame is. Blocks on the disk.
    pub(super) fn mended(&self, segment: &Segment, offset: PhysicalOffset) -> Option<Bytes> {
        if !is_of_a_kind(segment, offset)? {
            return None;
        }
        let (max, mut tried) = (self.shared.limits.frame_bytes(), 0);
        let first = offset.0.saturating_sub(max as u64).next_multiple_of(ALIGN as u64);
        let first = segment.base().0.max(first);
        let mut to = offset.0;
        while to > first {
            let from = first.max(to.saturating_sub(PIECE)).next_multiple_of(ALIGN as u64);
            // Headers that begin in the piece may end behind it.
            let end = offset.0.min(to + FRAME_HEADER_BYTES as u64);
            let mut piece = vec![0; end.checked_sub(from)? as usize];
            read_exact_at(
                &*segment.file,
                &mut piece,
                segment.file_offset(PhysicalOffset(from)),
            )
            .ok()?;
            for place in (0..(to - from) as usize).step_by(ALIGN).rev() {
                let stands = PhysicalOffset(from + place as u64);
                let Some(header) = header_at(&piece[place..], stands, max) else {
                    continue;
                };
                // No frame begins between the end of one and the command.
                if header.end() <= offset || tried == TRIED_MAX {
                    return None;
                }
                tried += 1;
                if let ControlFlow::Break(command) = self.of_frame(segment, &header, offset) {
                    return command;
                }
            }
            to = from;
        }
        None
    }

    /// The command of the frame that begins there; goes on where there is no frame.
    fn of_frame(
        &self,
        segment: &Segment,
        header: &FrameHeader,
        offset: PhysicalOffset,
    ) -> ControlFlow<Option<Bytes>> {
        let (seed, max) = (self.shared.seed, self.shared.limits.frame_bytes());
        let piece = header.padded_len() as usize;
        let mut scanner = Scanner::new(segment, seed, max, header.physical, piece);
        let Ok(Found::Frame(frame)) = scanner.next() else {
            return ControlFlow::Continue(());
        };
        let command = frame
            .mended()
            .is_some()
            .then(|| of_commands(&frame, offset))
            .flatten();
        // Not for each read of the same.
        if command.is_some() && self.shared.told_mended.swap(offset.0, Ordering::AcqRel) != offset.0 {
            segment.tell_mended(&frame);
        }
        ControlFlow::Break(command)
    }
}

/// Whether what stands there can be a command with another header: most of what is damaged cannot. `None` if it cannot be read.
fn is_of_a_kind(segment: &Segment, offset: PhysicalOffset) -> Option<bool> {
    let mut kind = [0];
    let at = segment.file_offset(offset) + COMMAND_HEADER_BYTES as u64;
    read_exact_at(&*segment.file, &mut kind, at).ok()?;
    Some(Kind::from_byte(kind[0]).is_ok())
}

/// The header of a frame that says that it stands there.
fn header_at(bytes: &[u8], stands: PhysicalOffset, max: usize) -> Option<FrameHeader> {
    let header = FrameHeader::parse(bytes, max).ok()?;
    (header.physical == stands).then_some(header)
}

fn of_commands(frame: &Frame, offset: PhysicalOffset) -> Option<Bytes> {
    let (_, _, bytes) = frame.commands().find(|(_, begins, _)| *begins == offset)?;
    (command::check(&bytes).is_ok() && !is_lost(&bytes)).then_some(bytes)
}
