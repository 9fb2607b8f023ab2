//! A damaged index stops no start: where nothing can make it again it begins anew at the newest checkpoint, and from there on it
//! finds everything.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::hash;
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TopicQueue};
use sluice_store::Store;
use sluice_store::index::FIND_MAX;
use sluice_store::io::{Fault, FaultyIo, LogIo};
use sluice_store::repair::{Range, RepairError};
use sluice_store::retention::Settings;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use workload::{Dice, Driver, check};

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn names(io: &FaultyIo, suffix: &str) -> Vec<PathBuf> {
    let mut names = io.list(&path("index")).unwrap();
    names.retain(|name| name.to_str().unwrap().ends_with(suffix));
    names
}

/// The last sorted file is damaged, or all files are gone.
fn damage_index(io: &FaultyIo, all: bool) {
    if all {
        for name in io.list(&path("index")).unwrap() {
            io.remove(&path("index").join(name)).unwrap();
        }
        io.sync_dir(&path("index")).unwrap();
    } else {
        let last = names(io, ".idx").pop().expect("a sorted file");
        flip(io, &path("index").join(last), 20, 1);
    }
}

/// Whether every message that stands at `from` or behind is found by the key that all have, and nothing from before.
fn finds_from(store: &Store, from: u64) {
    let mut wanted = 0;
    for topic in store.tables().all_topics() {
        let key = hash::message_key(topic.id, b"common");
        let found = store.index().find(key, 0..u64::MAX, FIND_MAX, None).unwrap();
        let found: BTreeSet<u64> = found.into_iter().map(|(physical, _)| physical.0).collect();
        assert!(found.iter().all(|at| *at >= from), "found before {from}");
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            for offset in (0..topic.tail(queue).unwrap().0).map(QueueOffset) {
                let mut entries = Vec::new();
                store.queues().read(at, offset, 1, &mut entries).unwrap();
                for entry in entries.iter().filter(|entry| entry.physical.0 >= from) {
                    assert!(found.contains(&entry.physical.0), "{offset} of {at:?}");
                    wanted += 1;
                }
            }
        }
    }
    assert!(wanted > 0, "nothing stands behind {from}");
}

/// Uses a store whose index begins at `begin`, starts it again, and lets retention take what is before that.
fn lives_on(io: &FaultyIo, begin: u64) {
    let mut driver = Driver::new(start(io).unwrap(), 99).without_administrators();
    for _ in 0..60 {
        driver.round(4000).unwrap();
    }
    finds_from(&driver.opened.store, begin);
    let begins = |store: &Store| store.index_begins().map(|(at, time)| (at.0, time.is_some()));
    assert_eq!(begins(&driver.opened.store), Some((begin, true)));
    driver.opened.store.close().unwrap();
    assert_eq!(names(io, ".begin").len(), 1);
    let found = sound(io);
    let told = |what: &str| found.findings.notes.iter().any(|note| note.what.contains(what));
    assert!(told("was begun anew"), "{:?}", found.findings.notes);
    let opened = start(io).unwrap();
    finds_from(&opened.store, begin);
    assert_eq!(
        begins(&opened.store),
        Some((begin, true)),
        "as after the start that began it"
    );
    driver.opened = opened;
    let settings = Settings {
        keep_bytes: Some(300_000),
        ..Settings::default()
    };
    for _ in 0..200 {
        if driver.opened.store.log().start().0 > begin {
            break;
        }
        for _ in 0..20 {
            driver.round(4000).unwrap();
        }
        driver.retain(&settings).unwrap();
    }
    assert_eq!(
        begins(&driver.opened.store),
        None,
        "all that the log has is in it"
    );
    // The index follows the log a moment later.
    finds_from(&driver.opened.store, begin);
    driver.opened.store.close().unwrap();
    let opened = start(io).unwrap();
    let start_of_log = opened.store.log().start().0;
    assert!(start_of_log > begin, "retention has gone past {begin}");
    finds_from(&opened.store, start_of_log);
    opened.store.close().unwrap();
    assert!(names(io, ".begin").is_empty(), "the log begins later now");
    let found = sound(io);
    assert!(found.folded_to.is_some(), "all is compared with the log");
    // From here on it can be made again.
    damage_index(io, true);
    let opened = start(io).unwrap();
    finds_from(&opened.store, start_of_log);
    opened.store.close().unwrap();
    assert!(names(io, ".begin").is_empty());
    sound(io);
}

/// A store that was repaired with a loss, behind which a checkpoint stands.
fn repaired(used: &Used) -> (FaultyIo, Range) {
    let io = used.copy();
    let n = used.early(3)[1];
    let lost = damage_frame(&io, &used.bases(), &used.frames[n], &mut Dice(seed()));
    repair(&io, &[lost]);
    (io, lost)
}

#[test]
fn behind_a_repair_with_a_loss_a_damaged_index_begins_anew() {
    let used = used(seed());
    let (io, lost) = repaired(&used);
    for all in [true, false] {
        let io = io.crash_keeping_all();
        damage_index(&io, all);
        assert!(!look(&io).findings.is_sound());
        let opened = start(&io.crash_keeping_all()).unwrap();
        used.check(&opened.store, &[lost], None, used.newest);
        assert!(used.has_all_done(&opened.store));
        finds_from(&opened.store, used.newest);
        drop(opened);
        lives_on(&io, used.newest);
    }
}

