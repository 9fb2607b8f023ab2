//! A store that has been through everything: messages in flight, done and given up, retention with carried messages, several
//! segments, sorted index files, and checkpoints that share packs and have patches.

use super::checkpoints::has_patches;
use super::harm::read;
use crate::workload::{Driver, InFlight, Opened, open_with};
use sluice_core::command::{DeadLetter, Deliver, Standing, Take};
use sluice_core::ids::{GroupId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::state::Done;
use sluice_store::StoreError;
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::retention::Settings;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const DIR: &str = "/data/broker-a";
/// Kinds of files, and how many of a hundred damages go to each.
pub const KINDS: [(&str, u64); 8] = [
    ("seg", 40),
    ("cq", 15),
    ("idx", 12),
    ("run", 6),
    ("root", 9),
    ("pack", 9),
    ("sparse", 4),
    ("meta", 5),
];
const SEGMENT_BYTES: u64 = 256 << 10;
/// Messages of one queue and group in flight.
const IN_FLIGHT: u64 = 300;
/// Rounds from one small change of what is in flight to the next.
const CHANGE_EVERY: u32 = 30;
const DAY_MS: u64 = 24 * 3_600_000;

/// Opens a store over a copy; its wall clock stands still.
pub fn open_copy(io: &FaultyIo) -> Result<Opened, StoreError> {
    open_with(Arc::new(io.clone()), Path::new(DIR), 40_000, SEGMENT_BYTES, 1_000)
}

/// The closed store.
pub fn whole_store(seed: u64) -> FaultyIo {
    store_of(seed, &[100, 200])
}

/// As that, but for retention: its log begins at its first frame.
pub fn untrimmed_store(seed: u64) -> FaultyIo {
    store_of(seed, &[])
}

/// The closed store, with a run of retention after these rounds.
fn store_of(seed: u64, retention: &[u32]) -> FaultyIo {
    let (io, mut driver) = busy_store(seed, retention);
    driver.opened.store.close().unwrap();
    // Of the index there may be no open run: which are closed and sorted depends on when checkpoints were written.
    let mut tries = 0..20;
    while files(&io, "run").is_empty() && tries.next().is_some() {
        driver.opened = open_copy(&io).unwrap();
        (0..5).for_each(|_| driver.round(400).unwrap());
        driver.opened.store.close().unwrap();
    }
    for (kind, _) in KINDS {
        assert!(!files(&io, kind).is_empty(), "a file of kind {kind}");
    }
    assert_patched(&io);
    io
}

/// A store that was killed: much stands behind its newest checkpoint, and it was in the middle of writing the next one.
pub fn killed_store(seed: u64) -> FaultyIo {
    let (io, mut driver) = busy_store(seed, &[100, 200]);
    driver.opened.store.close().unwrap();
    let shared = Arc::new(io.clone());
    driver.opened = open_with(shared, Path::new(DIR), u64::MAX, SEGMENT_BYTES, 1_000).unwrap();
    (0..60).for_each(|_| driver.round(2600).unwrap());
    let killed = io.crash_keeping_all();
    driver.opened.store.close().unwrap();
    assert_patched(&killed);
    let entries = files(&killed, "cq").pop().unwrap();
    let file = killed.open(&entries).unwrap();
    file.set_len(file.len().unwrap() + 400).unwrap();
    for left in ["checkpoint/00000000000000000099.root.tmp", "index/left.tmp"] {
        killed.create(&Path::new(DIR).join(left)).unwrap();
    }
    killed
}

/// The newest two checkpoints are such as most are where many messages are in flight.
fn assert_patched(io: &FaultyIo) {
    let roots = files(io, "root");
    for root in &roots[roots.len() - 2..] {
        assert!(has_patches(&read(io, root)), "{} has no patch", root.display());
    }
}

/// The running store, with a run of retention after these rounds.
fn busy_store(seed: u64, retention: &[u32]) -> (FaultyIo, Driver) {
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(open_copy(&io).unwrap(), seed);
    driver.make().unwrap();
    let mut in_flight = InFlight::of_a_new_group(&mut driver, IN_FLIGHT).unwrap();
    for queue in 0..3 {
        hold_and_bury(&mut driver, queue);
    }
    let settings = Settings {
        keep_ms: Some(DAY_MS),
        keep_bytes: Some(500_000),
        ..Settings::default()
    };
    let mut trimmed = 0;
    for round in 0..330 {
        driver.round(2600).unwrap();
        if round % CHANGE_EVERY == 0 {
            in_flight.change_a_little(&mut driver).unwrap();
        }
        if retention.contains(&round) {
            // Where the log can begin depends on when checkpoints were written.
            let mut tries = 0..2000;
            while driver.retain(&settings).unwrap().start.is_none() && tries.next().is_some() {
                driver.round(2600).unwrap();
            }
            trimmed += u64::from(tries.next().is_some());
            let start = driver.opened.store.tables().bounds().start;
            driver
                .send_until(400, |driver| driver.opened.store.log().start() == start)
                .unwrap();
        }
    }
    let store = &driver.opened.store;
    let has_carried = trimmed > 0 && store.tables().carried_len() > 0;
    assert!(has_carried != retention.is_empty(), "retention has carried");
    assert!(store.log().segments() > 2, "{} segments", store.log().segments());
    assert!(store.tables().topic("%DLQ%plain").is_some(), "dead letters");
    (io, driver)
}

/// Sends four messages; one stays with its client for long, one goes to the dead-letter topic.
fn hold_and_bury(driver: &mut Driver, queue: u32) {
    let id = GroupQueueId {
        group: GroupId(0),
        at: TopicQueue {
            topic: TopicId(0),
            queue: QueueId(queue),
        },
    };
    for _ in 0..4 {
        driver.send_one(id.at, 2000).unwrap();
    }
    let take = |offset| Take {
        offset: QueueOffset(offset),
        group_hash: 0,
    };
    let deliver = Deliver {
        id,
        client: "holder".to_owned(),
        attempt_id: 0,
        auto_renew: false,
        resume: false,
        standing: Standing::default(),
        invisible_ms: 365 * DAY_MS,
        taken: vec![take(0), take(1)],
        skipped: Vec::new(),
    };
    let ask = |command| driver.ask([command].into_iter().collect()).unwrap();
    let Ok(Done::Delivered(delivered)) = &ask(deliver.encode(driver.now()))[0] else {
        panic!("a delivery");
    };
    let mut entry = Vec::new();
    let queues = driver.opened.store.queues();
    queues.read(id.at, QueueOffset(0), 1, &mut entry).unwrap();
    let dead = DeadLetter {
        id,
        offset: QueueOffset(0),
        delivery: Some(delivered.delivery),
        entry: entry[0],
    };
    assert!(matches!(
        ask(dead.encode(driver.now()))[0],
        Ok(Done::DeadLettered { .. })
    ));
}

/// The files of a kind, in the order of their paths.
pub fn files(io: &FaultyIo, kind: &str) -> Vec<PathBuf> {
    let mut found = all_files(io);
    found.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        let (stem, suffix) = name.split_once('.').unwrap();
        stem == kind || suffix == kind
    });
    found
}

