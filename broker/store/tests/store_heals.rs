//! Checkpoints share what has not changed, and so its damage too: once it is found the next one is written from state, which is in
//! memory, and shares nothing.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod holding;
mod workload;

use holding::{deliver, plain};
use sluice_core::ids::{QueueId, TopicId, TopicQueue};
use sluice_store::CheckpointPolicy;
use sluice_store::io::{FaultyIo, LogIo, read_exact_at, write_all_at};
use sluice_store::retention::Settings;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use workload::{Driver, PACK_HEADER, check, damage_packs, open, wait};

const DIR: &str = "/data/broker-a";

fn seed() -> u64 {
    let seed = std::env::var("SLUICE_SEED").map_or(7, |seed| seed.parse().unwrap());
    println!("SLUICE_SEED={seed}");
    seed
}

fn shared(io: &FaultyIo) -> Arc<dyn LogIo> {
    Arc::new(io.clone())
}

/// A store whose first topic alone is used, with some places at which its log can begin.
fn busy(io: &FaultyIo, seed: u64) -> Driver {
    let mut driver = Driver::new(open(shared(io), Path::new(DIR), 60_000).unwrap(), seed);
    driver.make().unwrap();
    while driver.opened.store.trim_points().len() < 4 {
        send(&mut driver);
    }
    // Nobody else is at the files after that.
    driver.rest();
    driver.opened.store.set_checkpoint_policy(CheckpointPolicy {
        bytes: 60_000,
        every: Duration::from_secs(3600),
    });
    driver
}

fn send(driver: &mut Driver) {
    let at = TopicQueue {
        topic: TopicId(1),
        queue: QueueId(0),
    };
    driver.send_one(at, 16_000).unwrap();
}

/// Where a checkpoint's files are that have this ending, by rising position.
fn files(io: &FaultyIo, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(DIR).join("checkpoint");
    let mut names = io.list(&folder).unwrap();
    names.retain(|name| name.extension().is_some_and(|ext| ext == ending));
    names.sort();
    names.iter().map(|name| folder.join(name)).collect()
}

#[test]
fn retention_goes_on_after_damage_to_what_all_checkpoints_share_and_so_does_the_next_start() {
    let io = FaultyIo::new(seed());
    let mut driver = busy(&io, seed());
    damage_packs(&io, Path::new(DIR));
    let settings = Settings {
        keep_bytes: Some(400_000),
        ..Settings::default()
    };
    assert!(driver.retain(&settings).is_err(), "the damage is found");
    let mut looks = 0;
    while !driver.retain(&settings).is_ok_and(|ran| ran.start.is_some()) {
        (0..10).for_each(|_| send(&mut driver));
        looks += 1;
        assert!(looks < 100, "retention stands still");
    }
    let begins_later = |driver: &Driver| driver.opened.store.log().start().0 > 0;
    driver.send_until(1000, begins_later).unwrap();
    driver.opened.store.close().unwrap();
    let opened = open(shared(&io.crash_keeping_all()), Path::new(DIR), 60_000).unwrap();
    assert!(opened.store.log().start().0 > 0);
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
}

#[test]
fn damage_that_the_scrub_finds_in_a_checkpoint_is_not_in_the_next_one() {
    let io = FaultyIo::new(seed());
    let mut driver = busy(&io, seed());
    damage_packs(&io, Path::new(DIR));
    let mut scrub = driver.opened.store.scrub();
    let found = loop {
        let step = scrub.step(0);
        if !step.findings.is_empty() || step.is_last {
            break step.findings;
        }
    };
    assert!(!found.is_empty());
    let newest = |driver: &Driver| driver.opened.store.trim_points().last().map(|point| point.at);
    let before = newest(&driver);
    while newest(&driver) == before {
        send(&mut driver);
    }
    driver.opened.store.close().unwrap();
    let opened = open(shared(&io.crash_keeping_all()), Path::new(DIR), 60_000).unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
}

#[test]
fn an_idle_store_writes_a_whole_checkpoint_by_itself_once_damage_is_found() {
    let io = FaultyIo::new(seed());
    let mut driver = busy(&io, seed());
    // Nothing comes any more: the last checkpoint stands behind everything.
    driver.rest();
    let newest = |io: &FaultyIo| files(io, "root").pop().unwrap();
    damage_packs(&io, Path::new(DIR));
    let before = newest(&io);
    let mut scrub = driver.opened.store.scrub();
    while !scrub.step(0).is_last {}
    wait("another checkpoint", || newest(&io) != before);
    // Killed at once: what the next start finds is what was written by itself.
    let killed = io.crash_keeping_all();
    let opened = open(shared(&killed), Path::new(DIR), 60_000).unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
    driver.opened.store.close().unwrap();
}

#[test]
fn a_checkpoint_that_is_written_anew_has_no_patches_also_of_parts_whose_bytes_are_sound() {
    let io = FaultyIo::new(seed());
    let mut driver = busy(&io, seed());
    let id = plain(TopicQueue {
        topic: TopicId(1),
        queue: QueueId(0),
    });
    let receive = |driver: &mut Driver| {
        let offset = driver.send_one(id.at, 100).unwrap();
        deliver(driver, id, offset, 3_600_000).unwrap();
    };
    // What the group holds of the queue is a part of more than 1 KiB.
    (0..200).for_each(|_| receive(&mut driver));
    driver.rest();
    receive(&mut driver);
    driver.rest();
    let has_patches = |io: &FaultyIo| {
        let file = io.open_read(&files(io, "root").pop().unwrap()).unwrap();
        let mut version = [0; 4];
        read_exact_at(file.as_ref(), &mut version, 8).unwrap();
        version == 2_u32.to_le_bytes()
    };
    assert!(has_patches(&io));
    let before = files(&io, "root").pop();
    // The newest pack has little but patches: what these are against stays sound.
    let pack = io.open(&files(&io, "pack").pop().unwrap()).unwrap();
    let mut byte = [0];
    read_exact_at(pack.as_ref(), &mut byte, PACK_HEADER as u64).unwrap();
    write_all_at(pack.as_ref(), &[byte[0] ^ 1], PACK_HEADER as u64).unwrap();
    let mut scrub = driver.opened.store.scrub();
    while !scrub.step(0).is_last {}
    wait("another checkpoint", || files(&io, "root").pop() != before);
    assert!(!has_patches(&io));
    driver.opened.store.close().unwrap();
    let opened = open(shared(&io.crash_keeping_all()), Path::new(DIR), 60_000).unwrap();
    opened.store.close().unwrap();
}
