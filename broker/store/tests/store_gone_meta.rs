//! Logs without meta files, alone and with more that is gone: each refused start prints one command, and that command leads on without more
//! loss than there must be.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod gone;
mod repairs;
mod workload;

use gone::*;
use repairs::*;
use sluice_core::ids::{PhysicalOffset, QueueId, TopicQueue};
use sluice_store::io::FaultyIo;
use sluice_store::repair::{Accepted, Range, plan};
use std::path::Path;
use workload::{Driver, check};

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
            // What was carried may stand below where the queue begins.
            let carried = opened.store.tables().carried_of(at).into_iter();
            entries.extend(
                carried
                    .filter(|(offset, _)| *offset < first)
                    .map(|(_, entry)| entry),
            );
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
