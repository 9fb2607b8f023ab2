//! A store: the log and all that is derived from it, opened, running, and closed.

pub(crate) mod refusal;

pub use refusal::Refusal;

use crate::applier::{Applier, Observer};
use crate::checkpoint::{CheckpointError, Checkpoints};
use crate::checkpointer::{self, CheckpointPolicy, Checkpointer, Requests, Trigger, TrimPoint, TrimPoints};
use crate::damage::{Failures, Unread};
use crate::index::{IndexError, IndexStore};
use crate::io::{DirLock, LogIo};
use crate::log::{
    self, Ahead, Committed, Cut, LocalLog, LogError, LogOptions, LogPosition, LogReader, LogThreads,
    LogWriter, Opened, Opening, Parts, Prefill,
};
use crate::queue::{QueueError, QueueStore};
use crate::restored::{self, Restored, Unsettled};
use crate::scrub::Scrub;
use crate::stats::{ApplyStats, CheckpointStats, LogStats};
use bytes::Bytes;
use parking_lot::Mutex;
use sluice_core::command::encode_level;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{PhysicalOffset, QueueOffset, Term, TimeMs, TopicQueue};
use sluice_core::log::{Outcome, ReplicatedLog};
use sluice_core::state::{LEVEL, RestoreError, Tables};
use smallvec::smallvec;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;

/// Groups of frames between the log thread and the applier.
const COMMITTED_MAX: usize = 8;
/// How often the applier looks whether a checkpoint is due when nothing comes.
const IDLE_LOOK: Duration = Duration::from_millis(500);

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

/// Why a store could not be opened or closed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log is damaged where it was durable, and it is known how far that reaches.
    #[error("{refusal}; {extent}")]
    Damaged {
        /// What has stopped the start.
        refusal: Refusal,
        /// How far it reaches, what is lost with it, and the command that repairs it.
        extent: String,
    },
    /// The checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// No checkpoint can be used, and it is known how to go on.
    #[error("{error}; or else {way_on}")]
    WithoutState {
        /// What has stopped the start.
        error: CheckpointError,
        /// What can be done, with the command.
        way_on: String,
    },
    /// The queue files.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Queue files lack what the newest checkpoint counts on, and nothing can make it again.
    #[error(
        "{lacking}, and nothing can make it again: {why}: bring the folder queue back from a backup of this moment"
    )]
    Irreparable {
        /// What is missing.
        lacking: Box<StoreError>,
        /// Why replay does not make it.
        why: String,
    },
    /// A checkpoint's content.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A thread could not be started, or has panicked.
    #[error("the thread '{0}' could not be run")]
    Thread(&'static str),
    /// The log took no command.
    #[error("the log does not take commands: {0}")]
    NotTaken(String),
}

impl StoreError {
    pub(crate) fn cannot_be_made_again(lacking: Self, why: String) -> Self {
        let lacking = Box::new(lacking);
        Self::Irreparable { lacking, why }
    }
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

struct Running {
    log: LogThreads,
    applier: JoinHandle<Applier>,
    checkpointer: JoinHandle<Checkpointer>,
    _lock: Box<dyn DirLock>,
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
        let opened = Self::open_as_it_is(Arc::clone(&io), options, observer, failed);
        opened.map_err(|error| refusal::with_extent(&io, &dir, error))
    }

