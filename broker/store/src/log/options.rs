//! How a log is opened, and what follows from a segment's size.

use super::meta::Identity;
use super::segment::PAGE_BYTES;
use sluice_core::limits;
use std::path::PathBuf;
use std::time::Duration;

/// When a frame counts as committed on a single node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// When it is durable: one sync a group of frames.
    Sync,
    /// When it is written; a power cut loses what was written since the last sync.
    Async {
        /// Syncs at least this often while something is unsynced.
        every: Duration,
        /// Syncs at the latest when this much is unsynced.
        bytes: u64,
    },
}

impl Flush {
    /// Asynchronous with the usual bounds: 500 ms and 4 MiB.
    pub fn asynchronous() -> Self {
        Self::Async {
            every: Duration::from_millis(500),
            bytes: 4 << 20,
        }
    }
}

/// How to open a log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The shard's folder; the log is in `log/` below it.
    pub dir: PathBuf,
    /// Who the log belongs to. A new log is made with it; an existing one must fit it, except for the UUID and the
    /// segment size, which stay as they were made.
    pub identity: Identity,
    /// Whether somebody wants segments of just that size, and is told where the log keeps another one.
    pub segment_bytes_given: bool,
    /// When a frame counts as committed.
    pub flush: Flush,
    /// Bytes of recent frames kept in memory; unsynced frames are kept beyond it.
    pub ring_bytes: usize,
    /// Bytes of commands that may wait before the log.
    pub inbox_bytes: usize,
    /// Commands that may wait before the log.
    pub inbox_commands: usize,
    /// How long messages may wait before the log; what waits longer is refused. No bound without it.
    pub inbox_wait: Option<Duration>,
    /// Sealed segments mapped at a time.
    pub mapped_segments: usize,
}

impl LogOptions {
    /// The usual bounds.
    pub fn new(dir: PathBuf, identity: Identity) -> Self {
        Self {
            dir,
            identity,
            segment_bytes_given: true,
            flush: Flush::Sync,
            ring_bytes: 32 << 20,
            inbox_bytes: 64 << 20,
            inbox_commands: 65_536,
            inbox_wait: None,
            mapped_segments: 16,
        }
    }
}

/// The smallest segment.
pub(super) const SEGMENT_BYTES_MIN: u64 = 256 << 10;
/// The largest segment: offsets within one fit 32 bits with room to spare.
pub(super) const SEGMENT_BYTES_MAX: u64 = 2 << 30;
/// Frames written with one call and one sync, unless one frame is larger.
pub(super) const GROUP_BYTES: usize = 1 << 20;
/// Zero-filled of the next segment before it is needed.
const PREFILL_BYTES: u64 = 16 << 20;
/// What a command may have besides a body of the largest size: the record's own fields, properties and names.
const COMMAND_EXTRA: usize = 64 << 10;

/// What follows from a segment's size; see the design's rule for small segments in fault suites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentLimits {
    /// The file's size, page 0 included.
    pub segment_bytes: u64,
    /// Bytes of frames that fit one segment.
    pub capacity: u64,
    /// Commands of different proposers share a frame up to this.
    pub batch_bytes: usize,
    /// The largest command, and the largest batch of one proposer.
    pub command_bytes: usize,
    /// Zero-filled of the next segment before it is needed.
    pub prefill_bytes: u64,
}

impl SegmentLimits {
    /// The limits of segments of this size, which must be a multiple of 4096 from 256 KiB to 2 GiB.
    pub fn of(segment_bytes: u64) -> Option<Self> {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&segment_bytes)
            || !segment_bytes.is_multiple_of(PAGE_BYTES)
        {
            return None;
        }
        let size = segment_bytes as usize;
        Some(Self {
            segment_bytes,
            capacity: segment_bytes - PAGE_BYTES,
            batch_bytes: limits::BATCH_BYTES_MAX.min(size / 4),
            command_bytes: limits::BODY_BYTES_MAX.min(size / 8) + COMMAND_EXTRA,
            prefill_bytes: PREFILL_BYTES.min(segment_bytes),
        })
    }

    /// The longest frame, its padding included.
    pub(super) fn frame_bytes(&self) -> usize {
        super::frame::padded(super::frame::FRAME_HEADER_BYTES + self.entry_bytes())
    }

    /// The commands of the longest frame.
    pub(super) fn entry_bytes(&self) -> usize {
        self.command_bytes.max(self.batch_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_the_largest_command_fits_every_segment() {
        let mut size = SEGMENT_BYTES_MIN;
        while size <= SEGMENT_BYTES_MAX {
            let limits = SegmentLimits::of(size).unwrap();
            assert!(limits.frame_bytes() as u64 <= limits.capacity, "{size}");
            size *= 2;
        }
        assert_eq!(SegmentLimits::of(SEGMENT_BYTES_MIN - 4096), None);
        assert_eq!(SegmentLimits::of((1 << 30) + 1), None);
    }

    #[test]
    fn limits_are_the_designs_at_both_ends() {
        let small = SegmentLimits::of(256 << 10).unwrap();
        assert_eq!(small.batch_bytes, 64 << 10);
        assert!(small.command_bytes > 32 << 10);
        let usual = SegmentLimits::of(1 << 30).unwrap();
        assert_eq!(usual.batch_bytes, 256 << 10);
        assert!(usual.command_bytes >= limits::BODY_BYTES_MAX + limits::PROPERTIES_BYTES_MAX);
    }
}
