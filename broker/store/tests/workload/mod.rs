//! A seeded workload over a store, which remembers what it was told.
#![allow(dead_code, reason = "each test file uses a part of it")]

mod administer;
mod check;
mod reserve;
mod retain;

#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use check::check;

use sluice_core::command::{
    Change, CreateGroup, CreateTopic, Deliver, NewMessage, Settle, SettleItem, Subscribe, Take, Types,
};
use sluice_core::ids::{GroupId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::log::{Batch, Outcome, ReplicatedLog, Results};
use sluice_core::record::{NewRecord, property, put_property};
use sluice_core::state::{Done, Refused};
use sluice_store::io::LogIo;
use sluice_store::log::{Identity, LogOptions, ShardUuid};
use sluice_store::{CheckpointPolicy, Failed, NoObserver, Store, StoreError, StoreOptions};
use std::collections::{BTreeMap, BTreeSet};
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

/// What a message was sent as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub at: TopicQueue,
    pub body: Vec<u8>,
}

enum Asked {
    Administered,
    Sent(Sent),
    Delivered(GroupQueueId),
    Settled(GroupQueueId, Vec<QueueOffset>),
}

/// Everything that the store has answered, and what it was asked besides.
#[derive(Clone, Default)]
pub struct Memory {
    pub acknowledged: BTreeMap<(TopicQueue, QueueOffset), Vec<u8>>,
    pub unknown: Vec<Sent>,
    pub done: Vec<(GroupQueueId, QueueOffset)>,
    /// Topics whose deletion was asked for: they may be gone.
    pub deletions: BTreeSet<TopicId>,
    /// What administrators have done, by the name of the answer.
    pub administered: BTreeMap<String, usize>,
    held: Vec<(GroupQueueId, QueueOffset, sluice_core::ids::DeliveryId)>,
    pub refused_for_space: usize,
    pub delivered: usize,
}

pub struct Driver {
    pub opened: Opened,
    pub memory: Memory,
    administers: bool,
    dice: Dice,
    sequence: u64,
    now: u64,
    waiting: Vec<(Asked, Receiver<Outcome>)>,
}

impl Driver {
    pub fn new(opened: Opened, seed: u64) -> Self {
        Self {
            opened,
            memory: Memory::default(),
            administers: true,
            dice: Dice(seed),
            sequence: 0,
            now: 2_000,
            waiting: Vec::new(),
        }
    }

