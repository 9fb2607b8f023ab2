//! Two nodes that apply the same log are equal, whatever their threads, pauses, checkpoints and readers do.
#![cfg(test)]

mod common;
#[path = "determinism/log.rs"]
mod log;
#[path = "determinism/readers.rs"]
mod readers;

use common::{Queues, encoded};
use log::{Frame, Random};
use sluice_core::state::{ShardKey, Snapshot, State};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

/// Commands in the log: enough for every shard to change between any two snapshots.
const COMMANDS: usize = 12_000;

/// All that is compared.
#[derive(Debug, PartialEq)]
struct End {
    digest: u64,
    now: u64,
    parts: Vec<(ShardKey, Vec<u8>)>,
    queues: Queues,
}

fn end(state: &State, queues: Queues) -> End {
    End {
        digest: state.digest(),
        now: state.now(),
        parts: encoded(state),
        queues,
    }
}

fn apply(state: &mut State, queues: &mut Queues, frame: &Frame) {
    for (at, command) in &frame.commands {
        let _ = state.apply(*at, command.as_bytes(), queues);
    }
    state.end_frame(frame.term, frame.index);
}

/// One thread, one go, no checkpoint.
fn plain(frames: &[Frame]) -> End {
    let (mut state, mut queues) = (State::new(), Queues::default());
    frames
        .iter()
        .for_each(|frame| apply(&mut state, &mut queues, frame));
    end(&state, queues)
}

/// A checkpoint as its files would hold it.
#[derive(Default)]
struct Files {
    header: Vec<u8>,
    parts: BTreeMap<ShardKey, Vec<u8>>,
}

impl Files {
    fn write(&mut self, mut snapshot: Snapshot) {
        snapshot
            .removed
            .iter()
            .for_each(|key| drop(self.parts.remove(key)));
        for (key, view) in snapshot.take_changed() {
            let mut bytes = Vec::new();
            view.encode(&mut bytes);
            self.parts.insert(key, bytes);
        }
        self.header = snapshot.header;
    }

    fn restore(&self) -> State {
        let parts = self.parts.iter().map(|(key, bytes)| (*key, bytes.as_slice()));
        State::restore(&self.header, parts).unwrap()
    }
}

/// A node whose frames come over a channel in batches, whose snapshots are encoded by a third thread while applying
/// goes on, and whose tables are read all the time.
fn busy(frames: &[Frame], seed: u64, readers: usize) -> (End, Files) {
    let (mut state, mut queues) = (State::new(), Queues::default());
    let mut random = Random(seed);
    let (batches, applier) = mpsc::sync_channel(2);
    let (snapshots, writer) = mpsc::sync_channel::<Snapshot>(4);
    let stop = AtomicBool::new(false);
    let files = thread::scope(|scope| {
        scope.spawn(move || {
            let mut rest = frames;
            while !rest.is_empty() {
                let (batch, tail) = rest.split_at(random.below(rest.len().min(40) as u64) as usize + 1);
                batches.send(batch).unwrap();
                rest = tail;
            }
        });
        let written = scope.spawn(move || {
            let mut files = Files::default();
            writer.iter().for_each(|snapshot| files.write(snapshot));
            files
        });
        for _ in 0..readers {
            let (tables, stop) = (state.tables().clone(), &stop);
            scope.spawn(move || readers::hammer(&tables, stop));
        }
        let mut random = Random(seed ^ 1);
        for batch in applier.iter() {
            for frame in batch {
                apply(&mut state, &mut queues, frame);
                if random.below(6) == 0 {
                    snapshots.send(state.snapshot()).unwrap();
                }
            }
        }
        snapshots.send(state.snapshot()).unwrap();
        drop(snapshots);
        stop.store(true, Ordering::Release);
        written.join().unwrap()
    });
    (end(&state, queues), files)
}

#[test]
fn nodes_with_other_threads_batches_checkpoints_and_readers_are_equal() {
    let frames = log::generate(1, COMMANDS);
    let expected = plain(&frames);
    for (seed, readers) in [(2, 0), (3, 1), (4, 3)] {
        let (end, files) = busy(&frames, seed, readers);
        assert_eq!(end.digest, expected.digest, "seed {seed}");
        assert_eq!(end.parts, expected.parts, "seed {seed}");
        assert!(end == expected, "seed {seed}: time and queues");
        let back = files.restore();
        assert_eq!(back.digest(), expected.digest, "seed {seed}, from its files");
        assert_eq!(encoded(&back), expected.parts, "seed {seed}, from its files");
    }
}

#[test]
fn a_node_that_starts_from_a_checkpoint_ends_as_one_that_never_stopped() {
    let frames = log::generate(5, COMMANDS / 4);
    let expected = plain(&frames);
    let (mut state, mut queues, mut files) = (State::new(), Queues::default(), Files::default());
    for (number, frame) in frames.iter().enumerate() {
        apply(&mut state, &mut queues, frame);
        if number % 50 == 7 {
            files.write(state.snapshot());
        }
        if number % 50 == 7 && number % 3 == 0 {
            state = files.restore();
        }
    }
    assert!(end(&state, queues) == expected);
}

#[test]
fn the_log_does_something_of_every_kind() {
    let frames = log::generate(1, COMMANDS);
    let (mut state, mut queues) = (State::new(), Queues::default());
    let mut done: BTreeMap<u8, (u32, u32)> = BTreeMap::new();
    for frame in &frames {
        for (at, command) in &frame.commands {
            let answer = state.apply(*at, command.as_bytes(), &mut queues);
            let counts = done.entry(command.as_bytes()[8]).or_default();
            match answer {
                Ok(_) => counts.0 += 1,
                Err(_) => counts.1 += 1,
            }
        }
        state.end_frame(frame.term, frame.index);
    }
    for kind in (3..=11).chain(16..=21).chain(23..=25) {
        let (applied, refused) = done.get(&kind).copied().unwrap_or_default();
        assert!(applied > 0, "kind {kind}: {applied} applied, {refused} refused");
    }
    let refused: u32 = done.values().map(|(_, refused)| refused).sum();
    assert!(refused > 100, "and some are refused: {refused}");
}

#[test]
fn one_changed_command_makes_another_digest() {
    let frames = log::generate(1, 2000);
    let expected = plain(&frames).digest;
    let mut random = Random(9);
    for _ in 0..20 {
        let mut other = frames.clone();
        let frame = random.below(other.len() as u64) as usize;
        let gone = other[frame].commands.pop();
        assert_ne!(plain(&other).digest, expected, "without {gone:?}");
    }
}
