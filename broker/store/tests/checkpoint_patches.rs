//! Checkpoints after small changes: little is written, what is read back is what was given, and whatever a patch needs stays.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use sluice_core::hash::mix;
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use sluice_store::checkpoint::{Checkpoints, PartKey, Pick, WriteStats};
use sluice_store::io::{Fault, FaultyIo, LogIo, write_all_at};
use sluice_store::log::LogPosition;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "/data/checkpoint";
const PART_BYTES: usize = 4096;
const PARTS: u32 = 200;
const STATE_BYTES: u64 = PART_BYTES as u64 * PARTS as u64;

type Parts = BTreeMap<PartKey, Vec<u8>>;

fn position(physical: u64) -> LogPosition {
    LogPosition {
        physical: PhysicalOffset(physical),
        index: LogIndex(physical),
        term: Term(1),
    }
}

fn key(n: u32) -> PartKey {
    PartKey {
        kind: 1,
        ids: [n, 0, 0],
    }
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| mix(seed, at) as u8).collect()
}

fn pack(at: u64) -> PathBuf {
    Path::new(DIR).join(format!("{at:020}.pack"))
}

/// Checkpoints beside what they should hold.
struct Model {
    io: FaultyIo,
    checkpoints: Checkpoints,
    parts: Parts,
    history: BTreeMap<u64, Parts>,
    /// One checkpoint in so many stands at a segment's start, so that it stays for a while.
    segment: u64,
    /// What the next checkpoint is given.
    changes: BTreeMap<PartKey, Option<Vec<u8>>>,
}

impl Model {
    /// With a checkpoint at 1000 that has all parts.
    fn new() -> Self {
        let io = FaultyIo::new(0);
        let checkpoints = Checkpoints::create(Arc::new(io.clone()), Path::new(DIR)).unwrap();
        let (parts, history, changes) = Default::default();
        let mut model = Self {
            io,
            checkpoints,
            parts,
            history,
            segment: 50,
            changes,
        };
        model.write(0);
        (0..PARTS).for_each(|n| model.set(n, noise(u64::from(n), PART_BYTES)));
        let stats = model.write(1000);
        assert_eq!(stats.patched, 0);
        model
    }

    fn set(&mut self, n: u32, bytes: Vec<u8>) {
        self.changes.insert(key(n), Some(bytes));
    }

    /// Changes, takes and adds a few bytes of a part.
    fn touch(&mut self, n: u32, seed: u64) {
        let mut bytes = self.parts[&key(n)].clone();
        let at = mix(seed, 0) as usize % (bytes.len() - 40);
        bytes.splice(at..at + 10, noise(seed, 10));
        bytes.splice(at + 20..at + 20, noise(seed, 6));
        bytes.drain(..6);
        self.set(n, bytes);
    }

    fn touch_all(&mut self, seed: u64) {
        (0..PARTS).for_each(|n| self.touch(n, mix(seed, u64::from(n))));
    }

    fn write(&mut self, at: u64) -> WriteStats {
        let changes = std::mem::take(&mut self.changes);
        for (key, bytes) in &changes {
            match bytes {
                Some(bytes) => self.parts.insert(*key, bytes.clone()),
                None => self.parts.remove(key),
            };
        }
        self.history.insert(at, self.parts.clone());
        let starts = |at: PhysicalOffset| at.0.is_multiple_of(self.segment * 1000);
        self.checkpoints
            .write(position(at), b"header", &starts, changes)
            .unwrap()
    }

    /// What an opening finds, and the checkpoints to go on with.
    fn assert_opens(&self, pick: Pick, at: u64) -> Checkpoints {
        let io = Arc::new(self.io.crash_keeping_all());
        let (checkpoints, loaded) = Checkpoints::open(io, Path::new(DIR), pick).unwrap();
        assert_eq!(loaded.position, position(at));
        let found: Parts = loaded.parts().map(|(key, bytes)| (key, bytes.to_vec())).collect();
        assert!(found == self.history[&at], "checkpoint at {at}");
        checkpoints
    }

    fn reopen(&mut self) {
        let io: Arc<dyn LogIo> = Arc::new(self.io.clone());
        let (checkpoints, _) = Checkpoints::open(io, Path::new(DIR), Pick::Newest).unwrap();
        self.checkpoints = checkpoints;
    }

    /// Bytes of all packs.
    fn pack_bytes(&self) -> u64 {
        let names = self.io.list(Path::new(DIR)).unwrap();
        let packs = names
            .iter()
            .filter(|name| name.extension().is_some_and(|ending| ending == "pack"));
        let len = |name: &PathBuf| self.io.open_read(&Path::new(DIR).join(name)).unwrap().len();
        packs.map(|name| len(name).unwrap()).sum()
    }
}

