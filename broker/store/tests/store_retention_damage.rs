//! Retention on a disk that is damaged: what is damaged holds back only what needs it, and nothing goes that may be needed to begin with.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod holding;
mod workload;

use holding::{at, deliver, entry, plain};
use sluice_core::command::Trim;
use sluice_core::entry::ENTRY_BYTES;
use sluice_core::ids::{PhysicalOffset, QueueOffset, TopicId, TopicQueue};
use sluice_store::io::{DirLock, FaultyIo, FileHandle, LogIo, write_all_at};
use sluice_store::retention::{Own, RetentionError, Settings};
use sluice_store::{CheckpointPolicy, TrimPoint};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use workload::{Driver, check, damage_packs, open, wait};

const DIR: &str = "/data/broker-a";
const CHECKPOINT_BYTES: u64 = 60_000;
const YEAR_MS: u64 = 365 * 24 * 3_600_000;

fn seed() -> u64 {
    let seed = std::env::var("SLUICE_SEED").map_or(31, |seed| seed.parse().unwrap());
    println!("SLUICE_SEED={seed}");
    seed
}

fn made(io: Arc<dyn LogIo>) -> Driver {
    let mut driver = Driver::new(open(io, Path::new(DIR), CHECKPOINT_BYTES).unwrap(), seed());
    driver.make().unwrap();
    driver
}

/// The log is to be as small as can be.
fn smallest() -> Settings {
    Settings {
        keep_bytes: Some(0),
        ..Settings::default()
    }
}

/// A message that waits for a year.
fn waits(driver: &mut Driver, at: TopicQueue) -> QueueOffset {
    let offset = driver.send_one(at, 500).unwrap();
    deliver(driver, plain(at), offset, YEAR_MS).unwrap();
    offset
}

/// Goes on until there are so many more places at which the log can begin.
fn fill(driver: &mut Driver, more: usize) -> Vec<TrimPoint> {
    let points = |driver: &Driver| driver.opened.store.trim_points();
    let enough = points(driver).len() + more;
    for _ in 0..3000 {
        if points(driver).len() >= enough {
            return points(driver);
        }
        driver.send_one(at(0, 2), 16_000).unwrap();
    }
    panic!("the log has only {} places to begin at", points(driver).len());
}

/// After this nothing of a queue is in memory.
fn restart(driver: &mut Driver, io: &FaultyIo) {
    driver.opened.store.close().unwrap();
    driver.opened = open(Arc::new(io.clone()), Path::new(DIR), CHECKPOINT_BYTES).unwrap();
}

fn damage_entry(io: &FaultyIo, at: TopicQueue, offset: QueueOffset) {
    let folder = Path::new(DIR).join(format!("queue/{}/{}", at.topic, at.queue));
    let name = io.list(&folder).unwrap().remove(0);
    let file = io.open(&folder.join(name)).unwrap();
    write_all_at(file.as_ref(), b"?", offset.0 * ENTRY_BYTES as u64 + 9).unwrap();
}

fn damage_root(io: &FaultyIo, point: &TrimPoint) {
    let root = Path::new(DIR).join(format!("checkpoint/{:020}.root", point.at.0));
    let file = io.open(&root).unwrap();
    write_all_at(file.as_ref(), b"???", 20).unwrap();
}

#[test]
fn a_damaged_entry_beside_those_that_wait_holds_nothing_back() {
    let io = FaultyIo::new(seed());
    let mut driver = made(Arc::new(io.clone()));
    let queue = at(0, 0);
    let first = waits(&mut driver, queue);
    let unread = driver.send_one(queue, 500).unwrap();
    let last = waits(&mut driver, queue);
    let points = fill(&mut driver, 4);
    restart(&mut driver, &io);
    damage_entry(&io, queue, unread);
    let store = driver.opened.store.clone();
    let read = store.queues().read(queue, first, 3, &mut Vec::new());
    assert!(read.is_err(), "read together they are an error");

    let ran = driver.retain(&smallest()).unwrap();
    assert_eq!((ran.start, ran.carried.0), (Some(points[3].at), 2), "{ran:?}");
    for offset in [first, last] {
        assert!(store.tables().carried(queue, offset).is_some(), "{offset} waits");
    }
    store.close().unwrap();
}

#[test]
fn an_entry_that_waits_and_is_damaged_keeps_the_log_from_there_on_and_nothing_before() {
    let io = FaultyIo::new(seed());
    let mut driver = made(Arc::new(io.clone()));
    let sound = waits(&mut driver, at(0, 0));
    fill(&mut driver, 3);
    let damaged = waits(&mut driver, at(0, 1));
    fill(&mut driver, 3);
    let place = entry(&driver.opened.store, at(0, 1), damaged).physical;
    restart(&mut driver, &io);
    damage_entry(&io, at(0, 1), damaged);
    let store = driver.opened.store.clone();

    let ran = driver.retain(&smallest()).unwrap();
    let start = ran.start.expect("something goes");
    assert!(start.0 > 0 && start <= place && ran.blocked, "{ran:?}");
    assert!(store.tables().carried(at(0, 0), sound).is_some());
    // Each run finds half of what is left to go, and the last one nothing.
    let failed = (0..4).find_map(|_| driver.retain(&smallest()).err());
    assert!(matches!(failed, Some(RetentionError::Entries(_))), "{failed:?}");
    let start = store.tables().bounds().start;
    let left = store.trim_points();
    let goes = left.iter().filter(|point| start < point.at && point.at <= place);
    assert_eq!(goes.count(), 0, "{start} of {left:?}");
    store.close().unwrap();
}

