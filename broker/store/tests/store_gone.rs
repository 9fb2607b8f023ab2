//! Files of the log that are gone altogether: each refused start prints one command, and that command leads on without more loss than
//! there must be.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod gone;
mod repairs;
mod workload;

use gone::*;
use repairs::*;
use sluice_core::ids::PhysicalOffset;
use sluice_store::io::{Fault, FaultyIo, LogIo};
use sluice_store::repair::{Range, plan};
use sluice_store::retention::Settings;
use std::path::{Path, PathBuf};
use workload::Driver;

#[test]
fn the_last_segments_cut_to_nothing_are_given_up_by_one_command() {
    let used = used(seed());
    let bases = used.bases();
    for last in 1..4 {
        for (len, has_checkpoints) in [(0, true), (100, true), (0, false)] {
            let (io, newest) = match has_checkpoints {
                true => (used.copy(), used.newest),
                false => (used.copy_without_checkpoints(), 0),
            };
            let from = bases[bases.len() - last];
            for base in &bases[bases.len() - last..] {
                cut(&io, &segment_path(*base), len);
            }
            let (ranges, _) = follow(&io);
            // Where a checkpoint stands in the first of them, what it says is kept.
            let (end, before) = ranges.split_last().unwrap();
            assert!(end.to.is_none() && end.from >= PhysicalOffset(from), "{ranges:?}");
            let opened = start(&io).unwrap();
            used.check(&opened.store, before, Some(end.from.0), newest.min(end.from.0));
            opened.store.close().unwrap();
            goes_on(&io);
        }
    }
}

#[test]
fn segments_cut_to_nothing_amid_the_log_are_replaced_by_one_command() {
    let used = used(seed());
    let bases = used.bases();
    let io = used.copy();
    for base in &bases[1..3] {
        cut(&io, &segment_path(*base), 0);
    }
    let (ranges, _) = follow(&io);
    let opened = start(&io).unwrap();
    used.check(&opened.store, &ranges, None, used.newest);
    opened.store.close().unwrap();
    goes_on(&io);
}

#[test]
fn the_first_segment_is_given_up_alone() {
    let used = used(seed());
    let bases = used.bases();
    for (gone, without_meta) in [(1, false), (2, false), (1, true)] {
        let io = used.copy();
        bases[..gone]
            .iter()
            .for_each(|base| remove(&io, &segment_path(*base)));
        if without_meta {
            remove_meta(&io);
        }
        let (ranges, _) = follow(&io);
        let range = Range {
            from: PhysicalOffset(0),
            to: Some(PhysicalOffset(bases[gone])),
        };
        assert_eq!(ranges, [range]);
        let opened = start(&io).unwrap();
        used.check(&opened.store, &ranges, None, used.newest);
        assert!(used.has_all_done(&opened.store));
        opened.store.close().unwrap();
        goes_on(&io);
    }
}

#[test]
fn what_a_checkpoint_in_the_last_segments_says_is_kept_without_them() {
    let (whole, driver) = trimmed(seed(), 1);
    let segments = look(&whole).log.segments;
    let newest = look(&whole).checkpoints.last().unwrap().position.physical;
    assert!(newest > segments.last().unwrap().base, "it was closed");
    for (last, gone) in [(1, true), (1, false), (2, true), (2, false)] {
        let io = whole.crash_keeping_all();
        for segment in &segments[segments.len() - last..] {
            match gone {
                true => remove(&io, &segment.file),
                false => cut(&io, &segment.file, 0),
            }
        }
        let (ranges, _) = follow(&io);
        let end = Range {
            from: newest,
            to: None,
        };
        assert_eq!(ranges.last(), Some(&end));
        let opened = start(&io).unwrap();
        let tables = opened.store.tables();
        for (at, offset) in driver.memory.acknowledged.keys() {
            let tail = tables.topic_by_id(at.topic).unwrap().tail(at.queue).unwrap();
            assert!(*offset < tail, "{offset} of {at:?} would be given again");
        }
        for (id, offset) in &driver.memory.done {
            let shards = tables.subscription(id.group, id.at.topic).unwrap().shards;
            let is_done = shards[id.at.queue.0 as usize]
                .read(|hold| !hold.is_fresh(*offset) && hold.pending(*offset).is_none());
            assert!(is_done, "{offset} of {id:?} is done again");
        }
        opened.store.close().unwrap();
        goes_on(&io);
    }
}

