//! A used store, what stands where in it, ways to damage it, and what must be left after a repair.
#![allow(dead_code, reason = "each test file uses a part of it")]

use crate::workload::{Dice, Driver, Opened, open};
use sluice_core::command::record_of;
use sluice_core::ids::{GroupId, PhysicalOffset, QueueId, QueueOffset, TopicQueue};
use sluice_core::record::Record;
use sluice_store::io::{FaultyIo, LogIo, read_exact_at, write_all_at};
use sluice_store::log::{Frame, Identity, LogOptions, Opening, ReadError, ShardUuid};
use sluice_store::repair::{Accepted, Done, Plan, Range, RepairError, needed, plan};
use sluice_store::retention::Settings;
use sluice_store::survey::{Depth, Survey, survey};
use sluice_store::{Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const DIR: &str = "/data/broker-a";
pub const CHECKPOINT_BYTES: u64 = 60_000;
const PAGE: u64 = 4096;

/// `SLUICE_SEED`, which is told.
pub fn seed() -> u64 {
    let seed = std::env::var("SLUICE_SEED").map_or(7, |seed| seed.parse().unwrap());
    println!("SLUICE_SEED={seed}");
    seed
}

pub fn shared(io: &FaultyIo) -> Arc<dyn LogIo> {
    Arc::new(io.clone())
}

pub fn start(io: &FaultyIo) -> Result<Opened, StoreError> {
    open(shared(io), Path::new(DIR), CHECKPOINT_BYTES)
}

pub fn look(io: &FaultyIo) -> Survey {
    survey(&shared(io), Path::new(DIR), Depth::Everything).unwrap()
}

/// A message as it was before anything was damaged.
#[derive(Clone, Debug)]
pub struct Message {
    from: u64,
    to: u64,
    body: Vec<u8>,
}

/// What a killed broker has left, and what it held.
pub struct Used {
    pub io: FaultyIo,
    pub frames: Vec<Frame>,
    /// Where the newest checkpoint stands.
    pub newest: u64,
    pub messages: BTreeMap<TopicQueue, Vec<Message>>,
    /// What groups had done.
    done: BTreeSet<(GroupId, Vec<u8>)>,
}

/// A store whose log begins later, by retention so many times, and what it has been told. It is closed.
pub fn trimmed(seed: u64, times: u32) -> (FaultyIo, Driver) {
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(start(&io).unwrap(), seed).without_administrators();
    driver.make().unwrap();
    trim(&mut driver, times);
    driver.opened.store.close().unwrap();
    (io, driver)
}

/// Has the log begin later, so many times.
pub fn trim(driver: &mut Driver, times: u32) {
    let settings = Settings {
        keep_bytes: Some(700_000),
        ..Settings::default()
    };
    let mut done = 0;
    while done < times {
        (0..20).for_each(|_| driver.round(4000).unwrap());
        let Some(begin) = driver.retain(&settings).unwrap().start else {
            continue;
        };
        let begins = |driver: &Driver| driver.opened.store.log().start() == begin;
        driver.send_until(1000, begins).unwrap();
        done += 1;
    }
}

/// A store of several segments and checkpoints that was killed, with frames behind the newest checkpoint.
pub fn used(seed: u64) -> Used {
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(start(&io).unwrap(), seed).without_administrators();
    driver.make().unwrap();
    // So many that something stands behind the newest checkpoint.
    let mut rounds = 0;
    let io = loop {
        driver.round(4000).unwrap();
        rounds += 1;
        if rounds < 110 {
            continue;
        }
        let killed = io.crash_keeping_all();
        let found = look(&killed);
        let newest = found.checkpoints.last().unwrap().position.index.0;
        if found.log.end.index.0 > newest + 10 && found.log.segments.len() > 3 {
            break killed;
        }
        assert!(rounds < 2_000, "no checkpoint leaves frames behind it");
    };
    driver.opened.store.close().unwrap();
    let found = look(&io);
    let newest = found.checkpoints.last().unwrap().position.physical.0;
    let frames = frames(&io.crash_keeping_all());
    let opened = start(&io.crash_keeping_all()).unwrap();
    let (messages, done) = content(&opened.store);
    opened.store.close().unwrap();
    let whole = |found: Vec<Result<Message, ReadError>>| found.into_iter().map(Result::unwrap).collect();
    Used {
        io,
        frames,
        newest,
        messages: messages
            .into_iter()
            .map(|(at, found)| (at, whole(found)))
            .collect(),
        done,
    }
}

fn frames(io: &FaultyIo) -> Vec<Frame> {
    let identity = Identity {
        cluster: "test".into(),
        shard: "broker-a".into(),
        node: 1,
        uuid: ShardUuid([7; 16]),
        segment_bytes: 256 << 10,
    };
    let options = LogOptions::new(PathBuf::from(DIR), identity);
    let opening = Opening::begin(shared(io), options).unwrap();
    let mut frames = Vec::new();
    let first = opening.first();
    let visit = |frame: &Frame| {
        frames.push(frame.clone());
        Ok(())
    };
    opening.replay(first, visit).map(drop).unwrap();
    frames
}

type Queues = BTreeMap<TopicQueue, Vec<Result<Message, ReadError>>>;

/// Every message of every queue, in order, and what groups have done.
fn content(store: &Store) -> (Queues, BTreeSet<(GroupId, Vec<u8>)>) {
    let (mut queues, mut done) = (BTreeMap::new(), BTreeSet::new());
    for topic in store.tables().all_topics() {
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            let mut found = Vec::new();
            for offset in (0..topic.tail(queue).unwrap().0).map(QueueOffset) {
                let mut entries = Vec::new();
                store.queues().read(at, offset, 1, &mut entries).unwrap();
                let (from, size) = (entries[0].physical, entries[0].size);
                let read = store.reader().read_command(from, size).map(|command| {
                    let record = Record::parse(record_of(&command).unwrap()).unwrap();
                    assert_eq!(
                        record.topic, topic.spec.name,
                        "a message of another topic at {offset} of {at:?}"
                    );
                    Message {
                        from: from.0,
                        to: from.0 + u64::from(size),
                        body: record.body.to_vec(),
                    }
                });
                if let Ok(message) = &read {
                    for (group, subscription) in store.tables().subscribers_of(topic.id) {
                        let is_done = subscription.shards[queue.0 as usize]
                            .read(|held| !held.is_fresh(offset) && held.pending(offset).is_none());
                        if is_done {
                            done.insert((group, message.body.clone()));
                        }
                    }
                }
                found.push(read);
            }
            queues.insert(at, found);
        }
    }
    (queues, done)
}

