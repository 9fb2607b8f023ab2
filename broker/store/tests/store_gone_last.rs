//! The log's last segment gone together with meta, or the page that said how far the log was durable: nothing is lost without a word.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod gone;
mod repairs;
mod workload;

use gone::*;
use repairs::*;
use sluice_core::ids::PhysicalOffset;
use sluice_store::io::{Fault, FaultyIo, LogIo, read_exact_at, write_all_at};
use sluice_store::repair::{Plan, Range};
use sluice_store::survey::Survey;
use std::path::PathBuf;
use workload::Driver;

const METAS: [&str; 2] = ["meta.a", "meta.b"];

/// A store that was killed, without checkpoints, which would say how far the log went.
fn killed() -> (Used, FaultyIo) {
    let used = used(seed());
    let io = used.copy_without_checkpoints();
    (used, io)
}

fn remove_sparse(io: &FaultyIo) {
    let log = path("log");
    for name in io.list(&log).unwrap() {
        if name.extension().is_some_and(|ext| ext == "sparse") {
            remove(io, &log.join(name));
        }
    }
}

fn last_segment(io: &FaultyIo) -> (PathBuf, u64) {
    let base = look(io).log.segments.last().unwrap().base.0;
    (segment_path(base), base)
}

fn damage_of<'a>(found: &'a Survey, name: &str) -> Vec<&'a str> {
    let of_file = found
        .findings
        .damage
        .iter()
        .filter(|damage| damage.file == path(name));
    of_file.map(|damage| damage.what.as_str()).collect()
}

fn from_here_to_the_end(from: u64) -> Range {
    Range {
        from: PhysicalOffset(from),
        to: None,
    }
}

#[test]
fn a_last_segment_that_is_gone_with_one_of_the_meta_files_is_missed() {
    let (used, whole) = killed();
    for name in METAS {
        for is_gone in [true, false] {
            let io = whole.crash_keeping_all();
            let (last, base) = last_segment(&io);
            // Meta alone is to know.
            remove_sparse(&io);
            remove(&io, &last);
            match is_gone {
                true => remove(&io, &path(name)),
                false => flip(&io, &path(name), 50, 2),
            }
            let said = refusal(&io);
            assert!(
                said.contains(&format!("{base:020}.seg")) && said.contains("missing"),
                "{said}"
            );
            assert_eq!(damage_of(&look(&io), name).len(), 1);
            let (ranges, _) = follow(&io);
            assert_eq!(ranges, [from_here_to_the_end(base)]);
            let opened = start(&io).unwrap();
            used.check(&opened.store, &[], Some(base), 0);
            opened.store.close().unwrap();
            goes_on(&io);
        }
    }
}

#[test]
fn one_meta_file_that_is_gone_or_damaged_is_told_and_the_next_start_makes_it_again() {
    let (_, whole) = killed();
    for name in METAS {
        for is_gone in [true, false] {
            let io = whole.crash_keeping_all();
            assert_eq!(damage_of(&look(&io), name), [""; 0]);
            match is_gone {
                true => remove(&io, &path(name)),
                false => flip(&io, &path(name), 50, 2),
            }
            let told = look(&io);
            let word = if is_gone { "missing" } else { "not valid" };
            let what = damage_of(&told, name);
            assert!(what.len() == 1 && what[0].contains(word), "{what:?}");
            assert!(!told.findings.is_sound() && told.refused.is_none());
            start(&io).unwrap().store.close().unwrap();
            sound(&io);
            // Both say all again.
            let (last, _) = last_segment(&io);
            remove_sparse(&io);
            remove(&io, &last);
            for gone in METAS {
                let io = io.crash_keeping_all();
                remove(&io, &path(gone));
                refusal(&io);
            }
        }
    }
}

#[test]
fn a_crash_amid_the_first_start_leaves_no_meta_file_that_counts_as_missing() {
    let mut alone = 0;
    for at in 0.. {
        let io = FaultyIo::new(seed());
        io.plant(Fault::Stop { at });
        let ended = match start(&io) {
            Ok(opened) => opened.store.close().is_ok(),
            Err(_) => false,
        };
        for io in [io.crash_losing_all(), io.crash_keeping_all(), io.crash(at)] {
            if io.list(&path("")).is_err() {
                continue;
            }
            let found = look(&io);
            let there = METAS.iter().filter(|name| io.open_read(&path(name)).is_ok());
            alone += u64::from(there.count() == 1);
            for name in METAS {
                let what = damage_of(&found, name);
                assert!(
                    what.iter().all(|what| !what.contains("missing")),
                    "stop {at}: {what:?}"
                );
            }
            start(&io).unwrap().store.close().unwrap();
            sound(&io);
        }
        if ended {
            break;
        }
    }
    println!("{alone} times one file was there");
    assert!(alone > 0);
}

