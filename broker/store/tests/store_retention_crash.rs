//! Crashes at any operation between a decision to give up a part of the log (F8) and the end of its files.
//!
//! `SLUICE_SEED` sets the first of the seeds.
#![cfg(test)]

mod crashes;
mod workload;

use crashes::{Recoveries, or_long};
use sluice_core::command::{CreateTopic, Types};
use sluice_core::ids::{QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_store::Store;
use sluice_store::io::{Fault, FaultyIo, LogIo};
use sluice_store::retention::{Own, Settings};
use sluice_store::survey::{Depth, survey};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use workload::{Driver, Memory, Stays, check, open};

const DIR: &str = "/data/broker-a";
const CHECKPOINT_BYTES: u64 = 30_000;
const DAY_MS: u64 = 24 * 3_600_000;
/// Kept for longer than the others; few messages are sent to it.
const LONGER: TopicQueue = TopicQueue {
    topic: TopicId(2),
    queue: QueueId(0),
};

/// A store of several segments, over which retention has run before, that was closed.
fn closed_store(seed: u64) -> (FaultyIo, Memory) {
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(open_store(&io), seed).with_dead_letters();
    driver.make().unwrap();
    let longer = CreateTopic {
        name: "topic-2".to_owned(),
        queues: 1,
        types: Types::ALL,
    };
    driver.ask([longer.encode(2_000)].into_iter().collect()).unwrap();
    for round in 0..360 {
        driver.round(6000).unwrap();
        if round % 20 == 0 {
            driver.send_one(LONGER, 100).unwrap();
        }
        // Checkpoints are where a busy machine has them.
        if round >= 150 && driver.opened.store.tables().bounds().start.0 == 0 {
            driver.retain(&settings()).unwrap();
        }
    }
    let start = driver.opened.store.tables().bounds().start;
    assert!(start.0 > 0);
    driver
        .send_until(100, |driver| driver.opened.store.log().start() == start)
        .unwrap();
    driver.opened.store.close().unwrap();
    (io, driver.memory)
}

fn open_store(io: &FaultyIo) -> workload::Opened {
    open(Arc::new(io.clone()), Path::new(DIR), CHECKPOINT_BYTES).unwrap()
}

fn settings() -> Settings {
    Settings {
        keep_ms: Some(DAY_MS),
        keep_bytes: Some(300_000),
        own: [
            (TopicId(1), Own::bytes(20_000)),
            (LONGER.topic, Own::time(30 * DAY_MS)),
        ]
        .into(),
        ..Settings::default()
    }
}

/// Retention, and checkpoints until its files are gone; `false` if the store has failed before.
fn give_up(driver: &mut Driver) -> bool {
    driver.pass_time(10);
    let ran = driver.retain(&settings());
    let start = driver.opened.store.tables().bounds().start;
    let gone = driver.send_until(100, |driver| {
        driver.has_failed() || driver.opened.store.log().start() == start
    });
    let whole = ran.is_ok() && gone.is_some() && !driver.has_failed();
    drop(driver.opened.store.close());
    driver.conclude();
    whole && !driver.has_failed()
}

fn driver_over(io: &FaultyIo, memory: &Memory) -> Driver {
    let mut driver = Driver::new(open_store(io), 77);
    driver.memory = memory.clone();
    driver
}

/// Dead letters, and messages that are kept longer: where they stand.
fn kept(memory: &Memory) -> impl Iterator<Item = (TopicQueue, QueueOffset)> + '_ {
    let all = memory.acknowledged.keys().copied();
    all.filter(|place| place.0 == LONGER || memory.letters.contains(place))
}

/// `check` compares what stands there.
fn nothing_kept_is_gone(store: &Store, memory: &Memory) {
    for (at, offset) in kept(memory) {
        assert!(!store.tables().gone(at).contains(offset.0), "{offset} of {at:?}");
    }
}

fn sound(io: &FaultyIo) {
    let io: Arc<dyn LogIo> = Arc::new(io.clone());
    let looked = survey(&io, Path::new(DIR), Depth::Everything).unwrap();
    assert!(looked.folded_to.is_some());
    assert!(looked.findings.is_sound(), "{:?}", looked.findings);
}

/// What all crash points of one store share.
struct Crashes {
    whole: FaultyIo,
    memory: Memory,
    stays: Stays,
    recoveries: Recoveries,
}