impl Used {
    /// The same files, to be damaged.
    pub fn copy(&self) -> FaultyIo {
        self.io.crash_keeping_all()
    }

    /// The same without checkpoints: state comes from the log alone, from its first frame on.
    pub fn copy_without_checkpoints(&self) -> FaultyIo {
        let io = self.copy();
        let folder = Path::new(DIR).join("checkpoint");
        for name in io.list(&folder).unwrap() {
            io.remove(&folder.join(name)).unwrap();
        }
        io.sync_dir(&folder).unwrap();
        io
    }

    /// Some frames of the first part of the log that hold messages.
    pub fn early(&self, some: usize) -> Vec<usize> {
        let is_append = |frame: &Frame| frame.commands().any(|(_, _, bytes)| bytes[8] == 16);
        let early = (14..self.frames.len() / 2).filter(|n| is_append(&self.frames[*n]));
        let early: Vec<usize> = early.collect();
        early
            .iter()
            .step_by((early.len() / some).max(1))
            .copied()
            .collect()
    }

    pub fn end(&self) -> u64 {
        self.frames.last().unwrap().end().0
    }

    /// The segments' bases.
    pub fn bases(&self) -> Vec<u64> {
        look(&self.io)
            .log
            .segments
            .iter()
            .map(|segment| segment.base.0)
            .collect()
    }

    /// Checks what is left in a store that was repaired: everything but what stood in `lost`; of that what a checkpoint behind it
    /// counted in has its place yet, and cannot be read. From `end` on nothing is left.
    pub fn check(&self, store: &Store, lost: &[Range], end: Option<u64>, kept_to: u64) {
        let (queues, done) = content(store);
        let is_lost = |message: &Message| {
            let mut lost = lost
                .iter()
                .filter_map(|range| range.to.map(|to| (range.from.0, to.0)));
            lost.any(|(from, to)| message.from < to && message.to > from)
        };
        for (at, messages) in &self.messages {
            let mut found = queues.get(at).into_iter().flatten();
            for message in messages {
                if end.is_some_and(|end| message.from >= end) {
                    continue;
                }
                match (is_lost(message), message.from < kept_to) {
                    (true, false) => {}
                    (true, true) => match found.next() {
                        Some(Err(ReadError::Damaged { reason, .. })) => {
                            // The segments that were made anew may begin elsewhere than those that were.
                            let is_told = reason.contains("lost") || reason.contains("within one segment");
                            assert!(is_told, "{reason}");
                        }
                        other => panic!("{message:?} of {at:?} was lost, and now there is {other:?}"),
                    },
                    (false, _) => match found.next() {
                        Some(Ok(there)) => assert_eq!(there.body, message.body, "in {at:?}"),
                        other => panic!("{message:?} of {at:?} is {other:?}"),
                    },
                }
            }
            assert!(
                found.next().is_none(),
                "nobody sent what stands at the end of {at:?}"
            );
        }
        for (group, body) in &done {
            let was_done = self.done.contains(&(*group, body.clone()));
            assert!(was_done, "group {group} has not done what it now counts as done");
        }
    }

    /// Checks a store whose queue files were damaged behind a repair: every entry is there, and is the one it was or one of what
    /// was lost. Answers how many messages can be read, and how many were lost besides what stood in `lost`.
    pub fn count_lost(&self, store: &Store, lost: &Range) -> (usize, usize) {
        let (queues, _) = content(store);
        let (mut read, mut more) = (0, 0);
        for (at, messages) in &self.messages {
            let found = &queues[at];
            assert_eq!(found.len(), messages.len(), "{at:?}");
            for (message, found) in messages.iter().zip(found) {
                let was_lost = message.from < lost.to.unwrap().0 && message.to > lost.from.0;
                match found {
                    Ok(there) => {
                        assert_eq!(there.body, message.body, "in {at:?}");
                        read += 1;
                    }
                    Err(ReadError::Damaged { reason, .. }) => {
                        assert!(reason.contains("lost"), "{reason}");
                        more += usize::from(!was_lost);
                    }
                    Err(other) => panic!("{message:?} of {at:?}: {other}"),
                }
            }
        }
        (read, more)
    }

