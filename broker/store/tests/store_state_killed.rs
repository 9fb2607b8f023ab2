//! A topic's part of state that no checkpoint has whole any more, of a broker that was killed with commands behind the newest checkpoint, its
//! queue files whole, cut, or gone: what was sent is there once, in its order, and no offset is given again.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod lost_state;
mod repairs;
mod workload;

use lost_state::*;
use repairs::*;
use sluice_core::ids::{QueueId, QueueOffset, TopicQueue};
use sluice_core::record::Record;
use sluice_core::state::dead_letter_topic;
use sluice_store::Store;
use sluice_store::io::{FaultyIo, LogIo, write_all_at};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use workload::{Driver, Memory};

/// By topic and queue, where it ends and what stands there: offsets and bodies.
type Content = BTreeMap<(String, u32), (u64, Vec<(u64, Vec<u8>)>)>;

fn content(store: &Store) -> Content {
    let mut content = Content::new();
    for topic in store.tables().all_topics() {
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            let (gone, tail) = (store.tables().gone(at), topic.tail(queue).unwrap().0);
            let there = (0..tail).filter(|offset| !gone.contains(*offset)).map(|offset| {
                let mut entries = Vec::new();
                store
                    .queues()
                    .read(at, QueueOffset(offset), 1, &mut entries)
                    .unwrap();
                let command = store
                    .reader()
                    .read_command(entries[0].physical, entries[0].size)
                    .unwrap();
                let record = sluice_core::command::record_of(&command).unwrap();
                (offset, Record::parse(record).unwrap().body.to_vec())
            });
            content.insert((topic.spec.name.clone(), queue.0), (tail, there.collect()));
        }
    }
    content
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    Whole,
    Gone,
    Cut,
    /// The last entry that the checkpoint counts, and what follows.
    Flipped,
}

const ALL: [Files; 4] = [Files::Whole, Files::Gone, Files::Cut, Files::Flipped];

fn queue_files(io: &FaultyIo, topic: u32) -> Vec<PathBuf> {
    let folder = Path::new(DIR).join("queue").join(topic.to_string());
    let mut files = Vec::new();
    for queue in io.list(&folder).unwrap_or_default() {
        let folder = folder.join(queue);
        files.extend(
            io.list(&folder)
                .unwrap()
                .into_iter()
                .map(|name| folder.join(name)),
        );
    }
    files
}

/// The same files, with queue files that hold what stands behind the newest checkpoint too: the next one was about to be written.
fn flushed(whole: &FaultyIo) -> FaultyIo {
    let (io, closed) = (whole.crash_keeping_all(), whole.crash_keeping_all());
    start(&closed).unwrap().store.close().unwrap();
    for topic in 0..5 {
        for path in queue_files(&closed, topic) {
            let bytes = read(&closed, &path);
            io.create_dir(path.parent().unwrap()).unwrap();
            let file = io.create(&path).or_else(|_| io.open(&path)).unwrap();
            write_all_at(&*file, &bytes, 0).unwrap();
        }
    }
    io.sync_all_files(Path::new(DIR)).unwrap();
    io
}

fn harm(io: &FaultyIo, topic: u32, files: Files) {
    for path in queue_files(io, topic) {
        let len = io.open_read(&path).unwrap().len().unwrap();
        match files {
            Files::Whole => {}
            Files::Gone => io.remove(&path).unwrap(),
            Files::Cut => io.open(&path).unwrap().set_len(len / 80 * 40).unwrap(),
            Files::Flipped => (0..len.min(400))
                .step_by(40)
                .for_each(|back| flip(io, &path, len - 30 - back, 2)),
        }
    }
    io.sync_all_files(Path::new(DIR)).unwrap();
}

/// What a queue has, in its order.
type Messages = [(u64, Vec<u8>)];

/// Whether a queue goes on behind all that it can have given.
fn is_moved(told: &[String], (topic, queue): &(String, u32)) -> bool {
    let (topic, ended) = (format!("topic {topic}:"), format!("where queue {queue} ended"));
    told.iter()
        .any(|told| told.contains(&topic) && told.contains(&ended))
}

