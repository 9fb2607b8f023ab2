//! The index: what is found is what was appended; its files depend on the log alone; damage is made good.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

mod items;

use items::{DIR, append, assert_finds_all, expected, files_of, flush, idle, item, restore, tree};
use proptest::prelude::*;
use sluice_core::hash::mix;
use sluice_core::ids::PhysicalOffset;
use sluice_store::index::{FIND_MAX, IndexError, IndexPosition, IndexStore};
use sluice_store::io::{FaultyIo, LogIo, write_all_at};
use std::path::{Path, PathBuf};
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_found_is_what_was_appended(
        end in 1..9000_u64, flushes in prop::collection::vec((0..9000_u64, 0..40_u32), 0..6),
        looks in prop::collection::vec((0..9000_u64, 0..9000_u64, 0..9000_u64, 0..9000_u64, 1..50_usize), 1..30),
    ) {
        let io = FaultyIo::new(0);
        let index = restore(&io, &IndexPosition::default()).unwrap();
        let mut flushes = flushes;
        flushes.sort_unstable();
        let mut at = 0;
        for (to, steps) in flushes {
            let to = to.min(end).max(at);
            append(&index, at..to);
            at = to;
            flush(&io, &index);
            (0..steps).for_each(|_| {
                index.background_step().unwrap();
            });
        }
        append(&index, at..end);
        for (of, from, until, before, limit) in looks {
            let (hash, _, _) = item(of % end);
            let times = item(from).2..item(until).2;
            let before = item(before).1;
            let found = index.find(hash, times.clone(), limit, Some(before)).unwrap();
            prop_assert_eq!(found, expected(end, hash, times, limit, before.0));
        }
    }
}

#[test]
fn files_are_merged_and_depend_on_the_log_alone() {
    let end = 9000;
    let whole = files_of(end);
    let names: Vec<_> = whole.keys().map(|name| name.to_str().unwrap()).collect();
    let merged = names.iter().filter(|name| name.contains("-1-")).count();
    assert!(merged >= 3 && names.len() < 60, "{names:?}");
    assert_eq!(names.iter().filter(|name| name.ends_with(".run")).count(), 1);

    for seed in 0..6 {
        let io = FaultyIo::new(0);
        let mut index = restore(&io, &IndexPosition::default()).unwrap();
        let mut at = 0;
        while at < end {
            let to = end.min(at + 1 + mix(seed, at) % 1000);
            append(&index, at..to);
            at = to;
            let position = flush(&io, &index);
            (0..mix(seed, to) % 8).for_each(|_| {
                index.background_step().unwrap();
            });
            if seed % 2 == 0 && to % 3 == 0 {
                index = restore(&io, &position).unwrap();
                assert_eq!(index.position(), position);
            }
        }
        idle(&index);
        assert!(tree(&io) == whole, "seed {seed}: {:?}", tree(&io).keys());
        assert_finds_all(&index, end);
    }
}

#[test]
fn files_that_are_gone_or_damaged_are_missing_and_replay_makes_them_anew() {
    let end = 6000;
    let io = FaultyIo::new(0);
    let index = restore(&io, &IndexPosition::default()).unwrap();
    append(&index, 0..end);
    let position = flush(&io, &index);
    idle(&index);
    let whole = tree(&io);
    for name in whole.keys() {
        let path = Path::new(DIR).join(name);
        let damage: [&dyn Fn(&FaultyIo); 3] = [
            &|io| io.remove(&path).unwrap(),
            &|io| write_all_at(&*io.open(&path).unwrap(), &[0xff], 16).unwrap(),
            &|io| {
                io.open(&path)
                    .unwrap()
                    .set_len(whole[name].len() as u64 - 1)
                    .unwrap()
            },
        ];
        for damage in damage {
            let io = io.crash_keeping_all();
            damage(&io);
            assert!(restore(&io, &position).err().unwrap().is_missing(), "{name:?}");
            let index = restore(&io, &IndexPosition::default()).unwrap();
            append(&index, 0..end);
            assert_finds_all(&index, end);
            flush(&io, &index);
            idle(&index);
            let mut found = tree(&io);
            found.retain(|name, _| name.extension().unwrap() != "bad");
            assert!(found == whole, "{name:?}");
        }
    }
}

