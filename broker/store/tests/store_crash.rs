//! Crashes of a whole store at any operation, on files that lose and tear what was not synced: what was acknowledged is there (D2).
//!
//! `SLUICE_CRASHES` sets how many, `SLUICE_SEED` where the seeds start.
#![cfg(test)]

mod crashes;
mod workload;

use crashes::{Recoveries, or_long};
use sluice_store::io::{Fault, FaultyIo, LogIo, read_exact_at};
use std::path::Path;
use std::sync::Arc;
use workload::{Dice, Driver, InFlight, check, open};

/// Messages of one queue and group.
const IN_FLIGHT: u64 = 150;
/// Operations for which such a store lives longer: until they are in flight and some checkpoints are written.
const LARGE_LATER: u64 = 200;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().unwrap())
}

/// What came of crashes.
#[derive(Default)]
struct Came {
    recoveries: Recoveries,
    /// Starts that had to do with a checkpoint with patches.
    patched: u64,
}

/// Makes what the workload needs, for one of four seeds with so many messages in flight that checkpoints have patches, and goes on
/// until the store fails.
fn run_until_it_fails(driver: &mut Driver, seed: u64, body_max: u64) -> Option<()> {
    driver.make()?;
    let mut in_flight = match is_large(seed) {
        true => Some(InFlight::of_a_new_group(driver, IN_FLIGHT)?),
        false => None,
    };
    loop {
        driver.round(body_max)?;
        if let Some(in_flight) = &mut in_flight {
            in_flight.change_a_little(driver)?;
        }
    }
}

fn is_large(seed: u64) -> bool {
    seed.is_multiple_of(4)
}

/// Whether the newest checkpoint has patches.
fn has_patches(io: &FaultyIo, dir: &Path) -> bool {
    let folder = dir.join("checkpoint");
    let names = io.list(&folder).unwrap_or_default().into_iter();
    let roots = names.filter(|name| name.extension().is_some_and(|ending| ending == "root"));
    let newest = roots.max().and_then(|name| io.open_read(&folder.join(name)).ok());
    let mut version = [0; 4];
    newest.is_some_and(|file| read_exact_at(&*file, &mut version, 8).is_ok()) && version == [2, 0, 0, 0]
}

/// Runs until the planted stop, crashes, opens again and checks; twice, so that recovery is crashed too.
fn crash_once(seed: u64, came: &mut Came) {
    let dir = Path::new("/data/broker-a");
    let mut dice = Dice(seed);
    let io = FaultyIo::new(seed);
    io.plant(Fault::Stop {
        at: dice.roll(260) + if is_large(seed) { LARGE_LATER } else { 0 },
    });
    let checkpoint_bytes = 2_000 + dice.roll(30_000);
    let body_max = 1 + dice.roll(3_000);
    let mut memory = workload::Memory::default();
    if let Ok(opened) = open(Arc::new(io.clone()), dir, checkpoint_bytes) {
        let mut driver = Driver::new(opened, seed);
        run_until_it_fails(&mut driver, seed, body_max);
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
    came.patched += u64::from(has_patches(&last, dir));
    let opened = open(Arc::new(last), dir, checkpoint_bytes).unwrap();
    check(&opened.store, &memory);
    came.recoveries.add();
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
    let (first, mut came) = (number("SLUICE_SEED", 1), Came::default());
    println!("seeds {first}..{}", first + crashes);
    for seed in first..first + crashes {
        let crash = std::panic::AssertUnwindSafe(|| crash_once(seed, &mut came));
        let failed = std::panic::catch_unwind(crash).is_err();
        assert!(!failed, "crash point with SLUICE_SEED={seed} SLUICE_CRASHES=1");
    }
    came.recoveries.at_least(crashes);
    println!("{} of them from a checkpoint with patches", came.patched);
    assert!(came.patched > 0 || crashes < 100, "no checkpoint had a patch");
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
