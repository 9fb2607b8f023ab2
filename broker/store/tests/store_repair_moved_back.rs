//! Repairs of a log in which groups were moved behind a loss: moved on, they get messages again; moved back, that is lost, and told.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::command::{Fence, SetFloor, Target};
use sluice_core::ids::{PhysicalOffset, QueueOffset};
use sluice_core::state::Refused;
use sluice_store::repair::{Accepted, Plan, Range, plan};
use std::path::Path;

fn moves(target: Target, epoch: u64) -> SetFloor {
    SetFloor {
        id: READER,
        target,
        epoch,
    }
}

/// A broker whose first group is done with these of four messages, before one that is lost.
fn behind(done: &[u64]) -> Behind {
    let mut behind = Behind::begin();
    (0..4).for_each(|_| behind.send());
    behind.finish(done);
    behind.loses_the_next();
    behind.send();
    behind
}

/// With the group done with these messages at the loss, and moved so behind it.
fn moved(done: &[u64], targets: &[Target]) -> Plan {
    let behind = behind(done);
    for target in targets {
        behind.done(moves(*target, 0).encode(3_000));
    }
    let io = behind.without_the_message();
    let planned = planned(&io, &wanted(&io), false).unwrap();
    assert_eq!(planned.loss.void_commands, targets.len() as u64);
    planned.run(&shared(&io)).unwrap();
    let opened = start(&io).unwrap();
    let subscription = opened.store.tables().subscription(READER.group, READER.at.topic);
    let first = (0..4).find(|offset| !done.contains(offset)).unwrap();
    let floor = subscription.unwrap().shards[0].read(|held| held.floor());
    assert_eq!(floor.0, first, "it stands where it stood");
    opened.store.close().unwrap();
    planned
}

/// What is said of moves back.
fn told(plan: &Plan) -> Vec<&str> {
    let warnings = plan.loss.warnings.iter().map(String::as_str);
    warnings.filter(|told| told.contains("moved back in")).collect()
}

fn told_of(plan: &Plan) -> &str {
    told(plan).first().copied().unwrap_or_default()
}

fn to(offset: u64) -> Target {
    Target::Offset(QueueOffset(offset))
}

#[test]
fn a_move_back_behind_a_loss_is_told_as_lost_and_not_as_messages_that_come_again() {
    let plan = moved(&[0, 1, 2], &[to(1)]);
    assert!(plan.loss.groups_again.is_empty(), "{:?}", plan.loss);
    let [told] = told(&plan)[..] else {
        panic!("{:?}", plan.loss);
    };
    let says = "group plain was moved back in topic topic-0 (queue 0 to offset 1), and that is lost";
    assert!(told.starts_with(says), "{told}");
    // Further on, and not yet as far as it was.
    let plan = moved(&[0, 1, 2], &[to(0), to(2)]);
    assert!(
        told_of(&plan).contains("(queue 0 to offset 2)"),
        "{:?}",
        plan.loss
    );
    assert!(plan.loss.groups_again.is_empty(), "{:?}", plan.loss);
}

#[test]
fn a_group_that_was_moved_on_or_is_past_where_it_stood_gets_messages_again() {
    let cases: [&[Target]; 5] = [
        &[to(3)],
        &[Target::Latest],
        &[Target::Newest(1)],
        &[to(1), to(4)],
        &[to(1), Target::Latest],
    ];
    for targets in cases {
        let plan = moved(&[0, 1], targets);
        assert_eq!(plan.loss.groups_again, ["plain"], "{targets:?}");
        assert!(told(&plan).is_empty(), "{targets:?}: {:?}", plan.loss);
    }
}

#[test]
fn of_a_move_of_which_nobody_can_tell_whether_it_went_back_both_is_told() {
    let plan = moved(&[1, 3], &[to(2)]);
    assert_eq!(plan.loss.groups_again, ["plain"]);
    let says = "group plain may have been moved back in topic topic-0 (queue 0 to offset 2)";
    assert!(told_of(&plan).starts_with(says), "{:?}", plan.loss);
}

#[test]
fn a_move_that_was_refused_when_it_came_is_nothing_that_is_lost() {
    let behind = behind(&[0, 1, 2]);
    for holder in ["first", "second"] {
        let holder = holder.to_owned();
        behind.done(Fence { holder }.encode(3_000));
    }
    let refused = behind.ask(moves(to(1), 1).encode(3_000));
    assert!(matches!(refused, Err(Refused::Epoch { .. })), "{refused:?}");
    let io = behind.without_the_message();
    let plan = planned(&io, &wanted(&io), false).unwrap();
    assert!(
        plan.loss.groups_again.is_empty() && told(&plan).is_empty(),
        "{:?}",
        plan.loss
    );
}

#[test]
fn with_the_end_of_the_log_a_move_back_is_lost_too() {
    let behind = behind(&[0, 1, 2]);
    behind.done(moves(to(1), 0).encode(3_000));
    let from = PhysicalOffset(behind.at);
    let io = behind.without_the_frame();
    let accepted = Accepted {
        ranges: &[Range { from, to: None }],
        wider: true,
        ..Accepted::default()
    };
    let plan = plan(&shared(&io), Path::new(DIR), &accepted).unwrap();
    assert!(plan.loss.groups_again.is_empty(), "{:?}", plan.loss);
    assert!(
        told_of(&plan).contains("group plain was moved back"),
        "{:?}",
        plan.loss
    );
}
