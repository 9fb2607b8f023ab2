//! What raft asks of its log, on files that fail: appends, truncations, purges and votes, in the order asked for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod log_bench;

use bytes::Bytes;
use log_bench::{Bench, SEGMENT, message, options};
use sluice_core::ids::{LogIndex, Term};
use sluice_store::io::{Fault, FaultyIo, LogIo};
use sluice_store::log::{Entry, FrameKind, LogError, LogId, Vote};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

type Done = Receiver<Result<(), LogError>>;

fn open(io: &FaultyIo) -> Result<Bench, LogError> {
    Bench::open_only(Arc::new(io.clone()), options(Path::new("/data/broker-a")))
}

fn entry(term: u64, index: u64, size: usize) -> Entry {
    let command = message(index as u32, size);
    let commands = vec![Bytes::copy_from_slice(command.as_bytes())];
    Entry {
        term: Term(term),
        index: LogIndex(index),
        kind: FrameKind::Commands,
        commands,
    }
}

/// What a test asks of the log, one after another.
#[derive(Clone, Debug)]
enum Ask {
    Append(Vec<Entry>),
    Truncate(u64),
    Purge(u64),
    Vote(u64),
}

/// Does what is queued, and then lets the log be quiet for so long that its durable slot catches up.
fn run_and_rest(bench: &mut Bench) -> Result<(), String> {
    bench.try_run()?;
    bench.now += Duration::from_millis(60);
    bench.try_run()
}

/// What the log must hold, as a plain list.
#[derive(Clone, Debug, Default)]
struct Model {
    /// Every entry that was not taken back, from index 0 on.
    entries: Vec<Entry>,
    purged: Option<u64>,
    vote: u64,
}

impl Model {
    fn after(&self, ask: &Ask) -> Self {
        let mut next = self.clone();
        match ask {
            Ask::Append(entries) => next.entries.extend(entries.iter().cloned()),
            Ask::Truncate(from) => next.entries.truncate(*from as usize),
            Ask::Purge(upto) => next.purged = Some(*upto),
            Ask::Vote(term) => next.vote = *term,
        }
        next
    }

    fn id(&self, index: u64) -> LogId {
        LogId {
            term: self.entries[index as usize].term,
            index: LogIndex(index),
        }
    }

    /// What a reader sees.
    fn kept(&self) -> &[Entry] {
        &self.entries[self.purged.map_or(0, |purged| purged as usize + 1)..]
    }
}

fn ask(bench: &Bench, model: &Model, what: &Ask) -> Done {
    let (tx, rx) = channel();
    let done = Box::new(move |result| {
        let _ = tx.send(result);
    });
    let log = &bench.parts.log;
    match what {
        Ask::Append(entries) => log.append_frames(entries.clone(), done),
        Ask::Truncate(from) => log.truncate_from(LogIndex(*from), done),
        Ask::Purge(upto) => log.purge_to(model.id(*upto), done),
        Ask::Vote(term) => log.save_vote(
            Vote {
                term: Term(*term),
                node: 1,
                committed: false,
            },
            done,
        ),
    }
    rx
}

fn read_all(bench: &Bench) -> Vec<Entry> {
    bench
        .parts
        .log
        .read(LogIndex(0), LogIndex(u64::MAX), usize::MAX)
        .unwrap()
}

/// A workload over several segments that takes back entries within and across segments, and forgets others.
fn workload() -> Vec<Ask> {
    let mut asks = Vec::new();
    let mut next = 0;
    let mut append = |asks: &mut Vec<Ask>, term: u64, from: Option<u64>, count: u64, size: usize| {
        let first = from.unwrap_or(next);
        asks.push(Ask::Append(
            (first..first + count)
                .map(|index| entry(term, index, size))
                .collect(),
        ));
        next = first + count;
    };
    append(&mut asks, 1, None, 3, 100);
    asks.push(Ask::Vote(1));
    append(&mut asks, 1, None, 40, 9000);
    asks.push(Ask::Vote(2));
    asks.push(Ask::Truncate(35));
    append(&mut asks, 2, Some(35), 60, 9000);
    asks.push(Ask::Truncate(20));
    append(&mut asks, 3, Some(20), 5, 50);
    append(&mut asks, 3, None, 50, 9000);
    asks.push(Ask::Purge(40));
    for _ in 0..4 {
        append(&mut asks, 3, None, 1, 50);
    }
    asks.push(Ask::Truncate(74));
    append(&mut asks, 3, Some(74), 1, 50);
    append(&mut asks, 3, None, 1, 50);
    append(&mut asks, 3, None, 1, 50);
    asks.push(Ask::Truncate(73));
    asks.push(Ask::Truncate(60));
    asks.push(Ask::Vote(4));
    append(&mut asks, 4, Some(60), 30, 9000);
    asks.push(Ask::Purge(89));
    append(&mut asks, 4, None, 5, 100);
    asks
}