/// All files, in the order of their paths, but for what the next segment is made of, which nobody reads.
pub fn all_files(io: &FaultyIo) -> Vec<PathBuf> {
    let mut found = every_file(io);
    found.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        let stem = name.split_once('.').map(|(stem, _)| stem);
        stem.is_some_and(|stem| !["spare", "recycled"].contains(&stem))
    });
    found
}

/// All files, in the order of their paths.
pub fn every_file(io: &FaultyIo) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(io, Path::new(DIR), &mut found);
    found
}

/// All folders.
pub fn every_folder(io: &FaultyIo) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from(DIR)];
    let mut looked_at = 0;
    while let Some(folder) = found.get(looked_at).cloned() {
        let paths = io
            .list(&folder)
            .unwrap()
            .into_iter()
            .map(|name| folder.join(name));
        found.extend(paths.filter(|path| io.open_read(path).is_err()));
        looked_at += 1;
    }
    found
}

fn collect(io: &FaultyIo, folder: &Path, found: &mut Vec<PathBuf>) {
    for name in io.list(folder).unwrap() {
        let path = folder.join(&name);
        let has_bytes = |path: &Path| io.open_read(path).and_then(|file| file.len()).is_ok();
        match name.to_str().unwrap().contains('.') || has_bytes(&path) {
            false => collect(io, &path, found),
            true => found.push(path),
        }
    }
}
