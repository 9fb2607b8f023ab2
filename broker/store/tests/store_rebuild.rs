//! Derived files are a function of the log: rebuilt ones are those that were, and a second store fed with the same
//! frames is equal.
#![cfg(test)]

mod workload;

use sluice_core::ids::{LogIndex, PhysicalOffset, TopicId};
use sluice_core::state::{ShardKey, ShardView, State};
use sluice_store::NoObserver;
use sluice_store::applier::Applier;
use sluice_store::checkpoint::{Checkpoints, PartKey, Pick};
use sluice_store::checkpointer::{CheckpointPolicy, Header, Trigger};
use sluice_store::index::{IndexPosition, IndexStore};
use sluice_store::io::{LogIo, RealIo};
use sluice_store::log::{Frame, LogReader};
use sluice_store::queue::QueueStore;
use sluice_store::retention::Settings;
use sluice_store::survey::{Depth, survey};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use workload::{Driver, check, open, open_with};

const DAY_MS: u64 = 24 * 3_600_000;

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

/// The queue files of topics that exist: those of a deleted one go some checkpoints after it.
fn living(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let parts = newest_checkpoint(dir).parts;
    let mut files = files(&dir.join("queue"));
    files.retain(|name, _| {
        let topic = name.iter().next().and_then(|topic| topic.to_str()?.parse().ok());
        parts.contains_key(&ShardKey::Topic(TopicId(topic.unwrap())))
    });
    files
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
    for what in [
        "TopicPut",
        "TopicDeleted",
        "GroupPut",
        "GroupDeleted",
        "Moved",
        "Fenced",
    ] {
        let done = driver.memory.administered.get(what).copied();
        assert!(done > Some(1), "{what}: {done:?}");
    }
    let before = (living(dir.path()), files(&dir.path().join("index")));
    assert!(!before.0.is_empty() && !before.1.is_empty());
    std::fs::remove_dir_all(dir.path().join("queue")).unwrap();
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let opened = open(io, dir.path(), 60_000).unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
    same(&before.0, &living(dir.path()));
    same(&before.1, &files(&dir.path().join("index")));
}

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

/// Rounds of a workload with retention now and then; in the end the log begins where it should. `whole` hears of the log
/// before any of it goes.
fn retained(io: &Arc<dyn LogIo>, dir: &Path, seed: u64, whole: impl FnMut(&LogReader)) -> Driver {
    retained_by(
        Driver::new(open(Arc::clone(io), dir, 60_000).unwrap(), seed),
        whole,
    )
}

fn retained_by(mut driver: Driver, mut whole: impl FnMut(&LogReader)) -> Driver {
    driver.make().unwrap();
    let settings = Settings {
        keep_ms: Some(DAY_MS),
        keep_bytes: Some(700_000),
        longer: [(TopicId(2), 365 * DAY_MS)].into(),
        ..Settings::default()
    };
    for round in 0..900 {
        driver.round(6000).unwrap();
        if round % 90 == 89 {
            whole(driver.opened.store.reader());
            driver.retain(&settings).unwrap();
        }
    }
    let begins = |driver: &Driver| driver.opened.store.tables().bounds().start;
    assert!(begins(&driver).0 > 1_000_000, "something has gone");
    assert!(
        driver.opened.store.tables().carried_len() > 0,
        "something was carried"
    );
    driver
        .send_until(100, |driver| driver.opened.store.log().start() == begins(driver))
        .unwrap();
    whole(driver.opened.store.reader());
    driver
}

#[test]
fn files_made_again_from_the_base_after_retention_are_byte_for_byte_those_that_were() {
    for seed in [31, 32] {
        let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
        let dir = tempfile::tempdir().unwrap();
        let driver = retained(&io, dir.path(), seed, |_| ());
        driver.opened.store.close().unwrap();
        let looked = survey(&io, dir.path(), Depth::Everything).unwrap();
        assert!(looked.folded_to.is_some());
        assert!(looked.findings.is_sound(), "{:?}", looked.findings);
        let before = (living(dir.path()), files(&dir.path().join("index")));
        assert!(!before.0.is_empty() && !before.1.is_empty());
        std::fs::remove_dir_all(dir.path().join("queue")).unwrap();
        std::fs::remove_dir_all(dir.path().join("index")).unwrap();
        let opened = open(Arc::clone(&io), dir.path(), 60_000).unwrap();
        check(&opened.store, &driver.memory);
        opened.store.close().unwrap();
        same(&before.0, &living(dir.path()));
        same(&before.1, &files(&dir.path().join("index")));
    }
}

