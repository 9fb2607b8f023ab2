//! The use cases between the wire and the log: send, receive, pull, settle, make, release.
//!
//! Whatever changes state is proposed to the log and answered after apply. What depends on connections and
//! waiting calls (reservations, long polls) is decided here before proposing, and kept in memory only.

mod administer;
mod answers;
mod arrivals;
mod checkpoints;
mod clock;
mod dispatcher;
mod error;
pub mod find;
mod floors;
pub mod held;
pub mod lag;
mod make;
mod observer;
mod offsets;
mod polls;
mod promised;
mod pull;
mod receive;
mod records;
mod refusals;
mod release;
mod send;
mod settle;
mod subscribe;
mod telling;
mod unanswered;
mod waiters;

pub use administer::{GroupPut, TopicPut};
pub use checkpoints::checkpoint_policy;
pub use clock::{Clock, SystemTime, TimeSource};
pub use error::EngineError;
pub use floors::{QueueOffsets, QueueReset, Reset, ResetTo};
pub use observer::Wakes;
pub use pull::{Pull, Pulled};
pub use receive::{Passed, Receive, Received, Taken};
pub use send::Outgoing;
pub use settle::Settled;
pub(crate) use telling::follow as tell_of_unread;
pub(crate) use unanswered::ANSWERED_WITHIN;

use crate::budget::Budget;
use crate::config::Live;
use crate::disk::Disk;
use crate::retention::RetentionStats;
use crate::scrub::ScrubStats;
use answers::Answers;
use arrivals::Arrivals;
use dispatcher::Dispatchers;
use promised::Promised;
use refusals::Refusals;
use sluice_core::command::EncodedCommand;
use sluice_core::ids::{Term, TimeMs};
use sluice_core::log::{Batch, Outcome, ReplicatedLog, Results};
use sluice_core::state::{Applied, Changed, Tables};
use sluice_store::{Store, StoreError};
use smallvec::smallvec;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{broadcast, oneshot, watch};
use unanswered::TakingBack;

/// What the engine needs to know beside its store.
#[derive(Clone)]
pub struct EngineOptions {
    /// What can change while the broker runs, such as whether a topic is made on its first use (F7).
    pub live: Arc<Live>,
    /// The broker's address as records carry it.
    pub store_host: SocketAddr,
    /// Long polls that may wait at one time, over all groups; pulls count too.
    pub polls_max: usize,
    /// The bound on messages that were asked for and are not read.
    pub unread: Arc<Budget>,
    /// The disk that the store is on.
    pub disk: Arc<Disk>,
}

/// The use cases over one broker's log.
pub struct Engine {
    store: Store,
    clock: Arc<Clock>,
    options: EngineOptions,
    dispatchers: Arc<Dispatchers>,
    arrivals: Arc<Arrivals>,
    answers: Arc<Answers>,
    changes: broadcast::Sender<Changed>,
    looks: lag::Looks,
    polls: AtomicU64,
    unreadable: AtomicU64,
    lost: AtomicU64,
    telling: telling::Telling,
    refusals: Refusals,
    promised: Promised,
    taking_back: TakingBack,
    retention: RetentionStats,
    scrub: ScrubStats,
    stopping: watch::Sender<bool>,
}

impl Engine {
    /// An engine over an open store; `wakes` is what the store was opened with as its observer.
    pub fn new(store: Store, clock: Clock, wakes: &Wakes, options: EngineOptions) -> Arc<Self> {
        clock.not_before(store.tables().now());
        let (dispatchers, answers) = (wakes.dispatchers(), wakes.answers());
        let stopping = watch::Sender::new(false);
        Arc::new(Self {
            store,
            clock: Arc::new(clock),
            options,
            dispatchers,
            arrivals: wakes.arrivals(),
            answers,
            changes: wakes.changes(),
            looks: lag::Looks::default(),
            polls: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            telling: telling::Telling::default(),
            refusals: Refusals::default(),
            promised: Promised::default(),
            taking_back: TakingBack::default(),
            retention: RetentionStats::default(),
            scrub: ScrubStats::default(),
            stopping,
        })
    }

    /// Topics, groups and what groups hold.
    pub fn tables(&self) -> &Tables {
        self.store.tables()
    }

    /// The store behind the engine.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The time that a command proposed now would carry: never behind the state's.
    pub fn now(&self) -> TimeMs {
        self.clock.now()
    }

    /// How far that is ahead of the machine's clock, in microseconds; less than 0 if it is behind.
    pub fn ahead_us(&self) -> i64 {
        self.clock.ahead_us()
    }

    /// The term that this broker leads in.
    pub fn term(&self) -> Term {
        self.store.term()
    }

    /// What tells this shard from all others.
    pub fn shard_uuid(&self) -> [u8; 16] {
        self.store.uuid()
    }

    /// What topics and groups are not what they were, from now on. It is told after the tables have changed. A listener that
    /// is too far behind is told that it has missed something.
    pub fn changes(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }

    /// How often waiting polls were woken, pulls among them.
    pub fn poll_wakeups(&self) -> u64 {
        self.dispatchers.wakeups() + self.arrivals.wakeups()
    }

    /// How many polls wait or work at the moment.
    pub fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// The messages that were asked for and are not read.
    pub fn unread(&self) -> &Budget {
        &self.options.unread
    }

    /// How many polls may wait or work.
    pub fn polls_max(&self) -> usize {
        self.options.polls_max
    }

    /// What can change while the broker runs.
    pub fn live(&self) -> &Arc<Live> {
        &self.options.live
    }

    /// How full the disk is.
    pub fn disk(&self) -> &Disk {
        &self.options.disk
    }

    /// What retention did.
    pub fn retention(&self) -> &RetentionStats {
        &self.retention
    }

    /// What reading everything again has found.
    pub fn scrub(&self) -> &ScrubStats {
        &self.scrub
    }

    /// What was refused because of a bound.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// How often a message could not be read when it was to be delivered.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Messages that consumer groups were brought past because their records are damaged, each counted once a group.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Ends waiting polls with nothing, and lets none wait from now on.
    pub fn stop_polls(&self) {
        self.stopping.send_replace(true);
    }

    /// Stops everything behind the engine: what was proposed is finished, a last checkpoint is written.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.stop_polls();
        self.telling.tell_rest();
        let store = self.store.clone();
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        closed.map_err(|_| StoreError::Thread("close"))?
    }

    /// Proposes `batch` and waits for its answers.
    async fn propose(&self, batch: Batch) -> Result<Results, EngineError> {
        let (answer, answered) = oneshot::channel();
        let answers = Arc::clone(&self.answers);
        let done = Box::new(move |outcome| match outcome {
            // On the applying thread, which ends its rounds by sending out.
            Outcome::Applied(_) => answers.gather(answer, outcome),
            _ => drop(answer.send(outcome)),
        });
        self.store.log().propose(batch, done);
        match answered.await {
            Ok(Outcome::Applied(results)) => {
                self.refusals.count(&results);
                Ok(results)
            }
            Ok(Outcome::NotProposed(why)) => Err(why.into()),
            Ok(Outcome::NotLeader(leader)) => Err(EngineError::NotLeader(leader)),
            Ok(Outcome::Unknown) | Err(_) => Err(EngineError::Unknown),
        }
    }

    async fn propose_one(&self, command: EncodedCommand) -> Result<Applied, EngineError> {
        self.propose(smallvec![command])
            .await?
            .pop()
            .ok_or(EngineError::Unknown)
    }
}

#[cfg(test)]
mod tests;