/// Everything is there once and in its order, and at its offset where nothing else is told; no offset is given again.
fn holds(io: &FaultyIo, before: &Content, told: &[String], what: &str) {
    let mut driver = Driver::new(start(io).unwrap(), 77).without_administrators();
    let after = content(&driver.opened.store);
    assert_eq!(
        after.keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>(),
        "{what}: {told:?}"
    );
    let again = after.iter().filter(|(queue, _)| is_moved(told, queue));
    let again: BTreeSet<&[u8]> = bodies(again.flat_map(|(_, (_, messages))| messages)).collect();
    let mut lowered = BTreeSet::new();
    for (queue, (tail, messages)) in before {
        let (end, found) = &after[queue];
        let what = format!(
            "{what}: {queue:?}: {} for {}: {told:?}",
            found.len(),
            messages.len()
        );
        if is_moved(told, queue) {
            assert!(end >= tail, "{what}");
            holds_moved(*tail, messages, found, &what);
            continue;
        }
        let there: BTreeSet<&[u8]> = bodies(found).collect();
        // A message that its group gets again is no dead letter yet.
        let comes_again = |body: &[u8]| {
            queue.0.starts_with(&dead_letter_topic("")) && !there.contains(body) && again.contains(body)
        };
        let is_there = |message: &&(u64, Vec<u8>)| !comes_again(&message.1);
        let sent: Vec<_> = messages.iter().filter(is_there).collect();
        assert!(bodies(sent.iter().copied()).eq(bodies(found)), "{what}");
        if sent.len() == messages.len() {
            assert_eq!((end, found), (tail, messages), "{what}");
        } else {
            let is_told = told.iter().any(|told| {
                told.contains(&format!(
                    "read topic {}, and are further, back to offset",
                    queue.0
                ))
            });
            assert!(is_told, "{what}");
            lowered.insert(queue.clone());
        }
    }
    for topic in driver.opened.store.tables().all_topics() {
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            let queue = (topic.spec.name.clone(), queue.0);
            let sent_to = driver.send_one(at, 10).unwrap().0;
            assert!(
                lowered.contains(&queue) || sent_to >= before[&queue].0,
                "{what}: {at:?}"
            );
        }
    }
    driver.opened.store.close().unwrap();
    assert_eq!(look(io).refused, None);
}

/// What was carried stays where it was, and all else comes again behind it. Of a dead letter nothing may tell whether it was taken: it
/// comes too.
fn holds_moved(tail: u64, messages: &Messages, found: &Messages, what: &str) {
    let (stay, come) = found.split_at(found.partition_point(|(offset, _)| *offset < tail));
    assert!(stay.iter().all(|message| messages.contains(message)), "{what}");
    let others = messages.iter().filter(|message| !stay.contains(message));
    let mut come = bodies(come);
    assert!(
        bodies(others).all(|body| come.any(|other| other == body)),
        "{what}"
    );
}

fn bodies<'a>(messages: impl IntoIterator<Item = &'a (u64, Vec<u8>)>) -> impl Iterator<Item = &'a [u8]> {
    messages.into_iter().map(|(_, body)| &**body)
}

/// What groups were told that they have done they have.
fn has_done(io: &FaultyIo, memory: &Memory) {
    let opened = start(io).unwrap();
    for (id, offset) in &memory.done {
        let shards = opened
            .store
            .tables()
            .subscription(id.group, id.at.topic)
            .unwrap()
            .shards;
        let is_done = shards[id.at.queue.0 as usize]
            .read(|hold| !hold.is_fresh(*offset) && hold.pending(*offset).is_none());
        assert!(is_done, "{offset} of {id:?}");
    }
    opened.store.close().unwrap();
}

fn before(whole: &FaultyIo) -> Content {
    let opened = start(&whole.crash_keeping_all()).unwrap();
    let before = content(&opened.store);
    opened.store.close().unwrap();
    assert!(before[&("%DLQ%plain".to_owned(), 0)].1.len() >= 10);
    before
}

fn topics(io: &FaultyIo) -> BTreeSet<Part> {
    parts(io)
        .into_iter()
        .map(|(part, ..)| part)
        .filter(|part| part.0 == 1)
        .collect()
}

