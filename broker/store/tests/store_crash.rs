//! Crashes of a whole store at any operation, on files that lose and tear what was not synced.
//!
//! `SLUICE_CRASHES` sets how many, `SLUICE_SEED` where the seeds start.
#![cfg(test)]

mod crashes;
mod workload;

use crashes::{Recoveries, or_long};
use sluice_store::io::{Fault, FaultyIo};
use std::path::Path;
use std::sync::Arc;
use workload::{Dice, Driver, check, open};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().unwrap())
}

/// Runs until the planted stop, crashes, opens again and checks; twice, so that recovery is crashed too.
fn crash_once(seed: u64, recoveries: &Recoveries) {
    let dir = Path::new("/data/broker-a");
    let mut dice = Dice(seed);
    let io = FaultyIo::new(seed);
    io.plant(Fault::Stop { at: dice.roll(260) });
    let checkpoint_bytes = 2_000 + dice.roll(30_000);
    let body_max = 1 + dice.roll(3_000);
    let mut memory = workload::Memory::default();
    if let Ok(opened) = open(Arc::new(io.clone()), dir, checkpoint_bytes) {
        let mut driver = Driver::new(opened, seed);
        if driver.make().is_some() {
            while driver.round(body_max).is_some() {}
        }
        drop(driver.opened.store.close());
        driver.conclude();
        memory = driver.memory;
    }
    let survivor = io.crash(dice.roll(u64::MAX));
    // The recovery may be killed too, at any of its operations, and the next one starts from what that leaves.
    survivor.plant(Fault::Stop { at: dice.roll(60) });
    if let Ok(opened) = open(Arc::new(survivor.clone()), dir, checkpoint_bytes) {
        drop(opened.store.close());
    }
    let last = survivor.crash(dice.roll(u64::MAX));
    let opened = open(Arc::new(last), dir, checkpoint_bytes).unwrap();
    check(&opened.store, &memory);
    recoveries.add();
    let mut driver = Driver::new(opened, seed);
    if memory.acknowledged.is_empty() {
        // The crash may have come before topics were made.
        let _ = driver.make();
    }
    driver.round(body_max).unwrap();
    driver.opened.store.close().unwrap();
}

#[test]
fn what_was_acknowledged_survives_a_crash_at_any_operation() {
    let crashes = number("SLUICE_CRASHES", or_long(500, 3000));
    let (first, recoveries) = (number("SLUICE_SEED", 1), Recoveries::default());
    println!("seeds {first}..{}", first + crashes);
    for seed in first..first + crashes {
        let crash = std::panic::AssertUnwindSafe(|| crash_once(seed, &recoveries));
        let failed = std::panic::catch_unwind(crash).is_err();
        assert!(!failed, "crash point with SLUICE_SEED={seed} SLUICE_CRASHES=1");
    }
    recoveries.at_least(crashes);
}

#[test]
fn a_failed_sync_fails_the_store_and_acknowledges_nothing_after_it() {
    for nth in 1..40 {
        let io = FaultyIo::new(nth);
        let dir = Path::new("/data/broker-a");
        let mut driver = Driver::new(open(Arc::new(io.clone()), dir, 20_000).unwrap(), nth);
        driver.make().unwrap();
        io.plant(Fault::SyncError { nth });
        fails_and_loses_nothing(driver, &io, &format!("sync {nth}"));
    }
}

#[test]
fn a_sync_that_finds_no_space_fails_the_store_like_any_other() {
    let dir = Path::new("/data/broker-a");
    // The log's, a checkpoint's sync of everything, and that of a file into which a run of the index is sorted.
    for below in ["log", "checkpoint", "index"] {
        let io = FaultyIo::new(1);
        let mut driver = Driver::new(open(Arc::new(io.clone()), dir, 20_000).unwrap(), 1);
        driver.make().unwrap();
        (0..10).for_each(|_| driver.round(500).unwrap());
        let below = dir.join(below);
        io.plant(Fault::SyncNoSpace {
            below: below.clone(),
            nth: 1,
        });
        // Another hour closes the index's run, which the next checkpoint allows to be sorted.
        driver.pass_time(3_600_000);
        fails_and_loses_nothing(driver, &io, &below.display().to_string());
    }
}

/// Goes on until a planted fault of a sync is hit; then the store must have failed, and what it acknowledged be durable.
fn fails_and_loses_nothing(mut driver: Driver, io: &FaultyIo, what: &str) {
    for _ in 0..3000 {
        if driver.round(500).is_none() {
            break;
        }
    }
    // Where checkpoints follow each other closely, the index is sorted at the stop.
    let closed = driver.opened.store.close();
    assert!(
        driver.has_failed() || closed.is_err(),
        "{what}: the process goes on"
    );
    driver.conclude();
    // What the failed sync was to make durable is gone; what was acknowledged is not among it.
    let dir = Path::new("/data/broker-a");
    let opened = open(Arc::new(io.crash_losing_all()), dir, 20_000).unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
}
