//! A loss that no checkpoint counts in: what follows in its queues gets other offsets, and the repair says which.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::command::Command;
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TopicQueue};
use sluice_store::Store;
use sluice_store::io::FaultyIo;
use std::collections::BTreeMap;
use workload::Driver;

/// Where the message of each entry of each queue stands, by the queue's name as a warning has it.
fn entries(store: &Store) -> BTreeMap<String, (TopicQueue, Vec<PhysicalOffset>)> {
    let mut all = BTreeMap::new();
    for topic in store.tables().all_topics() {
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            let mut found = Vec::new();
            store
                .queues()
                .read(at, QueueOffset(0), usize::MAX >> 1, &mut found)
                .unwrap();
            let places = found.iter().map(|entry| entry.physical).collect();
            all.insert(format!("{} queue {queue}", topic.spec.name), (at, places));
        }
    }
    all
}

fn entries_of(io: &FaultyIo) -> BTreeMap<String, (TopicQueue, Vec<PhysicalOffset>)> {
    let opened = start(io).unwrap();
    let found = entries(&opened.store);
    opened.store.close().unwrap();
    found
}

#[test]
fn a_repair_says_from_which_offset_on_messages_stand_elsewhere() {
    let used = used(seed());
    let bases = used.bases();
    let before = entries_of(&used.copy());
    let queue_of = |frame: &sluice_store::log::Frame| {
        let mut queues = frame
            .commands()
            .filter_map(|(_, at, bytes)| match Command::decode(&bytes) {
                Ok((_, Command::Append(append))) => Some((append.at, at)),
                _ => None,
            });
        queues.next()
    };
    let behind = used.frames.iter().filter(|frame| frame.start().0 >= used.newest);
    let behind: Vec<_> = behind.collect();
    // One after which something comes in the same queue.
    let follows = |n: &usize| {
        let queue = queue_of(behind[*n]).map(|(at, _)| at);
        let mut later = behind[n + 1..].iter();
        queue.is_some() && later.any(|frame| queue_of(frame).map(|(at, _)| at) == queue)
    };
    let lost = behind[(0..behind.len()).find(follows).unwrap()];
    let (lost_queue, lost_at) = queue_of(lost).unwrap();
    let io = used.copy();
    let (file, at) = place(&bases, lost.start().0);
    flip(&io, &file, at + 4, 1);
    let plan = planned(&io, &wanted(&io), false).unwrap();
    let [warning] = plan.loss.warnings.as_slice() else {
        panic!("{:?}", plan.loss);
    };
    assert!(warning.contains("who keeps offsets themselves"), "{warning}");
    let mut told = 0;
    for (name, (at, places)) in &before {
        let mut from_there = places
            .iter()
            .enumerate()
            .filter(|(_, place)| **place >= lost.end());
        if let Some((_, next)) = from_there.next() {
            let first = places.iter().position(|place| *place >= lost.start()).unwrap();
            let words = format!("{name} from offset {first} on");
            assert!(warning.contains(&words), "{words}, for {next}: {warning}");
            told += 1;
        } else {
            assert!(!warning.contains(&format!("{name} from")), "{at:?}: {warning}");
        }
    }
    assert!(told > 0);
    // And so it is.
    plan.run(&shared(&io)).unwrap();
    let after = entries_of(&io);
    let (_, (_, places)) = before.iter().find(|(_, (at, _))| *at == lost_queue).unwrap();
    let (_, (_, now)) = after.iter().find(|(_, (at, _))| *at == lost_queue).unwrap();
    let offset = places.iter().position(|place| *place == lost_at).unwrap();
    assert_eq!(places[..offset], now[..offset]);
    assert!(now[offset] > lost_at, "another message has its offset");
    let mut driver = Driver::new(start(&io).unwrap(), 3).without_administrators();
    driver.round(300).unwrap();
    driver.opened.store.close().unwrap();
    sound(&io);
}

#[test]
fn what_is_lost_before_a_checkpoint_moves_nothing() {
    let used = used(seed());
    let io = used.copy();
    let (file, at) = place(&used.bases(), used.frames[used.early(4)[0]].start().0);
    flip(&io, &file, at + 4, 1);
    let plan = planned(&io, &wanted(&io), false).unwrap();
    assert!(plan.loss.warnings.is_empty(), "{:?}", plan.loss);
}
