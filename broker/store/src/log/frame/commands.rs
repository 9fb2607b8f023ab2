//! The commands of a frame, one after another.

use super::{FRAME_HEADER_BYTES, Frame, u32_at};
use bytes::Bytes;
use sluice_core::ids::PhysicalOffset;

/// See [`Frame::commands`].
#[derive(Clone, Debug)]
pub struct Commands {
    frame: Frame,
    at: usize,
    place: u16,
}

impl Commands {
    /// Those of a frame, from its first one on.
    pub(super) fn of(frame: Frame) -> Self {
        Self {
            frame,
            at: FRAME_HEADER_BYTES,
            place: 0,
        }
    }
}

impl Iterator for Commands {
    type Item = (u16, PhysicalOffset, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        if self.place == self.frame.header.count {
            return None;
        }
        // The frame's checksum covers the lengths, so that they fit.
        let len = u32_at(&self.frame.bytes, self.at) as usize;
        let offset = PhysicalOffset(self.frame.header.physical.0 + self.at as u64);
        let item = (self.place, offset, self.frame.bytes.slice(self.at..self.at + len));
        self.at += len;
        self.place += 1;
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.frame.header.count - self.place);
        (left, Some(left))
    }
}
