//! Checkpoints: what is read back is what was written, damage falls back, and there is always a whole one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use sluice_core::hash::mix;
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use sluice_store::checkpoint::{CheckpointError, Checkpoints, Loaded, PartKey, Pick};
use sluice_store::io::{Fault, FaultyIo, LogIo, RealIo, write_all_at};
use sluice_store::log::LogPosition;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Parts = BTreeMap<PartKey, Vec<u8>>;

fn position(physical: u64) -> LogPosition {
    LogPosition {
        physical: PhysicalOffset(physical),
        index: LogIndex(physical / 10),
        term: Term(1),
    }
}

fn key(n: u32) -> PartKey {
    PartKey {
        kind: (n % 3) as u8,
        ids: [n, n / 2, 7],
    }
}

fn blob(n: u32, version: u64) -> Vec<u8> {
    let len = mix(u64::from(n), version) % 500;
    (0..len).map(|at| mix(version, at) as u8).collect()
}

fn parts_of(loaded: &Loaded) -> Parts {
    loaded.parts().map(|(key, bytes)| (key, bytes.to_vec())).collect()
}

/// Checkpoints beside what they should hold.
struct Model {
    checkpoints: Checkpoints,
    parts: Parts,
    history: BTreeMap<u64, Parts>,
    segment_starts: BTreeSet<u64>,
}

impl Model {
    fn new(io: &dyn Fn() -> Arc<dyn LogIo>, dir: &Path) -> Self {
        let checkpoints = Checkpoints::create(io(), dir).unwrap();
        let mut model = Self {
            checkpoints,
            parts: Parts::new(),
            history: BTreeMap::new(),
            segment_starts: BTreeSet::new(),
        };
        model.write(0, true, &[], &[]).unwrap();
        model
    }

    fn write(
        &mut self,
        at: u64,
        segment_start: bool,
        changed: &[u32],
        removed: &[u32],
    ) -> Result<sluice_store::checkpoint::WriteStats, CheckpointError> {
        let changed = changed.iter().map(|n| (key(*n), Some(blob(*n, at))));
        let changes: Vec<_> = changed.chain(removed.iter().map(|n| (key(*n), None))).collect();
        for (key, blob) in &changes {
            match blob {
                Some(blob) => self.parts.insert(*key, blob.clone()),
                None => self.parts.remove(key),
            };
        }
        self.history.insert(at, self.parts.clone());
        if segment_start {
            self.segment_starts.insert(at);
        }
        let starts = |at: PhysicalOffset| self.segment_starts.contains(&at.0);
        self.checkpoints
            .write(position(at), &at.to_le_bytes(), &starts, changes)
    }

    fn assert_is(&self, loaded: &Loaded) {
        let at = loaded.position.physical.0;
        assert_eq!(loaded.position, position(at));
        assert_eq!(loaded.header, at.to_le_bytes());
        assert!(parts_of(loaded) == self.history[&at], "checkpoint at {at}");
    }
}

fn faulty() -> (FaultyIo, impl Fn() -> Arc<dyn LogIo>) {
    let io = FaultyIo::new(0);
    let shared = io.clone();
    (io, move || Arc::new(shared.clone()) as Arc<dyn LogIo>)
}

const DIR: &str = "/data/checkpoint";

fn open(io: &FaultyIo, pick: Pick) -> Result<(Checkpoints, Loaded), CheckpointError> {
    Checkpoints::open(Arc::new(io.clone()), Path::new(DIR), pick)
}

fn names(io: &dyn LogIo, suffix: &str) -> Vec<PathBuf> {
    let mut names = io.list(Path::new(DIR)).unwrap();
    names.retain(|name| name.to_str().unwrap().ends_with(suffix));
    names
}

fn name(at: u64, suffix: &str) -> PathBuf {
    Path::new(DIR).join(format!("{at:020}{suffix}"))
}

