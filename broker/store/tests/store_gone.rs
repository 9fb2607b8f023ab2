//! Files of the log that are gone altogether: each refused start prints one command, and that command leads on without more loss than
//! there must be.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::ids::{PhysicalOffset, QueueId, TopicQueue};
use sluice_store::io::{Fault, FaultyIo, LogIo};
use sluice_store::repair::{Accepted, Done, Plan, Range, RepairError, plan};
use sluice_store::retention::Settings;
use std::path::{Path, PathBuf};
use workload::{Driver, check};

const ALL: Accepted<'static> = Accepted {
    ranges: &[],
    wider: false,
    new_meta: true,
    lost_state: false,
};

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn remove(io: &FaultyIo, path: &Path) {
    io.remove(path).unwrap();
    io.sync_dir(path.parent().unwrap()).unwrap();
}

fn cut(io: &FaultyIo, path: &Path, len: u64) {
    let file = io.open(path).unwrap();
    file.set_len(len).unwrap();
    file.sync_data().unwrap();
}

fn remove_meta(io: &FaultyIo) {
    for name in ["meta.a", "meta.b"] {
        remove(io, &path(name));
    }
}

fn plan_of(io: &FaultyIo, ranges: &[Range], new_meta: bool) -> Result<Plan, RepairError> {
    let accepted = Accepted {
        ranges,
        new_meta,
        ..Accepted::default()
    };
    plan(&shared(io), Path::new(DIR), &accepted)
}

/// What a refused start prints: the ranges, and whether meta is to be made again.
fn printed(io: &FaultyIo) -> (Vec<Range>, bool) {
    let before = listing(io);
    let said = refusal(io);
    let after = listing(io);
    let differs = before.iter().filter(|file| !after.contains(file));
    let differs: Vec<_> = differs
        .chain(after.iter().filter(|file| !before.contains(file)))
        .collect();
    assert!(
        differs.is_empty(),
        "a refused start has changed {differs:?}: {said}"
    );
    let (_, command) = said
        .rsplit_once("sluicectl log repair /data/broker-a")
        .unwrap_or_else(|| panic!("there is no command in: {said}"));
    assert_eq!(
        sluice_store::repair::way_on(Path::new(DIR), &look(io).log).unwrap(),
        format!("sluicectl log repair /data/broker-a{command}")
    );
    let words: Vec<&str> = command.split_whitespace().collect();
    let ranges = words.iter().filter_map(|word| word.parse().ok()).collect();
    (ranges, words.contains(&"--make-meta"))
}

/// Every file, and how long it is.
fn listing(io: &FaultyIo) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(DIR)];
    while let Some(folder) = folders.pop() {
        for name in io.list(&folder).unwrap() {
            let path = folder.join(name);
            match io.open_read(&path) {
                Ok(file) => found.push((path, file.len().unwrap())),
                Err(_) => folders.push(path),
            }
        }
    }
    let prepared = ["lock", "spare.seg", "recycled.seg"];
    found.retain(|(path, _)| !prepared.iter().any(|name| path.ends_with(name)));
    // Left of a repair that was stopped.
    found.retain(|(path, _)| path.extension().is_none_or(|ext| ext != "tmp"));
    found.sort();
    found
}

/// Does what the start has printed, once, and answers what was agreed to.
fn follow(io: &FaultyIo) -> (Vec<Range>, Done) {
    let (ranges, new_meta) = printed(io);
    let plan = plan_of(io, &ranges, new_meta).unwrap_or_else(|error| panic!("{ranges:?}: {error}"));
    assert!(!plan.is_done);
    let done = plan.run(&shared(io)).unwrap();
    assert!(plan_of(io, &ranges, new_meta).unwrap().is_done, "{ranges:?}");
    (ranges, done)
}

/// It starts, takes messages, and starts again.
fn goes_on(io: &FaultyIo) {
    let mut driver = Driver::new(start(io).unwrap(), 99).without_administrators();
    (0..5).for_each(|_| driver.round(300).unwrap());
    driver.opened.store.close().unwrap();
    sound(io);
    start(io).unwrap().store.close().unwrap();
}

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
fn meta_is_made_again_from_the_log() {
    let used = used(seed());
    for damaged in [false, true] {
        let io = used.copy();
        if damaged {
            cut(&io, &path("meta.a"), 50);
            flip(&io, &path("meta.b"), 60, 2);
        } else {
            remove_meta(&io);
        }
        assert!(
            plan_of(&io, &[], false)
                .unwrap_err()
                .to_string()
                .contains("--make-meta")
        );
        let (ranges, done) = follow(&io);
        assert_eq!((ranges.len(), done.saved.len()), (0, if damaged { 2 } else { 0 }));
        let opened = start(&io).unwrap();
        used.check(&opened.store, &[], None, used.newest);
        assert!(used.has_all_done(&opened.store), "nothing is lost");
        opened.store.close().unwrap();
        goes_on(&io);
        assert_eq!(look(&io).log.meta.unwrap().identity.cluster, "test");
    }
}