#[test]
fn a_small_change_of_every_part_writes_a_small_share_of_the_state_and_comes_back() {
    let mut model = Model::new();
    for round in 2..6 {
        model.touch_all(round);
        let stats = model.write(round * 1000);
        assert_eq!((stats.parts, stats.patched), (200, 200));
        // Patches are against the same bytes, and so grow: here by half a hundredth each time.
        let most = STATE_BYTES * (1 + round) / 100;
        assert!(stats.bytes < most, "{} of {STATE_BYTES}", stats.bytes);
        assert_eq!(stats.packs, 2, "what was stored first, and the last patches");
        model.assert_opens(Pick::Newest, round * 1000);
        model.assert_opens(Pick::Before(PhysicalOffset(round * 1000)), (round - 1) * 1000);
        model.reopen();
    }
}

#[test]
fn where_all_parts_go_on_changing_they_are_written_whole_in_turn_and_never_all_at_once() {
    let mut model = Model::new();
    let mut written = Vec::new();
    for round in 2..62 {
        model.touch_all(round);
        let stats = model.write(round * 1000);
        written.push(stats.bytes * 100 / STATE_BYTES);
        model.assert_opens(Pick::Newest, round * 1000);
    }
    let (most, sum) = (written.iter().max().unwrap(), written.iter().sum::<u64>());
    // In hundredths of the state. Each change costs one and a half; where all are written at once one checkpoint has a hundred.
    assert!(*most < 25 && sum / 60 < 18, "{written:?}");
    let later = &written[30..];
    let least = later.iter().min().unwrap();
    assert!(most - least < 15, "no waves: {written:?}");
}

#[test]
fn what_is_as_it_is_stored_is_not_written_at_all() {
    let mut model = Model::new();
    let as_stored = model.parts.clone();
    model.touch_all(1);
    model.write(2000);
    for (key, bytes) in as_stored {
        model.changes.insert(key, Some(bytes));
    }
    let stats = model.write(3000);
    assert_eq!((stats.parts, stats.patched, stats.packs), (200, 200, 1));
    model.assert_opens(Pick::Newest, 3000);
}

#[test]
fn a_large_change_or_a_small_part_is_written_whole() {
    let mut model = Model::new();
    model.set(0, noise(7, PART_BYTES));
    let longer = [&model.parts[&key(1)][..], &noise(8, 1024)].concat();
    model.set(1, longer);
    model.set(2, model.parts[&key(2)][..3072].to_vec());
    model.set(300, noise(9, 1000));
    assert_eq!(model.write(2000).patched, 0);
    model.touch(300, 1);
    assert_eq!(model.write(3000).patched, 0);
    for n in 0..3 {
        model.touch(n, 2);
    }
    assert_eq!(model.write(4000).patched, 3, "against what was written last");
    model.assert_opens(Pick::Newest, 4000);
}

#[test]
fn of_two_versions_of_a_part_the_later_one_counts() {
    let mut model = Model::new();
    let [earlier, later] = [1, 2].map(|seed| {
        model.touch(0, seed);
        model.changes.remove(&key(0)).flatten().unwrap()
    });
    let whole = noise(3, PART_BYTES);
    let short = noise(4, 100);
    let rows: [(&[&[u8]], &[u8]); 4] = [
        (&[&earlier, &later], &later),
        (&[&whole, &later], &later),
        (&[&earlier, &short], &short),
        (&[&earlier, &[]], &[]),
    ];
    for (at, (versions, last)) in (2000..).step_by(1000).zip(rows) {
        let given = versions
            .iter()
            .map(|bytes| (key(0), (!bytes.is_empty()).then(|| bytes.to_vec())));
        let checkpoints = &mut model.checkpoints;
        checkpoints
            .write(position(at), b"header", &|_| false, given)
            .unwrap();
        let mut parts = model.history[&1000].clone();
        match last.is_empty() {
            true => parts.remove(&key(0)),
            false => parts.insert(key(0), last.to_vec()),
        };
        model.history.insert(at, parts);
        model.assert_opens(Pick::Newest, at);
    }
}

#[test]
fn packs_stay_while_patches_need_them_and_not_longer() {
    let mut model = Model::new();
    for round in 2..20 {
        model.touch_all(1000 + round % 2);
        model.write(round * 1000);
    }
    assert!(model.io.open_read(&pack(1000)).is_ok());
    assert!(
        model.io.open_read(&pack(2000)).is_err(),
        "patches that others took the place of"
    );
    for round in 20..23 {
        (0..PARTS).for_each(|n| model.set(n, noise(mix(round, u64::from(n)), PART_BYTES)));
        assert_eq!(model.write(round * 1000).patched, 0);
    }
    assert!(model.io.open_read(&pack(1000)).is_err());
}

