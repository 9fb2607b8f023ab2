//! A crash at every operation of a row of checkpoints with queue files: what is found then is whole, right, and no
//! older than the last checkpoint but one; and going on from it ends in the same files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

mod crashes;

use crashes::{Recoveries, or_long};
use sluice_core::entry::QueueEntry;
use sluice_core::hash::mix;
use sluice_core::ids::{LogIndex, PhysicalOffset, QueueId, QueueOffset, Term, TopicId, TopicQueue};
use sluice_store::checkpoint::{CheckpointError, Checkpoints, PartKey, Pick};
use sluice_store::io::{Fault, FaultyIo, LogIo, read_exact_at};
use sluice_store::log::LogPosition;
use sluice_store::queue::{QueueSpan, QueueStore};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CHECKPOINTS: u64 = 12;
const QUEUES: u32 = 3;
const PARTS: u32 = 8;

fn at(queue: u32) -> TopicQueue {
    TopicQueue {
        topic: TopicId(1),
        queue: QueueId(queue),
    }
}

/// How far queues grow: `Long` makes one grow past the end of a file, which costs time.
#[derive(Clone, Copy)]
enum Growth {
    Short,
    Long,
}

impl Growth {
    /// Entries of a queue at the checkpoint at `position`.
    fn end(self, position: u64, queue: u32) -> u64 {
        match (queue, self) {
            (0, _) => position * 7,
            (1, _) => position / 3 * 50,
            _ if position < 6 => 0,
            (_, Self::Short) => position * 100,
            (_, Self::Long) => 65_000 + position * 100,
        }
    }
}

fn entry(queue: u32, n: u64) -> QueueEntry {
    QueueEntry {
        physical: PhysicalOffset(n),
        put_ms: 1 + n,
        size: queue,
        ..QueueEntry::default()
    }
}

/// The part at a checkpoint: it changes in some checkpoints and not in others.
fn part(position: u64, n: u32) -> Vec<u8> {
    let version = (1..=position)
        .rev()
        .find(|version| changed(*version, n))
        .unwrap_or(0);
    if n.is_multiple_of(2) {
        // Little changes, so that patches of it are written.
        let mut bytes: Vec<u8> = (0..2000).map(|at| mix(u64::from(n), at) as u8).collect();
        bytes[1000..1008].copy_from_slice(&version.to_le_bytes());
        return bytes;
    }
    let len = 20 + mix(u64::from(n), version) % 2000;
    (0..len).map(|at| mix(version + u64::from(n), at) as u8).collect()
}

fn changed(position: u64, n: u32) -> bool {
    position == 1 || mix(position, u64::from(n)).is_multiple_of(3)
}

fn key(n: u32) -> PartKey {
    PartKey {
        kind: 1,
        ids: [n, 0, 0],
    }
}

fn log_position(position: u64) -> LogPosition {
    LogPosition {
        physical: PhysicalOffset(position),
        index: LogIndex(position),
        term: Term(1),
    }
}

fn dir(name: &str) -> PathBuf {
    Path::new("/data").join(name)
}

/// How a row of checkpoints went.
#[derive(Debug, Default)]
struct Went {
    /// The last that was completed.
    completed: Option<u64>,
    /// Parts of which only the change was written.
    patched: usize,
    /// Why it ended early.
    error: Option<CheckpointError>,
}

