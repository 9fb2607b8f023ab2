//! A command whose header alone is damaged: its frame tells what it was.

use super::{LogReader, PIECE, checked};
use crate::log::LogPosition;
use crate::log::error::ReadError;
use crate::log::scan::{Found, Scanner};
use crate::log::segment::Segment;
use crate::log::survey::Frames;
use bytes::Bytes;
use sluice_core::command;
use sluice_core::ids::PhysicalOffset;

impl LogReader {
    /// What was read of a file at `offset`, if it is the command there, or what that was.
    pub(super) fn checked_in(
        &self,
        segment: &Segment,
        offset: PhysicalOffset,
        bytes: Bytes,
    ) -> Result<Bytes, ReadError> {
        let checked = checked(bytes, || segment.path.clone(), segment.file_offset(offset));
        checked.or_else(|damaged| self.mended(offset).ok_or(damaged))
    }

    /// The command that begins at `offset`, whose header is damaged in the file, if nothing else of its frame is. Reads what stands
    /// before it, from the last place on that the sparse index has. Blocks on the disk.
    pub(super) fn mended(&self, offset: PhysicalOffset) -> Option<Bytes> {
        let segment = self.shared.segment_of(offset)?;
        let end = segment
            .sealed_end()
            .unwrap_or_else(|| self.shared.positions.durable());
        let (seed, max) = (self.shared.seed, self.shared.limits.frame_bytes());
        let frames = Frames {
            segment: &segment,
            seed,
            max,
        };
        let scanner = |at| Scanner::new(&segment, seed, max, at, PIECE);
        let mut scanning = scanner(self.sparse_floor(&segment, |sparse| sparse.floor_of(offset)));
        while scanning.at() <= offset && scanning.at() < end {
            let at = scanning.at();
            match scanning.next().ok()? {
                Found::Frame(frame) if frame.end() > offset => {
                    frame.mended()?;
                    let mut commands = frame.commands();
                    let (_, _, bytes) = commands.find(|(_, begins, _)| *begins == offset)?;
                    return command::check(&bytes).is_ok().then_some(bytes);
                }
                Found::Frame(_) => {}
                Found::Bad(_) => {
                    let next = frames.after(at, LogPosition::default()).ok()??;
                    scanning = scanner(next.physical);
                }
            }
        }
        None
    }
}
