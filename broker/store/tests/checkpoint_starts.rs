//! Checkpoints at segment starts: each segment's start has a snapshot of its own, however busy the writer is.
#![cfg(test)]

mod log_bench;
mod workload;

use log_bench::{Bench, message};
use sluice_core::command::{CreateTopic, Types};
use sluice_core::ids::PhysicalOffset;
use sluice_core::state::{ShardKey, State};
use sluice_store::NoObserver;
use sluice_store::applier::Applier;
use sluice_store::checkpointer::{CheckpointPolicy, CheckpointRequest, Requests, Trigger};
use sluice_store::index::IndexStore;
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::log::{Committed, Frame};
use sluice_store::queue::QueueStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use workload::{Driver, check, open};

const DIR: &str = "/data/broker-a";

/// An applier beside a log of several segments, and the place of the thread that writes.
struct Stage {
    applier: Applier,
    requests: Receiver<CheckpointRequest>,
    busy: Arc<AtomicBool>,
    frames: Vec<Frame>,
    starts: Vec<PhysicalOffset>,
    bench: Bench,
}

impl Stage {
    /// Until it is connected the applier only replays.
    fn new(connected: bool) -> Self {
        let io: Arc<dyn LogIo> = Arc::new(FaultyIo::new(1));
        let mut bench = Bench::open(Arc::clone(&io), Path::new(DIR)).unwrap();
        let topic = CreateTopic {
            name: "t".to_owned(),
            queues: 1,
            types: Types::ALL,
        };
        drop(bench.propose(vec![topic.encode(1)]));
        for n in 0..80 {
            drop(bench.propose(vec![message(n, 10_000)]));
            bench.run();
        }
        let frames = bench.all();
        let reader = bench.parts.log.reader();
        let starts: Vec<_> = frames
            .iter()
            .map(Frame::start)
            .filter(|at| reader.starts_segment(*at))
            .collect();
        assert!(starts.len() >= 4, "{starts:?}");
        let policy = CheckpointPolicy {
            bytes: u64::MAX,
            every: Duration::from_secs(3600),
        };
        let queues = QueueStore::create(Arc::clone(&io), &Path::new(DIR).join("queue")).unwrap();
        let index = IndexStore::create(io, &Path::new(DIR).join("index")).unwrap();
        let trigger = Trigger::new(policy, PhysicalOffset(0), starts.clone());
        let applier = Applier::new(State::new(), queues, index, Box::new(NoObserver), trigger);
        let (_, requests) = sync_channel(1);
        let mut stage = Self {
            applier,
            requests,
            busy: Arc::default(),
            frames,
            starts,
            bench,
        };
        if connected {
            stage.connect();
        }
        stage
    }

    fn connect(&mut self) {
        let (writer, requests) = sync_channel(1);
        self.requests = requests;
        self.applier.connect(Requests {
            log: self.bench.parts.log.clone(),
            writer,
            busy: Arc::clone(&self.busy),
            anew: Arc::default(),
        });
    }

    /// Applies the frames from one offset up to another.
    fn apply(&mut self, from: PhysicalOffset, to: PhysicalOffset) {
        let frames = self
            .frames
            .iter()
            .filter(|frame| (from..to).contains(&frame.start()));
        for frame in frames.cloned() {
            let frames = vec![(frame, Vec::new())];
            self.applier.step(Committed { frames });
            self.applier.hand_on();
        }
    }
}

#[test]
fn a_segment_that_starts_while_the_writer_is_at_work_has_its_checkpoint_later() {
    let mut stage = Stage::new(true);
    let [first, second, third, ..] = stage.starts[..] else {
        unreachable!("at least four");
    };
    stage.busy.store(true, Ordering::SeqCst);
    stage.apply(first, third);
    assert!(stage.requests.try_recv().is_err(), "the writer is at work");
    stage.busy.store(false, Ordering::SeqCst);
    stage.applier.hand_on();
    let mut request = stage.requests.try_recv().unwrap();
    assert_eq!(request.physical, second, "of then, not of now");
    let changed = request.state.take_changed();
    let topics = changed
        .iter()
        .filter(|(key, _)| matches!(key, ShardKey::Topic(_)));
    assert_eq!(topics.count(), 1, "what has changed before is in it");
}