#[test]
fn a_checkpoint_comes_back_with_what_changed_and_what_did_not() {
    let folder = tempfile::tempdir().unwrap();
    let real: fn() -> Arc<dyn LogIo> = || Arc::new(RealIo::new());
    let mut model = Model::new(&real, folder.path());
    model
        .write(1000, false, &(0..3000).collect::<Vec<_>>(), &[])
        .unwrap();
    let stats = model.write(2000, false, &[5, 6], &[7, 99_999]).unwrap();
    assert_eq!(
        (stats.parts, stats.packs),
        (4, 2),
        "the unchanged stay where they are"
    );
    assert!(stats.bytes < 200_000);
    let (checkpoints, loaded) = Checkpoints::open(real(), folder.path(), Pick::Newest).unwrap();
    assert_eq!(loaded.position, position(2000));
    model.assert_is(&loaded);
    model.checkpoints = checkpoints;
    model.write(3000, true, &[8], &[]).unwrap();
    let (_, loaded) = Checkpoints::open(real(), folder.path(), Pick::Newest).unwrap();
    assert_eq!(loaded.position, position(3000));
    model.assert_is(&loaded);
    assert_eq!(
        model.write(3000, false, &[8], &[]).unwrap(),
        Default::default(),
        "it is there already"
    );
    let error = model.write(2999, false, &[8], &[]).unwrap_err();
    assert!(matches!(error, CheckpointError::Backwards { .. }));
}

#[test]
fn old_packs_are_emptied_bit_by_bit_and_few_files_stay() {
    let (io, shared) = faulty();
    let mut model = Model::new(&shared, Path::new(DIR));
    let all: Vec<u32> = (0..2000).collect();
    model.write(1, false, &all, &[]).unwrap();
    let mut most_moved = 0;
    for n in 2..400_u64 {
        let changed: Vec<u32> = (0..20).map(|m| (mix(n, m) % 2000) as u32).collect();
        let stats = model.write(n, n % 20 == 0, &changed, &[]).unwrap();
        most_moved = most_moved.max(stats.moved);
        assert!(stats.damaged.is_empty());
        assert!(stats.packs <= 110, "{} packs", stats.packs);
    }
    assert!(most_moved > 0 && most_moved < 2000 / 4, "{most_moved}");
    let kept: Vec<_> = model.checkpoints.kept().collect();
    assert_eq!(kept.len(), 8);
    assert!(
        kept[1..6]
            .iter()
            .all(|kept| model.segment_starts.contains(&kept.physical.0))
    );
    let names = names(&io, ".root");
    assert_eq!(names.len(), 8);
    for kept in kept.iter().rev().skip(1) {
        let (_, loaded) = open(
            &io.crash_keeping_all(),
            Pick::Before(PhysicalOffset(kept.physical.0 + 1)),
        )
        .unwrap();
        assert_eq!(loaded.position, *kept);
        model.assert_is(&loaded);
    }
    let (base, loaded) = open(&io, Pick::Base(PhysicalOffset(0))).unwrap();
    assert_eq!(
        (loaded.position, loaded.parts().count(), base.kept().count()),
        (position(0), 0, 1)
    );
    assert_eq!(
        io.list(Path::new(DIR)).unwrap().len(),
        1,
        "what is newer than the base is gone, and gone for good"
    );
    assert_eq!(
        open(&io.crash_losing_all(), Pick::Newest).unwrap().1.position,
        position(0)
    );
}

#[test]
fn a_checkpoint_stays_when_a_segment_turns_out_to_start_where_it_stands() {
    let (io, shared) = faulty();
    let mut model = Model::new(&shared, Path::new(DIR));
    for at in [1000, 2000] {
        model.write(at, false, &[1], &[]).unwrap();
    }
    // It was written at the log's end, before there was a next frame that did not fit.
    model.segment_starts.insert(1000);
    let (checkpoints, _) = open(&io, Pick::Newest).unwrap();
    model.checkpoints = checkpoints;
    for at in [3000, 4000, 5000] {
        model.write(at, false, &[1], &[]).unwrap();
    }
    let kept: Vec<u64> = model.checkpoints.kept().map(|kept| kept.physical.0).collect();
    assert_eq!(kept, [0, 1000, 4000, 5000]);
}

