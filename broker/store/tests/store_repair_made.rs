//! Repairs of a log where topics and groups were made in what is lost, or behind it, and what these groups count as done then.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::command::{CreateGroup, Subscribe};
use sluice_core::ids::{GroupId, PhysicalOffset, QueueId, TopicId, TopicQueue};
use sluice_store::io::FaultyIo;
use sluice_store::repair::{Range, RepairError};
use std::path::Path;
use workload::{Dice, Driver};

#[test]
fn a_topic_or_group_that_was_made_in_what_is_lost_is_noticed_before_anything_goes_to_another() {
    let used = used(seed());
    let bases = used.bases();
    let (mut refusals, mut repairs) = (0, 0);
    for (n, frame) in used.frames.iter().enumerate().take(14) {
        let io = used.copy_without_checkpoints();
        let (path, at) = place(&bases, frame.start().0);
        flip(&io, &path, at + 4, 1);
        let lost = [Range {
            from: frame.start(),
            to: Some(frame.end()),
        }];
        assert_eq!(wanted(&io), lost);
        match planned(&io, &lost, false) {
            Ok(plan) => {
                plan.run(&shared(&io)).unwrap();
                let opened = start(&io).unwrap();
                used.check(&opened.store, &lost, None, 0);
                opened.store.close().unwrap();
                sound(&io);
                repairs += 1;
            }
            Err(RepairError::Refused { what, hint }) => {
                assert!(
                    what.contains("was made or changed in what is lost"),
                    "frame {n}: {what}"
                );
                let end = format!("--accept-loss {}..END --wider", frame.start());
                assert!(hint.ends_with(&end), "frame {n}: {hint}");
                let end = [Range { to: None, ..lost[0] }];
                planned(&io, &end, true).unwrap().run(&shared(&io)).unwrap();
                let opened = start(&io).unwrap();
                used.check(&opened.store, &[], Some(frame.start().0), 0);
                opened.store.close().unwrap();
                refusals += 1;
            }
            Err(other) => panic!("frame {n}: {other}"),
        }
    }
    println!("{refusals} refusals, {repairs} repairs");
    assert!(
        refusals >= 4 && repairs > 0,
        "{refusals} refusals, {repairs} repairs"
    );
}

const QUEUE: TopicQueue = TopicQueue {
    topic: TopicId(0),
    queue: QueueId(0),
};

/// Has the first group that was made here read, and kills the store behind more messages.
fn used_and_killed(io: &FaultyIo, driver: &mut Driver) -> FaultyIo {
    let (group, topic) = (GroupId(2), QUEUE.topic);
    let subscribe = Subscribe { group, topic }.encode(driver.now());
    driver.ask([subscribe].into_iter().collect()).unwrap();
    (0..20).for_each(|_| assert!(driver.send_one(QUEUE, 300).is_some()));
    let killed = io.crash_keeping_all();
    driver.opened.store.close().unwrap();
    killed
}

/// Flips a bit so many bytes behind the frame that begins there.
fn flip_behind(io: &FaultyIo, frame: PhysicalOffset, bytes: u64) {
    let bases: Vec<_> = look(io)
        .log
        .segments
        .iter()
        .map(|segment| segment.base.0)
        .collect();
    let (path, at) = place(&bases, frame.0);
    flip(io, &path, at + bytes, 1);
}

/// A killed store with two groups, made one after another behind the newest checkpoint, of which only the first has read.
fn two_groups() -> (FaultyIo, Vec<Range>) {
    let io = FaultyIo::new(seed());
    let mut driver = Driver::new(start(&io).unwrap(), seed()).without_administrators();
    driver.make().unwrap();
    (0..5).for_each(|_| driver.round(300).unwrap());
    driver.opened.store.close().unwrap();
    driver.opened = start(&io).unwrap();
    let mut made = Vec::new();
    for name in ["victim", "idle"] {
        made.push(driver.opened.store.log().positions().written());
        let group = CreateGroup::on_first_use(name).encode(driver.now());
        driver.ask([group].into_iter().collect()).unwrap();
    }
    let killed = used_and_killed(&io, &mut driver);
    flip_behind(&killed, made[0], 60);
    let wanted = wanted(&killed);
    assert!(
        wanted[0].from >= made[0] && wanted[0].to.unwrap() <= made[1],
        "{wanted:?}"
    );
    (killed, wanted)
}

#[test]
fn a_group_that_may_have_the_place_of_one_that_was_made_in_what_is_lost_is_told_before() {
    let (io, lost) = two_groups();
    let said = refusal(&io);
    assert!(!said.contains("one message at most;"), "{said}");
    let refused = planned(&io, &lost, false).unwrap_err().to_string();
    for part in ["whether a group was made", "(one of: idle)", "..END --wider"] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    let command = format!("{} --wider", sluice_store::repair::command(Path::new(DIR), &lost));
    assert!(refused.ends_with(&command), "{refused}");
    let plan = planned(&io, &lost, true).unwrap();
    let told = |place: &sluice_store::repair::Place| place.what.contains("(one of: idle)");
    assert!(plan.loss.places.iter().any(told), "{:?}", plan.loss.places);
    plan.run(&shared(&io)).unwrap();
    let opened = start(&io).unwrap();
    assert!(opened.store.tables().group("victim").is_none());
    assert!(opened.store.tables().group("idle").is_some());
    opened.store.close().unwrap();
}

#[test]
fn a_message_that_is_lost_before_a_group_was_made_and_used_costs_no_more() {
    let io = FaultyIo::new(seed());
    let mut driver = Driver::new(start(&io).unwrap(), seed()).without_administrators();
    driver.make().unwrap();
    driver.opened.store.close().unwrap();
    driver.opened = start(&io).unwrap();
    let written = driver.opened.store.log().positions().written();
    (0..5).for_each(|_| assert!(driver.send_one(QUEUE, 300).is_some()));
    let group = CreateGroup::on_first_use("idle").encode(driver.now());
    driver.ask([group].into_iter().collect()).unwrap();
    let killed = used_and_killed(&io, &mut driver);
    flip_behind(&killed, written, 100);
    assert!(refusal(&killed).contains("one message at most"));
    repair(&killed, &wanted(&killed));
    start(&killed).unwrap().store.close().unwrap();
}

#[test]
fn with_no_checkpoint_behind_the_loss_no_group_has_done_what_came_later() {
    let used = used(seed());
    let bases = used.bases();
    let mut dice = Dice(seed() + 3);
    for n in used.early(8) {
        let io = used.copy_without_checkpoints();
        let lost = damage_frame(&io, &bases, &used.frames[n], &mut dice);
        assert_eq!(wanted(&io), [lost]);
        repair(&io, &[lost]);
        let opened = start(&io).unwrap();
        used.check(&opened.store, &[lost], None, 0);
        opened.store.close().unwrap();
        sound(&io);
    }
}
