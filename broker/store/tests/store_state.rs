//! A part of state that no checkpoint has whole any more, once retention has taken the log's beginning: the start is refused and
//! changes nothing, and the command that it prints goes on without that part alone. No message is lost with it.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod lost_state;
mod repairs;
mod workload;

use lost_state::*;
use repairs::*;
use sluice_core::ids::{GroupId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_store::Store;
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::repair::command;
use std::collections::BTreeSet;
use std::path::Path;
use workload::{Dice, Driver, Memory, check};

/// A store whose log begins later, with messages that are carried, and what it has been told.
fn trimmed_with_carried(seed: u64) -> (FaultyIo, Memory) {
    let (io, driver) = trimmed(seed, 2);
    assert!(driver.opened.store.tables().carried_len() > 0);
    (io, driver.memory)
}

/// Where messages are carried, and the places of their records.
fn carried(store: &Store) -> BTreeSet<(TopicQueue, u64, u64)> {
    let tables = store.tables();
    let mut found = BTreeSet::new();
    for at in tables.carried_queues() {
        let of_queue = tables.carried_of(at).into_iter();
        found.extend(of_queue.map(|(offset, entry)| (at, offset.0, entry.physical.0)));
    }
    found
}

#[test]
fn each_part_of_state_is_given_up_alone_and_no_message_with_it() {
    let (whole, memory) = trimmed_with_carried(seed());
    let all: BTreeSet<Part> = parts(&whole).into_iter().map(|(part, ..)| part).collect();
    let opened = start(&whole.crash_keeping_all()).unwrap();
    let all_carried = carried(&opened.store);
    opened.store.close().unwrap();
    let mut kinds = BTreeSet::new();
    for part in all {
        let io = without(&whole, part);
        let told = goes_on(&io);
        assert_eq!(told.len(), 1, "{part:?}: {told:?}");
        let opened = start(&io).unwrap();
        let store = &opened.store;
        let (kind, [a, b, c]) = part;
        let mut memory = memory.clone();
        let names_it = |name: &str| assert!(told[0].contains(name), "{name} in {told:?}");
        match kind {
            1 => names_it(&format!("topic topic-{a}:")),
            2 => {
                names_it(&format!("group with the id {a}:"));
                assert!(store.tables().group_by_id(GroupId(a)).is_none());
                memory.done.retain(|(id, _)| id.group.0 != a);
            }
            3 => {
                names_it(&format!(
                    "in queue {c} of topic topic-{b}: it gets all messages again"
                ));
                let at = TopicQueue {
                    topic: TopicId(b),
                    queue: QueueId(c),
                };
                let id = GroupQueueId {
                    group: GroupId(a),
                    at,
                };
                memory.done.retain(|(done, _)| *done != id);
                let gone = store.tables().gone(at);
                let tail = store
                    .tables()
                    .topic_by_id(at.topic)
                    .unwrap()
                    .tail(at.queue)
                    .unwrap();
                let shards = store.tables().subscription(id.group, at.topic).unwrap().shards;
                shards[c as usize].read(|hold| {
                    let mut there = (0..tail.0).filter(|offset| !gone.contains(*offset));
                    // Behind the checkpoint the log tells what it did.
                    assert!(there.any(|offset| hold.is_fresh(QueueOffset(offset))));
                });
            }
            _ => {
                names_it("found again in the log");
                assert!(
                    carried(store).is_superset(&all_carried),
                    "carried messages are lost"
                );
            }
        }
        check(store, &memory);
        opened.store.close().unwrap();
        let mut driver = Driver::new(start(&io).unwrap(), 7).without_administrators();
        if kind != 2 {
            (0..5).for_each(|_| driver.round(300).unwrap());
        }
        driver.opened.store.close().unwrap();
        assert_eq!(look(&io).refused, None);
        kinds.insert(kind);
    }
    assert_eq!(kinds, [1, 2, 3, 4].into());
}

#[test]
fn where_the_log_is_damaged_too_state_comes_first_and_the_log_loses_only_what_is_damaged() {
    let used = used(seed());
    let (bases, mut dice) = (used.bases(), Dice(seed()));
    let behind = used.frames.partition_point(|frame| frame.start().0 < used.newest);
    let early = used.early(2);
    let state_first = "sluicectl log repair /data/broker-a --accept-lost-state";
    for (kind, frames, page) in [
        (1, vec![early[0]], None),
        (3, vec![early[0], behind], None),
        // What a start meets before it looks for a checkpoint.
        (3, vec![early[1]], bases.last()),
    ] {
        let of_kind = parts(&used.io).into_iter().find(|(part, ..)| part.0 == kind);
        let io = without(&used.io, of_kind.unwrap().0);
        let mut lost = Vec::new();
        for n in frames {
            lost.push(damage_frame(&io, &bases, &used.frames[n], &mut dice));
        }
        if let Some(base) = page {
            flip(&io, &segment_path(*base), 10, 3);
        }
        let said = start(&io).err().expect("a start without state").to_string();
        assert!(said.ends_with(state_first), "{said}");
        assert!(
            said.contains("copy the folder") && !said.contains("--accept-loss "),
            "{said}"
        );
        assert_eq!(
            said.contains("and first go on without 1 of "),
            page.is_some(),
            "{said}"
        );
        let plan = plan_of(&io).unwrap();
        let all = wanted(&io);
        assert_eq!(
            plan.loss.warnings.len(),
            usize::from(all.len() > 1),
            "{:?}",
            plan.loss.warnings
        );
        plan.run(&shared(&io)).unwrap();
        if all.len() > 1 {
            assert!(plan.loss.warnings[0].contains("the next start prints"));
            let said = refusal(&io);
            assert!(said.ends_with(&command(Path::new(DIR), &all)), "{said}");
        } else {
            start(&io).unwrap().store.close().unwrap();
        }
        repair(&io, &all);
        let opened = start(&io).unwrap();
        used.check(&opened.store, &lost, None, used.newest);
        opened.store.close().unwrap();
    }
}

#[test]
fn a_segment_that_is_cut_long_before_the_checkpoint_stops_the_next_start_too_and_the_repair_says_so() {
    let used = used(seed());
    let bases = used.bases();
    let part = parts(&used.io).into_iter().find(|(part, ..)| part.0 == 3);
    let io = without(&used.io, part.unwrap().0);
    let path = segment_path(bases[0]);
    let file = io.open(&path).unwrap();
    file.set_len(file.len().unwrap() / 2).unwrap();
    let plan = plan_of(&io).unwrap();
    let warned = &plan.loss.warnings;
    assert!(
        warned.len() == 1 && warned[0].contains("the next start prints"),
        "{warned:?}"
    );
    plan.run(&shared(&io)).unwrap();
    let said = refusal(&io);
    assert!(said.ends_with(&command(Path::new(DIR), &wanted(&io))), "{said}");
}

#[test]
fn what_no_root_tells_can_only_be_brought_back() {
    let (io, _) = trimmed_with_carried(seed());
    for root in names(&io, "root") {
        flip(&io, &root, 30, 1);
    }
    let said = start(&io).err().unwrap().to_string();
    assert!(said.contains("move the folder away"), "{said}");
    assert_eq!(look(&io).refused, Some(said));
    let refused = plan_of(&io).unwrap_err().to_string();
    assert!(
        refused.contains("no checkpoint has a root that can be read"),
        "{refused}"
    );
}

#[test]
fn a_crash_at_any_operation_of_it_leaves_the_refusal_or_a_start() {
    use sluice_store::io::Fault;
    let (whole, mut memory) = trimmed_with_carried(seed());
    let part = parts(&whole)
        .into_iter()
        .map(|(part, ..)| part)
        .find(|part| part.0 == 3);
    let damaged = without(&whole, part.unwrap());
    memory.done.clear();
    for at in 0.. {
        let io = damaged.crash_keeping_all();
        let plan = plan_of(&io).unwrap();
        io.plant(Fault::Stop { at });
        let ended = plan.run(&shared(&io)).is_ok();
        for seed in 0..3 {
            let io = io.crash(at * 3 + seed);
            if start(&io.crash_keeping_all()).is_err() {
                goes_on(&io);
            }
            let opened = start(&io).unwrap();
            check(&opened.store, &memory);
            opened.store.close().unwrap();
        }
        if ended {
            assert!(at > 3, "{at} operations");
            return;
        }
    }
}
