//! An index of many small runs, in memory, over a log of which every item is known.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use sluice_core::hash::mix;
use sluice_core::ids::PhysicalOffset;
use sluice_store::index::{FIND_MAX, IndexError, IndexPosition, IndexStore, SLICE_MS};
use sluice_store::io::{FaultyIo, LogIo, read_exact_at};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const DIR: &str = "/data/index";
pub const RUN: u32 = 100;

pub type Found = Vec<(PhysicalOffset, u64)>;

/// Item `n` of the log: few hashes, so that they repeat; an hour has 3,000 items.
pub fn item(n: u64) -> (u64, PhysicalOffset, u64) {
    let hash = match mix(n, 1) % 4 {
        0 => 7,
        1 => mix(n, 2) % 20,
        _ => mix(n, 3),
    };
    // Two items of every three are of one message.
    (
        hash,
        PhysicalOffset(n * 2 / 3 * 100),
        1_000_000_000 + n * 2 / 3 * 3 * SLICE_MS / 6000,
    )
}

pub fn append(index: &IndexStore, range: std::ops::Range<u64>) {
    for n in range {
        let (hash, physical, time) = item(n);
        index.append(hash, physical, time);
    }
}

pub fn expected(end: u64, hash: u64, times: std::ops::Range<u64>, limit: usize, before: u64) -> Found {
    let mut found: Found = (0..end)
        .rev()
        .map(item)
        .filter(|(h, physical, time)| *h == hash && times.contains(time) && physical.0 < before)
        .map(|(_, physical, time)| (physical, time))
        .collect();
    found.dedup();
    found.truncate(limit);
    found
}

pub fn restore(io: &FaultyIo, position: &IndexPosition) -> Result<IndexStore, IndexError> {
    IndexStore::restore_sized(Arc::new(io.clone()), Path::new(DIR), position, RUN)
}

pub fn idle(index: &IndexStore) {
    while index.background_step().unwrap() {}
}

pub fn flush(io: &FaultyIo, index: &IndexStore) -> IndexPosition {
    let position = index.position();
    index.flush(&position).unwrap();
    io.sync_all_files(Path::new(DIR)).unwrap();
    IndexPosition::decode(&position.encode()).unwrap()
}

pub fn tree(io: &dyn LogIo) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in io.list(Path::new(DIR)).unwrap() {
        let file = io.open_read(&Path::new(DIR).join(&name)).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        read_exact_at(&*file, &mut bytes, 0).unwrap();
        files.insert(name, bytes);
    }
    files
}

/// The files of a log of `end` items, once nothing is left to do.
pub fn files_of(end: u64) -> BTreeMap<PathBuf, Vec<u8>> {
    let io = FaultyIo::new(0);
    let index = restore(&io, &IndexPosition::default()).unwrap();
    append(&index, 0..end);
    flush(&io, &index);
    idle(&index);
    tree(&io)
}

pub fn assert_finds_all(index: &IndexStore, end: u64) {
    for hash in [7, 3, item(0).0, item(end / 2).0, 12345] {
        let found = index.find(hash, 0..u64::MAX, FIND_MAX, None).unwrap();
        assert!(
            found == expected(end, hash, 0..u64::MAX, FIND_MAX, u64::MAX),
            "hash {hash} of {end} items"
        );
    }
}