#[test]
fn nothing_sent_is_lost_and_no_offset_is_given_again_whatever_becomes_of_queue_files() {
    let (whole, memory) = killed(seed(), false);
    let before = before(&whole);
    let (flushed, mut moved) = (flushed(&whole), 0);
    for part in topics(&whole) {
        for (files, of) in ALL
            .into_iter()
            .flat_map(|files| [(files, &whole), (files, &flushed)])
        {
            let io = without(of, part);
            harm(&io, part.1[0], files);
            let told = goes_on(&io);
            let of_parts = told
                .iter()
                .filter(|told| !told.starts_with("dead letters of group"));
            assert_eq!(of_parts.count(), 1, "{told:?}");
            moved += told[0].matches("come again").count();
            let what = format!("{part:?} {files:?} {}", std::ptr::eq(of, &flushed));
            holds(&io.crash_keeping_all(), &before, &told, &what);
            has_done(&io, &memory);
        }
    }
    assert!(
        moved > 0,
        "of a topic that nobody reads nothing tells where it ended"
    );
}

#[test]
fn what_retention_carries_behind_the_checkpoint_stays() {
    let (whole, memory) = killed(seed(), true);
    let before = before(&whole);
    for part in topics(&whole) {
        for files in ALL {
            let io = without(&whole, part);
            harm(&io, part.1[0], files);
            let told = goes_on(&io);
            holds(
                &io.crash_keeping_all(),
                &before,
                &told,
                &format!("{part:?} {files:?}"),
            );
            has_done(&io, &memory);
        }
    }
}

#[test]
fn an_earlier_version_of_a_topic_takes_in_what_came_since() {
    let (whole, mut memory) = killed(seed(), false);
    let before = before(&whole);
    let flushed = flushed(&whole);
    let mut all = parts(&whole).into_iter().map(|(part, ..)| part);
    let held = all.find(|part| part.0 == 3).unwrap();
    let (group, topic, queue) = (held.1[0], held.1[1], held.1[2]);
    memory
        .done
        .retain(|(id, _)| (id.group.0, id.at.topic.0, id.at.queue.0) != (group, topic, queue));
    let newest = names(&whole, "root").into_iter().max().unwrap();
    let mut earlier = BTreeSet::new();
    for part in topics(&whole) {
        for (files, of) in ALL
            .into_iter()
            .flat_map(|files| [(files, &whole), (files, &flushed)])
        {
            let io = without(of, held);
            let mut of_newest = parts_of(&io, &newest).into_iter();
            let (_, pack, at) = of_newest.find(|(found, ..)| *found == part).unwrap();
            flip(&io, &folder().join(format!("{pack:020}.pack")), at, 3);
            harm(&io, part.1[0], files);
            let told = goes_on(&io);
            if told.iter().any(|told| told.contains("of an earlier checkpoint")) {
                earlier.insert(part.1[0]);
            }
            let what = format!("{part:?} {files:?} {}", std::ptr::eq(of, &flushed));
            holds(&io.crash_keeping_all(), &before, &told, &what);
            has_done(&io, &memory);
        }
    }
    assert!(earlier.is_superset(&[0, 1, 4].into()), "{earlier:?}");
}

#[test]
fn a_crash_while_entries_are_put_back_leaves_the_refusal_or_a_start() {
    use sluice_store::io::Fault;
    let (whole, _) = killed(seed(), false);
    let before = before(&whole);
    let damaged = without(&whole, (1, [0, 0, 0]));
    harm(&damaged, 0, Files::Gone);
    let (mut refused, mut at) = (0, 0);
    loop {
        let io = damaged.crash_keeping_all();
        let plan = plan_of(&io).unwrap();
        io.plant(Fault::Stop { at });
        let ended = plan.run(&shared(&io)).is_ok();
        let io = io.crash(at);
        let mut told = plan.loss.state.clone();
        if start(&io.crash_keeping_all()).is_err() {
            told = goes_on(&io);
            refused += 1;
        }
        holds(&io, &before, &told, &format!("stopped at {at}"));
        if ended {
            break;
        }
        // Most of them write one entry.
        at += 1 + at / 6;
    }
    assert!(refused > 10, "{refused} were refused, of {at} operations");
}
