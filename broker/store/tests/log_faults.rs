//! The log on files that fail: what was acknowledged is there after any crash (D2), and what was refused is not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod asked;
mod crashes;
mod log_bench;

use asked::{Asked, check_after_crash, dir, messages, open, work};
use crashes::{Recoveries, or_long};
use log_bench::{Bench, SEGMENT, message, options, outcome};
use sluice_core::log::{NotProposed, Outcome};
use sluice_store::io::{Fault, FaultyIo, LogIo};
use sluice_store::log::{Flush, LogError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The crash points to try: `LOG_CRASH_POINTS`, or as many as fit a CI run; all in the long form.
fn crash_points() -> u64 {
    std::env::var("LOG_CRASH_POINTS")
        .ok()
        .and_then(|points| points.parse().ok())
        .unwrap_or_else(|| or_long(400, u64::MAX))
}

#[test]
fn acknowledged_messages_survive_a_crash_at_any_operation() {
    let seed = 20_261_120;
    let whole = FaultyIo::new(seed);
    let mut bench = open(&whole).unwrap();
    work(&mut bench, seed, 700);
    let operations = whole.operations();
    let tail = bench.parts.writer.tail().physical;
    assert!(tail.0 > 3 * SEGMENT, "the workload rolls several times");
    let points = crash_points().min(operations);
    println!("seed {seed}: {points} crash points of {operations} operations");
    let recoveries = Recoveries::default();
    for point in 0..points {
        let at = point * operations / points;
        let io = FaultyIo::new(seed);
        io.plant(Fault::Stop { at });
        let asked = match open(&io) {
            Ok(mut bench) => work(&mut bench, seed, 700),
            Err(_) => Asked::default(),
        };
        let what = |how| format!("seed {seed}, stopped at operation {at}, {how}");
        for (after, how) in [
            (io.crash_losing_all(), "all unsynced lost"),
            (io.crash_keeping_all(), "all kept"),
            (io.crash(at), "some kept"),
        ] {
            check_after_crash(&after, &asked, &what(how));
            recoveries.add();
        }
    }
    recoveries.at_least(3 * points);
}

#[test]
fn short_writes_make_whole_frames() {
    let io = FaultyIo::new(7);
    io.plant(Fault::ShortWrites);
    let mut bench = open(&io).unwrap();
    let asked = work(&mut bench, 7, 200);
    assert_eq!(asked.acknowledged.len(), 200);
    check_after_crash(&io.crash_losing_all(), &asked, "short writes");
}

#[test]
fn a_failed_sync_is_fatal_and_acknowledges_nothing_then_or_later() {
    for nth in 1..=30 {
        let io = FaultyIo::new(nth);
        let mut bench = open(&io).unwrap();
        io.plant(Fault::SyncError { nth });
        let mut failed = false;
        let mut asked = Asked::default();
        for n in 0..40 {
            asked.answers.push(bench.propose(vec![message(n, 9000)]));
            failed |= bench.try_run().is_err();
            asked.settle();
            if failed {
                assert!(!asked.acknowledged.contains(&n), "sync {nth}");
                break;
            }
        }
        assert!(failed, "sync {nth}");
        assert!(bench.parts.log.positions().has_failed());
        let late = bench.propose(vec![message(99, 10)]);
        assert!(bench.try_run().is_err());
        assert_eq!(outcome(&late), Some(Outcome::NotProposed(NotProposed::Stopping)));
        check_after_crash(&io.crash_losing_all(), &asked, &format!("sync {nth} failed"));
    }
}

#[test]
fn a_failed_write_is_fatal_and_acknowledges_nothing() {
    for nth in 1..=20 {
        let io = FaultyIo::new(nth);
        let mut bench = open(&io).unwrap();
        io.plant(Fault::WriteError { nth });
        let asked = work(&mut bench, nth, 300);
        assert!(
            bench.parts.log.positions().has_failed() || bench.prefill().is_err(),
            "write {nth}"
        );
        check_after_crash(&io.crash(nth), &asked, &format!("write {nth} failed"));
    }
}

#[test]
fn asynchronous_flush_acknowledges_before_the_sync_and_syncs_in_time() {
    let io = FaultyIo::new(3);
    let mut bench = Bench::open_flushing(Arc::new(io.clone()), dir(), Flush::asynchronous()).unwrap();
    bench.run();
    let durable = bench.parts.log.positions().durable();
    let answer = bench.propose(vec![message(0, 100)]);
    bench.run();
    assert!(matches!(outcome(&answer), Some(Outcome::Applied(_))));
    assert_eq!(bench.parts.log.positions().durable(), durable, "not synced yet");
    assert!(
        bench.parts.log.reader().is_hot(durable),
        "and so it is read from memory"
    );
    assert_eq!(
        messages(&open(&io.crash_losing_all()).unwrap().replayed),
        [0_u32; 0]
    );
    bench.now += Duration::from_millis(500);
    bench.run();
    assert_eq!(
        bench.parts.log.positions().durable(),
        bench.parts.log.positions().written()
    );
    assert_eq!(messages(&open(&io.crash_losing_all()).unwrap().replayed), [0]);
}

#[test]
fn lost_segments_and_lost_meta_are_noticed() {
    let io = FaultyIo::new(4);
    let mut bench = open(&io).unwrap();
    work(&mut bench, 4, 700);
    drop(bench);
    let io = io.crash_losing_all();
    let log = dir().join("log");
    let segments: Vec<PathBuf> = io
        .list(&log)
        .unwrap()
        .into_iter()
        .map(|name| log.join(name))
        .collect();
    let segments: Vec<PathBuf> = segments
        .into_iter()
        .filter(|path| {
            path.extension().is_some_and(|ext| ext == "seg")
                && !path.ends_with("spare.seg")
                && !path.ends_with("recycled.seg")
        })
        .collect();
    assert!(segments.len() > 3);
    let without = |paths: &[PathBuf]| {
        let copy = io.crash_keeping_all();
        paths.iter().for_each(|path| copy.remove(path).unwrap());
        copy.sync_dir(&log).unwrap();
        copy.sync_dir(dir()).unwrap();
        Bench::open_only(Arc::new(copy), options(dir())).map(|_| ())
    };
    assert!(without(&[]).is_ok());
    assert!(
        matches!(without(&segments[1..2]), Err(LogError::Corruption { .. })),
        "one in the middle"
    );
    assert!(
        matches!(without(&segments), Err(LogError::Corruption { .. })),
        "all"
    );
    let meta = [dir().join("meta.a"), dir().join("meta.b")];
    assert!(matches!(without(&meta), Err(LogError::Corruption { .. })), "meta");
    assert!(
        without(&meta[..1]).is_ok() && without(&meta[1..]).is_ok(),
        "one meta file is enough to go on"
    );
}
