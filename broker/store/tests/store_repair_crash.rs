//! A repair that stops at any of its operations leaves the old refusal or the repaired log, and the same command does the rest.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod crashes;
mod repairs;
mod workload;

use crashes::{Recoveries, or_long};
use repairs::*;
use sluice_core::ids::PhysicalOffset;
use sluice_store::StoreError;
use sluice_store::io::{Fault, FaultyIo, LogIo, read_exact_at};
use sluice_store::repair::Range;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use workload::Dice;

struct Case {
    name: &'static str,
    io: FaultyIo,
    ranges: Vec<Range>,
    lost: Vec<Range>,
    end: Option<u64>,
    kept_to: u64,
    /// Whether a start goes on without the repair: from a checkpoint behind all that is lost.
    starts_anyway: bool,
}

fn cases(used: &Used, dice: &mut Dice) -> Vec<Case> {
    let bases = used.bases();
    let before = used.frames.partition_point(|frame| frame.end().0 <= used.newest);
    let behind = before + 3;
    let mut cases = Vec::new();
    for (name, chosen) in [
        ("before a checkpoint", vec![before / 3]),
        ("behind it", vec![behind]),
        ("on both sides", vec![before / 2, behind, behind + 4]),
    ] {
        let io = used.copy();
        let damage = |n: &usize| damage_frame(&io, &bases, &used.frames[*n], dice);
        let lost: Vec<Range> = chosen.iter().map(damage).collect();
        cases.push(Case {
            name,
            ranges: wanted(&io),
            io,
            lost,
            end: None,
            kept_to: used.newest,
            starts_anyway: chosen.len() == 1 && chosen[0] < before,
        });
    }
    // Far behind: all segments change.
    let io = used.copy_without_checkpoints();
    let n = used.early(3)[1];
    let lost = vec![damage_frame(&io, &bases, &used.frames[n], dice)];
    cases.push(Case {
        name: "far behind",
        ranges: wanted(&io),
        io,
        lost,
        end: None,
        kept_to: 0,
        starts_anyway: false,
    });
    // The end, in the middle of the last segment but one: a segment and checkpoints go.
    let middle = bases[bases.len() - 2] + 50_000;
    let n = used.frames.partition_point(|frame| frame.start().0 < middle);
    let io = used.copy();
    damage_frame(&io, &bases, &used.frames[n], dice);
    let end = used.frames[n].start();
    cases.push(Case {
        name: "the end",
        io,
        ranges: vec![Range { from: end, to: None }],
        lost: Vec::new(),
        end: Some(end.0),
        kept_to: end.0,
        starts_anyway: true,
    });
    let io = used.copy();
    flip(&io, &segment_path(bases[1]), 20, 1);
    let at = PhysicalOffset(bases[1]);
    let page = vec![Range {
        from: at,
        to: Some(at),
    }];
    cases.push(Case {
        name: "a page",
        io,
        ranges: page.clone(),
        lost: page,
        end: None,
        kept_to: used.newest,
        starts_anyway: false,
    });
    cases
}

/// The log's segments, by name.
fn segments(io: &FaultyIo) -> BTreeMap<PathBuf, Vec<u8>> {
    let dir = Path::new(DIR).join("log");
    let names = io.list(&dir).unwrap().into_iter();
    let paths = names.filter(|name| name.extension().is_some_and(|ending| ending == "seg"));
    paths
        .map(|name| (name.clone(), content_of(io, &dir.join(name))))
        .collect()
}

fn content_of(io: &FaultyIo, path: &Path) -> Vec<u8> {
    let file = io.open_read(path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_exact_at(file.as_ref(), &mut bytes, 0).unwrap();
    bytes
}

/// Whether all these segments are there as they are.
fn has_all(io: &FaultyIo, made: &BTreeMap<PathBuf, Vec<u8>>) -> bool {
    let there = segments(io);
    made.iter().all(|(name, bytes)| there.get(name) == Some(bytes))
}

/// The repair, stopped before its operation `at`; answers whether it has ended before.
fn stopped(case: &Case, io: &FaultyIo, at: u64) -> bool {
    let plan = planned(io, &case.ranges, case.end.is_some()).unwrap();
    io.plant(Fault::Stop {
        at: io.operations() + at,
    });
    plan.run(&shared(io)).is_ok()
}

#[test]
fn a_stop_at_any_operation_leaves_the_old_refusal_or_the_repaired_log() {
    let seed = std::env::var("SLUICE_SEED").map_or(5, |seed| seed.parse().unwrap());
    let recoveries = Recoveries::default();
    for seed in seed..seed + or_long(1, 4) {
        println!("SLUICE_SEED={seed}");
        stop_everywhere(&used(seed), seed, &recoveries);
    }
    recoveries.at_least(or_long(220, 1600));
}

fn stop_everywhere(used: &Used, seed: u64, recoveries: &Recoveries) {
    let (mut refused, mut repaired) = (0, 0);
    for case in cases(used, &mut Dice(seed)) {
        let whole = case.io.crash_keeping_all();
        let plan = planned(&whole, &case.ranges, case.end.is_some()).unwrap();
        let begun = whole.operations();
        plan.run(&shared(&whole)).unwrap();
        let operations = whole.operations() - begun;
        let made = segments(&whole);
        // In the short form of long ones each in which names change, at the end, and some before.
        let is_tried =
            |at: &u64| operations < 60 || at + 16 >= operations || at.is_multiple_of(or_long(16, 1));
        for at in (0..=operations).filter(is_tried) {
            let io = case.io.crash_keeping_all();
            let ended = stopped(&case, &io, at);
            for survivor in [io.crash(at), io.crash_losing_all()] {
                match start(&survivor.crash_keeping_all()) {
                    Ok(opened) => {
                        let left = look(&survivor).log.damage;
                        let is_done = left.is_empty();
                        // What a checkpoint counts in stops no start.
                        let harmless = left
                            .iter()
                            .all(|one| one.to.is_some_and(|to| to.0 <= used.newest));
                        assert!(
                            is_done || case.starts_anyway || harmless,
                            "{} at {at}: it starts over damage",
                            case.name
                        );
                        if is_done {
                            // What comes behind the loss may be whole and must be another nonetheless.
                            assert!(has_all(&survivor, &made), "{} at {at}: half a repair", case.name);
                            used.check(&opened.store, &case.lost, case.end, case.kept_to);
                        }
                        opened.store.close().unwrap();
                        repaired += 1;
                    }
                    Err(StoreError::Damaged { .. }) => refused += 1,
                    Err(other) => panic!("{} at {at}: {other}", case.name),
                }
                let again = planned(&survivor, &case.ranges, case.end.is_some())
                    .unwrap_or_else(|error| panic!("{} at {at}: {error}", case.name));
                again.run(&shared(&survivor)).unwrap();
                let last = survivor.crash_losing_all();
                assert_eq!(look(&last).log.damage, []);
                let opened = start(&last).unwrap();
                used.check(&opened.store, &case.lost, case.end, case.kept_to);
                opened.store.close().unwrap();
                recoveries.add();
            }
            assert_eq!(ended, at == operations, "{} at {at}", case.name);
        }
        println!("{}: {operations} operations", case.name);
    }
    println!("{refused} starts were refused, {repaired} went on");
    assert!(refused > 20 && repaired > 20);
}
