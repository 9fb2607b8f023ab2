//! A store on a full disk, or that may open no more files: sends are refused if the log is concerned, everything else goes on,
//! nothing acknowledged is lost (D2), and with room it recovers by itself.
#![cfg(test)]

mod workload;

use sluice_core::ids::PhysicalOffset;
use sluice_store::StoreError;
use sluice_store::checkpoint::{Checkpoints, PartKey, Pick};
use sluice_store::io::{Fault, FaultyIo, LogIo};
use sluice_store::log::{Committed, Identity, LogOptions, Opening, ShardUuid};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use workload::{Driver, Opened, check, open_with};

const DIR: &str = "/data/broker-a";
const CHECKPOINT_BYTES: u64 = 5_000;
/// The reserve is a quarter of a segment: large enough that the log's helper finds the disk full before sends use it up.
const SEGMENT_BYTES: u64 = 2 << 20;
const ROUNDS_MAX: usize = 5_000;

/// What is full, and whether the log is.
fn faults() -> Vec<(Fault, bool)> {
    let below = |folder| Fault::NoSpaceBelow {
        folder: Path::new(DIR).join(folder),
        after: 0,
    };
    vec![
        (Fault::NoSpace { after: 0 }, true),
        (Fault::NoSpace { after: 20_000 }, true),
        (Fault::OverQuota { after: 0 }, true),
        (below("log"), true),
        (below("queue"), false),
        (below("index"), false),
        (below("checkpoint"), false),
        (no_descriptors(""), true),
        (no_descriptors("log"), true),
        (no_descriptors("checkpoint"), false),
    ]
}

fn no_descriptors(folder: &str) -> Fault {
    let below = Path::new(DIR).join(folder);
    Fault::NoDescriptors { below }
}

fn open(io: &FaultyIo) -> Opened {
    open_of(io).unwrap()
}

fn open_of(io: &FaultyIo) -> Result<Opened, StoreError> {
    let io = Arc::new(io.clone());
    open_with(io, Path::new(DIR), CHECKPOINT_BYTES, SEGMENT_BYTES, 1_000)
}

/// A store that has begun, on a disk that then has become full. Another hour closes the index's run, so that there is
/// something to sort.
fn full(fault: &Fault) -> (FaultyIo, Driver) {
    let io = FaultyIo::new(4);
    let mut driver = Driver::new(open(&io), 4);
    driver.make().unwrap();
    rounds(&mut driver, 40);
    driver.wait_for_reserve(&io, Path::new(DIR), SEGMENT_BYTES);
    io.plant(fault.clone());
    driver.pass_time(3_600_000);
    (io, driver)
}

fn rounds(driver: &mut Driver, rounds: usize) {
    for _ in 0..rounds {
        driver.round(2_000).unwrap();
    }
}

/// Goes on until `done`, which must come.
fn until(driver: &mut Driver, what: &str, done: impl Fn(&Driver) -> bool) {
    for _ in 0..ROUNDS_MAX {
        if done(driver) {
            return;
        }
        rounds(driver, 1);
    }
    panic!("{what} does not come in {ROUNDS_MAX} rounds");
}

fn newest_root(io: &FaultyIo) -> PhysicalOffset {
    // Of a copy, whose folders can be listed whatever is planted.
    let copy = io.crash_keeping_all();
    let names = copy.list(&Path::new(DIR).join("checkpoint")).unwrap();
    let root = |name: &Path| name.to_str()?.strip_suffix(".root")?.parse().ok();
    PhysicalOffset(names.iter().filter_map(|name| root(name)).max().unwrap())
}

/// State's parts as the newest checkpoint has them.
fn parts(io: &FaultyIo) -> BTreeMap<PartKey, Vec<u8>> {
    let (io, folder) = (io.crash_keeping_all(), Path::new(DIR).join("checkpoint"));
    let (_, loaded) = Checkpoints::open(Arc::new(io), &folder, Pick::Newest).unwrap();
    loaded.parts().map(|(key, bytes)| (key, bytes.to_vec())).collect()
}

/// Opens what a crash has left, checks it, and closes it.
fn reopened(io: FaultyIo, driver: &Driver) -> FaultyIo {
    let opened = open(&io);
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
    io
}

/// That the state which `io` has come to is the one that the log alone makes.
fn equals_a_replay(io: &FaultyIo, driver: &Driver, what: &str) {
    let again = reopened(io.crash_losing_all(), driver);
    let bare = io.crash_losing_all();
    for name in bare.list(&Path::new(DIR).join("checkpoint")).unwrap() {
        bare.remove(&Path::new(DIR).join("checkpoint").join(name))
            .unwrap();
    }
    let replayed = reopened(bare, driver);
    assert!(!parts(io).is_empty());
    assert!(
        parts(io) == parts(&again),
        "{what}: another state after a restart"
    );
    assert!(
        parts(io) == parts(&replayed),
        "{what}: another state than that of the log"
    );
}

