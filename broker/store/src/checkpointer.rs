//! Writing checkpoints, on a thread beside the applier. When one is due is `trigger`'s subject.
//!
//! Order, which makes one `syncfs` enough: the log is durable up to the snapshot; then queue tails, index and the
//! checkpoint's parts are written; then one sync of the file system; then the checkpoint gets its name. A checkpoint
//! that has its name is whole, and so is everything it counts on.

mod reserve;
mod trigger;
mod trim;

pub use trigger::{CheckpointPolicy, CheckpointRequest, Requests, Trigger};
pub use trim::{TrimPoint, TrimPoints};

use crate::checkpoint::{CheckpointError, Checkpoints, PartKey, WriteStats};
use crate::index::{IndexError, IndexPosition, IndexStore};
use crate::log::{LocalLog, LogPosition};
use crate::queue::QueueStore;
use crate::stats::CheckpointStats;
use reserve::Reserve;
use sluice_core::codec::{Malformed, Reader, put_bytes};
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TopicQueue};
use sluice_core::state::{ShardKey, ShardView};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Between two steps of sorting and merging the index, so that the log's syncs get through.
const INDEX_PAUSE: Duration = Duration::from_millis(10);
/// How long a stop goes on sorting and merging: what is left is done after the next start.
const INDEX_AT_STOP: Duration = Duration::from_secs(5);

/// Writes checkpoints.
pub struct Checkpointer {
    log: LocalLog,
    queues: QueueStore,
    index: IndexStore,
    checkpoints: Checkpoints,
    /// Parts of snapshots that could not be written; they go with the next one.
    held_over: BTreeMap<ShardKey, Option<ShardView>>,
    /// Set when the log has failed: then nothing becomes durable any more.
    halted: Arc<AtomicBool>,
    /// A sync has failed, or a write, not for want of space: a later sync may claim success for what is lost.
    broken: bool,
    stats: Arc<CheckpointStats>,
    points: Arc<TrimPoints>,
    /// As [`Requests::anew`].
    anew: Arc<AtomicBool>,
    reserve: Reserve,
}

impl Checkpointer {
    /// A writer into `checkpoints`, the newest of which stands at `begun_at`.
    pub fn new(
        log: LocalLog,
        queues: QueueStore,
        index: IndexStore,
        checkpoints: Checkpoints,
        halted: Arc<AtomicBool>,
        begun_at: PhysicalOffset,
    ) -> Self {
        // What was damaged at the start may be in older ones too, from which the log could begin.
        let anew = Arc::new(AtomicBool::new(checkpoints.found_damage()));
        checkpoints.expect_all();
        let points = TrimPoints::of(&checkpoints, Arc::clone(&anew));
        let reserve = Reserve::of(checkpoints.files().0, log.folder(), log.segment_capacity());
        let checkpointer = Self {
            log,
            queues,
            index,
            checkpoints,
            held_over: BTreeMap::new(),
            halted,
            broken: false,
            stats: Arc::new(CheckpointStats::new(begun_at)),
            points,
            anew,
            reserve,
        };
        checkpointer.publish_points(true);
        checkpointer
    }

    /// What is counted of them.
    pub fn stats(&self) -> Arc<CheckpointStats> {
        Arc::clone(&self.stats)
    }

    /// Where the log can begin.
    pub fn trim_points(&self) -> Arc<TrimPoints> {
        Arc::clone(&self.points)
    }

