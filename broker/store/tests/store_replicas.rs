//! Derived files are a function of the log: a second store fed with the same frames is equal.
#![cfg(test)]

mod derived;
mod workload;

use derived::{Content, files, living, newest_checkpoint, retained, same};
use sluice_core::ids::{LogIndex, PhysicalOffset, QueueId, TopicQueue};
use sluice_core::state::{ShardView, State};
use sluice_store::NoObserver;
use sluice_store::applier::Applier;
use sluice_store::checkpoint::{Checkpoints, Pick};
use sluice_store::checkpointer::{CheckpointPolicy, Header, Trigger};
use sluice_store::index::IndexStore;
use sluice_store::io::{LogIo, RealIo};
use sluice_store::log::{Frame, LogReader};
use sluice_store::queue::QueueStore;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use workload::{Driver, open, open_with};

/// All frames that a log ever had, and where its segments started.
#[derive(Default)]
struct Whole {
    frames: Vec<Frame>,
    starts: Vec<PhysicalOffset>,
}

impl Whole {
    /// Takes what came since; to be called before any of it can have gone.
    fn take(&mut self, reader: &LogReader) {
        let next = self.frames.last().map_or(0, |last| last.index().0 + 1);
        let more = frames_from(reader, LogIndex(next));
        self.starts.extend(segment_starts(reader, &more));
        self.frames.extend(more);
    }
}

fn all_frames(reader: &LogReader) -> Vec<Frame> {
    frames_from(reader, reader.first_index())
}

fn frames_from(reader: &LogReader, mut next: LogIndex) -> Vec<Frame> {
    let mut frames = Vec::new();
    loop {
        let more = reader.read_frames(next, LogIndex(u64::MAX), 1 << 20).unwrap();
        let Some(last) = more.last() else { return frames };
        next = LogIndex(last.index().0 + 1);
        frames.extend(more);
    }
}

fn segment_starts(reader: &LogReader, frames: &[Frame]) -> Vec<PhysicalOffset> {
    let starts = frames.iter().map(Frame::start);
    starts.filter(|at| reader.starts_segment(*at)).collect()
}

fn same_derived_files(left: &Path, right: &Path) {
    let index = [left, right].map(|dir| files(&dir.join("index")));
    assert!(!index[0].is_empty());
    same(&index[0], &index[1]);
    // The replicas of this file write no checkpoints: the right one says which topics exist.
    let living = living(right);
    assert!(!living.is_empty());
    let mut other = files(&left.join("queue"));
    let exists = |name: &Path| living.keys().any(|file| file.iter().next() == name.iter().next());
    other.retain(|name, _| exists(name));
    same(&other, &living);
}

fn bytes_of(view: &ShardView) -> Vec<u8> {
    let mut out = Vec::new();
    view.encode(&mut out);
    out
}

/// Applies the frames of a log to a store of its own under `dir`, flushing at other moments than the first one did.
/// In the end what retention has given up goes, up to a run of the index.
fn replica(
    dir: &Path,
    frames: &[Frame],
    starts: &[PhysicalOffset],
    flush_every: usize,
    first_run: u64,
) -> Content {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let queues = QueueStore::create(Arc::clone(&io), &dir.join("queue")).unwrap();
    let index = IndexStore::create(io, &dir.join("index")).unwrap();
    let policy = CheckpointPolicy {
        bytes: u64::MAX,
        every: Duration::from_secs(3600),
    };
    let trigger = Trigger::new(policy, PhysicalOffset(0), starts.to_vec());
    let state = State::new();
    let mut applier = Applier::new(
        state,
        queues.clone(),
        index.clone(),
        Box::new(NoObserver),
        trigger,
    );
    for (place, frame) in frames.iter().enumerate() {
        applier.replay(frame).unwrap();
        if place % flush_every == 0 {
            queues
                .flush_tails(&sluice_store::applier::tails(applier.state()))
                .unwrap();
            index.flush(&index.position()).unwrap();
        }
    }
    queues
        .flush_tails(&sluice_store::applier::tails(applier.state()))
        .unwrap();
    index.flush(&index.position()).unwrap();
    while index.background_step().unwrap() {}
    let topics = applier.state().tables().all_topics().into_iter();
    let firsts = topics.flat_map(|topic| {
        let queues = (0..topic.spec.queues).map(QueueId);
        let at = |queue| TopicQueue {
            topic: topic.id,
            queue,
        };
        let first = |queue| (at(queue), topic.first(queue).unwrap());
        queues.map(first).collect::<Vec<_>>()
    });
    queues.counted(&firsts.collect::<Vec<_>>());
    queues.trim_files().unwrap();
    index.trim(first_run).unwrap();
    let end = frames.last().unwrap().end();
    let snapshot = applier.snapshot(end).state;
    let views = applier.state().all_views();
    let parts = views.iter().map(|(key, view)| (*key, bytes_of(view)));
    Content {
        digest: snapshot.digest,
        end,
        header: snapshot.header,
        index: index.position(),
        parts: parts.collect(),
    }
}

