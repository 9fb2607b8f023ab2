//! The log ahead of a place: what a replay from there will meet, up to where the log was durable.
//!
//! A replay refuses what is damaged there. Who changes files before it has come to the end looks first, so that a start that is refused
//! has changed nothing.

use super::LogPosition;
use super::error::LogError;
use super::frame::{Frame, FrameError};
use super::scan::{Found, Scanner};
use super::segment::{DurableSlot, Segment};
use sluice_core::ids::PhysicalOffset;
use std::path::PathBuf;
use std::sync::Arc;

/// Read at a time.
const PIECE: usize = 4 << 20;

/// The segments of a log that is being opened.
pub(crate) struct Ahead {
    pub(super) log_dir: PathBuf,
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) durable: DurableSlot,
    /// Bytes of a frame at most.
    pub(super) frame_bytes: usize,
}

/// Hears of each frame, in order.
type Visit<'a> = dyn FnMut(&Frame) -> Result<(), LogError> + 'a;

impl Ahead {
    /// Refuses what a replay from `start` on would refuse of the log itself. Reads it up to the durable slot, and changes nothing.
    pub(crate) fn look(&self, start: LogPosition) -> Result<(), LogError> {
        let mut tail = start;
        let first = self.first_to_scan(start)?;
        for (at, segment) in self.segments.iter().enumerate().skip(first) {
            if tail.physical >= self.durable.offset {
                break;
            }
            let next = self.segments.get(at + 1).map(Arc::as_ref);
            if let Some(bad) = self.follow(segment, next, &mut tail, &mut |_| Ok(()))? {
                self.refuse_below_durable(segment, tail.physical, &bad)?;
                break;
            }
        }
        match self.segments.get(first) {
            Some(segment) if tail == start => self.check_start(segment, start),
            _ => Ok(()),
        }
    }

    /// The segment that `start` lies in.
    pub(super) fn first_to_scan(&self, start: LogPosition) -> Result<usize, LogError> {
        let after = self
            .segments
            .partition_point(|segment| segment.base() <= start.physical);
        let beyond = self
            .segments
            .last()
            .is_none_or(|last| start.physical > last.limit());
        match after.checked_sub(1) {
            Some(at) if !beyond => Ok(at),
            _ => Err(LogError::Mismatch {
                path: self.log_dir.clone(),
                reason: format!("the log does not hold {start}, where the newest checkpoint stands"),
            }),
        }
    }

    /// With no frame at `start`, makes sure that one ends there: going on behind the log's end would leave a hole, and the next
    /// start would cut off what follows it. The durable slot is a place between frames.
    pub(super) fn check_start(&self, segment: &Segment, start: LogPosition) -> Result<(), LogError> {
        let from = self.durable.offset.max(segment.base());
        let seed = segment.header.uuid.into();
        let mut scanner = Scanner::new(segment, seed, self.frame_bytes, from, PIECE);
        while scanner.at() < start.physical {
            let found = scanner.next().map_err(LogError::io("read", &segment.path))?;
            if let Found::Bad(_) = found {
                break;
            }
        }
        if scanner.at() < start.physical {
            let reason = format!(
                "the log ends at offset {}, below the newest checkpoint at {start}",
                scanner.at()
            );
            return Err(LogError::Mismatch {
                path: segment.path.clone(),
                reason,
            });
        }
        Ok(())
    }

    /// Reads one segment from `tail` on. `Some` is the bad frame at `tail`, `None` the end of a sealed segment.
    pub(super) fn follow(
        &self,
        segment: &Segment,
        next: Option<&Segment>,
        tail: &mut LogPosition,
        visit: &mut Visit<'_>,
    ) -> Result<Option<FrameError>, LogError> {
        // What an earlier failed sync has left in the cache is not what is on the disk.
        segment
            .file
            .drop_cache(0, 0)
            .map_err(LogError::io("drop the cache of", &segment.path))?;
        if tail.physical == segment.base() && tail.index != segment.header.base_index {
            let reason = format!(
                "it begins with index {}, not {}",
                segment.header.base_index, tail.index
            );
            return Err(LogError::Corruption {
                file: segment.path.clone(),
                offset: 0,
                reason,
            });
        }
        let seed = segment.header.uuid.into();
        let mut scanner = Scanner::new(segment, seed, self.frame_bytes, tail.physical, PIECE);
        loop {
            if next.is_some_and(|next| tail.physical == next.base()) {
                return Ok(None);
            }
            let found = scanner.next().map_err(LogError::io("read", &segment.path))?;
            let frame = match found {
                Found::Frame(frame) => frame,
                Found::Bad(error) => return Ok(Some(error)),
            };
            if let Err(error) = frame.check_commands().and_then(|()| frame.check_state()) {
                return Ok(Some(error));
            }
            let header = frame.header();
            if header.index != tail.index || header.term < tail.term {
                return Ok(Some(FrameError::Shape(
                    "it does not continue the frame before it",
                )));
            }
            visit(&frame)?;
            *tail = LogPosition {
                physical: frame.end(),
                index: header.next_index(),
                term: header.term,
            };
        }
    }

    pub(super) fn refuse_below_durable(
        &self,
        segment: &Segment,
        at: PhysicalOffset,
        bad: &FrameError,
    ) -> Result<(), LogError> {
        if at >= self.durable.offset {
            return Ok(());
        }
        let reason = format!(
            "the frame that begins there: {bad}, but the log was durable up to offset {}",
            self.durable.offset
        );
        Err(LogError::Corruption {
            file: segment.path.clone(),
            offset: segment.file_offset(at),
            reason,
        })
    }
}
