//! The log begins later: what state has given up leaves the disk.
//!
//! Order: a checkpoint that counts with it is written, and its name is durable; queue files lose what lies below the
//! minimum offsets, durably; then the log lets its segments go, and from then on the checkpoint at its start is the
//! base; older ones go, and last what the index has of before. A stop anywhere in between leaves a store that starts, and
//! the next checkpoint does the rest.

use super::{Checkpointer, Header};
use crate::applier::SEGMENTS_INDEX_APART;
use crate::checkpoint::CheckpointError;
use crate::log::{LogError, LogId, LogPosition};
use parking_lot::Mutex;
use sluice_core::ids::{LogIndex, PhysicalOffset, TimeMs};
use sluice_core::state::{LogBounds, State};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How often the wait for the log thread looks whether the log has failed.
const LOOK: Duration = Duration::from_millis(50);

/// A place at which the log can begin: a segment starts there, and a checkpoint stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrimPoint {
    /// The place.
    pub at: PhysicalOffset,
    /// State's time there: everything before was put then or earlier.
    pub time: TimeMs,
}

/// Where the log can begin, in rising order.
#[derive(Debug, Default)]
pub struct TrimPoints(Mutex<Vec<TrimPoint>>);

impl TrimPoints {
    /// As they are now. Each may be thinned out by the next checkpoint, unless links are closed up to it.
    pub fn get(&self) -> Vec<TrimPoint> {
        self.0.lock().clone()
    }
}

impl Checkpointer {
    /// The kept checkpoints at which the log can begin, later than it does, and the index's first run there.
    fn points(&self) -> Vec<(LogPosition, TrimPoint, u64)> {
        let (start, reader) = (self.log.start(), self.log.reader());
        let later = self
            .checkpoints
            .headers()
            .filter(|(position, _)| position.physical > start && reader.starts_segment(position.physical));
        later
            .filter_map(|(position, header)| {
                let header = Header::decode(header).ok()?;
                let (level, time) = State::level_and_time(header.state).ok()?;
                let at = position.physical;
                // Before, runs of the index went on from segment to segment.
                let apart = level >= SEGMENTS_INDEX_APART;
                let run = header.index.at_segment_start().run;
                apart.then_some((position, TrimPoint { at, time }, run))
            })
            .collect()
    }

    pub(super) fn publish_points(&self) {
        let points = self.points().into_iter().map(|(_, point, _)| point);
        *self.points.0.lock() = points.collect();
    }

    /// Lets go what is before `bounds`, as far as a checkpoint stands there. A checkpoint that counts with them is written.
    pub(super) fn trim(&mut self, bounds: LogBounds) -> Result<(), CheckpointError> {
        self.checkpoints.pin(bounds.links_from);
        let mut points = self.points().into_iter();
        let Some((position, point, run)) = points.rfind(|(_, point, _)| point.at <= bounds.start) else {
            return Ok(());
        };
        self.queues.trim_files()?;
        self.checkpoints.sync()?;
        let upto = LogId {
            term: position.term,
            index: LogIndex(position.index.0.saturating_sub(1)),
        };
        if !self.purge(upto) {
            return Ok(());
        }
        self.checkpoints.remove_below(point.at)?;
        self.index.trim(run)?;
        tracing::info!(start = point.at.0, "the log begins later");
        Ok(())
    }

    /// Has the log thread let go of everything up to `upto`. `false` if it did not: the next checkpoint asks again.
    fn purge(&self, upto: LogId) -> bool {
        let (answer, answered) = sync_channel(1);
        self.log
            .purge_to(upto, Box::new(move |result| drop(answer.send(result))));
        loop {
            match answered.recv_timeout(LOOK) {
                Ok(Ok(())) => return true,
                // The log takes nothing more: the next start goes on from here.
                Ok(Err(LogError::Stopped)) | Err(RecvTimeoutError::Disconnected) => return false,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the log's first segments stay for now");
                    return false;
                }
                Err(RecvTimeoutError::Timeout) if self.halted.load(Ordering::Acquire) => return false,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}