/// Goes on from the checkpoint at `from` to the last one.
fn run(growth: Growth, queues: &QueueStore, checkpoints: &mut Checkpoints, from: u64) -> Went {
    let mut went = Went::default();
    for position in from + 1..=CHECKPOINTS {
        for queue in 0..QUEUES {
            for n in growth.end(position - 1, queue)..growth.end(position, queue) {
                queues.append(at(queue), QueueOffset(n), entry(queue, n));
            }
        }
        let ends: Vec<_> = (0..QUEUES)
            .map(|queue| (at(queue), QueueOffset(growth.end(position, queue))))
            .collect();
        let parts = (0..PARTS)
            .filter(|n| changed(position, *n))
            .map(|n| (key(n), Some(part(position, n))));
        let write = || -> Result<_, CheckpointError> {
            queues.flush_tails(&ends)?;
            checkpoints.write(log_position(position), b"header", &|at| at.0 % 4 == 0, parts)
        };
        match write() {
            Ok(stats) => {
                went.completed = Some(position);
                went.patched += stats.patched;
            }
            Err(error) => {
                went.error = Some(error);
                break;
            }
        }
    }
    went
}

/// From an empty disk; `None` if it was stopped before the base was there.
fn run_fresh(growth: Growth, io: &FaultyIo) -> Option<u64> {
    Some(try_fresh(growth, io)?.completed.unwrap_or(0))
}

fn try_fresh(growth: Growth, io: &FaultyIo) -> Option<Went> {
    let shared: Arc<dyn LogIo> = Arc::new(io.clone());
    io.create_dir(Path::new("/data")).ok()?;
    let mut checkpoints = Checkpoints::create(Arc::clone(&shared), &dir("checkpoint")).ok()?;
    let queues = QueueStore::create(shared, &dir("queue")).ok()?;
    checkpoints
        .write(log_position(0), b"header", &|_| true, [])
        .ok()?;
    Some(run(growth, &queues, &mut checkpoints, 0))
}

fn restart(growth: Growth, io: &FaultyIo) -> Result<(u64, Checkpoints, QueueStore), CheckpointError> {
    let shared: Arc<dyn LogIo> = Arc::new(io.clone());
    let (checkpoints, loaded) = Checkpoints::open(Arc::clone(&shared), &dir("checkpoint"), Pick::Newest)?;
    let position = loaded.position.physical.0;
    let expected: BTreeMap<_, _> = match position {
        0 => BTreeMap::new(),
        _ => (0..PARTS).map(|n| (key(n), part(position, n))).collect(),
    };
    let parts: BTreeMap<_, _> = loaded.parts().map(|(key, bytes)| (key, bytes.to_vec())).collect();
    assert!(parts == expected, "parts at {position}");
    let span = |queue| QueueSpan {
        at: at(queue),
        first: QueueOffset(0),
        end: QueueOffset(growth.end(position, queue)),
    };
    let spans: Vec<_> = (0..QUEUES).map(span).collect();
    let queues = QueueStore::restore(shared, &dir("queue"), &spans)?;
    for queue in 0..QUEUES {
        let mut out = Vec::new();
        let end = growth.end(position, queue);
        queues
            .read(at(queue), QueueOffset(0), usize::MAX >> 1, &mut out)
            .unwrap();
        assert_eq!(out.len() as u64, end);
        assert!(
            out.iter().zip(0..).all(|(found, n)| *found == entry(queue, n)),
            "queue {queue} at {position}"
        );
    }
    Ok((position, checkpoints, queues))
}

/// The queue files, by name.
fn queue_files(io: &FaultyIo) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for queue in 0..QUEUES {
        let folder = dir("queue").join("1").join(queue.to_string());
        for name in io.list(&folder).unwrap() {
            let path = folder.join(name);
            let file = io.open_read(&path).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            read_exact_at(&*file, &mut bytes, 0).unwrap();
            files.insert(path, bytes);
        }
    }
    files
}

/// What must hold after a crash that left `io`, `completed` being the last checkpoint that was written whole. Answers of how many
/// parts patches were written when it went on.
fn check(
    growth: Growth,
    io: &FaultyIo,
    completed: u64,
    whole: &BTreeMap<PathBuf, Vec<u8>>,
    go_on: bool,
) -> usize {
    let (position, mut checkpoints, queues) = restart(growth, io).unwrap();
    assert!(
        position + 1 >= completed,
        "the checkpoint at {position} was found, {completed} was completed"
    );
    assert!(position <= completed + 1);
    if !go_on {
        return 0;
    }
    let went = run(growth, &queues, &mut checkpoints, position);
    assert!(went.error.is_none(), "{went:?}");
    assert!(
        queue_files(io) == *whole,
        "other files after going on from {position}"
    );
    went.patched
}

