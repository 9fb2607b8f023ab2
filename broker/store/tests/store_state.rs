//! A part of state that no checkpoint has whole any more, once retention has taken the log's beginning: the start is refused and
//! changes nothing, and the command that it prints goes on without that part alone. No message is lost with it.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::ids::{GroupId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_store::Store;
use sluice_store::io::{FaultyIo, LogIo, read_exact_at};
use sluice_store::repair::{Accepted, Plan, RepairError, plan};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use workload::{Driver, Memory, check};

/// A part's name as the roots have it: kind and ids.
type Part = (u8, [u32; 3]);

/// A store whose log begins later, with messages that are carried, and what it has been told.
fn trimmed_with_carried(seed: u64) -> (FaultyIo, Memory) {
    let (io, driver) = trimmed(seed, 2);
    assert!(driver.opened.store.tables().carried_len() > 0);
    (io, driver.memory)
}

fn folder() -> PathBuf {
    Path::new(DIR).join("checkpoint")
}

fn names(io: &FaultyIo, suffix: &str) -> Vec<PathBuf> {
    let mut names = io.list(&folder()).unwrap();
    names.retain(|name| name.extension().is_some_and(|ext| ext == suffix));
    names.into_iter().map(|name| folder().join(name)).collect()
}

fn read(io: &FaultyIo, path: &Path) -> Vec<u8> {
    let file = io.open_read(path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_exact_at(&*file, &mut bytes, 0).unwrap();
    bytes
}

/// The parts of all roots: where each stands, in which pack.
fn parts(io: &FaultyIo) -> Vec<(Part, u64, u64)> {
    names(io, "root")
        .iter()
        .flat_map(|root| parts_of(io, root))
        .collect()
}

fn parts_of(io: &FaultyIo, root: &Path) -> Vec<(Part, u64, u64)> {
    let mut found = Vec::new();
    let bytes = read(io, root);
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let mut at = 48 + number(40) as usize;
    for _ in 0..number(44) {
        let ids = [1, 5, 9].map(|n| number(at + n));
        found.push(((bytes[at], ids), long(at + 13), long(at + 21)));
        at += 37;
    }
    found
}

/// A copy in which every version of a part is damaged; checkpoints that have none are not there.
fn without(whole: &FaultyIo, part: Part) -> FaultyIo {
    let io = whole.crash_keeping_all();
    let places: BTreeSet<(u64, u64)> = parts(&io)
        .into_iter()
        .filter(|(found, ..)| *found == part)
        .map(|(_, pack, at)| (pack, at))
        .collect();
    for root in names(&io, "root") {
        if !parts_of(&io, &root).iter().any(|(found, ..)| *found == part) {
            io.remove(&root).unwrap();
        }
    }
    for (pack, at) in places {
        flip(&io, &folder().join(format!("{pack:020}.pack")), at, 3);
    }
    io
}

fn plan_of(io: &FaultyIo) -> Result<Plan, RepairError> {
    let accepted = Accepted {
        lost_state: true,
        ..Accepted::default()
    };
    plan(&shared(io), Path::new(DIR), &accepted)
}

/// The damaged copy is refused, and starts after what the refusal says. Answers what was said to be lost.
fn goes_on(io: &FaultyIo) -> Vec<String> {
    let roots = names(io, "root");
    let said = start(io).err().expect("a start without the part").to_string();
    assert!(
        said.ends_with("sluicectl log repair /data/broker-a --accept-lost-state"),
        "{said}"
    );
    assert_eq!(names(io, "root"), roots, "the start has changed something");
    assert_eq!(look(io).refused.as_ref(), Some(&said));
    let plan = plan_of(io).unwrap();
    plan.run(&shared(io)).unwrap();
    assert!(
        plan_of(io)
            .unwrap_err()
            .to_string()
            .contains("a start needs nothing")
    );
    assert_eq!(look(io).refused, None);
    plan.loss.state
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
