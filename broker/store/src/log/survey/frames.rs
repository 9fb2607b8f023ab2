//! Frames of one segment, and the next whole one behind what cannot be read.

use super::super::LogPosition;
use super::super::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameSeed};
use super::super::scan::{Found, Scanner};
use super::super::segment::Segment;
use crate::io::read_exact_at;
use sluice_core::ids::PhysicalOffset;

/// Read at a time.
const PIECE: usize = 4 << 20;

/// Where frames of a segment are.
pub(in crate::log) struct Frames<'a> {
    pub(in crate::log) segment: &'a Segment,
    pub(in crate::log) seed: FrameSeed,
    pub(in crate::log) max: usize,
}

impl<'a> Frames<'a> {
    pub(super) fn from(&self, at: PhysicalOffset) -> Scanner<'a> {
        Scanner::new(self.segment, self.seed, self.max, at, PIECE)
    }

    /// The nearest whole frame behind `bad` that can follow `before`: frames begin at multiples of 8, and know where they
    /// stand.
    pub(in crate::log) fn after(
        &self,
        bad: PhysicalOffset,
        before: LogPosition,
    ) -> std::io::Result<Option<LogPosition>> {
        let len = self.segment.file.len()?;
        let mut from = bad.0 + 8;
        loop {
            let at = self
                .segment
                .file_offset(PhysicalOffset(from).min(self.segment.limit()));
            if at + FRAME_HEADER_BYTES as u64 > len {
                return Ok(None);
            }
            let mut piece = vec![0; PIECE.min((len - at) as usize)];
            read_exact_at(self.segment.file.as_ref(), &mut piece, at)?;
            let step = (piece.len() - FRAME_HEADER_BYTES) / 8 * 8 + 8;
            for place in (0..step).step_by(8) {
                let physical = PhysicalOffset(from + place as u64);
                let begins = FrameHeader::parse(&piece[place..], self.max).is_ok_and(|header| {
                    header.physical == physical && header.index > before.index && header.term >= before.term
                });
                if begins && let Found::Frame(frame) = self.from(physical).next()? {
                    return Ok(Some(LogPosition {
                        physical,
                        index: frame.index(),
                        term: before.term,
                    }));
                }
            }
            from += step as u64;
        }
    }
}
