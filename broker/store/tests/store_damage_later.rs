//! Damage that is found while the store is in use, on a read or by the scrub, and a store that goes on with it: messages come,
//! checkpoints are written, retention gives the log's start up. Everything but what is damaged still arrives, whatever was damaged
//! answers an error and nothing else, and in the end it is gone with the log or was made again.
//!
//! `SLUICE_SEED` is the first seed, `SLUICE_LONG` makes them many.
#![cfg(test)]

mod damage;
mod workload;

use damage::{Harm, Left, Picture, files, open_copy, whole_store};
use sluice_core::ids::TopicId;
use sluice_store::io::FaultyIo;
use sluice_store::retention::{Own, RetentionError, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use workload::{Driver, Memory, Opened, TOPICS};

const RUNS: u64 = 40;
const RUNS_LONG: u64 = 2_000;
const DAY_MS: u64 = 24 * 3_600_000;
/// Rounds of a life, and of them one of so many ends with a run of retention.
const ROUNDS: u32 = 90;
const RETENTION_EVERY: u32 = 30;
/// Where retention has not had the log begin later in these.
const ROUNDS_MAX: u32 = 900;
const BODY_MAX: u64 = 8_000;
const KEPT_BYTES: u64 = 500_000;
/// Bytes of a segment before its first frame.
const PAGE_BYTES: u64 = 4096;
/// A byte of a command that is one of its record.
const INTO_RECORD: u64 = 60;
/// The record of a message that waits, which retention has carried.
const WAITING: &str = "seg, where a message waits";
/// What is damaged: the kind of file, and whether the store is open already.
const HARMS: [(&str, bool); 8] = [
    ("seg", false),
    (WAITING, false),
    ("cq", false),
    ("cq", true),
    ("idx", false),
    ("idx", true),
    ("pack", true),
    ("root", true),
];

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// What came of retention in a life.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Retained {
    /// How often the log's start has gone.
    times: u32,
    /// Places of messages that waited and were damaged.
    lost: u64,
    /// Runs that could not read queue entries.
    blocked: u32,
}