    /// Nothing is changed or deleted: every message stays.
    pub fn without_administrators(self) -> Self {
        Self {
            administers: false,
            ..self
        }
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
        let outcome = self.wait(&self.start(batch))?;
        let offset = match &outcome {
            Outcome::Applied(results) => match results.first() {
                Some(Ok(Done::Appended(offset))) => *offset,
                other => panic!("an offset, not {other:?}"),
            },
            other => panic!("applied, not {other:?}"),
        };
        self.learn(asked, outcome);
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
                24..=31 => self.deliver(),
                32..=39 => self.settle(),
                _ if self.administers => self.administer(),
                _ => self.send(body_max),
            };
            let answered = self.start(batch);
            self.waiting.push((asked, answered));
        }
        let mut whole = Some(());
        for (asked, answered) in std::mem::take(&mut self.waiting) {
            let outcome = self.wait(&answered);
            if outcome.is_none() {
                whole = None;
            }
            match outcome {
                // The answer may still be under way when the store has failed: see `conclude`.
                None => self.waiting.push((asked, answered)),
                Some(outcome) => self.learn(asked, outcome),
            }
        }
        whole
    }

    /// Call after the store's threads have ended: takes in answers that came late.
    pub fn conclude(&mut self) {
        for (asked, answered) in std::mem::take(&mut self.waiting) {
            let outcome = answered.try_recv().unwrap_or(Outcome::Unknown);
            self.learn(asked, outcome);
        }
    }

    fn send(&mut self, body_max: u64) -> (Asked, Batch) {
        let topic = TopicId(self.dice.roll(u64::from(TOPICS)) as u32);
        let present = self.opened.store.tables().topic_by_id(topic);
        let queues = present.map_or(QUEUES, |topic| topic.spec.queues);
        let queue = QueueId(self.dice.roll(u64::from(queues)) as u32);
        self.send_to(TopicQueue { topic, queue }, body_max)
    }

    fn send_to(&mut self, at: TopicQueue, body_max: u64) -> (Asked, Batch) {
        self.sequence += 1;
        let mut body = format!("{}-{}-", self.sequence, self.dice.0).into_bytes();
        body.resize(body.len() + self.dice.roll(body_max) as usize, b'x');
        let mut properties = Vec::new();
        put_property(
            &mut properties,
            property::MESSAGE_ID,
            &format!("id-{}", self.sequence),
        );
        put_property(
            &mut properties,
            property::KEYS,
            &format!("key-{} common", self.sequence % 10),
        );
        let group = format!("group-{}", self.dice.roll(5));
        let host = "127.0.0.1:1".parse().unwrap();
        let record = NewRecord {
            topic: &format!("topic-{}", at.topic),
            queue: at.queue.0,
            body: &body,
            properties: &properties,
            born_ms: self.now,
            born_host: host,
            store_ms: self.now,
            store_host: host,
        };
        let message_group = (self.dice.roll(2) == 0).then_some(group.as_str());
        let tag = (self.dice.roll(3) == 0).then_some("tag");
        let command = NewMessage {
            topic: at.topic,
            tag,
            message_group,
            record,
        }
        .encode();
        (Asked::Sent(Sent { at, body }), [command].into_iter().collect())
    }

    fn shard(&mut self) -> GroupQueueId {
        let topic = TopicId(self.dice.roll(u64::from(TOPICS)) as u32);
        let queue = QueueId(self.dice.roll(u64::from(QUEUES)) as u32);
        GroupQueueId {
            group: GroupId(self.dice.roll(2) as u32),
            at: TopicQueue { topic, queue },
        }
    }

    fn deliver(&mut self) -> (Asked, Batch) {
        let id = self.shard();
        let tables = self.opened.store.tables();
        let (floor, standing) = tables.subscription(id.group, id.at.topic).unwrap().shards
            [id.at.queue.0 as usize]
            .read(|shard| (shard.floor(), shard.standing()));
        let first = floor.0 + self.dice.roll(4);
        let taken = (first..first + 1 + self.dice.roll(6))
            .map(|offset| Take {
                offset: QueueOffset(offset),
                group_hash: (offset % 3) as u32,
            })
            .collect();
        let client = format!("client-{}", self.dice.roll(3));
        let invisible_ms = 20 + self.dice.roll(500);
        let (attempt_id, auto_renew) = (self.dice.roll(4), self.dice.roll(2) == 0);
        let deliver = Deliver {
            id,
            client,
            attempt_id,
            auto_renew,
            resume: false,
            standing,
            invisible_ms,
            taken,
            skipped: Vec::new(),
        };
        (
            Asked::Delivered(id),
            [deliver.encode(self.now)].into_iter().collect(),
        )
    }

    fn settle(&mut self) -> (Asked, Batch) {
        // One of the latest: older ones have mostly run out.
        let latest = self.memory.held.len().min(16) as u64;
        if latest == 0 {
            return self.deliver();
        }
        let place = self.memory.held.len() - 1 - self.dice.roll(latest) as usize;
        let (id, offset, delivery) = self.memory.held.remove(place);
        let done = self.dice.roll(4) > 0;
        let change = if done {
            Change::Done
        } else {
            Change::VisibleIn(self.dice.roll(100))
        };
        let settle = Settle {
            id,
            change,
            items: vec![SettleItem { offset, delivery }],
        };
        let offsets = if done { vec![offset] } else { Vec::new() };
        (
            Asked::Settled(id, offsets),
            [settle.encode(self.now)].into_iter().collect(),
        )
    }

    fn learn(&mut self, asked: Asked, outcome: Outcome) {
        let result = match outcome {
            Outcome::Applied(mut results) => results.pop(),
            Outcome::NotProposed(_) => {
                self.memory.refused_for_space += 1;
                return;
            }
            Outcome::NotLeader(_) | Outcome::Unknown => None,
        };
        match (asked, result) {
            (Asked::Sent(sent), Some(Ok(Done::Appended(offset)))) => {
                let before = self.memory.acknowledged.insert((sent.at, offset), sent.body);
                assert_eq!(before, None, "an offset is given once");
            }
            (Asked::Sent(sent), None) => self.memory.unknown.push(sent),
            (Asked::Delivered(id), Some(Ok(Done::Delivered(delivered)))) => {
                let held = delivered
                    .taken
                    .iter()
                    .map(|(offset, _)| (id, *offset, delivered.delivery));
                self.memory.held.extend(held);
                self.memory.delivered += delivered.taken.len();
            }
            (Asked::Settled(id, offsets), Some(Ok(Done::Settled { accepted, .. })))
                if accepted[0] && id != administer::MOVED_BACK =>
            {
                self.memory
                    .done
                    .extend(offsets.into_iter().map(|offset| (id, offset)));
            }
            (Asked::Administered, Some(Ok(done))) => {
                let text = format!("{done:?}");
                let name: String = text
                    .chars()
                    .take_while(|letter| letter.is_alphanumeric())
                    .collect();
                *self.memory.administered.entry(name).or_default() += 1;
            }
            (Asked::Administered, _) => {}
            (Asked::Sent(_), Some(Err(Refused::Closed(_) | Refused::NoTopic(_)))) => {}
            (_, Some(Err(Refused::NotHeld | Refused::NotSubscribed(..)) | Ok(_)) | None) => {}
            (_, Some(Err(refused))) => panic!("refused: {refused}"),
        }
    }
}
