//! A used store, what stands where in it, ways to damage it, and what must be left after a repair.
#![allow(dead_code, reason = "each test file uses a part of it")]

mod behind;
mod harm;
mod used;

#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use behind::{Behind, READER, SENT_TO};
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use harm::{damage_frame, flip, place, segment_path};
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use used::{Used, entries_that_fail, frames, used};

use crate::workload::{Driver, Opened, open};
use sluice_core::ids::TopicId;
use sluice_store::StoreError;
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::repair::{Accepted, Done, Plan, Range, RepairError, needed, plan};
use sluice_store::retention::{Own, Settings};
use sluice_store::survey::{Depth, Survey, survey};
use std::path::Path;
use std::sync::Arc;

pub const DIR: &str = "/data/broker-a";
pub const CHECKPOINT_BYTES: u64 = 60_000;

/// `SLUICE_SEED`, which is told.
pub fn seed() -> u64 {
    let seed = std::env::var("SLUICE_SEED").map_or(7, |seed| seed.parse().unwrap());
    println!("SLUICE_SEED={seed}");
    seed
}

pub fn shared(io: &FaultyIo) -> Arc<dyn LogIo> {
    Arc::new(io.clone())
}

pub fn start(io: &FaultyIo) -> Result<Opened, StoreError> {
    open(shared(io), Path::new(DIR), CHECKPOINT_BYTES)
}

pub fn look(io: &FaultyIo) -> Survey {
    survey(&shared(io), Path::new(DIR), Depth::Everything).unwrap()
}

/// A store whose log begins later, by retention so many times, and what it has been told. It is closed.
pub fn trimmed(seed: u64, times: u32) -> (FaultyIo, Driver) {
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(start(&io).unwrap(), seed).without_administrators();
    driver.make().unwrap();
    trim(&mut driver, times);
    driver.opened.store.close().unwrap();
    (io, driver)
}

/// Has the log begin later, so many times.
pub fn trim(driver: &mut Driver, times: u32) {
    let settings = Settings {
        keep_bytes: Some(700_000),
        own: [(TopicId(1), Own::bytes(50_000))].into(),
        ..Settings::default()
    };
    (0..times).for_each(|_| driver.begin_later(&settings, 4000));
}

/// What would be given up for all that is damaged.
pub fn wanted(io: &FaultyIo) -> Vec<Range> {
    needed(&look(io).log.damage)
}

pub fn planned(io: &FaultyIo, ranges: &[Range], wider: bool) -> Result<Plan, RepairError> {
    let accepted = Accepted {
        ranges,
        wider,
        ..Accepted::default()
    };
    plan(&shared(io), Path::new(DIR), &accepted)
}

pub fn repair(io: &FaultyIo, ranges: &[Range]) -> Done {
    let plan = planned(io, ranges, false).unwrap_or_else(|error| panic!("{ranges:?}: {error}"));
    assert!(!plan.is_done);
    plan.run(&shared(io)).unwrap()
}

/// Nothing of the log is damaged any more.
pub fn sound(io: &FaultyIo) -> Survey {
    let found = look(io);
    assert!(found.findings.is_sound(), "{:?}", found.findings);
    found
}

/// A start that damage stops; answers what it says.
pub fn refusal(io: &FaultyIo) -> String {
    match start(io) {
        Err(error @ StoreError::Damaged { .. }) => error.to_string(),
        Err(error) => panic!("refused for another reason: {error}"),
        Ok(_) => panic!("it starts over damage"),
    }
}