#[test]
fn without_the_base_another_is_not_taken_for_it_and_stays() {
    let (io, shared) = faulty();
    let mut model = Model::new(&shared, Path::new(DIR));
    for at in [1000, 2000] {
        model.write(at, false, &[1], &[]).unwrap();
    }
    io.open(&name(0, ".root")).unwrap().set_len(30).unwrap();
    assert!(matches!(
        open(&io, Pick::Base(PhysicalOffset(0))),
        Err(CheckpointError::None { .. })
    ));
    let (_, loaded) = open(&io, Pick::Newest).unwrap();
    assert_eq!(loaded.position, position(2000));
    model.assert_is(&loaded);
}

#[test]
fn damage_anywhere_falls_back_to_the_one_before() {
    let (io, shared) = faulty();
    let mut model = Model::new(&shared, Path::new(DIR));
    model
        .write(1000, false, &(0..20).collect::<Vec<_>>(), &[])
        .unwrap();
    model
        .write(2000, false, &(10..15).collect::<Vec<_>>(), &[])
        .unwrap();
    for suffix in [".root", ".pack"] {
        let path = name(2000, suffix);
        let len = io.open(&path).unwrap().len().unwrap();
        for at in (0..len).step_by(7) {
            let io = io.crash_keeping_all();
            let file = io.open(&path).unwrap();
            let mut byte = [0];
            file.read_at(&mut byte, at).unwrap();
            write_all_at(&*file, &[byte[0] ^ 1], at).unwrap();
            let (checkpoints, loaded) = open(&io, Pick::Newest).unwrap();
            let fell_back = loaded.position == position(1000);
            // Reserved bytes of the pack's header are checked too; every byte counts.
            assert!(fell_back, "byte {at} of {suffix} flipped and not noticed");
            model.assert_is(&loaded);
            assert_eq!(checkpoints.kept().count(), 2);
            assert_eq!(names(&io, ".root.bad").len(), 1);
            assert!(!names(&io, ".pack").contains(&PathBuf::from("00000000000000002000.pack")));
        }
        let io = io.crash_keeping_all();
        // What the disk does not give now it may give the next time.
        let before = io.list(Path::new(DIR)).unwrap();
        io.plant(Fault::ReadError {
            path: path.clone(),
            range: 0..len,
        });
        let error = open(&io, Pick::Newest).err().unwrap();
        assert!(matches!(error, CheckpointError::Unreadable { .. }), "{error}");
        assert_eq!(io.list(Path::new(DIR)).unwrap(), before);
        io.lift_read_errors();
        assert_eq!(open(&io, Pick::Newest).unwrap().1.position, position(2000));
        io.remove(&path).unwrap();
        assert_eq!(open(&io, Pick::Newest).unwrap().1.position, position(1000));
    }
}

#[test]
fn an_older_checkpoint_that_the_disk_fails_to_read_is_not_taken_for_damaged() {
    let (io, shared) = faulty();
    let mut model = Model::new(&shared, Path::new(DIR));
    for at in [1000, 2000, 3000] {
        model.write(at, true, &[1, 2], &[]).unwrap();
    }
    let before = io.list(Path::new(DIR)).unwrap();
    let path = name(1000, ".root");
    io.plant(Fault::ReadError {
        path: path.clone(),
        range: 0..8,
    });
    let error = open(&io, Pick::Newest).err().unwrap().to_string();
    assert!(
        error.contains(&path.display().to_string()) && error.contains("try again"),
        "{error}"
    );
    assert_eq!(io.list(Path::new(DIR)).unwrap(), before);
    io.lift_read_errors();
    let (checkpoints, loaded) = open(&io, Pick::Newest).unwrap();
    assert_eq!((checkpoints.kept().count(), loaded.position), (4, position(3000)));
}

