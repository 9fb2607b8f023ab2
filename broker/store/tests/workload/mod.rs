//! A seeded workload over a store, which remembers what it was told.
#![allow(dead_code, reason = "each test file uses a part of it")]

mod administer;
mod asks;
mod check;
mod in_flight;
mod memory;
mod packs;
mod reserve;
mod rest;
mod retain;
mod stays;

#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use check::check;
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use in_flight::InFlight;
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use memory::{Memory, Sent};
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use packs::{PACK_HEADER, damage_packs};
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use reserve::wait_for_helper;
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use rest::wait;
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use stays::Stays;

use sluice_core::command::{CreateGroup, CreateTopic, Subscribe, Types};
use sluice_core::ids::{GroupId, GroupQueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::log::{Batch, Outcome, ReplicatedLog, Results};
use sluice_core::state::Done;
use sluice_store::io::LogIo;
use sluice_store::log::{Identity, LogOptions, ShardUuid};
use sluice_store::retention::Sizes;
use sluice_store::{CheckpointPolicy, Failed, NoObserver, Store, StoreError, StoreOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

pub const QUEUES: u32 = 3;
pub const TOPICS: u32 = 2;

/// A small random source: seeds must mean the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = sluice_core::hash::mix(self.0, 0x5eed);
        self.0 % sides
    }
}

pub struct Opened {
    pub store: Store,
    pub failed: Arc<AtomicBool>,
}

/// Opens a store of the smallest segments, with checkpoints after every `checkpoint_bytes` of log.
pub fn open(io: Arc<dyn LogIo>, dir: &Path, checkpoint_bytes: u64) -> Result<Opened, StoreError> {
    open_with(io, dir, checkpoint_bytes, 256 << 10, 1_000)
}

/// Opens a store of segments of a size, at a time of the wall clock.
pub fn open_with(
    io: Arc<dyn LogIo>,
    dir: &Path,
    checkpoint_bytes: u64,
    segment_bytes: u64,
    now: u64,
) -> Result<Opened, StoreError> {
    let identity = Identity {
        cluster: "test".into(),
        shard: "broker-a".into(),
        node: 1,
        uuid: ShardUuid([7; 16]),
        segment_bytes,
    };
    let policy = CheckpointPolicy {
        bytes: checkpoint_bytes,
        every: Duration::from_secs(3600),
    };
    let options = StoreOptions {
        log: LogOptions::new(dir.to_owned(), identity),
        checkpoints: policy,
        now,
    };
    let failed = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&failed);
    let on_failure: Failed = Arc::new(move |_| flag.store(true, Ordering::SeqCst));
    Ok(Opened {
        store: Store::open(io, options, Box::new(NoObserver), on_failure)?,
        failed,
    })
}

enum Asked {
    Administered,
    Sent(Sent),
    Delivered(GroupQueueId),
    Settled(GroupQueueId, Vec<QueueOffset>),
    Buried(GroupQueueId, QueueOffset),
}

pub struct Driver {
    pub opened: Opened,
    pub memory: Memory,
    administers: bool,
    buries: bool,
    dice: Dice,
    sequence: u64,
    now: u64,
    waiting: Vec<(Asked, Receiver<Outcome>)>,
    sizes: Sizes,
}

impl Driver {
    pub fn new(opened: Opened, seed: u64) -> Self {
        Self {
            opened,
            memory: Memory::default(),
            administers: true,
            buries: false,
            dice: Dice(seed),
            sequence: 0,
            now: 2_000,
            waiting: Vec::new(),
            sizes: Sizes::default(),
        }
    }

    /// Nothing is changed or deleted: every message stays.
    pub fn without_administrators(self) -> Self {
        Self {
            administers: false,
            ..self
        }
    }

    /// Some messages become dead letters, and some are asked to that nobody holds any more.
    pub fn with_dead_letters(self) -> Self {
        Self { buries: true, ..self }
    }

    pub fn has_failed(&self) -> bool {
        self.opened.failed.load(Ordering::SeqCst)
    }