#[test]
fn meta_and_a_frame_are_mended_by_one_command() {
    let used = used(seed());
    let bases = used.bases();
    let io = used.copy();
    let n = used.early(4)[0];
    let (file, at) = place(&bases, used.frames[n].start().0);
    flip(&io, &file, at + 4, 1);
    remove_meta(&io);
    let (ranges, _) = follow(&io);
    assert_eq!(ranges.len(), 1);
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
fn a_log_that_begins_later_goes_on_without_its_first_segment_and_without_meta() {
    let (whole, driver) = trimmed(seed(), 1);
    let segments: Vec<PhysicalOffset> = look(&whole).log.segments.iter().map(|found| found.base).collect();
    assert!(segments[0].0 > 0 && segments.len() > 1, "{segments:?}");
    let io = whole.crash_keeping_all();
    remove_meta(&io);
    let (ranges, _) = follow(&io);
    assert_eq!(ranges, []);
    let opened = start(&io).unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
    goes_on(&io);
    for without_meta in [false, true] {
        let io = whole.crash_keeping_all();
        remove(&io, &segment_path(segments[0].0));
        if without_meta {
            remove_meta(&io);
        }
        let (ranges, _) = follow(&io);
        let range = Range {
            from: segments[0],
            to: Some(segments[1]),
        };
        assert_eq!(ranges, [range]);
        goes_on(&io);
    }
}

/// Messages of a store that stand in the log from `from` to `to`, of which queues have entries.
fn messages_in(io: &FaultyIo, from: PhysicalOffset, to: PhysicalOffset) -> u64 {
    let opened = start(&io.crash_keeping_all()).unwrap();
    let mut messages = 0;
    for topic in opened.store.tables().all_topics() {
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            let mut entries = Vec::new();
            let first = topic.first(queue).unwrap();
            opened
                .store
                .queues()
                .read(at, first, usize::MAX >> 1, &mut entries)
                .unwrap();
            let is_there = |place: PhysicalOffset| (from..to).contains(&place);
            messages += entries.iter().filter(|entry| is_there(entry.physical)).count() as u64;
        }
    }
    opened.store.close().unwrap();
    messages
}

#[test]
fn without_meta_first_segment_and_base_the_loss_that_is_told_is_what_is_missing() {
    let used = used(seed()).io;
    let mut driver = Driver::new(start(&used).unwrap(), seed()).without_administrators();
    driver.round(300).unwrap();
    driver.opened.store.close().unwrap();
    for whole in [used, trimmed(seed(), 1).0] {
        let found = look(&whole);
        let segments: Vec<PhysicalOffset> = found.log.segments.iter().map(|found| found.base).collect();
        let missing = messages_in(&whole, segments[0], segments[1]);
        assert!(missing > 0);
        let root = |at: PhysicalOffset| path(&format!("checkpoint/{:020}.root", at.0));
        let io = whole.crash_keeping_all();
        remove_meta(&io);
        remove(&io, &segment_path(segments[0].0));
        remove(&io, &root(segments[0]));
        // Nor is there one before what is left, from which something more would be known.
        for at in found.checkpoints.iter().map(|found| found.position.physical) {
            if at > segments[0] && at < segments[1] {
                remove(&io, &root(at));
            }
        }
        let (ranges, new_meta) = printed(&io);
        assert!(new_meta);
        let plan = plan_of(&io, &ranges, true).unwrap();
        let told: u64 = plan.loss.messages.iter().map(|lost| lost.messages).sum();
        assert_eq!(told, missing, "{:?}", plan.loss);
        follow(&io);
        let opened = start(&io).unwrap();
        opened.store.close().unwrap();
        goes_on(&io);
    }
}

#[test]
fn without_meta_first_segment_and_all_checkpoints_the_commands_that_are_told_lead_on() {
    for whole in [used(seed()).io, trimmed(seed(), 1).0] {
        let io = whole.crash_keeping_all();
        remove_meta(&io);
        let found = look(&io);
        remove(&io, &segment_path(found.log.segments[0].base.0));
        for found in &found.checkpoints {
            remove(&io, &found.file);
        }
        let (ranges, _) = printed(&io);
        let refused = plan_of(&io, &ranges, true).unwrap_err().to_string();
        let (_, command) = refused.rsplit_once("sluicectl log repair").unwrap();
        assert!(
            command.contains("--make-meta") && command.contains("--wider"),
            "{refused}"
        );
        let words = command.split_whitespace();
        let ranges: Vec<Range> = words.filter_map(|word| word.parse().ok()).collect();
        let accepted = Accepted {
            ranges: &ranges,
            wider: true,
            ..ALL
        };
        let plan = plan(&shared(&io), Path::new(DIR), &accepted).unwrap();
        assert!(!plan.loss.messages_are_all);
        plan.run(&shared(&io)).unwrap();
        let mut driver = Driver::new(start(&io).unwrap(), 99).without_administrators();
        driver.make().unwrap();
        driver.opened.store.close().unwrap();
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
