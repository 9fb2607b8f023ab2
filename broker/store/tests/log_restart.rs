//! Starts after crashes: what a start has seen stays seen, also when it is crashed itself.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod log_bench;

use log_bench::{Bench, identity, message, options};
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use sluice_store::io::{Fault, FaultyIo, LogIo, write_all_at};
use sluice_store::log::{Flush, Frame, FrameBuilder, FrameKind, LogError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn dir() -> &'static Path {
    Path::new("/data/broker-a")
}

fn open(io: &FaultyIo) -> Result<Bench, LogError> {
    Bench::open(Arc::new(io.clone()), dir())
}

fn segment_path() -> PathBuf {
    dir().join("log").join(format!("{:020}.seg", 0))
}

/// A log killed while it had much that was acknowledged, as asynchronous flush allows, and not synced.
fn killed_unsynced() -> (FaultyIo, Vec<Frame>) {
    let io = FaultyIo::new(1);
    let mut bench = Bench::open_flushing(Arc::new(io.clone()), dir(), Flush::asynchronous()).unwrap();
    for n in 0..60 {
        bench.propose(vec![message(n, 3000)]);
        bench.run();
    }
    assert!(bench.parts.log.positions().durable() < bench.parts.log.positions().written());
    let frames = bench.all();
    (io, frames)
}

#[test]
fn what_a_start_has_replayed_is_durable() {
    let (io, frames) = killed_unsynced();
    // Only the process was killed: the system still has the writes, though the disk does not.
    let second = open(&io).unwrap();
    assert!(second.replayed == frames);
    let third = open(&io.crash_losing_all()).unwrap();
    assert!(third.replayed.len() > frames.len() && third.replayed.starts_with(&frames));
}

#[test]
fn a_sparse_index_that_a_crash_has_torn_goes_with_the_next_start_and_nothing_misses_it() {
    let io = FaultyIo::new(1);
    let mut bench = open(&io).unwrap();
    for n in 0..120 {
        bench.propose(vec![message(n, 6000)]);
        bench.run();
    }
    let frames = bench.all();
    drop(bench);
    let sparse = |io: &FaultyIo| -> Vec<PathBuf> {
        let names = io.list(&dir().join("log")).unwrap().into_iter();
        let names = names.filter(|name| name.extension().is_some_and(|end| end == "sparse"));
        names.map(|name| dir().join("log").join(name)).collect()
    };
    let whole = sparse(&io);
    assert!(whole.len() > 1);
    for kept in [0, 1, 20] {
        let io = io.crash_keeping_all();
        io.open(&whole[0]).unwrap().set_len(kept).unwrap();
        let bench = open(&io).unwrap();
        assert_eq!(sparse(&io), whole[1..], "{kept} bytes of one are left");
        bench.check_reads(&frames);
    }
}

#[test]
fn asynchronous_flush_loses_a_tail_and_never_a_middle() {
    let whole = FaultyIo::new(1);
    let run = |io: &FaultyIo| -> (Vec<Frame>, PhysicalOffset) {
        let flush = Flush::Async {
            every: Duration::from_millis(500),
            bytes: 100_000,
        };
        let Ok(mut bench) = Bench::open_flushing(Arc::new(io.clone()), dir(), flush) else {
            return (Vec::new(), PhysicalOffset(0));
        };
        for n in 0..120 {
            bench.propose(vec![message(n, 6000)]);
            bench.now += Duration::from_millis(20);
            if bench.try_run().is_err() {
                break;
            }
        }
        (bench.all(), bench.parts.log.positions().durable())
    };
    run(&whole);
    for at in 0..whole.operations() {
        let io = FaultyIo::new(at);
        io.plant(Fault::Stop { at });
        let (frames, durable) = run(&io);
        for seed in 0..3 {
            let what = format!("stopped at operation {at}, seed {seed}");
            let found = open(&io.crash(seed)).unwrap_or_else(|error| panic!("{what}: {error}"));
            let common = found.replayed.len().min(frames.len());
            assert!(
                found.replayed[..common] == frames[..common],
                "{what}: other frames"
            );
            let kept = frames.iter().take_while(|frame| frame.end() <= durable).count();
            assert!(common >= kept, "{what}: {common} of {kept} durable frames");
        }
    }
}

