//! Recent frames in memory: the only place that unsynced frames are read from, and the fast one for the hot tail.

use super::frame::Frame;
use parking_lot::RwLock;
use sluice_core::ids::{LogIndex, PhysicalOffset};
use std::collections::VecDeque;

/// The newest frames, without a gap. Frames leave at the old end, over the bound, and only when they are durable.
pub(super) struct Ring {
    bound: usize,
    frames: RwLock<Frames>,
}

#[derive(Default)]
struct Frames {
    queue: VecDeque<Frame>,
    bytes: usize,
}

impl Ring {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            frames: RwLock::default(),
        }
    }

    /// Adds frames behind the newest one.
    pub(super) fn push(&self, frames: impl Iterator<Item = Frame>) {
        let mut ring = self.frames.write();
        for frame in frames {
            debug_assert!(ring.queue.back().is_none_or(|last| last.end() <= frame.start()));
            ring.bytes += frame.bytes().len();
            ring.queue.push_back(frame);
        }
    }

    /// Lets old frames go while the ring holds more than its bound, but none that ends above `durable`.
    pub(super) fn evict(&self, durable: PhysicalOffset) {
        let mut ring = self.frames.write();
        while ring.bytes > self.bound && ring.queue.front().is_some_and(|oldest| oldest.end() <= durable) {
            if let Some(gone) = ring.queue.pop_front() {
                ring.bytes -= gone.bytes().len();
            }
        }
    }

    /// Takes back every frame at or above `from`.
    pub(super) fn truncate(&self, from: PhysicalOffset) {
        let mut ring = self.frames.write();
        while ring.queue.back().is_some_and(|newest| newest.start() >= from) {
            if let Some(gone) = ring.queue.pop_back() {
                ring.bytes -= gone.bytes().len();
            }
        }
    }

    /// Forgets everything: the log goes on at another index.
    pub(super) fn clear(&self) {
        *self.frames.write() = Frames::default();
    }

    /// The frame that `offset` lies in.
    pub(super) fn frame_of(&self, offset: PhysicalOffset) -> Option<Frame> {
        let ring = self.frames.read();
        let after = ring.queue.partition_point(|frame| frame.start() <= offset);
        let frame = ring.queue.get(after.checked_sub(1)?)?;
        (offset < frame.end()).then(|| frame.clone())
    }

    /// Whether `offset` lies in a frame that is here.
    pub(super) fn holds(&self, offset: PhysicalOffset) -> bool {
        let ring = self.frames.read();
        let within = |oldest: &Frame, newest: &Frame| oldest.start() <= offset && offset < newest.end();
        ring.queue
            .front()
            .zip(ring.queue.back())
            .is_some_and(|(oldest, newest)| within(oldest, newest))
    }

    /// The frames from `from` up to but without `to`, at least one and then as many as `max_bytes` allow; none if `from` is
    /// not here.
    pub(super) fn starting_at(&self, from: LogIndex, to: LogIndex, max_bytes: usize) -> Vec<Frame> {
        let ring = self.frames.read();
        let first = ring.queue.partition_point(|frame| frame.index() < from);
        let mut bytes = 0;
        let fits = |frame: &&Frame| {
            let take = bytes == 0 || bytes + frame.bytes().len() <= max_bytes;
            bytes += frame.bytes().len();
            frame.index() < to && take
        };
        let frames = ring.queue.range(first..);
        if ring.queue.get(first).is_none_or(|frame| frame.index() != from) {
            return Vec::new();
        }
        frames.take_while(fits).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{FrameBuilder, FrameKind, ShardUuid};
    use super::*;
    use bytes::Bytes;
    use sluice_core::ids::Term;

    fn blank(index: u64) -> Frame {
        let mut out = Vec::new();
        let at = PhysicalOffset(index * 40);
        let builder = FrameBuilder::begin(
            &mut out,
            ShardUuid::default().into(),
            at,
            Term(1),
            LogIndex(index),
            FrameKind::Blank,
        );
        let header = builder.finish();
        Frame::built(header, Bytes::from(out))
    }

    #[test]
    fn unsynced_frames_stay_beyond_the_bound() {
        let ring = Ring::new(100);
        ring.push((0..10).map(blank));
        ring.evict(PhysicalOffset(0));
        assert!(ring.holds(PhysicalOffset(0)));
        ring.evict(PhysicalOffset(5 * 40));
        assert!(!ring.holds(PhysicalOffset(199)));
        assert!(ring.holds(PhysicalOffset(200)), "the sixth frame is not durable");
        ring.evict(PhysicalOffset(400));
        assert!(
            !ring.holds(PhysicalOffset(319)) && ring.holds(PhysicalOffset(320)),
            "two frames of 40 bytes fit the bound"
        );
    }

    #[test]
    fn frames_are_found_by_offset_and_by_index() {
        let ring = Ring::new(1000);
        ring.push((3..8).map(blank));
        assert_eq!(
            ring.frame_of(PhysicalOffset(3 * 40 + 39))
                .map(|frame| frame.index()),
            Some(LogIndex(3))
        );
        assert!(ring.frame_of(PhysicalOffset(119)).is_none());
        assert!(ring.frame_of(PhysicalOffset(320)).is_none());
        let indexes = |from, to, max| -> Vec<u64> {
            ring.starting_at(LogIndex(from), LogIndex(to), max)
                .iter()
                .map(|frame| frame.index().0)
                .collect()
        };
        assert_eq!(indexes(4, 7, 1000), [4, 5, 6]);
        assert_eq!(indexes(4, 100, 80), [4, 5]);
        assert_eq!(indexes(4, 100, 1), [4], "at least one");
        assert!(indexes(2, 100, 1000).is_empty(), "a gap is never skipped");
        ring.truncate(PhysicalOffset(5 * 40));
        assert_eq!(indexes(4, 100, 1000), [4]);
    }
}
