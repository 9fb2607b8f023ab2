//! Writing frames: the one copy that a command's bytes go through, and the frame that stands for lost ones.

use super::{FRAME_HEADER_BYTES, FrameError, FrameHeader, FrameKind, FrameSeed, checksum, padded};
use sluice_core::command;
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};

/// Writes one frame behind what a buffer holds already: the one copy that a command's bytes go through.
#[derive(Debug)]
pub struct FrameBuilder<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    seed: FrameSeed,
    header: FrameHeader,
}

impl<'a> FrameBuilder<'a> {
    /// Begins a frame that will stand at `physical`.
    pub fn begin(
        out: &'a mut Vec<u8>,
        seed: FrameSeed,
        physical: PhysicalOffset,
        term: Term,
        index: LogIndex,
        kind: FrameKind,
    ) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        let header = FrameHeader {
            len: 0,
            physical,
            term,
            index,
            kind,
            count: 0,
            stands_for: 1,
            state_is_known: true,
            crc: 0,
        };
        Self {
            out,
            start,
            seed,
            header,
        }
    }

    /// Adds one encoded command.
    pub fn push(&mut self, command: &[u8]) {
        debug_assert!(command::split(command).is_ok_and(|(_, rest)| rest.is_empty()));
        self.out.extend_from_slice(command);
        self.header.count += 1;
    }

    /// Fills the header in and pads the frame.
    pub fn finish(self) -> FrameHeader {
        let mut header = self.header;
        let frame = &mut self.out[self.start..];
        let len = frame.len();
        header.len = len as u32;
        frame[0..4].copy_from_slice(&header.len.to_le_bytes());
        frame[8..16].copy_from_slice(&header.physical.0.to_le_bytes());
        frame[16..24].copy_from_slice(&header.term.0.to_le_bytes());
        frame[24..32].copy_from_slice(&header.index.0.to_le_bytes());
        frame[32] = header.kind as u8;
        frame[34..36].copy_from_slice(&header.count.to_le_bytes());
        let crc = checksum(frame, header.count, self.seed);
        debug_assert!(crc.is_ok(), "what was pushed was whole commands");
        header.crc = crc.unwrap_or_default();
        frame[4..8].copy_from_slice(&header.crc.to_le_bytes());
        self.out.resize(self.start + padded(len), 0);
        header
    }
}

/// What fills a tombstone behind its header, so that whoever reads there can tell it from what rot leaves.
pub(crate) const FILL: u8 = b'L';

/// The frame that takes the place of lost ones. It has no commands; what is behind its header is to be filled, with the letter `L`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Where the first lost frame stood.
    pub physical: PhysicalOffset,
    /// Bytes from there to the next frame: at least a header, at most a segment.
    pub span: u32,
    /// The term of the frame before.
    pub term: Term,
    /// The first lost frame's index.
    pub index: LogIndex,
    /// Frames that were lost, at least one.
    pub stands_for: u32,
    /// See [`FrameHeader::state_is_known`].
    pub state_is_known: bool,
}

impl Tombstone {
    /// Its header.
    pub fn encode(&self, seed: FrameSeed) -> [u8; FRAME_HEADER_BYTES] {
        let mut out = [0; FRAME_HEADER_BYTES];
        out[0..4].copy_from_slice(&self.span.to_le_bytes());
        out[8..16].copy_from_slice(&self.physical.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.term.0.to_le_bytes());
        out[24..32].copy_from_slice(&self.index.0.to_le_bytes());
        out[32] = FrameKind::Tombstone as u8;
        out[33] = u8::from(!self.state_is_known);
        out[36..40].copy_from_slice(&self.stands_for.to_le_bytes());
        let crc = checksum(&out, 0, seed).unwrap_or_default();
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }
}

/// Gives a whole frame, some commands of which were replaced by as long ones, the checksum that it has now.
pub(crate) fn reseal(frame: &mut [u8], count: u16, seed: FrameSeed) -> Result<(), FrameError> {
    let crc = checksum(frame, count, seed)?;
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}