#[test]
fn a_start_may_be_crashed_at_any_operation() {
    let counted = {
        let (io, frames) = killed_unsynced();
        write_behind(&io, &frames, b"a torn frame");
        let before = io.operations();
        open(&io).unwrap();
        before..io.operations()
    };
    assert!(counted.end - counted.start > 5);
    for at in counted {
        for seed in 0..40 {
            let (io, frames) = killed_unsynced();
            write_behind(&io, &frames, b"a torn frame");
            io.plant(Fault::Stop { at });
            assert!(open(&io).is_err(), "operation {at} is part of the start");
            let what = format!("stopped at operation {at}, seed {seed}");
            let found = open(&io.crash(seed)).unwrap_or_else(|error| panic!("{what}: {error}"));
            let common = found.replayed.len().min(frames.len());
            assert!(found.replayed[..common] == frames[..common], "{what}");
        }
    }
}

/// Puts bytes where the next frame would stand.
fn write_behind(io: &FaultyIo, frames: &[Frame], bytes: &[u8]) {
    let end = frames.last().map_or(PhysicalOffset(0), Frame::end);
    let file = io.open(&segment_path()).unwrap();
    write_all_at(file.as_ref(), bytes, 4096 + end.0).unwrap();
}

#[test]
fn a_valid_frame_that_does_not_continue_the_log_is_cut_off() {
    let good = (0, 1, 0);
    for (case, (shift, term, skip)) in [good, (8, 1, 0), (0, 0, 0), (0, 1, 1)].into_iter().enumerate() {
        let io = FaultyIo::new(1);
        let mut bench = open(&io).unwrap();
        bench.propose(vec![message(1, 100)]);
        bench.run();
        let frames = bench.all();
        drop(bench);
        let (end, next) = (frames.last().unwrap().end(), frames.last().unwrap().index().0 + 1);
        let mut bytes = Vec::new();
        let uuid = identity().uuid.into();
        let (at, index) = (PhysicalOffset(end.0 + shift), LogIndex(next + skip));
        FrameBuilder::begin(&mut bytes, uuid, at, Term(term), index, FrameKind::Blank).finish();
        write_behind(&io, &frames, &bytes);
        let found = Bench::open_only(Arc::new(io.clone()), options(dir())).unwrap();
        if case == 0 {
            assert_eq!(found.replayed.len(), frames.len() + 1, "the good one is taken");
        } else {
            assert!(found.replayed == frames, "case {case}");
            assert!(found.cut.is_some(), "case {case}");
        }
    }
}

#[test]
fn a_start_from_a_checkpoint_reads_only_what_is_behind_it() {
    let io = FaultyIo::new(1);
    let mut bench = open(&io).unwrap();
    for n in 0..400 {
        bench.propose(vec![message(n, 2000)]);
        bench.run();
    }
    let frames = bench.all();
    let middle = frames[250].index();
    let position = bench.parts.log.reader().position(middle).unwrap();
    drop(bench);
    let opening = Bench::begin(Arc::new(io.clone()), dir()).unwrap();
    let mut replayed = Vec::new();
    let opened = opening
        .replay(position, |frame| {
            replayed.push(frame.clone());
            Ok(())
        })
        .unwrap();
    assert!(replayed == frames[250..]);
    let tail = opened.tail();
    let parts = opened.start(tail.index, |_| {});
    let reader = parts.log.reader();
    for frame in &frames {
        let read = reader
            .read_frames(frame.index(), LogIndex(frame.index().0 + 1), 1)
            .unwrap();
        assert!(read == [frame.clone()], "index {}", frame.index());
        let (_, at, command) = frame.commands().last().unwrap_or_default();
        if !command.is_empty() {
            assert_eq!(reader.read_command(at, command.len() as u32).unwrap(), command);
            assert_eq!(reader.read_command_at(at).unwrap(), command, "without its size");
        }
    }
    drop((parts, reader));
    let beyond = sluice_store::log::LogPosition {
        physical: PhysicalOffset(tail.physical.0 + 8),
        ..tail
    };
    let opening = Bench::begin(Arc::new(io), dir()).unwrap();
    assert!(
        matches!(opening.replay(beyond, |_| Ok(())), Err(LogError::Mismatch { .. })),
        "a hole in the log"
    );
}
