//! The log on files that fail: what was acknowledged is there after any crash, and what was refused is not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod crashes;
mod log_bench;

use crashes::{Recoveries, or_long};
use log_bench::{Answer, Bench, Random, SEGMENT, message, options, outcome};
use sluice_core::log::{NotProposed, Outcome};
use sluice_store::io::{Fault, FaultyIo, LogIo};
use sluice_store::log::{Flush, Frame, LogError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const DIR: &str = "/data/broker-a";

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn open(io: &FaultyIo) -> Result<Bench, LogError> {
    Bench::open(Arc::new(io.clone()), dir())
}

/// The numbers of the messages in these frames, in order.
fn messages(frames: &[Frame]) -> Vec<u32> {
    let commands = frames.iter().flat_map(Frame::commands);
    let body = |bytes: bytes::Bytes| {
        let (_, command) = sluice_core::command::Command::decode(&bytes).unwrap();
        match command {
            sluice_core::command::Command::Append(append) => {
                let body = sluice_core::record::Record::parse(append.record).unwrap().body;
                Some(u32::from_le_bytes(*body.first_chunk().unwrap()))
            }
            _ => None,
        }
    };
    commands.filter_map(|(_, _, bytes)| body(bytes)).collect()
}

/// A workload until the file system stops: what was asked, and how it was answered.
#[derive(Default)]
struct Asked {
    answers: Vec<Answer>,
    acknowledged: BTreeSet<u32>,
    refused: BTreeSet<u32>,
}

impl Asked {
    fn settle(&mut self) {
        for (n, answer) in self.answers.iter().enumerate() {
            match outcome(answer) {
                Some(Outcome::Applied(_)) => assert!(self.acknowledged.insert(n as u32), "answered twice"),
                Some(Outcome::NotProposed(_)) => assert!(self.refused.insert(n as u32), "answered twice"),
                Some(other) => panic!("message {n} was answered {other:?}"),
                None => {}
            }
        }
    }
}

/// Proposes `count` messages of seeded sizes in seeded groups, with prefilling and pauses between; ends when the log fails.
fn work(bench: &mut Bench, seed: u64, count: u32) -> Asked {
    let mut random = Random(seed);
    let mut asked = Asked::default();
    for n in 0..count {
        let size = if random.below(20) == 0 {
            20_000
        } else {
            4 + random.below(1500) as usize
        };
        asked.answers.push(bench.propose(vec![message(n, size)]));
        let failed = match random.below(12) {
            0..4 => bench.try_run().is_err(),
            4 => bench.prefill().is_err(),
            5 => {
                bench.now += Duration::from_millis(60);
                bench.try_run().is_err()
            }
            _ => false,
        };
        asked.settle();
        if failed {
            return asked;
        }
    }
    let _ = bench.try_run();
    asked.settle();
    asked
}

/// The crash points to try: `LOG_CRASH_POINTS`, or as many as fit a CI run; all in the long form.
fn crash_points() -> u64 {
    std::env::var("LOG_CRASH_POINTS")
        .ok()
        .and_then(|points| points.parse().ok())
        .unwrap_or_else(|| or_long(400, u64::MAX))
}

/// Opens the crashed log and checks it against what was asked.
fn check_after_crash(crashed: &FaultyIo, asked: &Asked, what: &str) {
    let mut bench = open(crashed).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = messages(&bench.replayed);
    assert!(
        found.is_sorted() && found.windows(2).all(|pair| pair[0] < pair[1]),
        "{what}: order or doubles"
    );
    let found: BTreeSet<u32> = found.into_iter().collect();
    let lost: Vec<&u32> = asked.acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "{what}: lost {lost:?}");
    let back: Vec<&u32> = asked.refused.intersection(&found).collect();
    assert!(
        back.is_empty(),
        "{what}: refused, and there all the same: {back:?}"
    );
    assert!(
        found.iter().all(|n| (*n as usize) < asked.answers.len()),
        "{what}: invented"
    );
    // The log goes on, and what it takes now is there after the next crash as well.
    let answer = bench.propose(vec![message(1_000_000, 100)]);
    bench.run();
    assert!(
        matches!(outcome(&answer), Some(Outcome::Applied(_))),
        "{what}: the log does not go on"
    );
    let all = bench.all();
    drop(bench);
    let again = open(&crashed.crash_losing_all()).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    assert!(again.replayed == all, "{what}: the second start differs");
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
fn a_full_disk_refuses_whole_groups_and_the_log_goes_on_when_there_is_space() {
    let free = [
        0, 1, 39, 40, 41, 500, 3000, 9000, 70_000, 150_000, 200_000, 262_144, 300_000, 400_000,
    ];
    for (after, size) in free
        .into_iter()
        .flat_map(|after| [(after, 3000), (after, 25_000)])
    {
        let io = FaultyIo::new(after);
        let mut bench = open(&io).unwrap();
        io.plant(Fault::NoSpace { after });
        let mut asked = Asked::default();
        for n in 0..200 {
            asked.answers.push(bench.propose(vec![message(n, size)]));
            // Groups of several frames, so that whole ones of them fit the space that is left.
            if n % 9 != 0 && n < 199 {
                continue;
            }
            bench.run();
            let refused_before = asked.refused.len();
            asked.settle();
            if refused_before == 0 && !asked.refused.is_empty() {
                let crashed = [
                    io.crash_losing_all(),
                    io.crash_keeping_all(),
                    io.crash(1),
                    io.crash(2),
                    io.crash(3),
                ];
                for (how, crashed) in crashed.iter().enumerate() {
                    check_after_crash(crashed, &asked, &format!("{after} bytes for {size}, crash {how}"));
                }
            }
        }
        assert!(!asked.refused.is_empty(), "{after} bytes");
        assert_eq!(
            asked.refused.len() + asked.acknowledged.len(),
            200,
            "everybody is answered"
        );
        io.lift_no_space();
        let answers: Vec<Answer> = (200..260)
            .map(|n| bench.propose(vec![message(n, 3000)]))
            .collect();
        bench.run();
        assert!(
            answers
                .iter()
                .all(|answer| matches!(outcome(answer), Some(Outcome::Applied(_)))),
            "{after}"
        );
        asked.acknowledged.extend(200..260);
        asked.answers.extend(answers);
        check_after_crash(
            &io.crash_losing_all(),
            &asked,
            &format!("{after} bytes and space again"),
        );
    }
}

#[test]
fn messages_leave_the_reserve_alone_however_rarely_the_disk_is_looked_at() {
    let io = FaultyIo::new(1);
    let mut bench = open(&io).unwrap();
    bench.prefill().unwrap();
    io.plant(Fault::NoSpace { after: 0 });
    // Half of the segment is written: a spare one is wanted, and the disk has nothing for it. Nobody looks again.
    let half = SEGMENT as u32 / 2 / 3000 + 1;
    (0..half).for_each(|n| drop(bench.propose(vec![message(n, 3000)])));
    bench.run();
    // With some that are not written yet.
    let queued: Vec<Answer> = (0..10).map(|n| bench.propose(vec![message(n, 3000)])).collect();
    bench.prefill().unwrap();
    let messages: Vec<Answer> = (half..1000)
        .map(|n| bench.propose(vec![message(n, 3000)]))
        .collect();
    bench.run();
    let outcomes = queued
        .iter()
        .chain(&messages)
        .map(|answer| outcome(answer).unwrap());
    let taken = outcomes.filter(|outcome| matches!(outcome, Outcome::Applied(_)));
    let taken = taken.count();
    let mut others = 0;
    loop {
        let other = bench.propose(vec![sluice_core::command::encode_level(1, 1)]);
        bench.run();
        match outcome(&other) {
            Some(Outcome::Applied(_)) => others += 1,
            Some(Outcome::NotProposed(NotProposed::NoSpace)) => break,
            other => panic!("{other:?}"),
        }
    }
    println!("{taken} messages of 3,000 bytes, then {others} frames of something else");
    assert!(taken > 0, "what is filled and no reserve is theirs");
    // A frame of one small command takes 56 bytes.
    assert!(others * 56 >= SEGMENT / 4, "{others} frames fit what was left");
}

#[test]
fn the_prefilled_reserve_is_kept_from_messages_on_a_full_disk() {
    let io = FaultyIo::new(1);
    let mut bench = open(&io).unwrap();
    bench.prefill().unwrap();
    io.plant(Fault::NoSpace { after: 0 });
    let mut n = 0;
    let refused = loop {
        let answer = bench.propose(vec![message(n, 3000)]);
        bench.run();
        bench.prefill().unwrap();
        n += 1;
        if let Some(Outcome::NotProposed(refusal)) = outcome(&answer) {
            break refusal;
        }
    };
    assert_eq!(refused, NotProposed::NoSpace);
    let other = bench.propose(vec![sluice_core::command::encode_level(1, 1)]);
    bench.run();
    assert!(
        matches!(outcome(&other), Some(Outcome::Applied(_))),
        "what is no message goes on"
    );
    io.lift_no_space();
    bench.prefill().unwrap();
    let again = bench.propose(vec![message(n, 3000)]);
    bench.run();
    assert!(
        matches!(outcome(&again), Some(Outcome::Applied(_))),
        "and so do messages when there is space"
    );
}

#[test]
fn a_segment_that_found_no_space_leaves_nothing_in_the_way_of_the_next_one() {
    let io = FaultyIo::new(1);
    let mut bench = open(&io).unwrap();
    bench.prefill().unwrap();
    // No helper from here on, so that there is no spare segment: the next one needs space when it begins.
    let mut n = 0;
    while bench.parts.writer.tail().physical.0 < SEGMENT - 40_000 {
        drop(bench.propose(vec![message(n, 20_000)]));
        bench.run();
        n += 1;
    }
    io.plant(Fault::NoSpace { after: 0 });
    let large = bench.propose(vec![message(n, 30_000)]);
    let larger = bench.propose(vec![message(n, 32_000)]);
    bench.run();
    for refused in [large, larger] {
        assert_eq!(
            outcome(&refused),
            Some(Outcome::NotProposed(NotProposed::NoSpace))
        );
    }
    let crashed = [io.crash_losing_all(), io.crash_keeping_all(), io.crash(1)];
    crashed.iter().for_each(|io| drop(open(io).unwrap()));
    let small = bench.propose(vec![sluice_core::command::encode_level(1, 1)]);
    bench.run();
    assert!(
        matches!(outcome(&small), Some(Outcome::Applied(_))),
        "it fits the old one"
    );
    io.lift_no_space();
    let large = bench.propose(vec![message(n, 30_000)]);
    bench.run();
    assert!(matches!(outcome(&large), Some(Outcome::Applied(_))));
    let all = bench.all();
    for io in [io.crash_losing_all(), io.crash_keeping_all(), io.crash(2)] {
        assert!(open(&io).unwrap().replayed == all);
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
