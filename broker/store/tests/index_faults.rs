//! The index on files that fail: a crash costs no item, and a full disk puts off.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

mod items;

use items::{DIR, append, assert_finds_all, files_of, idle, restore, tree};
use sluice_core::hash::mix;
use sluice_store::index::{IndexError, IndexPosition, IndexStore};
use sluice_store::io::{Fault, FaultyIo, LogIo};
use std::path::{Path, PathBuf};

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
