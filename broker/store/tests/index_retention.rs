//! The index after retention: files of what the log has given up go, and what is made again from the log's start on is what
//! was.
#![cfg(test)]

use proptest::prelude::*;
use sluice_core::hash::mix;
use sluice_core::ids::PhysicalOffset;
use sluice_store::index::{FIND_MAX, IndexPosition, IndexStore};
use sluice_store::io::{FaultyIo, LogIo, read_exact_at};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "/data/index";
const RUN: u32 = 20;

fn item(n: u64) -> (u64, PhysicalOffset, u64) {
    // An hour has 2,400 items.
    (mix(n, 2) % 50, PhysicalOffset(n * 100), 1_000_000_000 + n * 1500)
}

fn restore(io: &FaultyIo, position: &IndexPosition, first_run: Option<u64>) -> IndexStore {
    IndexStore::restore_from(Arc::new(io.clone()), Path::new(DIR), position, first_run, RUN).unwrap()
}

/// Appends, with a segment at each of `starts`; answers the positions there, as checkpoints have them.
fn append(index: &IndexStore, range: Range<u64>, starts: &[u64]) -> Vec<IndexPosition> {
    let mut positions = Vec::new();
    for n in range {
        if starts.contains(&n) {
            // A checkpoint may have come just before that was known.
            positions.push(index.position());
            index.start_segment();
            assert_eq!(
                index.position(),
                positions[positions.len() - 1].at_segment_start()
            );
            index.start_segment();
        }
        let (hash, physical, time) = item(n);
        index.append(hash, physical, time);
    }
    positions
}

fn settle(index: &IndexStore) -> IndexPosition {
    let position = index.position();
    index.flush(&position).unwrap();
    while index.background_step().unwrap() {}
    position
}

fn tree(io: &FaultyIo) -> BTreeMap<PathBuf, Vec<u8>> {
    let file = |name: PathBuf| {
        let file = io.open_read(&Path::new(DIR).join(&name)).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        read_exact_at(&*file, &mut bytes, 0).unwrap();
        (name, bytes)
    };
    io.list(Path::new(DIR)).unwrap().into_iter().map(file).collect()
}

fn finds_all(index: &IndexStore, range: Range<u64>) {
    for hash in 0..50 {
        let all = range.clone().rev().map(item).filter(|item| item.0 == hash);
        let expected: Vec<_> = all.map(|(_, physical, time)| (physical, time)).collect();
        let found = index.find(hash, 0..u64::MAX, FIND_MAX, None).unwrap();
        assert_eq!(found, expected, "hash {hash}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_left_is_what_is_made_again_from_the_logs_start(
        starts in prop::collection::btree_set(1..5000_u64, 1..8), pick in any::<prop::sample::Index>(),
        more in 0..2500_u64, steps in 0..40, then in prop_oneof![0..60, Just(10_000)],
    ) {
        let starts: Vec<u64> = starts.into_iter().collect();
        let chosen = pick.index(starts.len());
        let (begin, end) = (starts[chosen], starts[starts.len() - 1] + 1 + more);
        let io = FaultyIo::new(0);
        let index = restore(&io, &IndexPosition::default(), Some(0));
        let mut positions = append(&index, 0..begin, &starts);
        index.flush(&index.position()).unwrap();
        for _ in 0..steps {
            index.background_step().unwrap();
        }
        positions.extend(append(&index, begin..end, &starts));
        let base = positions[chosen].at_segment_start();
        index.flush(&index.position()).unwrap();
        // While runs wait, or merges are under way, or all is done.
        for _ in 0..then {
            if !index.background_step().unwrap() {
                break;
            }
        }
        index.trim(base.run).unwrap();
        let newest = settle(&index);
        finds_all(&index, begin..end);
        let left = tree(&io);

        let other = FaultyIo::new(1);
        let again = restore(&other, &base, Some(base.run));
        append(&again, begin..end, &starts);
        settle(&again);
        prop_assert_eq!(&tree(&other), &left);

        // A start finds what it counts on, and so does one whose base is lost.
        for first_run in [Some(base.run), None] {
            finds_all(&restore(&io, &newest, first_run), begin..end);
            prop_assert_eq!(&tree(&io), &left);
        }
    }
}
