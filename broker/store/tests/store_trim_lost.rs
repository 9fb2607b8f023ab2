//! A repair that cuts the log's end off may take the command with which the log began later, after the files before that place have
//! gone: state then begins where the log does all the same.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::command::Place;
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TopicQueue};
use sluice_store::Store;
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::repair::Range;
use sluice_store::retention::Settings;
use std::path::{Path, PathBuf};
use workload::Driver;

/// Reads every message from its queue's beginning on; answers how many there are.
fn read_all(store: &Store) -> usize {
    let mut read = 0;
    for topic in store.tables().all_topics() {
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            let (first, tail) = (topic.first(queue).unwrap(), topic.tail(queue).unwrap());
            for offset in (first.0..tail.0).map(QueueOffset) {
                let mut entries = Vec::new();
                store.queues().read(at, offset, 1, &mut entries).unwrap();
                let entry = entries[0];
                let message = store.read_message(&Place { at, offset, entry }, 0);
                assert!(message.is_ok(), "{offset} of {at:?}, from {first} on");
                read += 1;
            }
        }
    }
    read
}

/// A store whose log has begun later, and where it ended before it was told to.
fn trimmed(seed: u64) -> (FaultyIo, PhysicalOffset) {
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(start(&io).unwrap(), seed).without_administrators();
    driver.make().unwrap();
    let settings = Settings {
        keep_bytes: Some(400_000),
        ..Settings::default()
    };
    loop {
        (0..20).for_each(|_| driver.round(4000).unwrap());
        let before = driver.opened.store.log().positions().written();
        let Some(begin) = driver.retain(&settings).unwrap().start else {
            continue;
        };
        let begins = |driver: &Driver| driver.opened.store.log().start() == begin;
        driver.send_until(1000, begins).unwrap();
        driver.opened.store.close().unwrap();
        return (io, before);
    }
}

#[test]
fn queues_begin_where_the_log_does_after_a_repair_took_the_command_that_said_so() {
    let (io, before) = trimmed(seed());
    let end = [Range {
        from: before,
        to: None,
    }];
    // Without a checkpoint that knows it.
    let found = look(&io);
    for at in found.checkpoints.iter().map(|found| found.position.physical) {
        if at > before {
            let root = format!("checkpoint/{at:020}.root", at = at.0);
            io.remove(&Path::new(DIR).join(root)).unwrap();
        }
    }
    let bases: Vec<u64> = segments(&io);
    let (file, place) = place(&bases, before.0);
    flip(&io, &file, place + 4, 1);
    planned(&io, &end, true).unwrap().run(&shared(&io)).unwrap();

    let mut driver = Driver::new(start(&io).unwrap(), 5).without_administrators();
    let store = driver.opened.store.clone();
    let begin = store.log().start();
    assert!(store.tables().bounds().start < begin, "the command is lost");
    driver.retain(&Settings::default()).unwrap();
    assert_eq!(store.tables().bounds().start, begin);
    assert!(read_all(&store) > 0);
    (0..20).for_each(|_| driver.round(4000).unwrap());
    driver.opened.store.close().unwrap();
    drop(store);
    sound(&io);
    let opened = start(&io).unwrap();
    assert!(read_all(&opened.store) > 0);
    opened.store.close().unwrap();
}

fn segments(io: &FaultyIo) -> Vec<u64> {
    let names = io.list(&Path::new(DIR).join("log")).unwrap();
    let base = |name: &PathBuf| name.to_str()?.strip_suffix(".seg")?.parse().ok();
    names.iter().filter_map(base).collect()
}
