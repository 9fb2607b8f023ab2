//! Queue files that are damaged where the log does not give them as a whole, for what a repair gave up of it or what is damaged:
//! what it and the checkpoints still tell is found again, and what nobody knows is lost as what the repair gave up.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::entry::ENTRY_BYTES;
use sluice_store::io::{Fault, FaultyIo, LogIo};
use sluice_store::repair::Range;
use std::path::{Path, PathBuf};
use workload::{Dice, Driver};

fn queues(io: &FaultyIo) -> PathBuf {
    assert!(!io.list(&Path::new(DIR).join("queue")).unwrap().is_empty());
    Path::new(DIR).join("queue")
}

/// Every queue file.
fn files(io: &FaultyIo) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let folders = |folder: &Path| -> Vec<PathBuf> {
        let names = io.list(folder).unwrap().into_iter();
        names.map(|name| folder.join(name)).collect()
    };
    for topic in folders(&queues(io)) {
        for queue in folders(&topic) {
            found.extend(folders(&queue));
        }
    }
    assert!(found.len() > 3);
    found
}

/// Nothing looks at an entry before it is read: what reads one that is damaged leaves a note.
fn leave_note(io: &FaultyIo) {
    let note = queues(io).join("rebuild");
    std::mem::drop(io.open(&note).or_else(|_| io.create(&note)).unwrap());
}

/// Damages every entry of a queue file.
fn flip_all(io: &FaultyIo, file: &Path) {
    let bytes = io.open(file).unwrap().len().unwrap();
    for at in (20..bytes).step_by(ENTRY_BYTES) {
        flip(io, file, at, 3);
    }
}

/// A store that was repaired with a loss, what was lost, and where the next checkpoint stands.
fn repaired(used: &Used) -> (FaultyIo, Range, u64) {
    let io = used.copy();
    let n = used.early(3)[1];
    let lost = damage_frame(&io, &used.bases(), &used.frames[n], &mut Dice(seed()));
    repair(&io, &[lost]);
    let found = look(&io);
    let next = found.checkpoints.iter().map(|found| found.position.physical.0);
    let next = next.filter(|at| *at > lost.from.0).min().unwrap();
    (io, lost, next)
}

/// Starts, checks, uses and starts again a store whose queue files are damaged; answers how many messages were lost besides.
fn mended(used: &Used, io: &FaultyIo, lost: &Range) -> usize {
    let opened = start(io).unwrap();
    let (read, more) = used.count_lost(&opened.store, lost);
    assert!(read > 50, "{read} messages are left");
    let mut driver = Driver::new(opened, 99).without_administrators();
    (0..10).for_each(|_| driver.round(2000).unwrap());
    driver.opened.store.close().unwrap();
    let names = io.list(&queues(io)).unwrap();
    assert!(!names.contains(&PathBuf::from("rebuild")), "the note is gone");
    sound(io);
    start(io).unwrap().store.close().unwrap();
    more
}

#[test]
fn queue_files_that_are_gone_are_found_again_but_for_what_nobody_knows() {
    let used = used(seed());
    let (whole, lost, next) = repaired(&used);
    let unknown = used.messages_between(lost.from.0, next);
    assert!(unknown > 0);
    let io = whole.crash_keeping_all();
    for file in files(&io) {
        io.remove(&file).unwrap();
    }
    let more = mended(&used, &io, &lost);
    println!("{more} lost of {unknown} between the loss and the next checkpoint");
    // Messages of dead letters, and no others.
    assert!(more <= unknown / 4);
    // Of one file no more than was in it.
    for file in files(&whole) {
        let io = whole.crash_keeping_all();
        io.remove(&file).unwrap();
        assert!(mended(&used, &io, &lost) <= more);
    }
}

#[test]
fn a_damaged_entry_that_the_log_tells_costs_nothing() {
    let used = used(seed());
    let (whole, lost, _) = repaired(&used);
    for file in files(&whole) {
        let io = whole.crash_keeping_all();
        flip(&io, &file, 20, 3);
        leave_note(&io);
        assert_eq!(mended(&used, &io, &lost), 0, "{}", file.display());
    }
}

#[test]
fn a_log_that_is_damaged_too_is_repaired_with_the_queue_files_as_they_are_and_nothing_is_done_again() {
    let used = used(seed());
    for n in used.early(6) {
        let io = used.copy();
        let lost = damage_frame(&io, &used.bases(), &used.frames[n], &mut Dice(seed()));
        for file in files(&io) {
            io.remove(&file).unwrap();
        }
        let plan = planned(&io, &[lost], false).unwrap();
        assert!(!plan.loss.messages_are_all, "entries that are gone tell nothing");
        assert_eq!(plan.loss.void_commands, 0);
        repair(&io, &[lost]);
        let opened = start(&io).unwrap();
        assert!(used.has_all_done(&opened.store), "what groups had done is done");
        opened.store.close().unwrap();
        let more = mended(&used, &io, &lost);
        println!("frame {n}: {more} lost besides");
        assert!(more <= used.messages.len());
    }
}