#[test]
fn every_ask_is_done_in_order_and_stays_after_a_restart() {
    let io = FaultyIo::new(1);
    let mut bench = open(&io).unwrap();
    bench.parts.log.set_committed(LogIndex(0));
    let mut model = Model::default();
    for (step, what) in workload().iter().enumerate() {
        let done = ask(&bench, &model, what);
        model = model.after(what);
        if matches!(what, Ask::Append(_)) {
            assert!(read_all(&bench) == model.kept(), "step {step}: readable at once");
        }
        bench.run();
        done.try_recv().unwrap().unwrap();
        assert!(read_all(&bench) == model.kept(), "step {step}");
        assert_eq!(
            bench.parts.log.read_vote().map_or(0, |vote| vote.term.0),
            model.vote
        );
        let last = (model.entries.len() as u64)
            .checked_sub(1)
            .map(|last| model.id(last));
        assert_eq!(bench.parts.log.last(), last, "step {step}");
    }
    assert!(bench.parts.writer.tail().physical.0 > SEGMENT);
    drop(bench);
    let bench = open(&io.crash_losing_all()).unwrap();
    assert!(read_all(&bench) == model.kept());
    assert_eq!(bench.parts.log.purged(), Some(model.id(89)));
}

/// What a crash in the middle of `what` may leave: something between before and after.
fn check_between(found: &Bench, before: &Model, what: &Ask, context: &str) {
    let after = before.after(what);
    let entries = read_all(found);
    let first = found.parts.log.reader().first_index().0 as usize;
    let end = first + entries.len();
    let (longer, shorter) = match what {
        Ask::Truncate(_) => (before, &after),
        _ => (&after, before),
    };
    assert!(end <= longer.entries.len(), "{context}: more than was ever there");
    assert!(
        end >= shorter.entries.len(),
        "{context}: {end} of {}",
        shorter.entries.len()
    );
    assert!(entries == longer.entries[first..end], "{context}: other entries");
    let purged = found.parts.log.purged().map(|purged| purged.index.0);
    assert!(
        purged == before.purged || purged == after.purged,
        "{context}: purged {purged:?}"
    );
    let vote = found.parts.log.read_vote().map_or(0, |vote| vote.term.0);
    assert!(
        vote == before.vote || vote == after.vote,
        "{context}: vote {vote}"
    );
}

#[test]
fn a_crash_at_any_operation_leaves_what_was_done_and_a_part_of_what_was_under_way() {
    let whole = FaultyIo::new(0);
    let mut bench = open(&whole).unwrap();
    let mut model = Model::default();
    for what in workload() {
        ask(&bench, &model, &what);
        run_and_rest(&mut bench).unwrap();
        model = model.after(&what);
    }
    let operations = whole.operations();
    println!("{operations} crash points");
    for at in 0..operations {
        let io = FaultyIo::new(at);
        io.plant(Fault::Stop { at });
        let mut before = Model::default();
        let mut under_way = Ask::Append(Vec::new());
        if let Ok(mut bench) = open(&io) {
            for what in workload() {
                let done = ask(&bench, &before, &what);
                let failed = run_and_rest(&mut bench).is_err();
                if done.try_recv().is_ok_and(|result| result.is_ok()) {
                    before = before.after(&what);
                } else {
                    under_way = what;
                }
                if failed {
                    break;
                }
            }
        }
        for (how, io) in [io.crash_losing_all(), io.crash_keeping_all(), io.crash(at)]
            .iter()
            .enumerate()
        {
            let context = format!(
                "stopped at operation {at}, crash {how}, in {:.60}",
                format!("{under_way:?}")
            );
            let mut found = open(io).unwrap_or_else(|error| panic!("{context}: {error}"));
            check_between(&found, &before, &under_way, &context);
            let next = found.parts.log.last().map_or(0, |last| last.index.0 + 1);
            let more = Ask::Append(vec![entry(9, next, 100)]);
            let done = ask(&found, &before, &more);
            found.run();
            done.try_recv()
                .unwrap()
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            let all = read_all(&found);
            drop(found);
            assert!(
                read_all(&open(&io.crash_losing_all()).unwrap()) == all,
                "{context}: second start"
            );
        }
    }
}

