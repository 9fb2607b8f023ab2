//! Reads frames one after another off a segment file, in large pieces.

use super::frame::{FRAME_HEADER_BYTES, Frame, FrameError, FrameHeader, FrameSeed};
use super::segment::Segment;
use crate::io::LogFile;
use bytes::Bytes;
use sluice_core::ids::PhysicalOffset;
use std::io;

/// What stands at the scanner's position.
#[derive(Debug)]
pub(super) enum Found {
    /// A frame that belongs there; the scanner has moved behind it.
    Frame(Frame),
    /// No frame, or one that does not belong there.
    Bad(FrameError),
}

/// Walks over the frames of one segment. The frames share the memory of the pieces that were read.
pub(super) struct Scanner<'a> {
    segment: &'a Segment,
    /// Read instead of the segment's own handle, without a trace in the system's cache.
    aside: Option<&'a dyn LogFile>,
    seed: FrameSeed,
    max_frame: usize,
    piece: usize,
    at: PhysicalOffset,
    /// What is read ahead, from `at` on.
    ahead: Bytes,
    padding_is_zero: bool,
}

impl<'a> Scanner<'a> {
    /// A scanner at `at`, where a frame must start, that reads `piece` bytes at a time.
    pub(super) fn new(
        segment: &'a Segment,
        seed: FrameSeed,
        max_frame: usize,
        at: PhysicalOffset,
        piece: usize,
    ) -> Self {
        Self {
            segment,
            aside: None,
            seed,
            max_frame,
            piece,
            at,
            ahead: Bytes::new(),
            padding_is_zero: true,
        }
    }

    /// Reads by this handle of the segment's file.
    pub(super) fn aside(mut self, file: &'a dyn LogFile) -> Self {
        self.aside = Some(file);
        self
    }

    pub(super) fn at(&self) -> PhysicalOffset {
        self.at
    }

    /// Whether the bytes between the last frame and the next are as they were written. Nothing depends on them.
    pub(super) fn last_padding_is_zero(&self) -> bool {
        self.padding_is_zero
    }

    /// The frame at the position. Its commands' checksums are the caller's to check.
    pub(super) fn next(&mut self) -> io::Result<Found> {
        if self.ahead.len() < FRAME_HEADER_BYTES {
            self.read(self.piece.max(FRAME_HEADER_BYTES))?;
        }
        let header = match FrameHeader::parse(&self.ahead, self.max_frame) {
            Ok(header) => header,
            Err(error) => return Ok(Found::Bad(error)),
        };
        if header.physical != self.at {
            return Ok(Found::Bad(FrameError::Shape("it belongs to another offset")));
        }
        // A tombstone may be as long as a segment, and nothing of it is read but its header.
        let wanted = if header.is_tombstone() {
            FRAME_HEADER_BYTES
        } else {
            header.padded_len() as usize
        };
        if header.end() > self.segment.limit() {
            return Ok(Found::Bad(FrameError::Shape("it does not fit its segment")));
        }
        if self.ahead.len() < wanted {
            self.read(self.piece.max(wanted))?;
        }
        match Frame::check_or_mend(&self.ahead, self.seed, self.max_frame) {
            Ok(frame) => {
                // The padding may be missing at the file's end.
                let behind = self.ahead.len().min(header.padded_len() as usize);
                self.padding_is_zero = header.is_tombstone()
                    || self.ahead[header.len as usize..behind]
                        .iter()
                        .all(|byte| *byte == 0);
                self.ahead = self.ahead.slice(behind..);
                self.at = frame.end();
                Ok(Found::Frame(frame))
            }
            Err(error) => Ok(Found::Bad(error)),
        }
    }

    /// Reads `want` bytes from the position on, fewer at the file's or the segment's end.
    fn read(&mut self, want: usize) -> io::Result<()> {
        let room = self.segment.limit().0.saturating_sub(self.at.0) as usize;
        let mut buffer = vec![0; want.min(room)];
        let offset = self.segment.file_offset(self.at);
        let mut filled = 0;
        while filled < buffer.len() {
            let (rest, at) = (&mut buffer[filled..], offset + filled as u64);
            let read = match self.aside {
                Some(file) => file.read_aside(rest, at),
                None => self.segment.file.read_at(rest, at),
            };
            match read {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(filled);
        self.ahead = Bytes::from(buffer);
        Ok(())
    }
}
