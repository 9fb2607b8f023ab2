//! A used store that was killed, and what it held.

mod left;

use super::{DIR, look, shared, start};
use crate::workload::Driver;
use sluice_core::command::record_of;
use sluice_core::ids::{GroupId, QueueId, QueueOffset, TopicQueue};
use sluice_core::record::Record;
use sluice_store::Store;
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::log::{Frame, Identity, LogOptions, Opening, ReadError, ShardUuid};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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

/// A store of several segments and checkpoints that was killed, with frames behind the newest checkpoint.
pub fn used(seed: u64) -> Used {
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(start(&io).unwrap(), seed).without_administrators();
    driver.make().unwrap();
    let made = driver.opened.store.log().positions().written();
    // So many that a checkpoint has all that was made, and something stands behind it.
    let mut rounds = 0;
    let io = loop {
        driver.round(4000).unwrap();
        rounds += 1;
        if rounds < 110 {
            continue;
        }
        let killed = io.crash_keeping_all();
        let found = look(&killed);
        let newest = found.checkpoints.last().unwrap().position;
        let leaves_some = found.log.end.index.0 > newest.index.0 + 10;
        if newest.physical >= made && leaves_some && found.log.segments.len() > 3 {
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

pub fn frames(io: &FaultyIo) -> Vec<Frame> {
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
}

/// What is said of entries that cannot be read.
pub fn entries_that_fail(store: &Store) -> Vec<String> {
    let mut said = Vec::new();
    for topic in store.tables().all_topics() {
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            for offset in (0..topic.tail(queue).unwrap().0).map(QueueOffset) {
                let read = store.queues().read(at, offset, 1, &mut Vec::new());
                said.extend(read.err().map(|error| error.to_string()));
            }
        }
    }
    said
}