#[test]
fn what_is_applied_is_never_taken_back() {
    let io = FaultyIo::new(1);
    let mut bench = open(&io).unwrap();
    let model = Model::default();
    ask(
        &bench,
        &model,
        &Ask::Append((0..10).map(|index| entry(1, index, 100)).collect()),
    );
    bench.run();
    bench.parts.log.set_committed(LogIndex(8));
    bench.parts.log.positions().set_applied(LogIndex(6));
    let refused = ask(&bench, &model, &Ask::Truncate(5));
    let taken = ask(&bench, &model, &Ask::Truncate(6));
    bench.run();
    assert!(matches!(
        refused.try_recv().unwrap(),
        Err(LogError::Applied {
            applied: LogIndex(6),
            ..
        })
    ));
    taken.try_recv().unwrap().unwrap();
    assert_eq!(read_all(&bench).len(), 6);
}

#[test]
fn entries_that_do_not_continue_the_log_are_refused_and_leave_no_trace() {
    let io = FaultyIo::new(1);
    let mut bench = open(&io).unwrap();
    let model = Model::default();
    ask(
        &bench,
        &model,
        &Ask::Append(vec![entry(2, 0, 100), entry(2, 1, 100)]),
    );
    bench.run();
    for wrong in [entry(2, 3, 100), entry(1, 2, 100), entry(2, 1, 100)] {
        let done = ask(&bench, &model, &Ask::Append(vec![wrong]));
        bench.run();
        assert!(matches!(
            done.try_recv().unwrap(),
            Err(LogError::OutOfOrder { .. })
        ));
        assert_eq!(read_all(&bench).len(), 2);
    }
    let mut damaged = entry(2, 2, 100);
    damaged.commands[0] = Bytes::from_static(b"no command at all");
    assert!(
        ask(&bench, &model, &Ask::Append(vec![damaged]))
            .try_recv()
            .unwrap()
            .is_err()
    );
}

#[test]
fn a_full_disk_refuses_entries_and_takes_them_when_there_is_space() {
    let io = FaultyIo::new(1);
    let mut bench = open(&io).unwrap();
    let model = Model::default();
    io.plant(Fault::NoSpace { after: 10_000 });
    let entries: Vec<Entry> = (0..5).map(|index| entry(1, index, 3000)).collect();
    let done = ask(&bench, &model, &Ask::Append(entries.clone()));
    bench.run();
    assert!(matches!(done.try_recv().unwrap(), Err(LogError::NoSpace)));
    assert!(read_all(&bench).is_empty());
    io.lift_no_space();
    let done = ask(&bench, &model, &Ask::Append(entries.clone()));
    bench.run();
    done.try_recv().unwrap().unwrap();
    assert!(read_all(&bench) == entries);
}

#[test]
fn after_a_truncation_zeros_go_to_the_segment_that_is_there_now() {
    let io = FaultyIo::new(1);
    let mut bench = open(&io).unwrap();
    let mut model = Model::default();
    let mut append = |bench: &mut Bench| {
        let what = Ask::Append(vec![entry(1, model.entries.len() as u64, 20_000)]);
        let done = ask(bench, &model, &what);
        bench.run();
        done.try_recv().unwrap().unwrap();
        model = model.after(&what);
        (model.clone(), bench.parts.writer.tail().physical.0)
    };
    let mut last_base = 0;
    let (model_then, base) = loop {
        let (model, tail) = append(&mut bench);
        if tail > SEGMENT {
            break (model, last_base);
        }
        last_base = tail;
    };
    let second = Path::new("/data/broker-a/log").join(format!("{base:020}.seg"));
    let len = || io.open_read(&second).unwrap().len().unwrap();
    bench.prefill().unwrap();
    assert_eq!(len(), SEGMENT);
    // The last frame of the first segment goes, and the second segment with it; both come again.
    let from = model_then.entries.len() as u64 - 2;
    let done = ask(&bench, &model_then, &Ask::Truncate(from));
    bench.run();
    done.try_recv().unwrap().unwrap();
    for entry in &model_then.entries[from as usize..] {
        let done = ask(&bench, &model_then, &Ask::Append(vec![entry.clone()]));
        bench.run();
        done.try_recv().unwrap().unwrap();
    }
    assert!(len() < SEGMENT, "a new file at the same base");
    bench.prefill().unwrap();
    assert_eq!(len(), SEGMENT);
    assert!(read_all(&bench) == model_then.entries);
}
