//! A store: the log and all that is derived from it, opened, running, and closed.

mod denied;
mod error;
mod open;
pub(crate) mod refusal;
mod threads;

pub use error::StoreError;
pub use refusal::Refusal;

use crate::applier::Observer;
use crate::checkpointer::{CheckpointPolicy, TrimPoint, TrimPoints};
use crate::damage::{Failures, Unread};
use crate::index::IndexStore;
use crate::io::LogIo;
use crate::log::{LocalLog, LogOptions, LogReader, ReadError};
use crate::queue::QueueStore;
use crate::scrub::Scrub;
use crate::stats::{ApplyStats, CheckpointStats, LogStats};
use bytes::Bytes;
use parking_lot::Mutex;
use sluice_core::command::Place;
use sluice_core::ids::{PhysicalOffset, QueueOffset, Term, TimeMs, TopicQueue};
use sluice_core::state::Tables;
use std::path::PathBuf;
use std::sync::Arc;
use threads::Running;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The log, and the shard's folder.
    pub log: LogOptions,
    /// When checkpoints are written.
    pub checkpoints: CheckpointPolicy,
    /// The wall clock at the start.
    pub now: TimeMs,
    /// Applies every command twice: a fault that the proofs must notice.
    #[cfg(feature = "planted-faults")]
    pub apply_twice: bool,
}

/// Hears, from any thread, why the process must end at once. It should not return.
pub type Failed = Arc<dyn Fn(String) + Send + Sync>;

/// A running store; clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    policy: Arc<Mutex<CheckpointPolicy>>,
    tables: Arc<Tables>,
    log: LocalLog,
    reader: LogReader,
    queues: QueueStore,
    index: IndexStore,
    term: Term,
    uuid: [u8; 16],
    applying: Arc<ApplyStats>,
    checkpoints: Arc<CheckpointStats>,
    trim_points: Arc<TrimPoints>,
    io: Arc<dyn LogIo>,
    dir: PathBuf,
    failures: Failures,
    running: Mutex<Option<Running>>,
}

impl Store {
    /// Opens or makes the store in the options' folder: newest whole checkpoint, then replay of the log behind it, then the
    /// threads. `observer` hears of the replay too.
    pub fn open(
        io: Arc<dyn LogIo>,
        options: StoreOptions,
        observer: Box<dyn Observer>,
        failed: Failed,
    ) -> Result<Self, StoreError> {
        let dir = options.log.dir.clone();
        let opened = open::open(Arc::clone(&io), options, observer, failed);
        opened.map_err(|error| denied::with_owner(&dir, refusal::with_extent(&io, &dir, error)))
    }

    /// Topics, groups and what groups hold.
    pub fn tables(&self) -> &Tables {
        &self.inner.tables
    }

    /// Where commands are proposed.
    pub fn log(&self) -> &LocalLog {
        &self.inner.log
    }

    /// Reads records.
    pub fn reader(&self) -> &LogReader {
        &self.inner.reader
    }

    /// The command with the record of the message that stands there; where it cannot be read, whether it is lost. Blocks on the disk
    /// unless it [is hot](LogReader::is_hot). `now` is the proposer's time.
    pub fn read_message(&self, place: &Place, now: TimeMs) -> Result<Bytes, Unread> {
        let read = self.inner.failures.read(&self.inner.reader, &place.entry, now);
        match read {
            Err(Unread::NotNow(error @ ReadError::Gone { .. })) if self.still_points(place) => {
                Err(Unread::Lost(error))
            }
            read => read,
        }
    }

    /// Whether the message stands there still, with the same record. Retention takes a record only after the entries of its message: an
    /// entry that points before the log's start, and is not of before retention, has lost its record.
    fn still_points(&self, place: &Place) -> bool {
        let mut one = Vec::with_capacity(1);
        let read = self.inner.queues.read(place.at, place.offset, 1, &mut one);
        read.is_ok()
            && one
                .first()
                .is_some_and(|entry| entry.physical == place.entry.physical)
    }

    /// Reads queue entries.
    pub fn queues(&self) -> &QueueStore {
        &self.inner.queues
    }

    /// Finds messages by key and by id.
    pub fn index(&self) -> &IndexStore {
        &self.inner.index
    }

    /// Where the index begins, and the time there where that is known, if that is not where the log does: it was damaged, and
    /// messages from before are in the log and not in the index.
    pub fn index_begins(&self) -> Option<(PhysicalOffset, Option<TimeMs>)> {
        let begin = self.inner.index.begin()?;
        (begin.physical > self.inner.log.start()).then_some((begin.physical, begin.time))
    }

    /// The term that began when the store was opened.
    pub fn term(&self) -> Term {
        self.inner.term
    }

    /// What tells this shard from all others.
    pub fn uuid(&self) -> [u8; 16] {
        self.inner.uuid
    }

    /// What is counted of log, applier and checkpoints.
    pub fn stats(&self) -> (&LogStats, &ApplyStats, &CheckpointStats) {
        let inner = &*self.inner;
        (inner.log.stats(), &inner.applying, &inner.checkpoints)
    }

    /// Where the log can begin, later than it does, in rising order.
    pub fn trim_points(&self) -> Vec<TrimPoint> {
        self.inner.trim_points.get()
    }

    /// Where queues ended at a place where the log can begin. What was put below stands before it, unless it was carried: a
    /// log that begins there has queues that begin here. Blocks on IO; an error if the checkpoint there has gone meanwhile.
    pub fn ends_at(&self, point: PhysicalOffset) -> Result<Vec<(TopicQueue, QueueOffset)>, StoreError> {
        Ok(self.inner.trim_points.ends_at(point)?)
    }

    /// Has the checkpoint stay at which the log is going to begin, from now until two others are held. `false` if it has gone meanwhile.
    pub(crate) fn hold(&self, point: PhysicalOffset) -> bool {
        self.inner.trim_points.hold(point)
    }

    /// A part of a checkpoint is damaged: the next checkpoint shares nothing with those before it.
    pub(crate) fn checkpoint_has_damage(&self) {
        self.inner.trim_points.has_damage();
    }

    /// When checkpoints are written from now on.
    pub fn set_checkpoint_policy(&self, policy: CheckpointPolicy) {
        *self.inner.policy.lock() = policy;
    }

    /// Reads everything again, in rounds.
    pub fn scrub(&self) -> Scrub {
        let expected = self.inner.trim_points.expected();
        Scrub::new(self, &self.inner.io, self.inner.dir.join("checkpoint"), expected)
    }

    /// Takes no more proposals, finishes those it has, writes a last checkpoint and lets the folder go. On a full disk the
    /// checkpoint is left out, and the next start replays more of the log. A second call does nothing.
    pub fn close(&self) -> Result<(), StoreError> {
        let running = self.inner.running.lock().take();
        running.map_or(Ok(()), Running::stop)
    }
}
