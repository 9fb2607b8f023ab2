//! The calls of a scripted run at which something can be injected, and which of them are.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use sluice_tests::process::{Broker, Setup};
use sluice_tests::script::{Base, Script};
use sluice_tests::seed::Chance;
use sluice_tests::strace::{Counts, Strace, from_the_start, threads};
use sluice_tests::strace::{Injected, Injection, Traced, When};
use sluice_tests::wait;

use crate::{block_on, is_long};

/// The threads that change files while the broker runs.
pub const WRITERS: [&str; 3] = ["log", "log-prefill", "checkpoint"];

/// A call of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The thread's name.
    pub thread: String,
    /// The system call.
    pub call: &'static str,
    /// Which one, from 1.
    pub nth: u32,
}

impl Point {
    /// This done to it.
    pub fn injected(&self, what: Injected) -> Injection {
        let (call, when) = (self.call, When::Nth(self.nth));
        Injection { call, what, when }
    }
}

/// How often a point is tried.
const TRIES: u32 = 4;

/// Does something at a point, or, where the run ends without it (`None`), at a call of its kind that comes sooner: how many
/// there are hangs on the disk's speed, and on who is woken first. Returns where it was done, and what came of it; `None` for a
/// kind that comes in some runs alone, such as the sync of merged runs of the index.
pub fn reach<T>(point: &Point, mut at: impl FnMut(&Point) -> Option<T>) -> Option<(Point, T)> {
    let mut tried = point.clone();
    for _ in 0..TRIES {
        if let Some(came) = at(&tried) {
            return Some((tried, came));
        }
        tried.nth = tried.nth.div_ceil(2);
    }
    println!("no run came to {point:?}, or to a call of its kind before it");
    None
}

/// How the points that were chosen were reached.
#[derive(Debug, Default)]
pub struct Reached {
    /// Where they were chosen.
    pub exactly: u32,
    /// At a call of their kind that comes sooner, which stands for them.
    pub sooner: u32,
    /// Not at all.
    pub missed: u32,
}

impl Reached {
    /// Takes note of where a point was reached, if it was.
    pub fn note(&mut self, chosen: &Point, at: Option<&Point>) {
        match at {
            Some(at) if at == chosen => self.exactly += 1,
            Some(_) => self.sooner += 1,
            None => self.missed += 1,
        }
    }

    /// Few points may be missed, and a third at least must be reached exactly, or the runs are not what they were when calls were counted.
    pub fn assert_few_missed(&self) {
        assert!(self.missed * 10 <= self.exactly + self.sooner, "{self}");
        assert!(self.sooner <= 2 * self.exactly, "{self}");
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            exactly,
            sooner,
            missed,
        } = self;
        write!(
            f,
            "{exactly} points exactly, {sooner} sooner than chosen, {missed} missed"
        )
    }
}

/// What every run does, thread by thread: other kinds of calls come in some runs alone.
pub const OF_EVERY_RUN: [(&str, &str); 10] = [
    ("log", "pwritev"),
    ("log", "fdatasync"),
    ("log", "rename"),
    ("log", "unlink"),
    ("log-prefill", "pwritev"),
    ("log-prefill", "fdatasync"),
    ("checkpoint", "pwritev"),
    ("checkpoint", "syncfs"),
    ("checkpoint", "rename"),
    ("checkpoint", "unlink"),
];

/// What every start does over what a kill has left with its newest checkpoint damaged, and the stop after it.
pub const OF_EVERY_START: [(&str, &str); 6] = [
    ("serve", "pwritev"),
    ("serve", "fdatasync"),
    ("serve", "rename"),
    ("serve", "unlink"),
    ("serve", "ftruncate"),
    ("log", "pwritev"),
];

/// Each of these kinds was reached at least once, or nothing was tried of what matters.
pub fn assert_all_reached<'a>(kinds: &[(&str, &str)], reached: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let reached: HashSet<(&str, &str)> = reached.into_iter().collect();
    let missing: Vec<_> = kinds.iter().filter(|kind| !reached.contains(*kind)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}, of {reached:?}");
}

/// A thread has its name once it runs, which on a busy machine may come after the broker is ready.
const NAMED_WITHIN: Duration = Duration::from_secs(10);