    fn open_as_it_is(
        io: Arc<dyn LogIo>,
        options: StoreOptions,
        observer: Box<dyn Observer>,
        failed: Failed,
    ) -> Result<Self, StoreError> {
        let dir = options.log.dir.clone();
        let opening = begin(&io, options.log)?;
        let ahead = opening.ahead();
        let Restored {
            state,
            position,
            unsettled,
        } = restored::newest(&io, &dir, opening.first(), &ahead)?;
        let (queues, index) = (unsettled.queues.clone(), unsettled.index.clone());
        let trigger = Trigger::new(options.checkpoints, position.physical, opening.segment_starts());
        let policy = trigger.policy();
        let mut applier = Applier::new(state, queues.clone(), index.clone(), observer, trigger);
        #[cfg(feature = "planted-faults")]
        if options.apply_twice {
            applier.apply_twice();
        }
        let (opened, checkpoints) = replay(opening, position, &mut applier, unsettled, &ahead)?;
        opened.cut().map(tell_of_cut);
        let uuid = opened.meta().identity.uuid.0;
        let now = options.now.max(applier.state().now());
        let tables = Arc::clone(applier.state().tables());
        let level = applier.state().level();
        let (committed, to_apply) = mpsc::sync_channel::<Committed>(COMMITTED_MAX);
        let Parts {
            log,
            mut writer,
            prefill,
            lock,
        } = opened.start(applier.state().next_index(), log::ChannelSink(committed));
        let term = writer.lead(now)?;
        let halted = Arc::new(AtomicBool::new(false));
        let failed = halting(failed, &halted);
        let checkpointer = Checkpointer::new(
            log.clone(),
            queues.clone(),
            index.clone(),
            checkpoints,
            Arc::clone(&halted),
            position.physical,
        );
        let (applying, checkpoints) = (applier.stats(), checkpointer.stats());
        let trim_points = checkpointer.trim_points();
        let (applier, checkpointer) = start_folding(applier, checkpointer, &log, to_apply, &failed)?;
        let threads = start_log(writer, prefill, &failed)?;
        let store = Self {
            inner: Arc::new(Inner {
                policy,
                reader: log.reader(),
                tables,
                log,
                queues,
                index,
                term,
                uuid,
                applying,
                checkpoints,
                trim_points,
                io,
                dir,
                failures: Failures::default(),
                running: Mutex::new(Some(Running {
                    log: threads,
                    applier,
                    checkpointer,
                    _lock: lock,
                })),
            }),
        };
        store.raise_level(level, now, &halted)?;
        Ok(store)
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

    /// The command with the record of this entry's message; where it cannot be read, whether it is lost. Blocks on the disk
    /// unless it [is hot](LogReader::is_hot). `now` is the wall clock.
    pub fn read_message(&self, entry: &QueueEntry, now: TimeMs) -> Result<Bytes, Unread> {
        self.inner.failures.read(&self.inner.reader, entry, now)
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
        Scrub::new(self, &self.inner.io, self.inner.dir.join("checkpoint"))
    }

    /// Switches on, level by level, what this build knows and the log does not use yet.
    fn raise_level(&self, present: u32, now: TimeMs, halted: &AtomicBool) -> Result<(), StoreError> {
        for level in present + 1..=LEVEL {
            let (answer, answered) = mpsc::sync_channel(1);
            let done = Box::new(move |outcome| drop(answer.send(outcome)));
            self.log().propose(smallvec![encode_level(now, level)], done);
            let outcome = loop {
                match answered.recv_timeout(IDLE_LOOK) {
                    Err(RecvTimeoutError::Timeout) if !halted.load(Ordering::Acquire) => {}
                    other => break other.unwrap_or(Outcome::Unknown),
                }
            };
            match outcome {
                Outcome::Applied(results) if results.iter().all(Result::is_ok) => {
                    // Not `level`: a line of JSON has one already.
                    tracing::info!(to = level, "the log's level was raised");
                }
                other => return Err(StoreError::NotTaken(format!("{other:?}"))),
            }
        }
        Ok(())
    }

    /// Takes no more proposals, finishes those it has, writes a last checkpoint and lets the folder go. On a full disk the
    /// checkpoint is left out, and the next start replays more of the log. A second call does nothing.
    pub fn close(&self) -> Result<(), StoreError> {
        let Some(Running {
            log,
            applier,
            checkpointer,
            _lock,
        }) = self.inner.running.lock().take()
        else {
            return Ok(());
        };
        log.stop();
        let applier = applier.join().map_err(|_| StoreError::Thread("apply"))?;
        let last = applier.finish();
        let mut checkpointer = checkpointer
            .join()
            .map_err(|_| StoreError::Thread("checkpoint"))?;
        for request in last {
            checkpointer.write(request)?;
        }
        Ok(checkpointer.finish_index()?)
    }
}

fn begin(io: &Arc<dyn LogIo>, options: LogOptions) -> Result<Opening, StoreError> {
    let checkpoints = options.dir.join("checkpoint");
    refusal::refuse_a_log_that_is_gone(io, &options.dir)?;
    let newest = Checkpoints::newest_named(&**io, &checkpoints)?;
    Ok(Opening::begin_reaching(
        Arc::clone(io),
        options,
        newest.unwrap_or_default(),
    )?)
}

/// Replays the log onto what was restored, and then settles that: a start that is refused changes nothing. Where a replay must write
/// before it has come to the end, it looks at what comes first.
fn replay(
    opening: Opening,
    from: LogPosition,
    applier: &mut Applier,
    mut unsettled: Unsettled,
    ahead: &Ahead,
) -> Result<(Opened, Checkpoints), StoreError> {
    let (mut is_settled, mut refused) = (false, None);
    let replayed = opening.replay(from, |frame| {
        applier.replay(frame)?;
        if !applier.must_write() {
            return Ok(());
        }
        if !is_settled {
            let header = frame.header();
            let behind = LogPosition {
                physical: frame.end(),
                index: header.next_index(),
                term: header.term,
            };
            let looked = ahead.look(behind).map_err(StoreError::from);
            if let Err(error) = looked.and_then(|()| unsettled.settle()) {
                refused = Some(error);
                return Err("it was stopped before it has written anything".into());
            }
            is_settled = true;
        }
        Ok(applier.write_replayed()?)
    });
    if let Some(error) = refused {
        return Err(error);
    }
    let opened = replayed?;
    if !is_settled {
        unsettled.settle()?;
    }
    Ok((opened, unsettled.checkpoints))
}

fn tell_of_cut(cut: &Cut) {
    tracing::warn!(at = cut.at.0, bytes = cut.bytes, reason = %cut.reason, "cut off what a crash left at the log's end; nobody was told of it");
}

/// `failed`, which first takes note that nothing will be durable any more: whoever waits for that must not wait on.
fn halting(failed: Failed, halted: &Arc<AtomicBool>) -> Failed {
    let halted = Arc::clone(halted);
    Arc::new(move |reason| {
        halted.store(true, Ordering::Release);
        failed(reason);
    })
}

fn start_log(writer: LogWriter, prefill: Prefill, failed: &Failed) -> Result<LogThreads, StoreError> {
    let failed = Arc::clone(failed);
    log::spawn(writer, prefill, move |fatal| failed(fatal.to_string())).map_err(|_| StoreError::Thread("log"))
}

/// Starts the threads that apply and that write checkpoints.
fn start_folding(
    mut applier: Applier,
    checkpointer: Checkpointer,
    log: &LocalLog,
    to_apply: Receiver<Committed>,
    failed: &Failed,
) -> Result<(JoinHandle<Applier>, JoinHandle<Checkpointer>), StoreError> {
    let busy = Arc::new(AtomicBool::new(false));
    let (writer, requests) = mpsc::sync_channel(1);
    applier.connect(Requests {
        log: log.clone(),
        writer,
        busy: Arc::clone(&busy),
        anew: checkpointer.anew(),
    });
    let (log, failed) = (log.clone(), Arc::clone(failed));
    let apply = move || apply_all(applier, &to_apply, &log);
    let write = move || checkpointer::run(checkpointer, &requests, &busy, &*failed);
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    Ok((
        thread("apply")
            .spawn(apply)
            .map_err(|_| StoreError::Thread("apply"))?,
        thread("checkpoint")
            .spawn(write)
            .map_err(|_| StoreError::Thread("checkpoint"))?,
    ))
}

/// The loop of the applying thread: until the log has ended.
fn apply_all(mut applier: Applier, to_apply: &Receiver<Committed>, log: &LocalLog) -> Applier {
    loop {
        match to_apply.recv_timeout(IDLE_LOOK) {
            Ok(committed) => {
                applier.step(committed);
                log.positions().set_applied(applier.state().next_index());
            }
            Err(RecvTimeoutError::Timeout) => applier.checkpoint_if_due(),
            Err(RecvTimeoutError::Disconnected) => return applier,
        }
    }
}