#[test]
fn changes_of_all_kinds_over_many_checkpoints_come_back_and_packs_are_emptied() {
    go_through_many(50);
    let mut model = go_through_many(1000);
    // The base, which has nothing, and the newest two.
    assert_eq!(model.checkpoints.kept().count(), 3);
    let state: u64 = model.parts.values().map(|bytes| bytes.len() as u64).sum();
    let stats = model.write(1_000_000);
    assert!(stats.state_bytes < state * 5 / 4, "{stats:?}");
    let bytes = model.pack_bytes();
    assert!(bytes < state * 5 / 2, "{bytes} for {state}");
}

fn go_through_many(segment: u64) -> Model {
    let mut model = Model::new();
    model.segment = segment;
    let (mut moved, mut patched) = (0, 0);
    for round in 2..200_u64 {
        for n in 0..PARTS {
            let seed = mix(round, u64::from(n));
            let len = model.parts.get(&key(n)).map_or(0, Vec::len);
            match seed % 100 {
                0 => drop(model.changes.insert(key(n), None)),
                1 => model.set(n, noise(seed, 2000 + (seed >> 8) as usize % 3000)),
                2..10 if len > 0 => model.touch(n, seed),
                _ if len == 0 && round % 4 == 0 => model.set(n, noise(seed, 2000)),
                _ if len > 0 && round % 40 == 0 => model.touch(n, seed),
                _ => {}
            }
        }
        let stats = model.write(round * 1000);
        assert!(stats.damaged.is_empty() && stats.packs <= 110, "{stats:?}");
        moved += stats.moved;
        patched += stats.patched;
        if round % 20 == 0 {
            for kept in model.checkpoints.kept().skip(1) {
                let at = kept.physical.0;
                model.assert_opens(Pick::Before(PhysicalOffset(at + 1)), at);
            }
        }
        if round % 50 == 0 {
            model.reopen();
        }
    }
    assert!(moved > 100 && patched > 2000, "{moved}, {patched}");
    model
}

#[test]
fn with_its_packs_emptied_a_checkpoint_after_a_small_change_is_a_twentieth_of_the_state() {
    let mut model = Model::new();
    // A third of what was stored first is left.
    for n in (0..PARTS).filter(|n| n % 3 > 0) {
        model.set(n, noise(u64::from(n) + 1000, PART_BYTES));
    }
    let before = model.write(2000);
    assert!(before.moved > 0);
    let mut moved = 0;
    let stored = model.parts.clone();
    for round in 3..30 {
        // Patches stay as small as the first one.
        model.parts.clone_from(&stored);
        model.touch_all(1000 + round);
        let stats = model.write(round * 1000);
        // 64 KiB at least may be moved.
        assert!(stats.bytes < STATE_BYTES / 20 + 65_536, "{stats:?}");
        assert_eq!(stats.patched, 200);
        moved += stats.moved;
        model.assert_opens(Pick::Newest, round * 1000);
    }
    assert!(moved > 10, "{moved}");
    assert!(
        model.io.open_read(&pack(1000)).is_err(),
        "its parts are moved, and their patches fit"
    );
}

#[test]
fn what_is_stored_and_damaged_is_written_whole_and_told() {
    for harm in ["flipped", "unreadable"] {
        let mut model = Model::new();
        // Behind the header, in the parts' order.
        let at = 24 + 7 * PART_BYTES as u64 + 100;
        if harm == "flipped" {
            let file = model.io.open(&pack(1000)).unwrap();
            let mut byte = [0];
            file.read_at(&mut byte, at).unwrap();
            write_all_at(&*file, &[byte[0] ^ 1], at).unwrap();
        } else {
            let (path, range) = (pack(1000), at..at + 1);
            model.io.plant(Fault::ReadError { path, range });
        }
        model.touch_all(1);
        let stats = model.write(2000);
        assert_eq!((stats.damaged, stats.patched), (vec![key(7)], 199), "{harm}");
        model.io.lift_read_errors();
        model.assert_opens(Pick::Newest, 2000);
    }
}

#[test]
fn one_that_is_to_share_nothing_has_no_patches_also_after_an_attempt_that_failed() {
    let mut model = Model::new();
    model.touch_all(1);
    let changes = model.changes.clone();
    model.checkpoints.share_none();
    model.io.plant(Fault::NoSpace { after: 1000 });
    let failed = model
        .checkpoints
        .write(position(2000), b"header", &|_| false, changes);
    assert!(failed.unwrap_err().is_full_disk());
    model.io.lift_no_space();
    let stats = model.write(3000);
    assert_eq!((stats.patched, stats.packs), (0, 1));
    model.touch_all(2);
    assert_eq!(model.write(4000).patched, 200);
    model.assert_opens(Pick::Newest, 4000);
}