#[test]
fn a_damaged_checkpoint_is_no_place_to_begin_at_and_those_before_it_are() {
    let io = FaultyIo::new(seed());
    let mut driver = made(Arc::new(io.clone()));
    let points = fill(&mut driver, 5);
    driver.rest();
    damage_root(&io, &points[4]);
    let ran = driver.retain(&smallest()).unwrap();
    let start = ran.start.expect("something goes");
    assert!(points[..4].iter().any(|point| point.at == start), "{ran:?}");
    driver.opened.store.close().unwrap();
}

#[test]
fn what_everybody_has_read_goes_early_though_a_checkpoint_within_is_damaged() {
    let io = FaultyIo::new(seed());
    let mut driver = made(Arc::new(io.clone()));
    let points = fill(&mut driver, 5);
    driver.rest();
    let few = Settings {
        read_bytes: Some(1),
        own: [(TopicId(0), Own::bytes(1)), (TopicId(1), Own::bytes(1))].into(),
        ..Settings::default()
    };
    // The one that is looked at first.
    damage_root(&io, &points[points.len() / 2]);
    let ran = driver.retain(&few).unwrap();
    let last = points.last().map(|point| point.at);
    assert_eq!((ran.start, ran.failed), (last, false), "{ran:?}");
    driver.opened.store.close().unwrap();
}

#[test]
fn dead_letters_are_made_again_after_a_stop_in_the_middle_of_retention_also_where_the_next_look_fails() {
    let io = FaultyIo::new(seed());
    let mut driver = made(Arc::new(io.clone()));
    let points = fill(&mut driver, 2);
    driver.rest();
    let close_links = Trim {
        start: PhysicalOffset(0),
        links_from: points[0].at,
        minimums: Vec::new(),
    };
    let closed = driver.ask([close_links.encode(driver.now())].into_iter().collect());
    assert!(closed.unwrap()[0].is_ok());
    let store = driver.opened.store.clone();
    assert_eq!(store.tables().bounds().links_from, points[0].at);
    for point in store.trim_points() {
        damage_root(&io, &point);
    }
    driver.retain(&smallest()).unwrap_err();
    assert_eq!(store.tables().bounds().links_from, PhysicalOffset(0));
    store.close().unwrap();
}

/// A file system that gives so many more checkpoints their names.
#[derive(Clone)]
struct Named {
    io: FaultyIo,
    /// How many more, and how many wait for that.
    left: Arc<(Mutex<(usize, usize)>, Condvar)>,
}

impl Named {
    fn over(io: &FaultyIo) -> Self {
        let left = Arc::new((Mutex::new((usize::MAX, 0)), Condvar::new()));
        Self { io: io.clone(), left }
    }

    fn allow(&self, count: usize) {
        self.left.0.lock().unwrap().0 = count;
        self.left.1.notify_all();
    }

    /// Until a checkpoint waits for its name.
    fn wait_for_one(&self) {
        wait("a checkpoint waits for its name", || {
            self.left.0.lock().unwrap().1 > 0
        });
    }
}

impl LogIo for Named {
    fn create(&self, path: &Path) -> io::Result<FileHandle> {
        self.io.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<FileHandle> {
        self.io.open(path)
    }
    fn open_read(&self, path: &Path) -> io::Result<FileHandle> {
        self.io.open_read(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if to.extension().is_some_and(|ending| ending == "root") {
            let mut left = self.left.0.lock().unwrap();
            left.1 += 1;
            left = self.left.1.wait_while(left, |left| left.0 == 0).unwrap();
            *left = (left.0.saturating_sub(1), left.1 - 1);
        }
        self.io.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.io.remove(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.io.create_dir(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.io.remove_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.io.list(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.io.sync_dir(path)
    }
    fn sync_all_files(&self, path: &Path) -> io::Result<()> {
        self.io.sync_all_files(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        self.io.lock(path)
    }
}

#[test]
fn the_log_begins_later_only_once_a_whole_checkpoint_stands_where_one_is_damaged() {
    for is_known in [false, true] {
        let io = FaultyIo::new(seed());
        let named = Named::over(&io);
        let mut driver = made(Arc::new(named.clone()));
        let policy = |bytes| CheckpointPolicy {
            bytes,
            every: Duration::from_secs(3600),
        };
        fill(&mut driver, 2);
        driver.rest();
        let store = driver.opened.store.clone();
        store.set_checkpoint_policy(policy(u64::MAX));
        let start = driver.retain(&smallest()).unwrap().start.unwrap();
        damage_packs(&io, Path::new(DIR));

        // It shares what is damaged.
        named.allow(0);
        store.set_checkpoint_policy(policy(1));
        driver.send_one(at(0, 2), 100).unwrap();
        named.wait_for_one();
        if is_known {
            let mut scrub = store.scrub();
            while !scrub.step(0).is_last {}
        }
        named.allow(1);
        // The next one comes by itself, for it is to have everything.
        wait("the first one has its name", || {
            named.left.0.lock().unwrap().0 == 0
        });
        named.wait_for_one();
        assert_eq!(store.log().start(), PhysicalOffset(0), "known: {is_known}");
        let killed = open(Arc::new(io.crash_keeping_all()), Path::new(DIR), CHECKPOINT_BYTES);
        let killed = killed.unwrap_or_else(|error| panic!("known: {is_known}: {error}"));
        check(&killed.store, &driver.memory);
        killed.store.close().unwrap();

        named.allow(usize::MAX);
        wait("the log begins later", || store.log().start() == start);
        let killed = open(Arc::new(io.crash_keeping_all()), Path::new(DIR), CHECKPOINT_BYTES).unwrap();
        check(&killed.store, &driver.memory);
        killed.store.close().unwrap();
        store.close().unwrap();
        assert!(!driver.has_failed());
    }
}
