//! What a log in memory was asked and how it answered, held against what is there after a crash.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use crate::log_bench::{Answer, Bench, Random, message, outcome};
use sluice_core::log::Outcome;
use sluice_store::io::FaultyIo;
use sluice_store::log::{Frame, LogError};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const DIR: &str = "/data/broker-a";

pub fn dir() -> &'static Path {
    Path::new(DIR)
}

pub fn open(io: &FaultyIo) -> Result<Bench, LogError> {
    Bench::open(Arc::new(io.clone()), dir())
}

/// The numbers of the messages in these frames, in order.
pub fn messages(frames: &[Frame]) -> Vec<u32> {
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
pub struct Asked {
    pub answers: Vec<Answer>,
    pub acknowledged: BTreeSet<u32>,
    pub refused: BTreeSet<u32>,
}

impl Asked {
    pub fn settle(&mut self) {
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
pub fn work(bench: &mut Bench, seed: u64, count: u32) -> Asked {
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

/// Opens the crashed log and checks it against what was asked.
pub fn check_after_crash(crashed: &FaultyIo, asked: &Asked, what: &str) {
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