#[test]
fn a_damaged_checkpoint_to_which_the_log_does_not_lead_stays_with_all_others() {
    let (io, shared) = faulty();
    let mut model = Model::new(&shared, Path::new(DIR));
    for at in [1000, 2000, 3000] {
        model.write(at, true, &[1, 2], &[]).unwrap();
    }
    for at in [2000, 3000] {
        io.open(&name(at, ".root")).unwrap().set_len(30).unwrap();
    }
    let before = io.list(Path::new(DIR)).unwrap();
    let refuse = |from: PhysicalOffset, newest: PhysicalOffset| {
        assert_eq!((from.0, newest.0), (1000, 3000));
        Err(CheckpointError::Needed {
            folder: DIR.into(),
            newest,
            from,
            why: "a loss".to_owned(),
        })
    };
    let shared: Arc<dyn LogIo> = Arc::new(io.clone());
    let error = Checkpoints::open_if(shared, Path::new(DIR), Pick::Newest, &refuse)
        .err()
        .unwrap();
    assert!(matches!(error, CheckpointError::Needed { .. }), "{error}");
    assert_eq!(io.list(Path::new(DIR)).unwrap(), before);
}

#[test]
fn without_a_whole_checkpoint_the_error_names_the_folder() {
    let (io, shared) = faulty();
    let model = Model::new(&shared, Path::new(DIR));
    drop(model);
    let error = open(&io, Pick::Before(PhysicalOffset(0))).err().unwrap();
    assert!(error.to_string().contains(DIR), "{error}");
    io.open(&name(0, ".root")).unwrap().set_len(30).unwrap();
    let error = open(&io, Pick::Newest).err().unwrap();
    assert!(error.to_string().contains(DIR), "{error}");
    assert!(matches!(
        open(&FaultyIo::new(0), Pick::Newest),
        Err(CheckpointError::None { .. })
    ));
}

#[test]
fn a_sync_that_finds_no_space_is_no_full_disk_but_a_failed_sync() {
    let (io, shared) = faulty();
    let mut model = Model::new(&shared, Path::new(DIR));
    io.plant(Fault::SyncNoSpace {
        below: DIR.into(),
        nth: 1,
    });
    let error = model.write(1000, false, &[1, 2], &[]).unwrap_err();
    assert!(!error.is_full_disk(), "{error}");
    assert!(error.to_string().contains("cannot sync"), "{error}");
    let (_, loaded) = open(&io.crash_keeping_all(), Pick::Newest).unwrap();
    assert_eq!(loaded.position, position(0), "no root counts on what is lost");
}

#[test]
fn a_full_disk_costs_nothing_but_the_attempt() {
    let (io, shared) = faulty();
    let mut model = Model::new(&shared, Path::new(DIR));
    model
        .write(1000, false, &(0..100).collect::<Vec<_>>(), &[])
        .unwrap();
    let before = io.list(Path::new(DIR)).unwrap();
    for after in [0, 100, 20_000, 25_000] {
        io.plant(Fault::NoSpace { after });
        let error = model
            .write(2000, false, &(0..100).collect::<Vec<_>>(), &[])
            .unwrap_err();
        assert!(error.is_full_disk(), "{error}");
        assert_eq!(io.list(Path::new(DIR)).unwrap(), before, "after {after} bytes");
    }
    io.lift_no_space();
    model
        .write(3000, false, &(0..100).collect::<Vec<_>>(), &[])
        .unwrap();
    model.assert_is(&open(&io.crash_keeping_all(), Pick::Newest).unwrap().1);
    let (_, loaded) = open(&io.crash_losing_all(), Pick::Newest).unwrap();
    assert_eq!(
        loaded.position,
        position(1000),
        "the newest one's name is not durable yet"
    );
    model.assert_is(&loaded);
}