    /// Set it where a part of a checkpoint is found damaged: then the next one writes all of state anew.
    pub fn anew(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.anew)
    }

    /// Writes one checkpoint. On a full disk, or with too many files open, there is only a warning: the log has everything, and
    /// the parts go with the next one. After any error nothing is written any more, and the process must end.
    pub fn write(&mut self, mut request: CheckpointRequest) -> Result<(), CheckpointError> {
        if self.broken || !self.wait_until_durable(request.physical) {
            return Ok(());
        }
        let removed = std::mem::take(&mut request.state.removed);
        let changed = request.state.take_changed();
        self.held_over.extend(removed.into_iter().map(|key| (key, None)));
        self.held_over
            .extend(changed.into_iter().map(|(key, view)| (key, Some(view))));
        match self.write_with_reserve(&request) {
            Err(error) if error.is_full_disk() => {
                tracing::warn!(%error, "a checkpoint was not written; the next one makes up for it");
                self.stats.found_disk_full();
                Ok(())
            }
            Err(error @ CheckpointError::Gone { .. }) => {
                tracing::error!(%error, "a file of the newest checkpoint is gone, while the broker runs");
                self.stats.found_gone(1);
                self.anew.store(true, Ordering::Release);
                Ok(())
            }
            written => {
                self.broken = written.is_err();
                written
            }
        }
    }

    /// Whether the last checkpoint before a stop is to have all of state: something was found damaged, or the newest one, from which the
    /// next start goes on, is not there as a whole.
    pub fn must_be_whole(&self) -> bool {
        let stands = self.checkpoints.newest_stands();
        if !stands && !self.broken {
            tracing::error!(
                "a file of the newest checkpoint is gone; another one is written whole, from memory"
            );
            self.stats.found_gone(1);
        }
        self.anew.load(Ordering::Acquire) || !stands
    }

    /// On a full disk one that frees space has the reserve for it, and nobody else meanwhile.
    fn write_with_reserve(&mut self, request: &CheckpointRequest) -> Result<(), CheckpointError> {
        let frees = request.bounds.start > self.log.start();
        let written = match self.try_write(request) {
            Err(error) if error.is_full_disk() && frees => {
                let _held = self.log.hold_prefill();
                if !self.reserve.give() {
                    return Err(error);
                }
                tracing::warn!(%error, "a checkpoint that is to make room takes the reserve for it");
                let written = self.try_write(request);
                return self.keep_reserve(written);
            }
            written => written,
        };
        self.keep_reserve(written)
    }

    fn keep_reserve(&mut self, written: Result<(), CheckpointError>) -> Result<(), CheckpointError> {
        if written.as_ref().is_err_and(|error| !error.is_full_disk()) {
            return written;
        }
        self.reserve.keep()?;
        written
    }

    /// With what is held over.
    fn try_write(&mut self, request: &CheckpointRequest) -> Result<(), CheckpointError> {
        let CheckpointRequest {
            physical,
            term,
            ref state,
            index,
            bounds,
            is_whole,
        } = *request;
        self.queues.flush_tails(&self.tails())?;
        self.index.flush(&index)?;
        let position = LogPosition {
            physical,
            index: state.next_index,
            term,
        };
        let header = Header {
            state: &state.header,
            index,
        };
        // Before older ones are thinned out.
        self.checkpoints.pin(bounds.links_from);
        let stats = self.write_parts(position, &header.encode(), is_whole)?;
        self.queues.counted(&self.firsts());
        self.held_over.clear();
        self.stats.found_gone(stats.gone as u64);
        if !stats.damaged.is_empty() {
            self.anew.store(true, Ordering::Release);
        }
        self.queues.checkpoint_done()?;
        self.stats.wrote(physical, &stats);
        tracing::info!(
            %position,
            digest = format_args!("{:016x}", state.digest),
            parts = stats.parts,
            patched = stats.patched,
            bytes = stats.bytes,
            millis = stats.elapsed.as_millis() as u64,
            "checkpoint"
        );
        self.trim(bounds, is_whole)?;
        self.publish_points(false);
        Ok(())
    }

    /// Writes what is held over. A whole one takes the newest one's place where nothing has come since.
    fn write_parts(
        &mut self,
        position: LogPosition,
        header: &[u8],
        is_whole: bool,
    ) -> Result<WriteStats, CheckpointError> {
        let parts = self
            .held_over
            .iter()
            .map(|(key, view)| (part_key(*key), view.as_ref().map(encode)));
        let newest = self.checkpoints.kept().last();
        if is_whole && newest.is_some_and(|newest| newest.physical == position.physical) {
            return self.checkpoints.replace(position, header, parts);
        }
        if is_whole {
            self.checkpoints.share_none();
        }
        let reader = self.log.reader();
        let starts_segment = |offset| reader.starts_segment(offset);
        self.checkpoints.write(position, header, &starts_segment, parts)
    }

    /// The ends of the queues whose topics changed.
    fn tails(&self) -> Vec<(TopicQueue, QueueOffset)> {
        self.of_queues(|ends, _| ends)
    }

    /// Where the queues begin whose topics changed.
    fn firsts(&self) -> Vec<(TopicQueue, QueueOffset)> {
        self.of_queues(|_, firsts| firsts)
    }

    fn of_queues<'a>(
        &'a self,
        which: impl Fn(&'a [u64], &'a [u64]) -> &'a [u64],
    ) -> Vec<(TopicQueue, QueueOffset)> {
        let mut offsets = Vec::new();
        for view in self.held_over.values() {
            if let Some(ShardView::Topic(topic, ends, firsts)) = view {
                let at = |queue| TopicQueue {
                    topic: topic.id,
                    queue: QueueId(queue as u32),
                };
                let of_topic = which(ends, firsts).iter().enumerate();
                offsets.extend(of_topic.map(|(queue, offset)| (at(queue), QueueOffset(*offset))));
            }
        }
        offsets
    }

    /// Does a bounded piece of sorting and merging the index; answers whether there is more. After a failed sync nothing
    /// is done any more, and the process must end.
    fn index_step(&mut self) -> Result<bool, IndexError> {
        if self.broken {
            return Ok(false);
        }
        let stepped = self.index.background_step();
        self.broken = stepped.as_ref().is_err_and(IndexError::is_failed_sync);
        stepped
    }

    /// Sorts and merges the index until nothing is left, a stop has taken long enough, or the disk is full.
    pub fn finish_index(&mut self) -> Result<(), CheckpointError> {
        let start = Instant::now();
        while start.elapsed() < INDEX_AT_STOP {
            match self.index_step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.is_full_disk() => {
                    tracing::warn!(%error, "the key index stays unsorted until the next start");
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// With asynchronous flush apply may be ahead of the sync; a checkpoint never is. `false` if the log has failed first.
    fn wait_until_durable(&self, physical: PhysicalOffset) -> bool {
        while self.log.positions().durable() < physical {
            if self.halted.load(Ordering::Acquire) {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        true
    }
}

/// The loop of the checkpoint thread: writes requests until the last sender is gone, and hands the writer back.
/// `failed` hears of errors that must end the process.
pub fn run(
    mut checkpointer: Checkpointer,
    requests: &Receiver<CheckpointRequest>,
    busy: &AtomicBool,
    failed: &dyn Fn(String),
) -> Checkpointer {
    let mut index_has_work = true;
    loop {
        let wait = if index_has_work {
            INDEX_PAUSE
        } else {
            Duration::from_secs(3600)
        };
        match requests.recv_timeout(wait) {
            Ok(request) => {
                if let Err(error) = checkpointer.write(request) {
                    failed(error.to_string());
                }
                busy.store(false, Ordering::Release);
                index_has_work = true;
            }
            Err(RecvTimeoutError::Timeout) => {
                index_has_work = checkpointer.index_step().unwrap_or_else(|error| {
                    if error.is_failed_sync() {
                        failed(error.to_string());
                    } else {
                        tracing::warn!(%error, "the key index stays unsorted until the next checkpoint");
                    }
                    false
                });
            }
            Err(RecvTimeoutError::Disconnected) => return checkpointer,
        }
    }
}

/// What a checkpoint says beside its parts.
pub struct Header<'a> {
    /// State's header.
    pub state: &'a [u8],
    /// How far the index is.
    pub index: IndexPosition,
}

impl<'a> Header<'a> {
    /// The bytes for the checkpoint.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.state.len() + 64);
        put_bytes(&mut out, self.state);
        put_bytes(&mut out, &self.index.encode());
        out
    }

    /// Reads what a checkpoint holds.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let state = reader.bytes()?;
        let index = IndexPosition::decode(reader.bytes()?)?;
        reader.finish()?;
        Ok(Self { state, index })
    }
}

fn part_key(key: ShardKey) -> PartKey {
    let (kind, ids) = key.to_numbers();
    PartKey { kind, ids }
}

fn encode(view: &ShardView) -> Vec<u8> {
    let mut out = Vec::new();
    view.encode(&mut out);
    out
}