    fn start(&self, batch: Batch) -> Receiver<Outcome> {
        let (answer, answered) = sync_channel(1);
        self.opened
            .store
            .log()
            .propose(batch, Box::new(move |outcome| drop(answer.send(outcome))));
        answered
    }

    /// Waits for an answer; `None` if the store has failed.
    fn wait(&self, answered: &Receiver<Outcome>) -> Option<Outcome> {
        loop {
            match answered.recv_timeout(Duration::from_millis(5)) {
                Ok(outcome) => return Some(outcome),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if self.has_failed() => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    pub fn ask(&self, batch: Batch) -> Option<Results> {
        match self.wait(&self.start(batch))? {
            Outcome::Applied(results) => Some(results),
            _ => None,
        }
    }

    /// Makes topics, a FIFO group and a plain one, and subscribes both; `None` if the store failed.
    pub fn make(&mut self) -> Option<()> {
        for topic in 0..TOPICS {
            let spec = CreateTopic {
                name: format!("topic-{topic}"),
                queues: QUEUES,
                types: Types::ALL,
            };
            self.ask([spec.encode(self.now)].into_iter().collect())?;
        }
        for (name, fifo) in [("plain", false), ("ordered", true)] {
            let spec = CreateGroup {
                fifo,
                ..CreateGroup::on_first_use(name)
            };
            self.ask([spec.encode(self.now)].into_iter().collect())?;
        }
        for (group, topic) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let subscribe = Subscribe {
                group: GroupId(group),
                topic: TopicId(topic),
            };
            self.ask([subscribe.encode(self.now)].into_iter().collect())?;
        }
        Some(())
    }

    /// The time of the next commands.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Sends one message; answers its offset.
    pub fn send_one(&mut self, at: TopicQueue, body_max: u64) -> Option<QueueOffset> {
        let (asked, batch) = self.send_to(at, body_max);
        let answered = self.start(batch);
        let Some(outcome) = self.wait(&answered) else {
            // The answer may still be under way: see `conclude`.
            self.waiting.push((asked, answered));
            return None;
        };
        let offset = match &outcome {
            Outcome::Applied(results) => match results.first() {
                Some(Ok(Done::Appended(offset))) => *offset,
                other => panic!("an offset, not {other:?}"),
            },
            other => panic!("applied, not {other:?}"),
        };
        self.memory.learn(asked, outcome);
        Some(offset)
    }

    /// The next commands come this much later.
    pub fn pass_time(&mut self, ms: u64) {
        self.now += ms;
    }

    /// One round: a few sends, deliveries and settlements at once; then waits for all of them. `None` if the store failed,
    /// which need not leave an answer open: a log that failed while idle refuses at once.
    pub fn round(&mut self, body_max: u64) -> Option<()> {
        if self.has_failed() {
            return None;
        }
        self.now += self.dice.roll(50);
        for _ in 0..=self.dice.roll(8) {
            let (asked, batch) = match self.dice.roll(44) {
                0..=23 => self.send(body_max),
                24..=27 if self.buries => self.bury(),
                24..=31 => self.deliver(),
                32..=39 => self.settle(),
                _ if self.administers => self.administer(),
                _ => self.send(body_max),
            };
            let answered = self.start(batch);
            self.waiting.push((asked, answered));
        }
        self.learn_all()
    }

    /// Waits for all answers; `None` if the store failed.
    fn learn_all(&mut self) -> Option<()> {
        let mut whole = Some(());
        for (asked, answered) in std::mem::take(&mut self.waiting) {
            let outcome = self.wait(&answered);
            if outcome.is_none() {
                whole = None;
            }
            match outcome {
                // The answer may still be under way when the store has failed: see `conclude`.
                None => self.waiting.push((asked, answered)),
                Some(outcome) => self.memory.learn(asked, outcome),
            }
        }
        whole
    }

    /// Call after the store's threads have ended: takes in answers that came late.
    pub fn conclude(&mut self) {
        for (asked, answered) in std::mem::take(&mut self.waiting) {
            let outcome = answered.try_recv().unwrap_or(Outcome::Unknown);
            self.memory.learn(asked, outcome);
        }
    }
}