#[test]
fn damage_of_the_log_that_nobody_has_repaired_costs_no_entry_that_stands_elsewhere() {
    let used = used(seed());
    let n = used.early(3)[1];
    let io = used.copy();
    let lost = damage_frame(&io, &used.bases(), &used.frames[n], &mut Dice(seed()));
    let whole = io.crash_keeping_all();
    let mut left = 0;
    for file in files(&whole) {
        let io = whole.crash_keeping_all();
        flip_all(&io, &file);
        leave_note(&io);
        let opened = start(&io).unwrap();
        left += used.unreadable(&opened.store, &lost);
        opened.store.close().unwrap();
        // The way on that a start tells.
        repair(&io, &wanted(&io));
        leave_note(&io);
        assert_eq!(mended(&used, &io, &lost), 0, "{}", file.display());
    }
    let in_it = used.messages_between(lost.from.0, lost.to.unwrap().0);
    assert_eq!(left, in_it, "only what is damaged itself has no place");
}

#[test]
fn a_crash_at_an_operation_while_queue_files_are_mended_loses_no_more() {
    let used = used(seed());
    let (whole, lost, _) = repaired(&used);
    let file = files(&whole).swap_remove(0);
    whole.remove(&file).unwrap();
    let whole = whole.crash_keeping_all();
    let more = mended(&used, &whole.crash_keeping_all(), &lost);
    let mut stopped = 0;
    for at in (0..).step_by(3) {
        let io = whole.crash_keeping_all();
        io.plant(Fault::Stop { at });
        let ended = start(&io).is_ok_and(|opened| opened.store.close().is_ok());
        let io = io.crash(at);
        let opened = start(&io).unwrap();
        assert_eq!(used.count_lost(&opened.store, &lost).1, more, "stopped at {at}");
        opened.store.close().unwrap();
        if ended {
            break;
        }
        stopped += 1;
    }
    assert!(stopped > 4, "{stopped} operations");
}

/// The names of all files that a start could take for its own.
fn all_names(io: &FaultyIo) -> Vec<PathBuf> {
    let folders = ["log", "queue", "index", "checkpoint"].map(|name| Path::new(DIR).join(name));
    let mut names: Vec<PathBuf> = folders.iter().flat_map(|dir| io.list(dir).unwrap()).collect();
    names.extend(files(io));
    names
}

#[test]
fn checkpoints_that_are_damaged_or_not_read_behind_a_loss_are_neither_passed_over_nor_touched() {
    let used = used(seed());
    let (whole, lost, next) = repaired(&used);
    let before = all_names(&whole);
    let found = look(&whole);
    let positions = found.checkpoints.iter().map(|found| found.position.physical.0);
    let behind = positions.filter(|at| *at >= next);
    let roots: Vec<_> = behind
        .map(|at| Path::new(DIR).join(format!("checkpoint/{at:020}.root")))
        .collect();
    let is_untouched = |io: &FaultyIo, told: &str| {
        let error = start(io).err().expect("it is refused").to_string();
        assert!(error.contains(told), "{error}");
        assert!(error.contains("Nothing was changed"), "{error}");
        assert_eq!(all_names(io), before, "{told}");
    };
    let io = whole.crash_keeping_all();
    for root in &roots {
        flip(&io, root, 40, 1);
    }
    is_untouched(&io, "the log does not lead there");
    // They come back.
    for root in &roots {
        flip(&io, root, 40, 1);
    }
    assert_eq!(mended(&used, &io, &lost), 0);

    let io = whole.crash_keeping_all();
    for root in &roots {
        io.plant(Fault::ReadError {
            path: root.clone(),
            range: 0..64,
        });
    }
    is_untouched(&io, "cannot read the checkpoint file");
    io.lift_read_errors();
    assert_eq!(mended(&used, &io, &lost), 0);
}

#[test]
fn what_no_restart_finds_again_names_the_repair_of_the_log_and_no_other_restart() {
    let used = used(seed());
    let n = used.early(3)[1];
    let io = used.copy();
    damage_frame(&io, &used.bases(), &used.frames[n], &mut Dice(seed()));
    for file in files(&io) {
        flip_all(&io, &file);
    }
    leave_note(&io);
    for start_number in 0..2 {
        let opened = start(&io).unwrap();
        let said = entries_that_fail(&opened.store);
        assert!(!said.is_empty(), "start {start_number}");
        for said in said {
            assert!(
                said.contains("no restart makes it again")
                    && said.contains(&format!("`sluicectl log verify {DIR}`"))
                    && said.contains("log repair"),
                "start {start_number}: {said}"
            );
        }
        opened.store.close().unwrap();
    }
}