impl Crashes {
    fn of(seed: u64) -> Self {
        let (whole, memory) = closed_store(seed);
        let mut driver = driver_over(&whole.crash_keeping_all(), &memory);
        driver.pass_time(10);
        let stays = Stays::waiting(&driver.opened.store, &settings(), driver.now());
        assert!(stays.counts().1 > 0, "nothing is pending");
        let end = driver.opened.store.log().positions().written();
        let ran = driver.retain(&settings()).unwrap();
        assert!(ran.start.is_some(), "the log begins later: {ran:?}");
        let tables = driver.opened.store.tables();
        let is_carried = |(at, offset): &(TopicQueue, QueueOffset)| {
            let carried = tables.carried(*at, *offset);
            carried.is_some_and(|carried| carried.physical >= end)
        };
        let carried: Vec<_> = kept(&memory).filter(is_carried).collect();
        let longer = carried.iter().filter(|(at, _)| *at == LONGER).count();
        assert!(longer > 0 && carried.len() > longer, "{ran:?}: {carried:?}");
        driver.opened.store.close().unwrap();
        let recoveries = Recoveries::default();
        Self {
            whole,
            memory,
            stays,
            recoveries,
        }
    }

    /// Starts over what a crash has left; everything must be there.
    fn recover(&self, io: &FaultyIo, memory: &Memory) -> Driver {
        let driver = driver_over(io, memory);
        check(&driver.opened.store, memory);
        self.stays.check(&driver.opened.store);
        nothing_kept_is_gone(&driver.opened.store, memory);
        self.recoveries.add();
        driver
    }

    /// Crashes at an operation, and tells whether all was over before it.
    fn at(&self, at: u64) -> bool {
        let io = self.whole.crash_keeping_all();
        let mut driver = driver_over(&io, &self.memory);
        io.plant(Fault::Stop {
            at: io.operations() + at,
        });
        let ended = give_up(&mut driver);
        let memory = driver.memory;
        for survivor in [io.crash(at), io.crash_losing_all(), io.crash_keeping_all()] {
            let mut driver = self.recover(&survivor, &memory);
            assert!(give_up(&mut driver), "the next one does the rest");
            sound(&survivor);
            let last = self.recover(&survivor.crash_losing_all(), &driver.memory);
            last.opened.store.close().unwrap();
        }
        ended
    }
}

#[test]
fn a_crash_at_any_operation_while_the_log_gives_up_its_start_loses_nothing_that_waits() {
    let first = std::env::var("SLUICE_SEED").map_or(41, |seed| seed.parse().unwrap());
    let step = or_long(2, 1);
    for seed in first..first + or_long(2, 8) {
        println!("SLUICE_SEED={seed}");
        let crashes = Crashes::of(seed);
        let stopped = (seed % step..)
            .step_by(step as usize)
            .take_while(|at| !crashes.at(*at));
        let stopped = stopped.count() as u64;
        assert!(stopped * step > 30, "{stopped} operations");
        crashes.recoveries.at_least(stopped * 3 * 2);
    }
}

/// Removes all files below.
fn remove(io: &FaultyIo, folder: &Path) {
    for name in io.list(folder).unwrap() {
        let path = folder.join(name);
        remove(io, &path);
        io.remove(&path).unwrap();
    }
}

#[test]
fn a_store_that_lost_its_queue_and_index_files_or_its_newest_checkpoints_starts_from_the_new_base() {
    let (whole, memory) = closed_store(42);
    let roots = |io: &FaultyIo| {
        let names = io.list(&Path::new(DIR).join("checkpoint")).unwrap();
        let root = |name: &PathBuf| name.to_str().is_some_and(|name| name.ends_with(".root"));
        names.into_iter().filter(root).collect::<Vec<_>>()
    };
    let all = roots(&whole);
    let base = all[0]
        .to_str()
        .unwrap()
        .trim_end_matches(".root")
        .parse::<u64>()
        .unwrap();
    assert!(base > 0, "the first checkpoint is the new base: {all:?}");
    for keep in 1..all.len() {
        let io = whole.crash_keeping_all();
        for newer in &all[keep..] {
            io.remove(&Path::new(DIR).join("checkpoint").join(newer)).unwrap();
        }
        for folder in [&["queue"][..], &["index"], &["queue", "index"], &[]] {
            let io = io.crash_keeping_all();
            folder
                .iter()
                .for_each(|folder| remove(&io, &Path::new(DIR).join(folder)));
            let opened = open_store(&io);
            check(&opened.store, &memory);
            nothing_kept_is_gone(&opened.store, &memory);
            opened.store.close().unwrap();
            sound(&io);
        }
    }
}
