//! The log begins later: what state has given up leaves the disk.
//!
//! Order: a checkpoint that counts with it is written, and its name is durable; queue files lose what lies below the
//! minimum offsets, which is all where only topics have given something up; that is made durable; the checkpoint at the new start is
//! read once more; then the log lets its segments go, and from then on that checkpoint is the base; older ones go, and last what the index has of before. A stop anywhere in between leaves a store that starts, and
//! the next checkpoint does the rest.

use super::{Checkpointer, Header};
use crate::applier::SEGMENTS_INDEX_APART;
use crate::checkpoint::{self, CheckpointError, CheckpointScrub, Checkpoints, Expected, PartKey};
use crate::io::LogIo;
use crate::log::{LogError, LogId, LogPosition};
use parking_lot::Mutex;
use sluice_core::ids::{LogIndex, PhysicalOffset, QueueOffset, TimeMs, TopicId, TopicQueue};
use sluice_core::state::{LogBounds, ShardKey, State};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How often the wait for the log thread looks whether the log has failed.
const LOOK: Duration = Duration::from_millis(50);

/// Read at a time of a checkpoint with which the log is to begin.
const READ_BYTES: u64 = 1 << 20;

/// A place at which the log can begin: a segment starts there, and a checkpoint stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrimPoint {
    /// The place.
    pub at: PhysicalOffset,
    /// State's time there: everything before was put then or earlier.
    pub time: TimeMs,
}

/// Where the log can begin.
pub struct TrimPoints {
    io: Arc<dyn LogIo>,
    folder: PathBuf,
    points: Mutex<Vec<TrimPoint>>,
    anew: Arc<AtomicBool>,
    expected: Expected,
}

impl TrimPoints {
    pub(super) fn of(checkpoints: &Checkpoints, anew: Arc<AtomicBool>) -> Arc<Self> {
        let (io, folder) = checkpoints.files();
        Arc::new(Self {
            io,
            folder,
            points: Mutex::default(),
            anew,
            expected: checkpoints.expected(),
        })
    }

    /// Where queues ended at one of them. One that has been thinned out since it was told of is not found, and not told of
    /// any more. Where one is damaged, those to come do not share what it has: once the log can begin at one of them, retention
    /// goes on.
    pub fn ends_at(&self, point: PhysicalOffset) -> Result<Vec<(TopicQueue, QueueOffset)>, CheckpointError> {
        let is_topic = |key: &PartKey| key.kind == ShardKey::Topic(TopicId(0)).to_numbers().0;
        let loaded = checkpoint::load_some(&self.io, &self.folder, point, is_topic);
        if loaded.as_ref().is_err_and(CheckpointError::is_not_found) {
            self.points.lock().retain(|known| known.at != point);
        }
        let is_damage = match &loaded {
            Err(CheckpointError::Damaged { .. }) => true,
            Err(CheckpointError::Io { path, source, .. }) => {
                source.kind() == ErrorKind::NotFound && self.expected.has(path)
            }
            _ => false,
        };
        if is_damage {
            self.has_damage();
        }
        let loaded = loaded?;
        let mut ends = Vec::new();
        for (key, part) in loaded.parts() {
            let of_topic = State::ends_of_topic(TopicId(key.ids[0]), part);
            ends.extend(of_topic.map_err(|_| loaded.is_wrong(&self.folder))?);
        }
        ends.sort_unstable();
        Ok(ends)
    }

    /// Has the checkpoint there stay: `false` if it is thinned out already, and not told of any more.
    pub(crate) fn hold(&self, point: PhysicalOffset) -> bool {
        let stays = self.expected.hold(point);
        if !stays {
            self.points.lock().retain(|known| known.at != point);
        }
        stays
    }

    /// A checkpoint was found damaged: the next one shares nothing with it.
    pub fn has_damage(&self) {
        self.anew.store(true, Ordering::Release);
    }

    /// Which files of checkpoints must be there.
    pub(crate) fn expected(&self) -> Expected {
        self.expected.clone()
    }

    /// As they are now, in rising order. Each may be thinned out by the next checkpoint, unless links are closed up to it.
    pub fn get(&self) -> Vec<TrimPoint> {
        self.points.lock().clone()
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

    /// Tells where the log can begin, as far as it will be so after a crash: not where the newest checkpoint stands, the name
    /// of which may be lost, unless it was found at the start.
    pub(super) fn publish_points(&self, newest_is_durable: bool) {
        let newest = self.checkpoints.kept().last().filter(|_| !newest_is_durable);
        let points = self.points().into_iter().map(|(_, point, _)| point);
        let durable = points.filter(|point| newest.is_none_or(|newest| point.at < newest.physical));
        *self.points.points.lock() = durable.collect();
    }

    /// Lets go what is before `bounds`, as far as a checkpoint stands there, and what queue files have of messages that topics gave up
    /// themselves. A checkpoint that counts with them is written: from memory alone if it `is_whole`.
    pub(super) fn trim(&mut self, bounds: LogBounds, is_whole: bool) -> Result<(), CheckpointError> {
        let mut points = self.points().into_iter();
        let point = points.rfind(|(_, point, _)| point.at <= bounds.start);
        if point.is_none() && !self.queues.holds_too_much() {
            return Ok(());
        }
        // A crash must not bring an older checkpoint back, which counts on what goes now.
        self.checkpoints.sync_names()?;
        self.queues.trim_files()?;
        let Some((position, point, run)) = point else {
            return Ok(());
        };
        self.checkpoints.sync_files()?;
        // Checkpoints share what has not changed. Where that is damaged, all of state may be nowhere but where the log begins now, and in the
        // log from there on. The next checkpoint is whole, and lets go.
        if !is_whole && !self.is_sound(point.at) {
            return Ok(());
        }
        let upto = LogId {
            term: position.term,
            index: LogIndex(position.index.0.saturating_sub(1)),
        };
        let purged = self.purge(upto);
        self.log.free_removed();
        if !purged {
            return Ok(());
        }
        self.checkpoints.remove_below(point.at)?;
        self.index.trim(run)?;
        tracing::info!(start = point.at.0, "the log begins later");
        Ok(())
    }

    /// Whether all can be read that a start from there would need.
    fn is_sound(&self, point: PhysicalOffset) -> bool {
        let (io, folder) = self.checkpoints.files();
        let mut scrub = CheckpointScrub::only(&io, &folder, &self.checkpoints.expected(), point);
        let damage = std::iter::from_fn(|| scrub.step(READ_BYTES)).find_map(Result::err);
        if let Some(error) = &damage {
            tracing::error!(%error, "the checkpoint with which the log was to begin is damaged: the log begins later once all of state is written anew, from memory");
            self.points.has_damage();
        }
        damage.is_none()
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
