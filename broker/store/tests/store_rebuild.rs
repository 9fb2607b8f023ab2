//! Derived files are a function of the log: rebuilt ones are those that were, and a second store fed with the same
//! frames is equal.
#![cfg(test)]

mod workload;

use sluice_core::state::ShardKey;
use sluice_store::NoObserver;
use sluice_store::applier::Applier;
use sluice_store::checkpointer::{CheckpointPolicy, Trigger};
use sluice_store::index::IndexStore;
use sluice_store::io::{LogIo, RealIo};
use sluice_store::queue::QueueStore;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use workload::{Driver, check, open};

/// Every file below `dir`, by its path from there.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(&folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(
                    path.strip_prefix(dir).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

fn same(left: &BTreeMap<PathBuf, Vec<u8>>, right: &BTreeMap<PathBuf, Vec<u8>>) {
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(left), names(right));
    for (name, bytes) in left {
        assert!(right[name] == *bytes, "{} differs", name.display());
    }
}

#[test]
fn deleted_queue_and_index_files_are_rebuilt_byte_for_byte() {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let dir = tempfile::tempdir().unwrap();
    let mut driver = Driver::new(open(Arc::clone(&io), dir.path(), 60_000).unwrap(), 11);
    driver.make().unwrap();
    for _ in 0..600 {
        driver.round(900).unwrap();
    }
    driver.opened.store.close().unwrap();
    drop(driver.opened);
    let before = (files(&dir.path().join("queue")), files(&dir.path().join("index")));
    assert!(!before.0.is_empty() && !before.1.is_empty());
    std::fs::remove_dir_all(dir.path().join("queue")).unwrap();
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let opened = open(io, dir.path(), 60_000).unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
    same(&before.0, &files(&dir.path().join("queue")));
    same(&before.1, &files(&dir.path().join("index")));
}

/// State's parts as a checkpoint stores them.
fn parts(applier: &Applier) -> BTreeMap<ShardKey, Vec<u8>> {
    let encode = |view: &sluice_core::state::ShardView| {
        let mut out = Vec::new();
        view.encode(&mut out);
        out
    };
    applier
        .state()
        .all_views()
        .iter()
        .map(|(key, view)| (*key, encode(view)))
        .collect()
}

/// Applies the frames of a log to a store of its own under `dir`, flushing at other moments than the first one did.
fn replica(dir: &Path, frames: &[sluice_store::log::Frame], flush_every: usize) -> Applier {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let queues = QueueStore::create(Arc::clone(&io), &dir.join("queue")).unwrap();
    let index = IndexStore::create(io, &dir.join("index")).unwrap();
    let policy = CheckpointPolicy {
        bytes: u64::MAX,
        every: Duration::from_secs(3600),
    };
    let trigger = Trigger::new(policy, sluice_core::ids::PhysicalOffset(0), Vec::new());
    let state = sluice_core::state::State::new();
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
    applier
}

#[test]
fn a_second_store_fed_with_the_same_frames_is_equal_in_state_queues_and_index() {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let dir = tempfile::tempdir().unwrap();
    let mut driver = Driver::new(open(Arc::clone(&io), dir.path(), 60_000).unwrap(), 12);
    driver.make().unwrap();
    for _ in 0..600 {
        driver.round(900).unwrap();
    }
    let reader = driver.opened.store.reader().clone();
    let mut frames = Vec::new();
    let mut next = reader.first_index();
    loop {
        let more = reader
            .read_frames(next, sluice_core::ids::LogIndex(u64::MAX), 1 << 20)
            .unwrap();
        let Some(last) = more.last() else { break };
        next = sluice_core::ids::LogIndex(last.index().0 + 1);
        frames.extend(more);
    }
    driver.opened.store.close().unwrap();
    let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // On two threads: the one starts with other hash seeds and runs at other moments than the other.
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| replica(left.path(), &frames, 7));
        let two = scope.spawn(|| replica(right.path(), &frames, 1000));
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_eq!(one.state().digest(), two.state().digest());
    assert_eq!(parts(&one), parts(&two));
    same(
        &files(&left.path().join("queue")),
        &files(&right.path().join("queue")),
    );
    same(
        &files(&left.path().join("index")),
        &files(&right.path().join("index")),
    );
    same(
        &files(&left.path().join("queue")),
        &files(&dir.path().join("queue")),
    );
    same(
        &files(&left.path().join("index")),
        &files(&dir.path().join("index")),
    );
}