#[test]
fn of_two_starts_that_come_while_the_writer_is_at_work_the_later_has_the_changes_of_both() {
    let mut stage = Stage::new(true);
    let [first, _, third, fourth, ..] = stage.starts[..] else {
        unreachable!("at least four");
    };
    stage.busy.store(true, Ordering::SeqCst);
    stage.apply(first, fourth);
    let waiting = stage.applier.disconnect();
    let mut last: Vec<_> = waiting.into_iter().chain(stage.applier.finish(false)).collect();
    let places: Vec<_> = last.iter().map(|request| request.physical).collect();
    assert_eq!(places, [third, fourth], "a stop writes what waits, then the rest");
    let changed = last[0].state.take_changed();
    let topics = changed
        .iter()
        .filter(|(key, _)| matches!(key, ShardKey::Topic(_)));
    assert!(
        topics.count() > 0,
        "what only the older one had is in the later one"
    );
}

#[test]
fn a_replay_remembers_the_last_start_it_came_by() {
    let mut stage = Stage::new(false);
    for frame in &stage.frames {
        stage.applier.replay(frame).unwrap();
    }
    assert!(stage.requests.try_recv().is_err());
    stage.connect();
    let request = stage.requests.try_recv().unwrap();
    assert_eq!(Some(&request.physical), stage.starts.last());
}

/// The positions in names of the folder that end so.
fn positions(io: &FaultyIo, folder: &str, suffix: &str) -> Vec<u64> {
    let names = io.list(&Path::new(DIR).join(folder)).unwrap();
    let position = |name: PathBuf| name.to_str()?.strip_suffix(suffix)?.parse().ok();
    names.into_iter().filter_map(position).collect()
}

fn wait_for_checkpoint(io: &FaultyIo, at: u64) {
    let begun = Instant::now();
    while !positions(io, "checkpoint", ".root").contains(&at) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint at {at}");
        std::thread::yield_now();
    }
}

#[test]
fn every_segment_of_a_store_has_a_checkpoint_at_its_start_and_a_rebuilt_store_at_its_newest() {
    let io = FaultyIo::new(5);
    // Checkpoints so often that the writer is hardly ever idle, and often stand at the log's end when a segment begins.
    let mut driver = Driver::new(open(Arc::new(io.clone()), Path::new(DIR), 1).unwrap(), 5);
    driver.make().unwrap();
    let mut seen = 1;
    while seen < 5 {
        driver.round(20_000).unwrap();
        let bases = positions(&io, "log", ".seg");
        bases[seen..]
            .iter()
            .for_each(|base| wait_for_checkpoint(&io, *base));
        seen = bases.len();
    }
    // More of them, with others between: those at the starts stay.
    (0..50).for_each(|_| driver.round(100).unwrap());
    driver.opened.store.close().unwrap();
    let bases = positions(&io, "log", ".seg");
    let roots = positions(&io, "checkpoint", ".root");
    assert!(
        bases.iter().all(|base| roots.contains(base)),
        "{bases:?} {roots:?}"
    );
    assert!(roots.len() <= bases.len() + 2, "{roots:?}");

    for name in positions(&io, "queue/0/0", ".cq") {
        io.remove(&Path::new(DIR).join(format!("queue/0/0/{name:020}.cq")))
            .unwrap();
    }
    let opened = open(Arc::new(io.clone()), Path::new(DIR), u64::MAX).unwrap();
    wait_for_checkpoint(&io, *bases.last().unwrap());
    opened.store.close().unwrap();
    let opened = open(Arc::new(io.crash_losing_all()), Path::new(DIR), u64::MAX).unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
}