#[test]
fn a_log_that_was_used_says_so_in_both_meta_files_from_its_first_start_on() {
    for name in METAS {
        let io = FaultyIo::new(seed());
        let mut driver = Driver::new(start(&io).unwrap(), seed()).without_administrators();
        driver.make().unwrap();
        driver.round(300).unwrap();
        let killed = io.crash_losing_all();
        driver.opened.store.close().unwrap();
        for segment in &look(&killed).log.segments {
            remove(&killed, &segment.file);
        }
        remove(&killed, &path(name));
        assert!(
            start(&killed).is_err(),
            "a new log is begun in the place of one that is gone"
        );
    }
}

#[test]
fn a_last_segment_that_is_gone_with_both_meta_files_is_missed_by_the_sparse_index_before_it() {
    let (used, whole) = killed();
    let (last, base) = last_segment(&whole);
    remove_meta(&whole);
    remove(&whole, &last);
    let io = whole.crash_keeping_all();
    let (ranges, new_meta) = printed(&io);
    assert_eq!(
        (ranges.as_slice(), new_meta),
        (&[from_here_to_the_end(base)][..], true)
    );
    let plan = plan_of(&io, &ranges, true).unwrap();
    assert!(!plan.loss.messages_are_all && plan.loss.gives_up());
    follow(&io);
    let opened = start(&io).unwrap();
    used.check(&opened.store, &[], Some(base), 0);
    opened.store.close().unwrap();
    goes_on(&io);

    // Where nothing knows, that is what is said.
    remove_sparse(&whole);
    let said = refusal(&whole);
    let cannot = "a last segment that is gone with both meta files cannot be noticed";
    assert!(
        said.contains(&format!("no message is known to be lost, but {cannot}")),
        "{said}"
    );
    let plan = plan_of(&whole, &[], true).unwrap();
    assert!(plan.loss.warnings[0].contains(cannot), "{:?}", plan.loss);
    assert!(!plan.loss.messages_are_all && !plan.loss.gives_up());
}

/// Zeros in a file, from one place up to another one.
fn zero(io: &FaultyIo, path: &std::path::Path, from: u64, to: u64) {
    let file = io.open(path).unwrap();
    let mut bytes = vec![0; (to - from) as usize];
    read_exact_at(file.as_ref(), &mut bytes, from).unwrap();
    assert!(bytes.iter().any(|byte| *byte != 0), "there was nothing");
    write_all_at(file.as_ref(), &vec![0; bytes.len()], from).unwrap();
    file.sync_data().unwrap();
}

#[test]
fn with_the_durable_slots_lost_it_is_said_that_what_followed_is_not_known() {
    let (used, whole) = killed();
    let (last, base) = last_segment(&whole);
    let len = whole.open_read(&last).unwrap().len().unwrap();
    let mut inner = used.frames.iter().filter(|frame| frame.start().0 > base);
    let end = inner.nth(1).unwrap().start().0;
    for (from, to) in [(0, 4096), (512, 1536)] {
        let io = whole.crash_keeping_all();
        zero(&io, &last, from, to);
        zero(&io, &last, 4096 + end - base, len);
        let unknown = format!(
            "whether anything followed offset {end}, where the last frame that can be read ends, is not known"
        );
        let said = refusal(&io);
        assert!(
            said.contains(&unknown) && !said.contains("nothing with it"),
            "{said}"
        );
        let (ranges, _) = printed(&io);
        let plan: Plan = plan_of(&io, &ranges, false).unwrap();
        assert!(plan.loss.warnings[0].contains(&unknown), "{:?}", plan.loss);
        assert!(
            !plan.loss.messages_are_all && !plan.loss.gives_up(),
            "{:?}",
            plan.loss
        );
        follow(&io);
        goes_on(&io);
    }
    // Of any other segment the next one says how far it went.
    let io = whole.crash_keeping_all();
    zero(&io, &segment_path(used.bases()[1]), 0, 4096);
    let said = refusal(&io);
    assert!(
        said.contains("nothing with it that does not stand elsewhere"),
        "{said}"
    );
    let (ranges, _) = printed(&io);
    assert!(plan_of(&io, &ranges, false).unwrap().loss.messages_are_all);
}
