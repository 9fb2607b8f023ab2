//! The index: what is found is what was appended; its files depend on the log alone; crashes and damage are made good.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use proptest::prelude::*;
use sluice_core::hash::mix;
use sluice_core::ids::PhysicalOffset;
use sluice_store::index::{FIND_MAX, IndexError, IndexPosition, IndexStore, SLICE_MS};
use sluice_store::io::{Fault, FaultyIo, LogIo, read_exact_at, write_all_at};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "/data/index";
const RUN: u32 = 100;

type Found = Vec<(PhysicalOffset, u64)>;

/// Item `n` of the log: few hashes, so that they repeat; an hour has 3,000 items.
fn item(n: u64) -> (u64, PhysicalOffset, u64) {
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

fn append(index: &IndexStore, range: std::ops::Range<u64>) {
    for n in range {
        let (hash, physical, time) = item(n);
        index.append(hash, physical, time);
    }
}

fn expected(end: u64, hash: u64, times: std::ops::Range<u64>, limit: usize, before: u64) -> Found {
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

fn restore(io: &FaultyIo, position: &IndexPosition) -> Result<IndexStore, IndexError> {
    IndexStore::restore_sized(Arc::new(io.clone()), Path::new(DIR), position, RUN)
}

fn idle(index: &IndexStore) {
    while index.background_step().unwrap() {}
}

fn flush(io: &FaultyIo, index: &IndexStore) -> IndexPosition {
    let position = index.position();
    index.flush(&position).unwrap();
    io.sync_all_files(Path::new(DIR)).unwrap();
    IndexPosition::decode(&position.encode()).unwrap()
}

fn tree(io: &dyn LogIo) -> BTreeMap<PathBuf, Vec<u8>> {
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
fn files_of(end: u64) -> BTreeMap<PathBuf, Vec<u8>> {
    let io = FaultyIo::new(0);
    let index = restore(&io, &IndexPosition::default()).unwrap();
    append(&index, 0..end);
    flush(&io, &index);
    idle(&index);
    tree(&io)
}

fn assert_finds_all(index: &IndexStore, end: u64) {
    for hash in [7, 3, item(0).0, item(end / 2).0, 12345] {
        let found = index.find(hash, 0..u64::MAX, FIND_MAX, None).unwrap();
        assert!(
            found == expected(end, hash, 0..u64::MAX, FIND_MAX, u64::MAX),
            "hash {hash} of {end} items"
        );
    }
}

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

#[test]
fn a_damaged_block_is_an_error_for_whoever_needs_it_until_a_restart_and_for_nobody_else() {
    let io = FaultyIo::new(0);
    let index = restore(&io, &IndexPosition::default()).unwrap();
    append(&index, 0..2000);
    flush(&io, &index);
    idle(&index);
    let mut names = io.list(Path::new(DIR)).unwrap();
    names.retain(|name| name.extension().unwrap() == "idx");
    let name = names.remove(0);
    let path = Path::new(DIR).join(name);
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

/// Appends, with a checkpoint every 500 items and background steps between. Answers the last position made durable.
fn run(
    io: &FaultyIo,
    index: &IndexStore,
    from: u64,
    end: u64,
) -> (u64, IndexPosition, Result<(), IndexError>) {
    let (mut durable, mut position) = (from, index.position());
    let mut go_on = || -> Result<(), IndexError> {
        let mut at = from;
        while at < end {
            let to = end.min(at / 500 * 500 + 500);
            append(index, at..to);
            at = to;
            let next = index.position();
            index.flush(&next)?;
            let sync = |source| IndexError::Io {
                action: "sync",
                path: DIR.into(),
                source,
            };
            io.sync_all_files(Path::new(DIR)).map_err(sync)?;
            (durable, position) = (at, next);
            for _ in 0..mix(at, 0) % 7 {
                index.background_step()?;
            }
        }
        while index.background_step()? {}
        Ok(())
    };
    let ended = go_on();
    (durable, position, ended)
}

#[test]
fn a_crash_at_every_operation_costs_no_item() {
    let end = 4000;
    let whole = files_of(end);
    let fresh = |io: &FaultyIo| {
        let index = restore(io, &IndexPosition::default()).ok()?;
        Some(run(io, &index, 0, end))
    };
    let io = FaultyIo::new(0);
    assert!(fresh(&io).unwrap().2.is_ok());
    assert!(tree(&io) == whole);
    let mut crashes = 0;
    for stop in (1..io.operations()).step_by(2) {
        let io = FaultyIo::new(0);
        io.plant(Fault::Stop { at: stop });
        let Some((durable, position, _)) = fresh(&io) else {
            continue;
        };
        for seed in 0..2 {
            let io = io.crash(mix(stop, seed));
            // The next start is stopped too, and the one after goes to the end. (An index without any durable
            // checkpoint starts at the base: the default position.)
            io.plant(Fault::Stop {
                at: mix(seed, stop) % 60,
            });
            let mut from = (durable, position);
            if let Ok(index) = restore(&io, &position) {
                let (at, position, _) = run(&io, &index, durable, end);
                from = (at, position);
            }
            let io = io.crash(seed);
            let index = restore(&io, &from.1).unwrap();
            assert!(run(&io, &index, from.0, end).2.is_ok());
            assert_finds_all(&index, end);
            let found = tree(&io);
            assert!(found == whole, "stop {stop}, seed {seed}: {:?}", found.keys());
            crashes += 1;
        }
    }
    assert!(crashes > 100, "{crashes}");
}

#[test]
fn a_failed_sync_of_a_sorted_file_or_its_name_is_told_apart_from_a_full_disk() {
    for nth in [1, 2] {
        let io = FaultyIo::new(0);
        let index = restore(&io, &IndexPosition::default()).unwrap();
        append(&index, 0..1000);
        index.flush(&index.position()).unwrap();
        io.plant(Fault::SyncNoSpace {
            below: DIR.into(),
            nth,
        });
        let error = index.background_step().unwrap_err();
        assert!(
            error.is_failed_sync() && !error.is_full_disk(),
            "sync {nth}: {error}"
        );
    }
}

#[test]
fn a_full_disk_puts_off_and_loses_nothing() {
    let end = 4000;
    let io = FaultyIo::new(0);
    let index = restore(&io, &IndexPosition::default()).unwrap();
    append(&index, 0..end);
    let position = index.position();
    io.plant(Fault::NoSpace { after: 10_000 });
    assert!(index.flush(&position).unwrap_err().is_full_disk());
    io.plant(Fault::NoSpace { after: 120_000 });
    index.flush(&position).unwrap();
    while !matches!(index.background_step(), Err(error) if error.is_full_disk()) {}
    let names = io.list(Path::new(DIR)).unwrap();
    let half = |name: &PathBuf| name.to_str().unwrap().ends_with(".tmp");
    assert!(
        !names.iter().any(half),
        "half a file takes no space from others: {names:?}"
    );
    assert_finds_all(&index, end);
    io.lift_no_space();
    idle(&index);
    assert_finds_all(&index, end);
    assert!(tree(&io) == files_of(end));
}