/// Crashes at every `step`th operation, with seeds that say how writes are torn, without all that was unsynced, and with it;
/// counts the starts afterwards.
fn crash_everywhere(growth: Growth, step: usize, seeds: u64) -> Recoveries {
    let io = FaultyIo::new(0);
    let went = try_fresh(growth, &io).unwrap();
    assert_eq!(went.completed, Some(CHECKPOINTS));
    assert!(went.patched > 0, "no checkpoint has a patch: {went:?}");
    let (whole, operations) = (queue_files(&io), io.operations());
    let (recoveries, mut patched) = (Recoveries::default(), 0);
    for stop in (0..operations).step_by(step) {
        let io = FaultyIo::new(0);
        io.plant(Fault::Stop { at: stop });
        let Some(completed) = run_fresh(growth, &io) else {
            let after = io.crash(stop);
            match restart(growth, &after).err() {
                None => patched += check(growth, &after, 0, &whole, true),
                // Nothing was acknowledged yet: a fresh start over what is left.
                Some(CheckpointError::None { .. }) => {
                    assert_eq!(run_fresh(growth, &after), Some(CHECKPOINTS));
                }
                Some(error) => assert_eq!(error.to_string(), "", "stop {stop}"),
            }
            continue;
        };
        for seed in 0..seeds {
            patched += check(
                growth,
                &io.crash(mix(stop, seed)),
                completed,
                &whole,
                seed == stop % seeds,
            );
            recoveries.add();
        }
        for after in [io.crash_losing_all(), io.crash_keeping_all()] {
            check(growth, &after, completed, &whole, false);
            recoveries.add();
        }
    }
    println!("{patched} parts patched after crashes");
    assert!(patched > 0, "no start has gone on to a patch");
    recoveries
}

#[test]
fn a_crash_at_every_operation_leaves_a_whole_checkpoint() {
    crash_everywhere(Growth::Short, 1, or_long(6, 30)).at_least(or_long(700, 3000));
}

#[test]
fn and_so_does_one_while_a_queue_begins_a_new_file() {
    crash_everywhere(Growth::Long, or_long(9, 3), 1).at_least(or_long(30, 100));
}

#[test]
fn a_crash_while_starting_again_leaves_one_too() {
    let growth = Growth::Short;
    let first = FaultyIo::new(0);
    run_fresh(growth, &first);
    let whole = queue_files(&first);
    for stop in (first.operations() * 2 / 3..first.operations()).step_by(5) {
        let io = FaultyIo::new(0);
        io.plant(Fault::Stop { at: stop });
        let completed = run_fresh(growth, &io).unwrap();
        // Crash, start again, and crash in the middle of that and of going on.
        for again in 0..40 {
            let io = io.crash(stop + again);
            io.plant(Fault::Stop { at: again });
            let mut completed = completed.saturating_sub(1);
            if let Ok((position, mut checkpoints, queues)) = restart(growth, &io) {
                completed = run(growth, &queues, &mut checkpoints, position)
                    .completed
                    .unwrap_or(position);
            }
            check(growth, &io.crash(again), completed, &whole, true);
        }
    }
}

#[test]
fn a_failed_sync_ends_the_checkpoint_and_a_restart_finds_the_one_before() {
    // The first two make the base durable.
    for nth in 3..CHECKPOINTS {
        let io = FaultyIo::new(0);
        io.plant(Fault::SyncError { nth });
        let completed = run_fresh(Growth::Short, &io).unwrap();
        assert_eq!(completed, nth - 3);
        check(Growth::Short, &io.crash(nth), completed, &BTreeMap::new(), false);
    }
}