/// The numbers of the broker's threads of these names.
pub fn numbers(broker: &Broker, names: &[&str]) -> Vec<u32> {
    let named = || {
        let there = threads(broker.id().unwrap())?;
        let named = there.iter().filter(|(name, _)| names.contains(&name.as_str()));
        let numbers: Vec<_> = named.map(|(_, number)| *number).collect();
        Ok((numbers.len() == names.len()).then_some(numbers))
    };
    wait::until("the threads have their names", NAMED_WITHIN, named).unwrap_or_else(|error| {
        let there = threads(broker.id().unwrap());
        panic!("{names:?} among {there:?}: {error:#}")
    })
}

/// What each writing thread does in a run from a start to a stop. Until the stop all threads are looked at: no other one does such a
/// thing. In the stop the one that serves does too, of which `of_a_start` tells.
pub fn of_a_run(base: &Base, seed: u64) -> Counts {
    let mut broker = base.start(Setup::new()).unwrap();
    let writers = numbers(&broker, &WRITERS);
    let strace = Strace::count_everywhere(broker.id().unwrap()).unwrap();
    let script = Script::new(seed);
    block_on(script.run(&broker.endpoint())).unwrap();
    let mut counts = strace.detach().unwrap().counts;
    let names: BTreeSet<&str> = counts.keys().map(|(thread, _)| thread.as_str()).collect();
    assert_eq!(names, BTreeSet::from(WRITERS), "of {counts:?}");
    let strace = Strace::count(&writers).unwrap();
    assert!(broker.stop().unwrap().success());
    for (of, count) in strace.detach().unwrap().counts {
        *counts.entry(of).or_default() += count;
    }
    let verdict = script.verdict();
    assert_eq!(verdict.count.acknowledged_sends, verdict.count.sends, "{verdict}");
    broker.restart().unwrap();
    let verdict = block_on(script.audit(&mut broker, base)).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    counts
}

/// What each thread does in a start over what a kill in the middle of a run has left, and in the stop after it: `broker` is
/// that, and is started.
pub fn of_a_start(broker: &mut Broker) -> Counts {
    let calls = broker.data_dir().with_extension("calls");
    broker.spawn_under(from_the_start(None, &calls)).unwrap();
    assert_eq!(broker.ready_or_ended().unwrap(), None);
    assert!(broker.stop().unwrap().success());
    Traced::read(&calls).unwrap().counts
}

/// All points, thread by thread and call by call.
pub fn all(counts: &Counts) -> Vec<Point> {
    let points = |((thread, call), count): (&(String, &'static str), &u32)| {
        let (thread, call) = (thread.clone(), *call);
        (1..=*count).map(move |nth| Point {
            thread: thread.clone(),
            call,
            nth,
        })
    };
    counts.iter().flat_map(points).collect()
}

/// Something to try, of which there are kinds.
pub trait Try {
    /// What two of one kind share.
    type Kind: PartialEq;

    /// Its kind.
    fn kind(&self) -> Self::Kind;
}

impl Try for Point {
    type Kind = (String, &'static str);

    fn kind(&self) -> Self::Kind {
        (self.thread.clone(), self.call)
    }
}

/// The order in which points are tried: all in the long form; else by chance, the first of each kind among the first, until the
/// time is over.
pub struct Sample<P> {
    points: Vec<P>,
    until: Option<Instant>,
    /// Of each kind one, whatever the time.
    at_least: usize,
    tried: usize,
}

impl<P: Try> Sample<P> {
    /// Of all these points.
    pub fn of(mut points: Vec<P>, time: Duration, chance: &mut Chance) -> Self {
        if is_long() {
            let at_least = points.len();
            return Self {
                points,
                until: None,
                at_least,
                tried: 0,
            };
        }
        for left in (1..points.len()).rev() {
            points.swap(left, chance.below(left as u64 + 1) as usize);
        }
        let mut kinds = Vec::new();
        // Stable: by chance as before within both.
        points.sort_by_cached_key(|point| {
            let kind = point.kind();
            let is_known = kinds.contains(&kind);
            if !is_known {
                kinds.push(kind);
            }
            is_known
        });
        Self {
            points,
            until: Some(Instant::now() + time),
            at_least: kinds.len(),
            tried: 0,
        }
    }

    /// How many there are in all.
    pub fn total(&self) -> usize {
        self.points.len()
    }
}

impl<P: Try + Clone> Iterator for Sample<P> {
    type Item = P;

    fn next(&mut self) -> Option<P> {
        let is_late = self.until.is_some_and(|until| Instant::now() >= until);
        if is_late && self.tried >= self.at_least {
            return None;
        }
        let point = self.points.get(self.tried).cloned();
        self.tried += 1;
        point
    }
}