/// Where the records of carried messages stand: first those that nobody does anything to, which wait for as long as the store lives.
fn waiting(opened: &Opened, segments: &[PathBuf]) -> Vec<(PathBuf, usize)> {
    let base = |path: &PathBuf| {
        path.file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let tables = opened.store.tables();
    let mut queues = tables.carried_queues();
    queues.sort_by_key(|at| at.topic.0 != TOPICS);
    let places = queues
        .into_iter()
        .flat_map(|at| tables.carried_of(at))
        .map(|(_, entry)| entry.physical.0);
    let place = |physical: u64| {
        let segment = segments.iter().rfind(|path| base(path) <= physical).unwrap();
        (
            segment.clone(),
            (PAGE_BYTES + physical - base(segment) + INTO_RECORD) as usize,
        )
    };
    places.map(place).collect()
}

/// Uses the store for a while.
fn live(driver: &mut Driver, harm: &Harm) -> Retained {
    let settings = Settings {
        keep_ms: Some(DAY_MS),
        keep_bytes: Some(KEPT_BYTES),
        own: [(TopicId(1), Own::bytes(20_000))].into(),
        ..Settings::default()
    };
    let mut retained = Retained::default();
    let mut round = 0;
    // The log begins later where a checkpoint stands, and who writes those may have had no processor yet.
    while round < ROUNDS || (retained.times + retained.blocked == 0 && round < ROUNDS_MAX) {
        round += 1;
        driver.round(BODY_MAX).unwrap();
        if !round.is_multiple_of(RETENTION_EVERY) {
            continue;
        }
        match driver.retain(&settings) {
            Ok(ran) => {
                retained.times += u32::from(ran.start.is_some());
                retained.lost += ran.lost;
            }
            Err(RetentionError::Entries(error)) if harm.kind == "cq" => {
                assert!(error.to_string().contains(".cq"), "{harm}: {error}");
                retained.blocked += 1;
            }
            // What a checkpoint lacks is found by the run, and the next checkpoint is whole.
            Err(RetentionError::Store(error)) if ["pack", "root"].contains(&harm.kind) => {
                assert!(error.to_string().contains("checkpoint/"), "{harm}: {error}");
            }
            Err(error) => panic!("{harm}: {error}"),
        }
    }
    retained
}

/// Reads everything again in one round.
fn scrub(opened: &Opened) -> usize {
    let (mut scrub, mut found) = (opened.store.scrub(), 0);
    loop {
        let step = scrub.step(1_000);
        found += step.findings.len();
        if step.is_last {
            return found;
        }
    }
}

fn close(opened: &Opened, harm: &Harm) {
    let closed = opened.store.close();
    assert!(closed.is_ok(), "{harm}: {closed:?}");
    assert!(
        !opened.failed.load(Ordering::SeqCst),
        "{harm}: the process would have ended"
    );
}

/// What came of one damage.
#[derive(Debug, Default)]
struct Came {
    found: bool,
    unread: usize,
    unread_in_the_end: usize,
    retained: Retained,
}

struct Sound {
    io: FaultyIo,
    picture: Picture,
    /// Where records of messages stand that retention has carried, each by its segment and place in it.
    waiting: Vec<(PathBuf, usize)>,
}

impl Sound {
    fn make() -> Self {
        let io = whole_store(5);
        let opened = open_copy(&io.crash_keeping_all()).unwrap();
        let picture = Picture::whole(&opened.store);
        let waiting = waiting(&opened, &files(&io, "seg"));
        opened.store.close().unwrap();
        Self { io, picture, waiting }
    }

    /// Damages a copy, and lets it go on through two lives and the start after them. `None` where a start refuses, or makes good,
    /// what was damaged before it.
    fn try_one(&self, seed: u64) -> Option<(&'static str, Came)> {
        let io = self.io.crash_keeping_all();
        let (kind, is_open) = HARMS[seed as usize % HARMS.len()];
        let harm = || self.harm(&io, seed, kind);
        let before = (!is_open).then(harm);
        let opened = open_copy(&io).ok()?;
        let harm = before.unwrap_or_else(harm);
        let findings = scrub(&opened);
        let mut came = Came::default();
        let at_first = Left::of(&opened.store, &self.picture, &harm);
        came.found = findings > 0 || !at_first.unread.is_empty() || !at_first.not_found.is_empty();
        came.unread = at_first.unread.len();
        if !came.found && !is_open {
            close(&opened, &harm);
            return None;
        }
        let mut unread = at_first.unread;
        let mut memory = Memory::default();
        let mut opened = Some(opened);
        for life in 0..2 {
            let now = opened.take().unwrap_or_else(|| self.start(&io, &harm));
            let (left, retained) = self.one_life(now, &mut memory, &harm, seed + life);
            came.retained.times += retained.times;
            came.retained.lost += retained.lost;
            came.retained.blocked += retained.blocked;
            assert!(left.unread.is_subset(&unread), "{harm}: more is damaged than was");
            let is_first_of_index = kind == "idx" && life == 0;
            assert!(
                left.not_found.is_empty() || is_first_of_index,
                "{harm}: {:?}",
                left.not_found
            );
            // A start makes good what is derived; the log's own damage stays until retention has taken it.
            unread = if kind == "seg" {
                left.unread
            } else {
                BTreeSet::new()
            };
        }
        let last = self.start(&io, &harm);
        let left = Left::of(&last.store, &self.picture, &harm);
        left.has_new(&last.store, &memory.acknowledged, &harm);
        assert!(
            left.unread.is_subset(&unread) && left.not_found.is_empty(),
            "{harm}: {left:?}"
        );
        close(&last, &harm);
        came.unread_in_the_end = left.unread.len();
        assert!(
            came.retained.times > 0,
            "{harm}: retention stands still: {came:?}"
        );
        Some((kind, came))
    }

    fn harm(&self, io: &FaultyIo, seed: u64, kind: &'static str) -> Harm {
        if kind != WAITING {
            return Harm::done(io, seed, kind, &files(io, kind));
        }
        let (segment, at) = &self.waiting[seed as usize / HARMS.len() % self.waiting.len()];
        Harm::flip(io, seed, kind, segment, *at)
    }

    fn start(&self, io: &FaultyIo, harm: &Harm) -> Opened {
        open_copy(io).unwrap_or_else(|error| panic!("{harm}: the next start refuses: {error}"))
    }

    /// Lives, looks at everything, and closes.
    fn one_life(&self, opened: Opened, memory: &mut Memory, harm: &Harm, seed: u64) -> (Left, Retained) {
        let mut driver = Driver::new(opened, seed).without_administrators();
        driver.memory = std::mem::take(memory);
        driver.pass_time(driver.opened.store.tables().now());
        let retained = live(&mut driver, harm);
        let store = &driver.opened.store;
        let left = Left::of(store, &self.picture, harm);
        left.has_new(store, &driver.memory.acknowledged, harm);
        close(&driver.opened, harm);
        *memory = driver.memory;
        (left, retained)
    }
}

#[test]
fn a_store_goes_on_with_damage_that_a_read_has_found_and_everything_else_arrives() {
    let long = std::env::var_os("SLUICE_LONG").is_some();
    let (first, runs) = (number("SLUICE_SEED", 1), if long { RUNS_LONG } else { RUNS });
    println!("SLUICE_SEED={first}, {runs} runs");
    let sound = Sound::make();
    let mut all = BTreeMap::<_, Vec<Came>>::new();
    for (kind, came) in (first..first + runs).filter_map(|seed| sound.try_one(seed)) {
        all.entry(kind).or_default().push(came);
    }
    for (kind, came) in &all {
        let found = came.iter().filter(|came| came.found).count();
        let sum = |of: fn(&Came) -> u64| came.iter().map(of).sum::<u64>();
        println!(
            "{kind}: {} went on, {found} with damage that was found: {} messages unread at first, {} in the end; the log began later {} times, {} waited and were lost, {} runs of retention were held up",
            came.len(),
            sum(|came| came.unread as u64),
            sum(|came| came.unread_in_the_end as u64),
            sum(|came| u64::from(came.retained.times)),
            sum(|came| came.retained.lost),
            sum(|came| u64::from(came.retained.blocked)),
        );
        assert!(found > 0, "{kind}: none was found");
    }
    assert!(
        ["seg", "cq", "idx", "pack", "root"]
            .iter()
            .all(|kind| all.contains_key(kind))
    );
    let lost = |came: &Came| came.retained.lost > 0;
    assert!(
        all[WAITING].iter().any(lost),
        "retention does not wait for what is lost"
    );
    let healed = |came: &Came| came.unread > 0 && came.unread_in_the_end == 0;
    assert!(
        all["seg"].iter().any(healed),
        "the log's damage goes with its segments"
    );
}
