//! The base: where the log begins at its first frame it is the empty state, whatever became of its file.
#![cfg(test)]

mod workload;

use sluice_core::ids::{QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_store::io::{Fault, FaultyIo, LogIo, read_exact_at, write_all_at};
use sluice_store::retention::Settings;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use workload::{Driver, Memory, check, open};

const DIR: &str = "/data/broker-a";
const BASE: &str = "checkpoint/00000000000000000000.root";

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// A store that was closed after several checkpoints.
fn closed_store() -> (FaultyIo, Memory) {
    let io = FaultyIo::new(3);
    let mut driver = Driver::new(open(Arc::new(io.clone()), Path::new(DIR), 20_000).unwrap(), 3);
    driver.make().unwrap();
    (0..80).for_each(|_| driver.round(900).unwrap());
    driver.opened.store.close().unwrap();
    assert!(io.list(&path("checkpoint")).unwrap().len() > 3);
    (io, driver.memory)
}

fn flip(io: &FaultyIo, name: &str) {
    let file = io.open(&path(name)).unwrap();
    let mut byte = [0];
    read_exact_at(&*file, &mut byte, 20).unwrap();
    write_all_at(&*file, &[byte[0] ^ 1], 20).unwrap();
}

/// Removes all files below.
fn remove(io: &FaultyIo, folder: &Path) {
    for name in io.list(folder).unwrap() {
        let path = folder.join(name);
        remove(io, &path);
        io.remove(&path).unwrap();
    }
}

fn reopen(io: &FaultyIo, memory: &Memory) {
    let opened = open(Arc::new(io.clone()), Path::new(DIR), 20_000).unwrap();
    check(&opened.store, memory);
    opened.store.close().unwrap();
}

#[test]
fn a_damaged_base_and_missing_queue_or_index_files_are_made_again_from_the_log() {
    let (whole, memory) = closed_store();
    for folder in ["queue", "index"] {
        let io = whole.crash_keeping_all();
        flip(&io, BASE);
        remove(&io, &path(folder));
        reopen(&io, &memory);
        assert!(io.open_read(&path(BASE)).is_ok(), "the base is back");
        reopen(&io.crash_losing_all(), &memory);
    }
}

#[test]
fn a_damaged_base_is_put_back_when_nothing_else_is_missing() {
    let (io, memory) = closed_store();
    let before = io.open_read(&path(BASE)).unwrap();
    let mut wanted = vec![0; before.len().unwrap() as usize];
    read_exact_at(&*before, &mut wanted, 0).unwrap();
    flip(&io, BASE);
    let opened = open(Arc::new(io.clone()), Path::new(DIR), 20_000).unwrap();
    let after = io.crash_losing_all().open_read(&path(BASE)).unwrap();
    let mut found = vec![0; after.len().unwrap() as usize];
    read_exact_at(&*after, &mut found, 0).unwrap();
    assert_eq!(found, wanted, "durable before the store goes on");
    check(&opened.store, &memory);
    opened.store.close().unwrap();
}

#[test]
fn a_damaged_queue_entry_is_not_served_and_the_next_start_makes_it_again() {
    let (io, memory) = closed_store();
    let topic = io.list(&path("queue")).unwrap().remove(0);
    let queue = Path::new("queue").join(&topic).join("0");
    let name = queue.join(format!("{:020}.cq", 0)).display().to_string();
    let content = |io: &FaultyIo| {
        let file = io.open_read(&path(&name)).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        read_exact_at(&*file, &mut bytes, 0).unwrap();
        bytes
    };
    let whole = content(&io);
    flip(&io, &name);
    let opened = open(Arc::new(io.clone()), Path::new(DIR), 20_000).unwrap();
    let at = TopicQueue {
        topic: TopicId(topic.to_str().unwrap().parse().unwrap()),
        queue: QueueId(0),
    };
    let mut entries = Vec::new();
    let read = opened.store.queues().read(at, QueueOffset(0), 8, &mut entries);
    let error = read.unwrap_err().to_string();
    assert!(error.contains(&format!("{name} is damaged at byte 0")), "{error}");
    assert!(entries.is_empty());
    opened.store.close().unwrap();

    reopen(&io, &memory);
    assert!(content(&io)[..whole.len()] == whole, "as they were");
    let names = io.list(&path("queue")).unwrap();
    assert!(
        !names.contains(&PathBuf::from("rebuild")),
        "the note is gone: {names:?}"
    );
}

#[test]
fn a_crash_at_any_operation_while_all_is_made_again_loses_nothing() {
    let (whole, memory) = closed_store();
    flip(&whole, BASE);
    remove(&whole, &path("queue"));
    let whole = whole.crash_keeping_all();
    let mut stopped = 0;
    for at in 0.. {
        let io = whole.crash_keeping_all();
        io.plant(Fault::Stop { at });
        let opened = open(Arc::new(io.clone()), Path::new(DIR), 20_000);
        let ended = opened.is_ok_and(|opened| opened.store.close().is_ok());
        for seed in 0..3 {
            reopen(&io.crash(at * 3 + seed), &memory);
        }
        if ended {
            break;
        }
        stopped += 1;
    }
    assert!(stopped > 20, "{stopped} operations");
}

/// The places of the checkpoints that have their names.
fn places(io: &FaultyIo) -> Vec<u64> {
    let names = io.list(&path("checkpoint")).unwrap();
    let place = |name: &PathBuf| name.to_str()?.strip_suffix(".root")?.parse().ok();
    names.iter().filter_map(place).collect()
}

#[test]
fn a_checkpoint_that_a_stopped_retention_has_left_before_the_logs_start_goes_whatever_else_is_missing() {
    let io = FaultyIo::new(5);
    let mut driver = Driver::new(open(Arc::new(io.clone()), Path::new(DIR), 20_000).unwrap(), 5);
    driver.make().unwrap();
    let old = io.open_read(&path(BASE)).unwrap();
    let mut bytes = vec![0; old.len().unwrap() as usize];
    read_exact_at(&*old, &mut bytes, 0).unwrap();
    let settings = Settings {
        keep_bytes: Some(400_000),
        ..Settings::default()
    };
    driver.begin_later(&settings, 6_000);
    driver.opened.store.close().unwrap();
    let start = driver.opened.store.log().start().0;
    for missing in [None, Some("queue"), Some("index")] {
        let io = io.crash_keeping_all();
        // As where a kill came between the segments' going and this one's.
        let file = io.create(&path(BASE)).unwrap();
        write_all_at(&*file, &bytes, 0).unwrap();
        missing.into_iter().for_each(|folder| remove(&io, &path(folder)));
        reopen(&io, &driver.memory);
        let places = places(&io);
        assert!(
            places.iter().all(|place| *place >= start),
            "without {missing:?}: {places:?}, and the log begins at {start}"
        );
        assert_eq!(
            places.iter().min(),
            Some(&start),
            "without {missing:?}: the base is there"
        );
    }
}

#[test]
fn of_a_damaged_base_all_stays_until_the_log_begins_later() {
    let io = FaultyIo::new(7);
    let mut driver = Driver::new(open(Arc::new(io.clone()), Path::new(DIR), 20_000).unwrap(), 7);
    driver.make().unwrap();
    let settings = Settings {
        keep_bytes: Some(400_000),
        ..Settings::default()
    };
    driver.begin_later(&settings, 6_000);
    (0..20).for_each(|_| driver.round(6_000).unwrap());
    driver.opened.store.close().unwrap();
    let start = driver.opened.store.log().start();

    let root = |place: u64, ending: &str| format!("checkpoint/{place:020}.{ending}");
    let newest = places(&io).into_iter().max().unwrap();
    flip(&io, &root(start.0, "root"));
    flip(&io, &root(newest, "root"));
    let packs = |io: &FaultyIo| {
        let mut names = io.list(&path("checkpoint")).unwrap();
        let place = |name: &PathBuf| name.to_str()?.strip_suffix(".pack")?.parse::<u64>().ok();
        names.retain(|name| place(name).is_some_and(|place| place <= start.0));
        names
    };
    let of_base = packs(&io);
    assert!(!of_base.is_empty());
    let aside = path(&root(start.0, "root.bad"));
    for _ in 0..3 {
        driver.opened = open(Arc::new(io.clone()), Path::new(DIR), 20_000).unwrap();
        (0..20).for_each(|_| driver.round(900).unwrap());
        driver.opened.store.close().unwrap();
        assert_eq!(packs(&io), of_base);
        assert!(io.open_read(&aside).is_ok(), "the root is gone");
    }

    driver.opened = open(Arc::new(io.clone()), Path::new(DIR), 20_000).unwrap();
    driver.begin_later(&settings, 6_000);
    driver.opened.store.close().unwrap();
    assert!(io.open_read(&aside).is_err(), "the log begins later");
    assert!(packs(&io).len() < of_base.len(), "{of_base:?}");
}
