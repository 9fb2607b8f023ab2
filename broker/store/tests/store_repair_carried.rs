//! What retention has carried is lost with the place that it was carried to, and a repair counts it like any other message.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::command::Command;
use sluice_core::ids::{LogIndex, PhysicalOffset, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_store::Store;
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::log::Frame;
use sluice_store::repair::{Loss, Range};
use sluice_store::retention::{Own, Settings};
use workload::Driver;

const DAY: u64 = 24 * 3_600_000;
/// Of a topic that is kept longer than all others.
const KEPT: TopicQueue = TopicQueue {
    topic: TopicId(1),
    queue: QueueId(0),
};
/// Kept by size.
const OTHER: TopicQueue = TopicQueue {
    topic: TopicId(0),
    queue: QueueId(0),
};
const MESSAGES: u64 = 90;

/// A closed store in which messages of one queue stand where retention has carried them to.
struct Carried {
    io: FaultyIo,
    /// All messages of the longer topic.
    messages: Vec<(TopicQueue, QueueOffset)>,
    frames: Vec<Frame>,
    bases: Vec<PhysicalOffset>,
}

fn carried(seed: u64) -> Carried {
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(start(&io).unwrap(), seed).without_administrators();
    driver.make().unwrap();
    for _ in 0..MESSAGES {
        driver.send_one(KEPT, 500).unwrap();
    }
    let store = driver.opened.store.clone();
    while store.log().segments() < 6 {
        driver.send_one(OTHER, 16_000).unwrap();
    }
    let end = store.log().positions().written();
    let can_begin = |driver: &Driver| {
        let points = driver.opened.store.trim_points();
        points.last().is_some_and(|point| point.at > end)
    };
    driver.send_until(16_000, can_begin).unwrap();
    driver.pass_time(1000);
    let settings = Settings {
        keep_ms: Some(DAY),
        keep_bytes: Some(0),
        own: [(KEPT.topic, Own::time(365 * DAY))].into(),
        ..Settings::default()
    };
    let ran = driver.retain(&settings).unwrap();
    let begin = ran.start.unwrap_or_else(|| panic!("{ran:?}"));
    driver
        .send_until(1000, |driver| driver.opened.store.log().start() == begin)
        .unwrap();
    // More segments, in which others of the longer topic stand as they were sent.
    let most = store.log().segments() + 3;
    while store.log().segments() < most {
        driver.send_one(OTHER, 16_000).unwrap();
    }
    let carried = store.tables().carried_of(KEPT).len() as u64;
    assert!(carried >= MESSAGES, "{carried} are carried: {ran:?}");
    let reader = store.reader();
    let end = LogIndex(reader.last().unwrap().index.0 + 1);
    let frames = reader.read_frames(reader.first_index(), end, usize::MAX).unwrap();
    let topic = store.tables().topic_by_id(KEPT.topic).unwrap();
    let places = (0..topic.spec.queues).flat_map(|queue| {
        let queue = QueueId(queue);
        let at = TopicQueue { queue, ..KEPT };
        (0..topic.tail(queue).unwrap().0).map(move |offset| (at, QueueOffset(offset)))
    });
    let messages: Vec<_> = places.collect();
    assert_eq!(missing(&store, &messages), 0);
    driver.opened.store.close().unwrap();
    let bases = look(&io)
        .log
        .segments
        .iter()
        .map(|segment| segment.base)
        .collect();
    Carried {
        io,
        messages,
        frames,
        bases,
    }
}

/// How many of the messages cannot be had any more.
fn missing(store: &Store, messages: &[(TopicQueue, QueueOffset)]) -> u64 {
    let is_there = |(at, offset): &&(TopicQueue, QueueOffset)| {
        let mut entries = Vec::new();
        let read = store.queues().read(*at, *offset, 1, &mut entries);
        read.is_ok()
            && entries
                .first()
                .is_some_and(|entry| store.reader().read_message(entry).is_ok())
    };
    (messages.len() - messages.iter().filter(is_there).count()) as u64
}

fn told(loss: &Loss) -> u64 {
    let of = loss.messages.iter().filter(|lost| lost.topic == "topic-1");
    of.map(|lost| lost.messages).sum()
}

/// Repairs what is damaged: how many messages the repair told as lost, whether these were to be all, and how many are.
fn repaired(used: &Carried, io: &FaultyIo, ranges: &[Range]) -> (u64, bool, u64) {
    let plan = planned(io, ranges, false).unwrap_or_else(|error| panic!("{ranges:?}: {error}"));
    let (told, are_all) = (told(&plan.loss), plan.loss.messages_are_all);
    plan.run(&shared(io)).unwrap();
    let opened = start(io).unwrap();
    let missing = missing(&opened.store, &used.messages);
    opened.store.close().unwrap();
    (told, are_all, missing)
}

#[test]
fn a_segment_that_is_gone_takes_what_was_carried_to_it() {
    let used = carried(seed());
    let mut found = Vec::new();
    for base in &used.bases {
        let io = used.io.crash_keeping_all();
        io.remove(&segment_path(base.0)).unwrap();
        found.push(repaired(&used, &io, &wanted(&io)));
    }
    println!("told, all, missing: {found:?}");
    assert!(found.iter().map(|(.., missing)| missing).sum::<u64>() >= MESSAGES);
    for (told, are_all, missing) in found {
        assert!(
            told == missing || !are_all && told < missing,
            "{told} of {missing}"
        );
    }
}

#[test]
fn frames_with_carried_messages_are_said_to_hold_them() {
    let used = carried(seed());
    let carries = |frame: &&Frame| {
        let mut commands = frame.commands();
        let is_carry = |bytes: &[u8]| matches!(Command::decode(bytes), Ok((_, Command::Carry(_))));
        commands.all(|(_, _, bytes)| is_carry(&bytes))
    };
    let bases: Vec<u64> = used.bases.iter().map(|base| base.0).collect();
    let frames: Vec<&Frame> = used.frames.iter().filter(carries).collect();
    assert!(!frames.is_empty());
    let mut lost = 0;
    for frame in frames {
        let io = used.io.crash_keeping_all();
        let (file, at) = place(&bases, frame.start().0);
        flip(&io, &file, at + 4, 1);
        let ranges = wanted(&io);
        let plan = planned(&io, &ranges, false).unwrap();
        let held = frame.header().count;
        let words = match held {
            1 => "held one message".to_owned(),
            _ => format!("held {held} messages"),
        };
        assert!(plan.loss.places[0].what.contains(&words), "{:?}", plan.loss);
        let (told, _, missing) = repaired(&used, &io, &ranges);
        assert_eq!(told, missing);
        lost += missing;
    }
    assert!(lost > 0);
}

#[test]
fn a_log_that_ends_before_what_was_carried_has_lost_it() {
    let used = carried(seed());
    let newest = used.frames.iter().rfind(|frame| {
        let mut commands = frame.commands();
        commands.any(|(_, _, bytes)| matches!(Command::decode(&bytes), Ok((_, Command::Carry(_)))))
    });
    let end = newest.unwrap().start();
    let io = used.io.crash_keeping_all();
    // Everything behind is given up, though nothing of it is damaged.
    let range = Range { from: end, to: None };
    let plan = planned(&io, &[range], true).unwrap();
    let told = told(&plan.loss);
    plan.run(&shared(&io)).unwrap();
    let opened = start(&io).unwrap();
    assert_eq!(told, missing(&opened.store, &used.messages));
    assert!(told > 0);
    opened.store.close().unwrap();
}
