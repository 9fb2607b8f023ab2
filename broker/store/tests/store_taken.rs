//! Files that somebody takes away while the store runs: the scrub and the writer of checkpoints notice, state is written again from
//! memory, and a clean stop leaves a folder that starts. The log begins later than at its first frame, so that a start without a
//! checkpoint would be refused.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod workload;

use sluice_core::command::Place;
use sluice_core::ids::{QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_store::CheckpointPolicy;
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::retention::Settings;
use sluice_store::scrub::{Finding, Kind};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use workload::{Driver, check, open, wait};

const DIR: &str = "/data/broker-a";
const CHECKPOINT_BYTES: u64 = 60_000;

fn seed() -> u64 {
    let seed = std::env::var("SLUICE_SEED").map_or(11, |seed| seed.parse().unwrap());
    println!("SLUICE_SEED={seed}");
    seed
}

fn shared(io: &FaultyIo) -> Arc<dyn LogIo> {
    Arc::new(io.clone())
}

/// A store whose log begins later than at its first frame, and of which checkpoints share packs: only one of two topics is used.
fn trimmed(io: &FaultyIo) -> Driver {
    let opened = open(shared(io), Path::new(DIR), CHECKPOINT_BYTES).unwrap();
    let mut driver = Driver::new(opened, seed());
    driver.make().unwrap();
    let settings = Settings {
        keep_bytes: Some(400_000),
        ..Settings::default()
    };
    let mut looks = 0;
    while driver.opened.store.log().start().0 == 0 {
        (0..10).for_each(|_| send(&mut driver));
        driver.retain(&settings).unwrap();
        looks += 1;
        assert!(looks < 300, "the log never begins later");
    }
    driver
}

fn send(driver: &mut Driver) {
    let at = TopicQueue {
        topic: TopicId(1),
        queue: QueueId(0),
    };
    driver.send_one(at, 16_000).unwrap();
}

/// The files of a folder whose names end so, in the order of their names.
fn files(io: &FaultyIo, folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(DIR).join(folder);
    let mut names = io.list(&folder).unwrap();
    names.retain(|name| name.to_str().unwrap().ends_with(ending));
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// What of the checkpoints is taken away.
const TAKEN: [&str; 6] = [
    "the oldest pack",
    "the newest pack",
    "all packs",
    "the newest root",
    "all roots",
    "everything",
];

fn take(io: &FaultyIo, what: &str) -> Vec<PathBuf> {
    let (packs, roots) = (files(io, "checkpoint", ".pack"), files(io, "checkpoint", ".root"));
    let taken: Vec<PathBuf> = match what {
        "the oldest pack" => packs[..1].to_vec(),
        "the newest pack" => packs[packs.len() - 1..].to_vec(),
        "all packs" => packs,
        "the newest root" => roots[roots.len() - 1..].to_vec(),
        "all roots" => roots,
        _ => files(io, "checkpoint", ""),
    };
    assert!(!taken.is_empty());
    for path in &taken {
        io.remove(path).unwrap();
    }
    taken
}

/// All that a round of the scrub finds.
fn round(driver: &Driver) -> Vec<Finding> {
    let (mut scrub, mut found) = (driver.opened.store.scrub(), Vec::new());
    for _ in 0..10_000 {
        let step = scrub.step(0);
        found.extend(step.findings);
        if step.is_last {
            return found;
        }
    }
    panic!("a round has no end");
}

fn starts(io: &FaultyIo, driver: &Driver, what: &str) {
    println!("{what}");
    let opened = open(shared(io), Path::new(DIR), CHECKPOINT_BYTES);
    let opened = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(opened.store.log().start().0 > 0);
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
}

#[test]
fn a_file_of_a_checkpoint_that_is_taken_away_is_found_by_the_scrub_and_written_again_from_memory() {
    for what in TAKEN {
        let io = FaultyIo::new(seed());
        let mut driver = trimmed(&io);
        driver.rest();
        assert!(round(&driver).is_empty(), "nothing is wrong yet");
        let taken = take(&io, what);
        let before = driver.opened.store.stats().2.newest().position;
        let found = round(&driver);
        let names = |path: &PathBuf| {
            let path = path.to_str().unwrap();
            found
                .iter()
                .any(|finding| finding.kind == Kind::Checkpoint && finding.what.contains(path))
        };
        // What nothing that is there names any more is not looked for.
        assert!(taken.iter().any(names), "{what}: {found:?}");
        let store = driver.opened.store.clone();
        wait(what, || store.stats().2.newest().position > before);
        // Killed at once: what the next start finds is what was written by itself.
        starts(&io.crash_keeping_all(), &driver, what);
        let again = round(&driver);
        assert!(again.is_empty(), "{what}: found once: {again:?}");
        store.close().unwrap();
        starts(&io.crash_losing_all(), &driver, what);
    }
}

#[test]
fn a_clean_stop_leaves_a_start_whatever_was_taken_of_the_checkpoints() {
    for what in TAKEN {
        for is_idle in [true, false] {
            let io = FaultyIo::new(seed());
            let mut driver = trimmed(&io);
            driver.rest();
            if !is_idle {
                driver.opened.store.set_checkpoint_policy(CheckpointPolicy {
                    bytes: u64::MAX,
                    every: Duration::from_secs(3600),
                });
                send(&mut driver);
            }
            take(&io, what);
            driver.opened.store.close().unwrap();
            assert!(!driver.has_failed());
            starts(&io.crash_losing_all(), &driver, what);
        }
    }
}

#[test]
fn a_checkpoint_counts_on_nothing_that_was_taken_away_also_where_no_scrub_has_looked() {
    for what in TAKEN {
        let io = FaultyIo::new(seed());
        let mut driver = trimmed(&io);
        driver.rest();
        take(&io, what);
        let store = driver.opened.store.clone();
        let written = store.stats().2.written();
        // The one that finds it is not written, and the one behind it has everything.
        while store.stats().2.written() < written + 2 {
            send(&mut driver);
        }
        assert!(!driver.has_failed());
        assert!(store.stats().2.gone() > 0, "{what}: told and counted");
        starts(&io.crash_keeping_all(), &driver, what);
        store.close().unwrap();
    }
}

#[test]
fn the_messages_of_a_segment_that_is_taken_away_are_named_while_they_are_served() {
    let io = FaultyIo::new(seed());
    let opened = open(shared(&io), Path::new(DIR), CHECKPOINT_BYTES).unwrap();
    let mut driver = Driver::new(opened, seed());
    driver.make().unwrap();
    driver
        .send_until(3000, |driver| driver.opened.store.log().segments() >= 4)
        .unwrap();
    let store = driver.opened.store.clone();
    let segments = files(&io, "log", ".seg");
    let base = |path: &PathBuf| -> u64 { path.file_stem().unwrap().to_str().unwrap().parse().unwrap() };
    let within = base(&segments[1])..base(&segments[2]);
    io.remove(&segments[1]).unwrap();

    let mut expected = BTreeSet::new();
    for (at, offset) in driver.memory.acknowledged.keys() {
        let mut entry = Vec::new();
        store.queues().read(*at, *offset, 1, &mut entry).unwrap();
        if entry.iter().any(|entry| within.contains(&entry.physical.0)) {
            expected.insert((*at, offset.0));
        }
    }
    let mut found = round(&driver);
    assert_eq!(found.len(), 1, "{found:?}");
    let finding = found.remove(0);
    let path = segments[1].to_str().unwrap();
    assert!(
        finding.kind == Kind::Log && finding.what.contains(path),
        "{finding:?}"
    );
    let named: BTreeSet<_> = finding
        .served
        .iter()
        .flat_map(|served| (served.first.0..=served.last.0).map(|offset| (served.at, offset)))
        .collect();
    assert!(named.len() > 10, "{named:?}");
    assert_eq!(named, expected);
    for (at, offset) in named {
        let (offset, mut entries) = (QueueOffset(offset), Vec::new());
        store.queues().read(at, offset, 1, &mut entries).unwrap();
        let entry = entries[0];
        assert!(
            store.read_message(&Place { at, offset, entry }, 0).is_ok(),
            "{offset} of {at:?} is served"
        );
    }
    store.close().unwrap();
}

/// Takes a file away as often as it is there, until the log has begun later three times since the first.
fn retention_goes_on_without(which: &str) {
    let io = FaultyIo::new(seed());
    let mut driver = trimmed(&io);
    let settings = Settings {
        keep_bytes: Some(400_000),
        ..Settings::default()
    };
    let (mut taken, mut begun, mut start) = (0, 0, driver.opened.store.log().start());
    for _ in 0..3000 {
        let segments = files(&io, "log", ".seg");
        let is_it = |path: &&PathBuf| match path.file_stem().unwrap().to_str().unwrap() {
            name @ ("spare" | "recycled") => name == which,
            _ => which == "oldest",
        };
        // Segments stand before the others in the order of names.
        if let Some(path) = segments.iter().find(is_it)
            && (which != "oldest" || taken == begun)
        {
            io.remove(path).unwrap();
            taken += 1;
        }
        (0..3).for_each(|_| send(&mut driver));
        driver.retain(&settings).unwrap();
        assert!(!driver.has_failed(), "{which} was taken {taken} times");
        let now = driver.opened.store.log().start();
        begun += i32::from(now > start && taken > 0);
        start = now;
        if taken >= 3 && begun >= 3 {
            check(&driver.opened.store, &driver.memory);
            return driver.opened.store.close().unwrap();
        }
    }
    panic!("{which}: taken {taken} times, and the log began later {begun} times since");
}

#[test]
fn retention_goes_on_past_segments_that_are_taken_away() {
    retention_goes_on_without("oldest");
}

#[test]
fn the_log_goes_on_without_a_spare_segment_that_is_taken_away() {
    retention_goes_on_without("spare");
}

#[test]
fn the_log_goes_on_without_a_segment_to_be_used_again_that_is_taken_away() {
    retention_goes_on_without("recycled");
}

#[test]
fn index_files_that_are_taken_away_are_found_and_the_next_start_makes_them_again() {
    let io = FaultyIo::new(seed());
    let mut driver = trimmed(&io);
    // One is sorted once its segment is full.
    driver
        .send_until(1000, |driver| driver.opened.store.log().segments() >= 3)
        .unwrap();
    driver.rest();
    let is_sorted = || !files(&io, "index", ".idx").is_empty() && files(&io, "index", ".run").len() <= 1;
    wait("all that is full is sorted", is_sorted);
    assert!(round(&driver).is_empty(), "nothing is wrong yet");
    let taken = [files(&io, "index", ".idx"), files(&io, "index", ".run")].concat();
    for path in &taken {
        io.remove(path).unwrap();
    }
    let found = round(&driver);
    for path in &taken {
        let path = path.to_str().unwrap();
        let is_named = |finding: &Finding| finding.kind == Kind::Index && finding.what.contains(path);
        assert!(found.iter().any(is_named), "{path}: {found:?}");
    }
    driver.opened.store.close().unwrap();
    assert!(!driver.has_failed());
    starts(&io.crash_losing_all(), &driver, "the index");
}