/// An index of 2000 messages, and its first sorted file.
fn sorted() -> (FaultyIo, IndexStore, PathBuf) {
    let io = FaultyIo::new(0);
    let index = restore(&io, &IndexPosition::default()).unwrap();
    append(&index, 0..2000);
    flush(&io, &index);
    idle(&index);
    let mut names = io.list(Path::new(DIR)).unwrap();
    names.retain(|name| name.extension().unwrap() == "idx");
    let path = Path::new(DIR).join(names.remove(0));
    (io, index, path)
}

#[test]
fn a_damaged_block_is_an_error_for_whoever_needs_it_until_a_restart_and_for_nobody_else() {
    let (io, index, path) = sorted();
    for block in 1..io.open(&path).unwrap().len().unwrap() / 4096 {
        write_all_at(&*io.open(&path).unwrap(), &[0xff; 8], block * 4096 + 50).unwrap();
    }
    let error = index.find(7, 0..u64::MAX, FIND_MAX, None).unwrap_err();
    assert!(
        matches!(&error, IndexError::Damaged { path: damaged, .. } if *damaged == path),
        "{error}"
    );
    assert!(io.open(&path).is_err(), "it was put aside");
    let again = index.find(7, 0..u64::MAX, FIND_MAX, None).unwrap_err();
    assert_eq!(
        again.to_string(),
        error.to_string(),
        "what it held is not missing without a word"
    );
    // The first file has the oldest messages: the newest are found without it.
    let newest = expected(2000, 7, 0..u64::MAX, 3, u64::MAX);
    assert_eq!(index.find(7, 0..u64::MAX, 3, None).unwrap(), newest);
}

#[test]
fn a_sorted_file_that_somebody_has_removed_is_told_with_what_to_do() {
    let (io, index, path) = sorted();
    io.remove(&path).unwrap();
    for _ in 0..2 {
        let error = index.find(7, 0..u64::MAX, FIND_MAX, None).unwrap_err();
        assert!(
            matches!(&error, IndexError::Gone { path: gone } if *gone == path),
            "{error}"
        );
        assert!(error.to_string().contains("a restart makes it again"), "{error}");
    }
}

#[test]
fn one_id_a_million_times_costs_a_page_its_blocks_and_no_more() {
    let io = FaultyIo::new(0);
    let index = IndexStore::create(Arc::new(io.clone()), Path::new(DIR)).unwrap();
    let total = 1_000_000_u64;
    for n in 0..total {
        index.append(42, PhysicalOffset(n * 1000), 5_000_000 + n / 1000);
        if n % 100 == 0 {
            index.append(mix(n, 0), PhysicalOffset(n * 1000), 5_000_000 + n / 1000);
        }
        if n % 100_000 == 0 {
            flush(&io, &index);
            idle(&index);
            assert!(index.items_in_memory() <= 131_072);
        }
    }
    flush(&io, &index);
    idle(&index);
    // Pages deep in the middle, by place and by time: a few blocks each, whatever lies before and behind.
    for (times, before) in [
        (0..u64::MAX, total / 2 * 1000),
        (0..5_000_000 + total / 2000, u64::MAX),
    ] {
        let read = index.blocks_read();
        let found = index.find(42, times, 32, Some(PhysicalOffset(before))).unwrap();
        assert_eq!(found.len(), 32);
        assert_eq!(found[0].0, PhysicalOffset((total / 2 - 1) * 1000));
        assert!(
            index.blocks_read() - read <= 6,
            "{} blocks",
            index.blocks_read() - read
        );
    }
    // One of the others, among all the files.
    let read = index.blocks_read();
    assert_eq!(
        index.find(mix(500_000, 0), 0..u64::MAX, 32, None).unwrap(),
        [(PhysicalOffset(500_000_000), 5_000_500)]
    );
    assert!(
        index.blocks_read() - read <= 10 * 3,
        "{} blocks",
        index.blocks_read() - read
    );
    // All of it, page by page: each block is read about once.
    let (mut before, mut seen, read) = (None, 0, index.blocks_read());
    loop {
        let page = index.find(42, 0..u64::MAX, FIND_MAX, before).unwrap();
        seen += page.len() as u64;
        match page.last() {
            Some((last, _)) => before = Some(*last),
            None => break,
        }
    }
    assert_eq!(seen, total);
    let blocks = total / 170;
    assert!(
        index.blocks_read() - read < blocks + blocks / 3,
        "{} blocks",
        index.blocks_read() - read
    );
}