#[test]
fn what_retention_took_is_no_damage_where_the_checkpoints_that_know_are_gone() {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let dir = tempfile::tempdir().unwrap();
    let driver = retained(&io, dir.path(), 34, |_| ());
    let start = driver.opened.store.log().start();
    driver.opened.store.close().unwrap();
    // Entries that are left are looked at, and neighbours are told as one.
    let queue = dir.path().join("queue");
    let largest = files(&queue)
        .into_iter()
        .max_by_key(|(_, bytes)| bytes.len())
        .unwrap()
        .0;
    let path = queue.join(largest);
    let sound = std::fs::read(&path).unwrap();
    let mut bytes = sound.clone();
    let from = bytes.len() - 12 * 40;
    bytes[from..from + 10 * 40].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    let looked = survey(&io, dir.path(), Depth::Everything).unwrap();
    let [damage] = &looked.findings.damage[..] else {
        panic!("{:?}", looked.findings.damage);
    };
    assert_eq!((&damage.file, damage.offset), (&path, from as u64));
    assert!(
        damage.what.starts_with("10 entries are damaged"),
        "{}",
        damage.what
    );
    std::fs::write(&path, sound).unwrap();
    let base = format!("{:020}.root", start.0);
    for root in std::fs::read_dir(dir.path().join("checkpoint")).unwrap() {
        let root = root.unwrap().path();
        if root.extension().is_some_and(|kind| kind == "root") && !root.ends_with(&base) {
            std::fs::remove_file(root).unwrap();
        }
    }
    let looked = survey(&io, dir.path(), Depth::Everything).unwrap();
    assert!(looked.folded_to.is_some());
    assert!(looked.findings.is_sound(), "{:?}", looked.findings.damage);
    let opened = open(io, dir.path(), 60_000).unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
}

#[test]
fn queue_files_are_found_again_where_the_checkpoint_at_the_logs_start_is_lost() {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let dir = tempfile::tempdir().unwrap();
    // What goes to a topic that is closed meanwhile cannot be counted.
    let driver = Driver::new(open(Arc::clone(&io), dir.path(), 60_000).unwrap(), 33).without_administrators();
    let driver = retained_by(driver, |_| ());
    let start = driver.opened.store.log().start();
    driver.opened.store.close().unwrap();
    let base = dir.path().join(format!("checkpoint/{:020}.root", start.0));
    std::fs::remove_file(base).unwrap();
    // What the broker leaves that has come to damage in a queue file.
    let note = dir.path().join("queue/rebuild");
    std::fs::write(&note, "").unwrap();
    let opened = open(Arc::clone(&io), dir.path(), 60_000).unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
    assert!(!note.exists());
    let looked = survey(&io, dir.path(), Depth::Everything).unwrap();
    assert!(!looked.findings.is_sound(), "a base that is lost is told");
    // They are counted back from the newest checkpoint then.
    std::fs::remove_dir_all(dir.path().join("queue")).unwrap();
    let opened = open(io, dir.path(), 60_000).unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
}

/// What a checkpoint says, without how it is spread over files.
#[derive(Debug, PartialEq)]
struct Content {
    digest: u64,
    end: PhysicalOffset,
    header: Vec<u8>,
    index: IndexPosition,
    parts: BTreeMap<ShardKey, Vec<u8>>,
}

fn bytes_of(view: &ShardView) -> Vec<u8> {
    let mut out = Vec::new();
    view.encode(&mut out);
    out
}

/// The newest checkpoint of a store that was closed.
fn newest_checkpoint(dir: &Path) -> Content {
    let folder = dir.join("checkpoint");
    let (_, loaded) = Checkpoints::open(Arc::new(RealIo::new()), &folder, Pick::Newest).unwrap();
    let header = Header::decode(&loaded.header).unwrap();
    let key = |key: PartKey| ShardKey::from_numbers(key.kind, key.ids).unwrap();
    let parts: BTreeMap<_, _> = loaded
        .parts()
        .map(|(part, bytes)| (key(part), bytes.to_vec()))
        .collect();
    let borrowed = parts.iter().map(|(key, bytes)| (*key, &bytes[..]));
    let state = State::restore(header.state, borrowed).unwrap();
    Content {
        digest: state.digest(),
        end: loaded.position.physical,
        header: header.state.to_vec(),
        index: header.index,
        parts,
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