#[test]
fn a_full_disk_refuses_sends_and_goes_on_with_all_else_and_recovers_by_itself() {
    for (fault, log_is_full) in faults() {
        let what = format!("{fault:?}");
        let (io, mut driver) = full(&fault);
        if log_is_full {
            until(&mut driver, &what, |driver| driver.memory.refused_for_space > 0);
        }
        let (refused, sent) = (driver.memory.refused_for_space, driver.memory.acknowledged.len());
        let (delivered, done) = (driver.memory.delivered, driver.memory.done.len());
        let still = format!("{what}: what has to go on");
        until(&mut driver, &still, |Driver { memory, .. }| {
            let sends = if log_is_full {
                memory.refused_for_space > refused + 50
            } else {
                memory.acknowledged.len() > sent + 50
            };
            sends && memory.delivered > delivered && memory.done.len() > done
        });
        let memory = &driver.memory;
        assert!(
            log_is_full || memory.refused_for_space == 0,
            "{what}: a send is refused"
        );
        let stood = newest_root(&io);
        io.lift_no_space();
        let sent = memory.acknowledged.len();
        until(&mut driver, &what, |driver| {
            driver.memory.acknowledged.len() > sent + 50 && newest_root(&io) > stood
        });
        assert!(!driver.has_failed(), "{what}");
        driver.opened.store.close().unwrap();
        equals_a_replay(&io, &driver, &what);
    }
}

#[test]
fn a_crash_on_a_full_disk_loses_nothing_acknowledged() {
    for (fault, _) in faults() {
        let (io, mut driver) = full(&fault);
        rounds(&mut driver, 60);
        for seed in 0..5 {
            reopened(io.crash(seed), &driver);
        }
        drop(driver.opened.store.close());
    }
}

#[test]
fn a_store_that_is_closed_on_a_full_disk_is_closed_well_and_has_everything_at_the_next_start() {
    for (fault, _) in faults() {
        let what = format!("{fault:?}");
        let (io, mut driver) = full(&fault);
        rounds(&mut driver, 60);
        let closed = driver.opened.store.close();
        assert!(closed.is_ok(), "{what}: {}", closed.unwrap_err());
        assert!(!driver.has_failed(), "{what}");
        let io = reopened(io.crash_losing_all(), &driver);
        equals_a_replay(&io, &driver, &what);
    }
}

#[test]
fn files_that_cannot_be_opened_are_opened_later_and_nothing_is_lost() {
    for folder in ["queue", "index", "checkpoint"] {
        let io = FaultyIo::new(4);
        let mut driver = Driver::new(open(&io), 4);
        driver.make().unwrap();
        // Before any file of a queue or of a run is open.
        let stood = newest_root(&io);
        io.plant(no_descriptors(folder));
        rounds(&mut driver, 60);
        assert_eq!(
            newest_root(&io),
            stood,
            "{folder}: no checkpoint without its files"
        );
        assert_eq!(driver.memory.refused_for_space, 0, "{folder}: a send is refused");
        io.lift_no_space();
        until(&mut driver, folder, |_| newest_root(&io) > stood);
        assert!(!driver.has_failed(), "{folder}");
        driver.opened.store.close().unwrap();
        equals_a_replay(&io, &driver, folder);
    }
}

#[test]
fn a_log_of_an_older_version_is_raised_when_there_is_room_and_the_refusal_before_says_how_much_and_where() {
    let io = FaultyIo::new(4);
    let shared: Arc<dyn LogIo> = Arc::new(io.clone());
    let identity = Identity {
        cluster: "test".into(),
        shard: "broker-a".into(),
        node: 1,
        uuid: ShardUuid([7; 16]),
        segment_bytes: SEGMENT_BYTES,
    };
    // Of the first level are logs that have begun and have no command yet.
    let opening = Opening::begin(shared, LogOptions::new(DIR.into(), identity)).unwrap();
    let first = opening.first();
    let opened = opening.replay(first, |_| Ok(())).unwrap();
    let tail = opened.tail();
    let mut parts = opened.start(tail.index, |_: Committed| {});
    parts.writer.lead(1).unwrap();
    drop(parts);
    let folder = Path::new(DIR).join("log");
    for _ in 0..3 {
        let folder = folder.clone();
        io.plant(Fault::NoSpaceBelow { folder, after: 0 });
        let refused = open_of(&io).err().unwrap().to_string();
        assert!(
            refused.starts_with(&format!("this version raises the log in {DIR} to level 1")),
            "{refused}"
        );
        assert!(refused.ends_with("free 1 MiB on the disk of that folder, and start again"));
        io.lift_no_space();
    }
    open_of(&io).unwrap().store.close().unwrap();
}
