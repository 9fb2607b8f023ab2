//! Messages in the hands of the group 0: given to it, and given up by it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use crate::workload::Driver;
use sluice_core::command::{APPEND_RECORD_AT, DeadLetter, Deliver, Standing, Take, record_of};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{DeliveryId, GroupId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::record::Record;
use sluice_core::state::Done;
use sluice_store::Store;

pub fn at(topic: u32, queue: u32) -> TopicQueue {
    TopicQueue {
        topic: TopicId(topic),
        queue: QueueId(queue),
    }
}

pub fn plain(at: TopicQueue) -> GroupQueueId {
    GroupQueueId {
        group: GroupId(0),
        at,
    }
}

pub fn entry(store: &Store, at: TopicQueue, offset: QueueOffset) -> QueueEntry {
    let mut entries = Vec::new();
    store.queues().read(at, offset, 1, &mut entries).unwrap();
    entries[0]
}

pub fn body(store: &Store, at: TopicQueue, offset: QueueOffset) -> Vec<u8> {
    let entry = entry(store, at, offset);
    let command = store.reader().read_command(entry.physical, entry.size).unwrap();
    assert!(command.len() > APPEND_RECORD_AT);
    Record::parse(record_of(&command).unwrap()).unwrap().body.to_vec()
}

pub fn deliver(
    driver: &Driver,
    id: GroupQueueId,
    offset: QueueOffset,
    invisible_ms: u64,
) -> Option<DeliveryId> {
    let deliver = Deliver {
        id,
        client: "client".to_owned(),
        attempt_id: 0,
        auto_renew: false,
        resume: false,
        standing: Standing::default(),
        invisible_ms,
        taken: vec![Take {
            offset,
            group_hash: 0,
        }],
        skipped: Vec::new(),
    };
    let results = driver
        .ask([deliver.encode(driver.now())].into_iter().collect())
        .unwrap();
    match &results[0] {
        Ok(Done::Delivered(delivered)) => {
            let got = delivered.taken.first();
            got.map(|_| delivered.delivery)
        }
        other => panic!("a delivery, not {other:?}"),
    }
}

pub fn bury(
    driver: &Driver,
    id: GroupQueueId,
    offset: QueueOffset,
    delivery: DeliveryId,
) -> (TopicQueue, QueueOffset) {
    let dead = DeadLetter {
        id,
        offset,
        delivery: Some(delivery),
        entry: entry(&driver.opened.store, id.at, offset),
    };
    let results = driver
        .ask([dead.encode(driver.now())].into_iter().collect())
        .unwrap();
    match &results[0] {
        Ok(Done::DeadLettered { topic, offset }) => (at(topic.0, 0), *offset),
        other => panic!("a dead letter, not {other:?}"),
    }
}