#[test]
fn an_index_that_was_begun_anew_can_be_lost_again() {
    let used = used(seed());
    let (io, lost) = repaired(&used);
    let mut begins = BTreeSet::new();
    for _ in 0..3 {
        damage_index(&io, true);
        let mut driver = Driver::new(start(&io).unwrap(), 5).without_administrators();
        (0..40).for_each(|_| driver.round(4000).unwrap());
        driver.opened.store.close().unwrap();
        begins.extend(names(&io, ".begin"));
    }
    assert_eq!(begins.len(), 3, "{begins:?}");
    assert_eq!(names(&io, ".begin").len(), 1);
    // Where the checkpoints since are gone, it is about runs that no checkpoint counts.
    let at = |name: &PathBuf| name.to_str().unwrap()[13..33].parse::<u64>().unwrap();
    let last = at(begins.last().unwrap());
    let found = sound(&io);
    let positions = found.checkpoints.iter().map(|found| found.position.physical.0);
    let before: Vec<u64> = positions.clone().filter(|at| *at < last).collect();
    for position in positions.filter(|at| *at >= last) {
        io.remove(&path(&format!("checkpoint/{position:020}.root")))
            .unwrap();
    }
    io.sync_dir(&path("checkpoint")).unwrap();
    let opened = start(&io).unwrap();
    finds_from(&opened.store, *before.last().unwrap());
    assert!(lost.to.unwrap().0 < *before.last().unwrap());
    opened.store.close().unwrap();
    sound(&io);
}

#[test]
fn with_the_base_lost_a_damaged_index_begins_anew() {
    let io = FaultyIo::new(seed());
    let mut driver = Driver::new(start(&io).unwrap(), seed()).without_administrators();
    driver.make().unwrap();
    let settings = Settings {
        keep_bytes: Some(300_000),
        ..Settings::default()
    };
    while driver.opened.store.log().start().0 == 0 {
        (0..50).for_each(|_| driver.round(4000).unwrap());
        driver.retain(&settings).unwrap();
    }
    (0..50).for_each(|_| driver.round(4000).unwrap());
    driver.opened.store.close().unwrap();
    let found = sound(&io);
    let (first, newest) = (
        found.log.first.physical.0,
        found.checkpoints.last().unwrap().position.physical.0,
    );
    assert!(first < newest);
    io.remove(&path(&format!("checkpoint/{first:020}.root"))).unwrap();
    io.sync_dir(&path("checkpoint")).unwrap();
    // Of single files the first one that is there is taken for the index's first.
    damage_index(&io, true);
    let opened = start(&io).unwrap();
    check(&opened.store, &driver.memory);
    driver.opened = opened;
    (0..30).for_each(|_| driver.round(4000).unwrap());
    finds_from(&driver.opened.store, newest);
    driver.opened.store.close().unwrap();
    let opened = start(&io).unwrap();
    check(&opened.store, &driver.memory);
    finds_from(&opened.store, newest);
    driver.opened = opened;
    while driver.opened.store.log().start().0 <= newest {
        (0..20).for_each(|_| driver.round(4000).unwrap());
        driver.retain(&settings).unwrap();
    }
    driver.opened.store.close().unwrap();
    let opened = start(&io).unwrap();
    check(&opened.store, &driver.memory);
    finds_from(&opened.store, opened.store.log().start().0);
    opened.store.close().unwrap();
    assert!(names(&io, ".begin").is_empty());
    assert!(sound(&io).folded_to.is_some());
}

#[test]
fn a_crash_at_any_operation_while_an_index_begins_anew_costs_no_more() {
    let used = used(seed());
    let (io, lost) = repaired(&used);
    damage_index(&io, false);
    let whole = io.crash_keeping_all();
    let mut stopped = 0;
    for at in 0.. {
        let io = whole.crash_keeping_all();
        io.plant(Fault::Stop { at });
        let ended = start(&io).is_ok_and(|opened| opened.store.close().is_ok());
        let io = io.crash(at);
        let opened = start(&io).unwrap();
        used.check(&opened.store, &[lost], None, used.newest);
        finds_from(&opened.store, used.newest);
        opened.store.close().unwrap();
        sound(&io);
        if ended {
            break;
        }
        stopped += 1;
    }
    assert!(stopped > 10, "{stopped} operations");
}

#[test]
fn an_end_that_lies_behind_an_earlier_loss_is_refused_with_one_that_can_be_reached() {
    let used = used(seed());
    let (io, lost) = repaired(&used);
    let found = look(&io);
    let tombstone = used
        .frames
        .iter()
        .rev()
        .find(|frame| frame.start() <= lost.from)
        .unwrap()
        .start();
    // Behind the loss, and before the next checkpoint.
    let next = found.checkpoints.iter().map(|found| found.position.physical);
    let next = next.filter(|at| *at > lost.from).min().unwrap();
    let frames = used.frames.iter().map(|frame| frame.start());
    let end = frames
        .filter(|at| *at >= lost.to.unwrap() && *at < next)
        .last()
        .unwrap();
    let range = Range { from: end, to: None };
    let Err(RepairError::Refused { what, hint }) = planned(&io, &[range], true) else {
        panic!("an end behind a loss");
    };
    assert!(what.contains("was lost before"), "{what}");
    let reached = Range {
        from: tombstone,
        to: None,
    };
    assert!(
        hint.ends_with(&format!("--accept-loss {reached} --wider")),
        "{hint}"
    );
    planned(&io, &[reached], true).unwrap().run(&shared(&io)).unwrap();
    let opened = start(&io).unwrap();
    used.check(&opened.store, &[], Some(tombstone.0), 0);
    opened.store.close().unwrap();
    assert!(PhysicalOffset(0) < tombstone);
    sound(&io);
}