    /// Entries that cannot be read. These are of what stood in `lost`; every other message is what it was, or stood there too.
    pub fn unreadable(&self, store: &Store, lost: &Range) -> usize {
        let mut unreadable = 0;
        for (at, messages) in &self.messages {
            for (offset, message) in (0..).map(QueueOffset).zip(messages) {
                let was_lost = message.from < lost.to.unwrap().0 && message.to > lost.from.0;
                let mut entries = Vec::new();
                match store.queues().read(*at, offset, 1, &mut entries) {
                    Ok(_) => assert_eq!(entries[0].physical.0, message.from, "{offset} of {at:?}"),
                    Err(error) if was_lost => {
                        assert!(error.to_string().contains("is damaged"), "{error}");
                        unreadable += 1;
                    }
                    Err(error) => panic!("{message:?} at {offset} of {at:?}: {error}"),
                }
            }
        }
        unreadable
    }

    /// Messages that stood between these places.
    pub fn messages_between(&self, from: u64, to: u64) -> usize {
        let all = self.messages.values().flatten();
        all.filter(|message| message.from >= from && message.from < to)
            .count()
    }

    /// Whether groups have done all that they had, of what can be read.
    pub fn has_all_done(&self, store: &Store) -> bool {
        let (queues, done) = content(store);
        let there: BTreeSet<&Vec<u8>> = queues
            .values()
            .flatten()
            .filter_map(|message| message.as_ref().ok().map(|message| &message.body))
            .collect();
        let mut before = self.done.iter().filter(|(_, body)| there.contains(body));
        before.all(|one| done.contains(one))
    }
}

pub fn segment_path(base: u64) -> PathBuf {
    Path::new(DIR).join("log").join(format!("{base:020}.seg"))
}

/// Where in which file an offset of the log stands.
pub fn place(bases: &[u64], at: u64) -> (PathBuf, u64) {
    let base = *bases.iter().rev().find(|base| **base <= at).unwrap();
    (segment_path(base), PAGE + at - base)
}

pub fn flip(io: &FaultyIo, path: &Path, at: u64, bit: u8) {
    let file = io.open(path).unwrap();
    let mut byte = [0];
    read_exact_at(file.as_ref(), &mut byte, at).unwrap();
    write_all_at(file.as_ref(), &[byte[0] ^ (1 << bit)], at).unwrap();
    file.sync_data().unwrap();
}

/// Damages a frame's header, or the body of one of its commands. Answers what is lost.
pub fn damage_frame(io: &FaultyIo, bases: &[u64], frame: &Frame, dice: &mut Dice) -> Range {
    let commands: Vec<_> = frame.commands().collect();
    let (path, at) = place(bases, frame.start().0);
    if commands.is_empty() || dice.roll(2) == 0 {
        // Any byte of the header counts.
        flip(io, &path, at + dice.roll(40), dice.roll(8) as u8);
        return Range {
            from: frame.start(),
            to: Some(frame.end()),
        };
    }
    let (_, from, bytes) = &commands[dice.roll(commands.len() as u64) as usize];
    let within = 8 + dice.roll(bytes.len() as u64 - 8);
    flip(
        io,
        &path,
        at + (from.0 - frame.start().0) + within,
        dice.roll(8) as u8,
    );
    Range {
        from: *from,
        to: Some(PhysicalOffset(from.0 + bytes.len() as u64)),
    }
}

/// What would be given up for all that is damaged.
pub fn wanted(io: &FaultyIo) -> Vec<Range> {
    needed(&look(io).log.damage)
}

pub fn planned(io: &FaultyIo, ranges: &[Range], wider: bool) -> Result<Plan, RepairError> {
    let accepted = Accepted {
        ranges,
        wider,
        ..Accepted::default()
    };
    plan(&shared(io), Path::new(DIR), &accepted)
}

pub fn repair(io: &FaultyIo, ranges: &[Range]) -> Done {
    let plan = planned(io, ranges, false).unwrap_or_else(|error| panic!("{ranges:?}: {error}"));
    assert!(!plan.is_done);
    plan.run(&shared(io)).unwrap()
}

/// Nothing of the log is damaged any more.
pub fn sound(io: &FaultyIo) -> Survey {
    let found = look(io);
    assert!(found.findings.is_sound(), "{:?}", found.findings);
    found
}

/// A start that damage stops; answers what it says.
pub fn refusal(io: &FaultyIo) -> String {
    match start(io) {
        Err(error @ StoreError::Damaged { .. }) => error.to_string(),
        Err(error) => panic!("refused for another reason: {error}"),
        Ok(_) => panic!("it starts over damage"),
    }
}