#[test]
fn a_log_without_segments_begins_again_at_the_newest_checkpoint() {
    let (trimmed, _) = trimmed(seed(), 1);
    for whole in [used(seed()).io, trimmed] {
        for without_meta in [false, true] {
            let io = whole.crash_keeping_all();
            let found = look(&io);
            let newest = found.checkpoints.last().unwrap().position;
            found
                .log
                .segments
                .iter()
                .for_each(|segment| remove(&io, &segment.file));
            if without_meta {
                remove_meta(&io);
            }
            let (ranges, _) = follow(&io);
            let range = Range {
                from: newest.physical,
                to: None,
            };
            assert_eq!(ranges, [range]);
            let mut driver = Driver::new(start(&io).unwrap(), 9).without_administrators();
            let store = driver.opened.store.clone();
            assert_eq!(store.log().start(), newest.physical);
            let ends = |store: &sluice_store::Store| -> Vec<u64> {
                let topics = store.tables().all_topics().into_iter();
                topics.map(|topic| topic.messages()).collect()
            };
            driver.retain(&Settings::default()).unwrap();
            assert_eq!(store.tables().bounds().start, newest.physical);
            let before = ends(&store);
            (0..20).for_each(|_| driver.round(4000).unwrap());
            assert!(before.iter().sum::<u64>() <= ends(&store).iter().sum::<u64>());
            driver.opened.store.close().unwrap();
            drop(store);
            sound(&io);
            start(&io).unwrap().store.close().unwrap();
        }
    }
}

#[test]
fn a_start_that_is_refused_over_a_folder_that_is_gone_makes_none() {
    let (whole, _) = trimmed(seed(), 1);
    let without = |folders: &[&str]| {
        let io = whole.crash_keeping_all();
        folders
            .iter()
            .for_each(|folder| remove_folder(&io, &path(folder)));
        io
    };
    for gone in [&["log"][..], &["log", "queue", "index"]] {
        let io = without(gone);
        follow(&io);
        start(&io).unwrap().store.close().unwrap();
    }
    for gone in [&["checkpoint"][..], &["checkpoint", "queue", "index"]] {
        let refused = |io: &FaultyIo| start(io).err().expect("it starts").to_string();
        let said = unchanged(&without(gone), refused);
        assert!(said.contains("has no whole checkpoint"), "{said}");
    }
}

#[test]
fn where_nothing_is_left_the_refusal_says_so() {
    let used = used(seed());
    let io = used.copy();
    for segment in &look(&io).log.segments {
        remove(&io, &segment.file);
    }
    for name in io.list(&path("checkpoint")).unwrap() {
        remove(&io, &path("checkpoint").join(name));
    }
    let said = refusal(&io);
    assert!(said.contains("move the folder away"), "{said}");
    let refused = plan(&shared(&io), Path::new(DIR), &ALL).unwrap_err().to_string();
    assert!(refused.contains("no segment"), "{refused}");
}

#[test]
fn a_crash_at_any_operation_leaves_a_start_or_a_refusal_whose_command_leads_on() {
    let (whole, _) = trimmed(seed(), 1);
    let segments: Vec<PathBuf> = look(&whole)
        .log
        .segments
        .iter()
        .map(|found| found.file.clone())
        .collect();
    let harms: [&dyn Fn(&FaultyIo); 4] = [
        &remove_meta,
        &|io| remove(io, &segments[0]),
        &|io| segments.iter().rev().take(2).for_each(|path| cut(io, path, 0)),
        &|io| {
            remove_meta(io);
            segments.iter().for_each(|path| remove(io, path));
        },
    ];
    // A third of the operations, or all of them.
    let step = if std::env::var_os("SLUICE_LONG").is_some() {
        1
    } else {
        3
    };
    let mut crashes = 0;
    for (n, harm) in harms.into_iter().enumerate() {
        let damaged = whole.crash_keeping_all();
        harm(&damaged);
        let (ranges, new_meta) = printed(&damaged);
        for at in (0..).step_by(step) {
            let io = damaged.crash_keeping_all();
            let plan = plan_of(&io, &ranges, new_meta).unwrap();
            io.plant(Fault::Stop { at });
            let ended = plan.run(&shared(&io)).is_ok();
            let io = io.crash(at);
            // The same command once more does the rest.
            let again = io.crash_keeping_all();
            let plan = plan_of(&again, &ranges, new_meta);
            let plan = plan.unwrap_or_else(|error| panic!("harm {n}, stop {at}: {error}"));
            if !plan.is_done {
                plan.run(&shared(&again)).unwrap();
            }
            start(&again).unwrap().store.close().unwrap();
            // And so does what the next start prints.
            if start(&io.crash_keeping_all()).is_err() {
                follow(&io);
            }
            start(&io).unwrap().store.close().unwrap();
            crashes += 1;
            if ended {
                break;
            }
        }
    }
    println!("{crashes} crashes");
    assert!(crashes > 40 / step);
}
