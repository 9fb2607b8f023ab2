//! Retention (F8) on a disk that is full to the last byte: it waits, or makes room, and loses nothing that waits.
#![cfg(test)]

mod workload;

use sluice_core::command::{Deliver, Standing, Take, encode_level};
use sluice_core::ids::{GroupId, GroupQueueId, PhysicalOffset, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::state::Done;
use sluice_store::CheckpointPolicy;
use sluice_store::io::{Fault, FaultyIo};
use sluice_store::retention::{Ran, RetentionError, Settings};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use workload::{Driver, Opened, Stays, check, open_with, wait_for_helper};

const DIR: &str = "/data/broker-a";
const CHECKPOINT_BYTES: u64 = 400_000;
/// The reserve is a quarter of it: large enough that the log's helper finds the disk full before sends use it up.
const SEGMENT_BYTES: u64 = 2 << 20;
const ROUNDS_MAX: usize = 5_000;
const BODY_MAX: u64 = 30_000;

fn open(io: &FaultyIo) -> Opened {
    let io = Arc::new(io.clone());
    open_with(io, Path::new(DIR), CHECKPOINT_BYTES, SEGMENT_BYTES, 1_000).unwrap()
}

/// Everything is old enough to go, but for what is held.
fn settings() -> Settings {
    Settings {
        keep_ms: Some(1_000),
        ..Settings::default()
    }
}

/// The first so many messages of a queue are held for a day.
fn hold(driver: &mut Driver, messages: usize) {
    let at = TopicQueue {
        topic: TopicId(0),
        queue: QueueId(0),
    };
    let held: Vec<_> = (0..messages)
        .map(|_| driver.send_one(at, BODY_MAX).unwrap())
        .collect();
    for taken in held.chunks(32) {
        deliver(driver, at, taken);
    }
}

fn deliver(driver: &mut Driver, at: TopicQueue, taken: &[QueueOffset]) {
    let deliver = Deliver {
        id: GroupQueueId {
            group: GroupId(0),
            at,
        },
        client: "holder".to_owned(),
        attempt_id: 0,
        auto_renew: false,
        resume: false,
        standing: Standing::default(),
        invisible_ms: 24 * 3_600_000,
        taken: taken
            .iter()
            .map(|offset| Take {
                offset: *offset,
                group_hash: 0,
            })
            .collect(),
        skipped: Vec::new(),
    };
    let results = driver.ask([deliver.encode(driver.now())].into_iter().collect());
    assert!(
        matches!(&results.unwrap()[0], Ok(Done::Delivered(delivered)) if delivered.taken.len() == taken.len())
    );
}

fn until(driver: &mut Driver, what: &str, done: impl Fn(&Driver) -> bool) {
    for _ in 0..ROUNDS_MAX {
        if done(driver) {
            return;
        }
        driver.round(BODY_MAX).unwrap();
    }
    panic!("{what} does not come in {ROUNDS_MAX} rounds");
}

fn log_start(driver: &Driver) -> PhysicalOffset {
    driver.opened.store.log().start()
}

/// A store of so many segments and one more with so many messages held, on a disk that is full from now on.
fn filled(seed: u64, held: usize, segments: usize) -> (FaultyIo, Driver) {
    println!("seed {seed}");
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(open(&io), seed).without_administrators();
    driver.make().unwrap();
    hold(&mut driver, held);
    until(&mut driver, "a log of several segments", |driver| {
        driver.opened.store.log().segments() >= segments && driver.opened.store.trim_points().len() > 2
    });
    // At a segment's beginning nobody asks the disk for anything.
    let segments = driver.opened.store.log().segments();
    until(&mut driver, "another segment", |driver| {
        driver.opened.store.log().segments() > segments
    });
    driver.wait_for_reserve(&io, Path::new(DIR), SEGMENT_BYTES);
    io.plant(Fault::NoSpace { after: 0 });
    // There is no clock here that would make one due before the log's reserve is used up.
    driver.opened.store.set_checkpoint_policy(CheckpointPolicy {
        bytes: 10_000,
        every: Duration::from_secs(3600),
    });
    (io, driver)
}

/// The same once sends have used up what is theirs.
fn full(seed: u64) -> (FaultyIo, Driver) {
    let (io, mut driver) = filled(seed, 2, 4);
    until(&mut driver, "a refused send", |driver| {
        driver.memory.refused_for_space > 0
    });
    (io, driver)
}

fn retain(driver: &mut Driver) -> Result<Ran, RetentionError> {
    driver.pass_time(10_000);
    driver.retain(&settings())
}

#[test]
fn retention_makes_room_on_a_full_disk_and_sends_are_taken_again_by_themselves() {
    for seed in 0..2 {
        let (io, mut driver) = full(seed);
        let begun = log_start(&driver);
        let ran = retain(&mut driver).unwrap();
        let start = ran.start.expect("the log is to begin later");
        assert_eq!(ran.carried.0, 2, "what is held is carried: {ran:?}");
        let sent = driver.memory.acknowledged.len();
        until(&mut driver, "room", |driver| {
            log_start(driver) > begun && driver.memory.acknowledged.len() > sent + 20
        });
        assert!(log_start(&driver) >= start && !driver.has_failed());
        check(&driver.opened.store, &driver.memory);
        let stays = Stays::all(&driver.opened.store);
        assert!(stays.counts().1 >= 2, "what is held is pending");
        driver.opened.store.close().unwrap();
        let opened = open(&io.crash_losing_all());
        check(&opened.store, &driver.memory);
        stays.check(&opened.store);
        opened.store.close().unwrap();
    }
}

#[test]
fn what_waits_is_not_written_again_at_the_cost_of_the_reserve_though_nobody_has_met_the_full_disk() {
    // More than the active segment and a spare one hold together, wherever in a segment the disk became full; and less than half
    // of what would go for it, beyond which retention does not even begin.
    let held = 300;
    let (io, mut driver) = filled(0, held, 6);
    let log = driver.opened.store.log();
    assert_eq!(log.carry_max(), u64::MAX, "nobody has met the end of the disk");
    driver.pass_time(10_000);
    // In memory there is no disk to wait for: a helper without a processor would meet the end of it after the reserve.
    let helper = |opened: &Opened| wait_for_helper(opened, &io, Path::new(DIR), SEGMENT_BYTES);
    let ran = driver.retain_with(&settings(), &helper).unwrap();
    assert!(ran.blocked && ran.start.is_none(), "{ran:?}");
    let (carried, bytes) = ran.carried;
    assert!(bytes > 100_000, "it goes as far as it may: {ran:?}");
    assert!((carried as usize) < held, "it leaves the rest: {ran:?}");
    for _ in 0..5 {
        assert!(retain(&mut driver).unwrap().blocked);
    }
    // Some 70 KiB of what is no message.
    for n in 1..=70 {
        let members = (0..64).map(|_| encode_level(driver.now(), 1)).collect();
        assert!(driver.ask(members).is_some(), "{n}");
    }
    driver.opened.store.close().unwrap();
}

#[test]
fn a_crash_at_any_moment_of_it_loses_nothing_that_waits() {
    for seed in 0..2 {
        let (io, mut driver) = full(seed);
        assert_eq!(retain(&mut driver).unwrap().carried.0, 2);
        for rounds in [0, 3] {
            for _ in 0..rounds {
                driver.round(BODY_MAX).unwrap();
            }
            let stays = Stays::all(&driver.opened.store);
            for crash in 0..3 {
                let opened = open(&io.crash(crash));
                check(&opened.store, &driver.memory);
                stays.check(&opened.store);
                opened.store.close().unwrap();
            }
        }
        drop(driver.opened.store.close());
    }
}

/// Everything but sends goes on from the reserve, which is a quarter of a segment here; beyond it nothing is taken, and nothing
/// is lost.
#[test]
fn a_reserve_that_is_used_up_refuses_everything_and_room_ends_that() {
    let (io, mut driver) = full(9);
    let begun = Instant::now();
    // Nothing frees anything: every command uses up a part.
    let mut taken = 0;
    while driver
        .ask(
            [sluice_core::command::encode_level(driver.now(), 1)]
                .into_iter()
                .collect(),
        )
        .is_some()
    {
        taken += 1;
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{taken} commands and no end"
        );
    }
    println!(
        "{taken} commands went into a reserve of {} bytes",
        SEGMENT_BYTES / 4
    );
    assert!(taken >= 500, "{taken}");
    match retain(&mut driver) {
        Ok(ran) => assert!(ran.start.is_none() && ran.blocked, "{ran:?}"),
        Err(error) => assert!(matches!(error, RetentionError::NotTaken(_)), "{error}"),
    }
    assert!(!driver.has_failed());
    check(&driver.opened.store, &driver.memory);
    io.lift_no_space();
    let sent = driver.memory.acknowledged.len();
    until(&mut driver, "a send", |driver| {
        driver.memory.acknowledged.len() > sent
    });
    let stays = Stays::all(&driver.opened.store);
    driver.opened.store.close().unwrap();
    let opened = open(&io.crash_losing_all());
    check(&opened.store, &driver.memory);
    stays.check(&opened.store);
    opened.store.close().unwrap();
}