#[test]
fn frames_fed_to_other_stores_give_the_digest_the_checkpoint_and_the_files_of_the_first() {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let dir = tempfile::tempdir().unwrap();
    let mut driver = Driver::new(open(Arc::clone(&io), dir.path(), 60_000).unwrap(), 12);
    driver.make().unwrap();
    for _ in 0..600 {
        driver.round(900).unwrap();
    }
    let frames = all_frames(driver.opened.store.reader());
    let starts = segment_starts(driver.opened.store.reader(), &frames);
    driver.opened.store.close().unwrap();
    let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // On two threads: the one starts with other hash seeds and runs at other moments than the other.
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| replica(left.path(), &frames, &starts, 7, 0));
        let two = scope.spawn(|| replica(right.path(), &frames, &starts, 1000, 0));
        (one.join().unwrap(), two.join().unwrap())
    });
    let first = newest_checkpoint(dir.path());
    assert!(first.digest != 0 && !first.parts.is_empty());
    assert_eq!(one, first);
    assert_eq!(two, first);
    same_derived_files(left.path(), dir.path());
    same_derived_files(right.path(), dir.path());
}

#[test]
fn all_frames_of_a_log_that_begins_later_give_the_digest_the_checkpoint_and_the_files_that_are_left() {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut whole = Whole::default();
    let driver = retained(&io, dir.path(), 33, |reader| whole.take(reader));
    driver.opened.store.close().unwrap();
    let (checkpoints, _) = Checkpoints::open(io, &dir.path().join("checkpoint"), Pick::Newest).unwrap();
    let (base, header) = checkpoints.headers().next().unwrap();
    assert!(base.physical > PhysicalOffset(1_000_000));
    let first_run = Header::decode(header).unwrap().index.at_segment_start().run;
    let found = replica(other.path(), &whole.frames, &whole.starts, 50, first_run);
    assert_eq!(found, newest_checkpoint(dir.path()));
    same_derived_files(other.path(), dir.path());
}

#[test]
fn a_store_with_another_clock_makes_the_same_of_the_same_log() {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut driver = Driver::new(open(Arc::clone(&io), dir.path(), 60_000).unwrap(), 13);
    driver.make().unwrap();
    for _ in 0..300 {
        driver.round(900).unwrap();
    }
    driver.opened.store.close().unwrap();
    std::fs::create_dir(copy.path().join("log")).unwrap();
    for (name, bytes) in files(dir.path()) {
        if name.starts_with("log") || name.to_str().unwrap().starts_with("meta") {
            std::fs::write(copy.path().join(name), bytes).unwrap();
        }
    }
    // Each goes on in a term of its own, of the same number: the one from its last checkpoint and in the year 1970, the
    // other from the log's start, with checkpoints at other moments, and in 2033.
    let open = |dir: &Path, checkpoint_bytes, now| {
        let opened = open_with(Arc::clone(&io), dir, checkpoint_bytes, 256 << 10, now).unwrap();
        let frames = all_frames(opened.store.reader());
        opened.store.close().unwrap();
        frames
    };
    let (again, other) = std::thread::scope(|scope| {
        let again = scope.spawn(|| open(dir.path(), 60_000, 1_000));
        let other = scope.spawn(|| open(copy.path(), 7_000, 2_000_000_000_000));
        (again.join().unwrap(), other.join().unwrap())
    });
    assert!(again == other);
    assert_eq!(newest_checkpoint(copy.path()), newest_checkpoint(dir.path()));
    same_derived_files(copy.path(), dir.path());
}
