//! Messages that waited too long for the log: refused, surely not written, and counted; what is no message goes on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod log_bench;

use log_bench::{Answer, Bench, message, options, outcome};
use sluice_core::command::encode_level;
use sluice_core::log::{NotProposed, Outcome};
use sluice_store::io::FaultyIo;
use sluice_store::log::{Frame, LogOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn open(wait: Duration) -> Bench {
    let options = LogOptions {
        inbox_wait: Some(wait),
        ..options(Path::new("/data/broker-a"))
    };
    Bench::open_with(Arc::new(FaultyIo::new(1)), options).unwrap()
}

/// More than one group takes, each message of 1 KiB and numbered from 0.
const MANY: u32 = 1500;

fn late(answer: &Answer) -> Option<bool> {
    match outcome(answer)? {
        Outcome::NotProposed(NotProposed::Late { .. }) => Some(true),
        Outcome::Applied(_) => Some(false),
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_that_waited_too_long_are_refused_and_not_written_but_for_what_the_next_group_takes() {
    let mut bench = open(Duration::ZERO);
    let before = bench.committed().len();
    let answers: Vec<_> = (0..MANY).map(|n| bench.propose(vec![message(n, 1024)])).collect();
    let level = bench.propose(vec![encode_level(1, 7)]);
    let mixed = bench.propose(vec![encode_level(1, 8), message(MANY, 100)]);
    bench.run();
    let late_ones: Vec<_> = answers.iter().map(|answer| late(answer).unwrap()).collect();
    let written = late_ones.iter().filter(|late| !**late).count();
    assert!((500..1100).contains(&written), "{written}: about 1 MiB");
    assert!(late_ones.is_sorted(), "what came first is written");
    assert_eq!(late(&level), Some(false), "it is no message");
    assert_eq!(late(&mixed), Some(true));
    let frames = bench.committed();
    let count = |frame: &Frame| usize::from(frame.header().count);
    assert_eq!(frames[before..].iter().map(count).sum::<usize>(), written + 1);
}

#[test]
fn a_message_that_waits_less_is_written() {
    let mut bench = open(Duration::from_secs(3600));
    let answers: Vec<_> = (0..MANY).map(|n| bench.propose(vec![message(n, 1024)])).collect();
    bench.run();
    assert!(answers.iter().all(|answer| late(answer) == Some(false)));
}

#[test]
fn the_room_of_what_was_refused_is_there_for_others() {
    let mut bench = open(Duration::ZERO);
    let most = options(Path::new("/")).inbox_commands as u32;
    for round in 0..3 {
        let answers: Vec<_> = (0..most).map(|n| bench.propose(vec![message(n, 4)])).collect();
        bench.run();
        let refused = answers.iter().filter(|answer| late(answer) == Some(true)).count();
        assert!(
            refused > 0,
            "round {round}: none waited too long, and one that found no room would be no late one"
        );
    }
}
