//! The log on a full disk: what is refused is not there after any crash, what is acknowledged is (D2), and the log goes on when there is space.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod asked;
mod log_bench;

use asked::{Asked, check_after_crash, messages, open};
use log_bench::{Answer, SEGMENT, message, outcome};
use sluice_core::log::{NotProposed, Outcome};
use sluice_store::io::{Fault, FaultyIo};

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
fn a_start_needs_no_room_however_many_came_before_it_and_the_log_goes_on_behind_it() {
    // Where the active segment has room for no frame, where it is at its end, and where some starts have a frame yet.
    for (after, is_at_end) in [(0, false), (0, true), (41, false), (100, true)] {
        let what = format!("{after} bytes, at the segment's end: {is_at_end}");
        let mut io = FaultyIo::new(1);
        let mut bench = open(&io).unwrap();
        let written = bench.propose(vec![message(0, 3000)]);
        bench.run();
        assert!(matches!(outcome(&written), Some(Outcome::Applied(_))));
        if is_at_end {
            bench.prefill().unwrap();
            while bench.parts.writer.tail().physical.0 < SEGMENT - 8192 {
                drop(bench.propose(vec![message(1, 3000)]));
                bench.run();
            }
        }
        let (mut all, mut terms) = (Vec::new(), vec![bench.parts.writer.term()]);
        for start in 0..8 {
            io = io.crash_keeping_all();
            io.plant(Fault::NoSpace { after });
            bench = open(&io).unwrap_or_else(|error| panic!("{what}, start {start}: {error}"));
            assert!(bench.replayed.starts_with(&all), "{what}, start {start}");
            terms.push(bench.parts.writer.term());
            let fits = |answer: Option<Outcome>| match answer {
                Some(Outcome::Applied(_)) => true,
                Some(Outcome::NotProposed(NotProposed::NoSpace)) => false,
                other => panic!("{what}, start {start}: {other:?}"),
            };
            let takes_one = |bench: &mut log_bench::Bench| {
                let other = bench.propose(vec![sluice_core::command::encode_level(1, 1)]);
                bench.run();
                fits(outcome(&other))
            };
            while takes_one(&mut bench) {}
            all = bench.all();
        }
        assert!(terms.is_sorted_by(|one, next| one < next), "{what}: {terms:?}");
        io.lift_no_space();
        let again = bench.propose(vec![message(2, 3000)]);
        bench.run();
        assert!(matches!(outcome(&again), Some(Outcome::Applied(_))), "{what}");
        let last = bench.all().pop().unwrap();
        assert_eq!(last.header().term, *terms.last().unwrap(), "{what}");
        for crashed in [io.crash_losing_all(), io.crash_keeping_all(), io.crash(2)] {
            let replayed = open(&crashed).unwrap().replayed;
            assert!(
                replayed.starts_with(&all) && replayed.last() == Some(&last),
                "{what}"
            );
            assert_eq!(messages(&replayed).last(), Some(&2), "{what}");
        }
    }
}
