//! Retention (F8) where messages wait at very many places: whatever it has not looked at keeps the log, and it goes as far as it may.
#![cfg(test)]

mod workload;

use sluice_core::command::{NewCarry, NewMessage, Place, record_of};
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::log::Batch;
use sluice_core::record::NewRecord;
use sluice_core::state::Done;
use sluice_store::io::FaultyIo;
use sluice_store::retention::{Own, Ran, RetentionError, Settings, Waiting};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use workload::{Driver, open};

const DIR: &str = "/data/broker-a";
/// As the workload has them.
const SEGMENT_BYTES: u64 = 256 << 10;
const DAY: u64 = 24 * 3_600_000;
/// Kept for thirty days.
const LONGER: TopicQueue = TopicQueue {
    topic: TopicId(1),
    queue: QueueId(0),
};
/// Kept for one.
const OTHER: TopicQueue = TopicQueue {
    topic: TopicId(0),
    queue: QueueId(0),
};

fn started(seed: u64) -> Driver {
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(open(Arc::new(io), Path::new(DIR), 60_000).unwrap(), seed);
    driver.make().unwrap();
    driver
}

fn settings() -> Settings {
    Settings {
        keep_ms: Some(DAY),
        own: [(LONGER.topic, Own::time(30 * DAY))].into(),
        ..Settings::default()
    }
}

/// Sends so many messages, all of a size.
fn send(driver: &Driver, at: TopicQueue, count: usize, body: usize) {
    let host = "127.0.0.1:1".parse().unwrap();
    let (body, topic, now) = (vec![b'x'; body], format!("topic-{}", at.topic), driver.now());
    let message = NewMessage {
        topic: at.topic,
        tag: None,
        message_group: None,
        record: NewRecord {
            topic: &topic,
            queue: at.queue.0,
            body: &body,
            properties: b"",
            born_ms: now,
            born_host: host,
            store_ms: now,
            store_host: host,
        },
    };
    let at_a_time = (100_000 / (body.len() + 100)).min(200);
    let mut left = count;
    while left > 0 {
        let some = left.min(at_a_time);
        let batch: Batch = (0..some).map(|_| message.encode()).collect();
        assert!(driver.ask(batch).unwrap().iter().all(Result::is_ok));
        left -= some;
    }
}

/// Fills so many segments with what need not be kept, until the log can begin with the last of them: at a place nearer to what
/// was sent before it might not be worth it.
fn fill(driver: &Driver, segments: usize) {
    let store = &driver.opened.store;
    let most = store.log().segments() + segments;
    while store.log().segments() < most {
        send(driver, OTHER, 4, 16_000);
    }
    let (end, begun) = (store.log().positions().written(), Instant::now());
    let is_last = |at: PhysicalOffset| at.0 + SEGMENT_BYTES > end.0;
    while !store.trim_points().iter().any(|point| is_last(point.at)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint comes");
        send(driver, OTHER, 1, 60);
    }
}

fn carried(driver: &Driver) -> usize {
    driver.opened.store.tables().carried_len()
}

/// Offsets of the longer topic that are gone, of those from `from` on.
fn gone(driver: &Driver, from: u64) -> u64 {
    let gone = driver.opened.store.tables().gone(LONGER);
    gone.len() - gone.len_below(from)
}

/// Runs until nothing more goes, a few times; answers what each did.
fn retain(driver: &mut Driver, settings: &Settings) -> Vec<Ran> {
    let mut all = Vec::new();
    loop {
        let ran = driver.retain(settings).unwrap();
        all.push(ran);
        if ran.start.is_none() {
            return all;
        }
        assert!(all.len() < 8, "{all:?}");
    }
}

#[test]
fn carried_messages_whose_time_has_come_hide_none_of_those_behind_them() {
    let mut driver = started(41);
    send(&driver, LONGER, 100, 60);
    driver.pass_time(DAY);
    for _ in 0..4 {
        send(&driver, LONGER, 725, 60);
        fill(&driver, 4);
    }
    driver.pass_time(2 * DAY);
    let all = retain(&mut driver, &settings());
    assert_eq!((carried(&driver), gone(&driver, 0)), (3000, 0), "{all:?}");

    fill(&driver, 8);
    // The first hundred are thirty days and a half old, all others twenty-nine and a half.
    driver.pass_time(27 * DAY + DAY / 2);
    let all = retain(&mut driver, &settings());
    assert!(all[0].start.is_some(), "{all:?}");
    assert_eq!((carried(&driver), gone(&driver, 100)), (2900, 0), "{all:?}");
    assert_eq!(gone(&driver, 0), 100);
    driver.opened.store.close().unwrap();
}

#[test]
fn very_many_places_before_the_first_at_which_the_log_can_begin_do_not_keep_it() {
    let mut driver = started(42);
    send(&driver, LONGER, 3000, 60);
    fill(&driver, 8);
    driver.pass_time(2 * DAY);
    let ran = driver.retain(&settings()).unwrap();
    assert!(ran.start.is_some() && !ran.blocked && !ran.too_many, "{ran:?}");
    assert_eq!((ran.carried.0, carried(&driver)), (3000, 3000));
    driver.opened.store.close().unwrap();
}

#[test]
fn where_more_waits_than_may_stand_carried_the_log_goes_as_far_as_it_may_and_says_why_no_further() {
    let mut driver = started(43);
    let few = Settings {
        carried_max: Some(1000),
        ..settings()
    };
    for _ in 0..4 {
        send(&driver, LONGER, 400, 60);
        fill(&driver, 2);
    }
    driver.pass_time(2 * DAY);
    let points = driver.opened.store.trim_points();
    let all = retain(&mut driver, &few);
    assert!(
        all[0]
            .start
            .is_some_and(|start| start < points.last().unwrap().at),
        "{all:?}"
    );
    assert!(
        all.iter().all(|ran| ran.blocked && ran.too_many),
        "{all:?} of {points:?}"
    );
    assert!((400..=1000).contains(&carried(&driver)), "{}", carried(&driver));
    assert_eq!(gone(&driver, 0), 0);

    // Those that are carried already need no room.
    let before = carried(&driver);
    let none = Settings {
        carried_max: Some(0),
        own: [(LONGER.topic, Own::time(365 * DAY))].into(),
        ..settings()
    };
    let ran = driver.retain(&none).unwrap();
    assert!(ran.start.is_none() && ran.blocked && ran.too_many, "{ran:?}");
    assert_eq!(carried(&driver), before);

    // Their time comes, and everything goes.
    fill(&driver, 2);
    driver.pass_time(30 * DAY);
    let ran = driver.retain(&few).unwrap();
    assert!(ran.start.is_some() && !ran.blocked && !ran.too_many, "{ran:?}");
    assert_eq!((carried(&driver), gone(&driver, 0)), (0, 1600));
    driver.opened.store.close().unwrap();
}

#[test]
fn entries_that_a_queue_should_have_and_that_are_not_read_keep_the_log() {
    let mut driver = started(44);
    send(&driver, LONGER, 10, 60);
    fill(&driver, 4);
    driver.pass_time(2 * DAY);
    let store = driver.opened.store.clone();
    // As if they had never been appended.
    store.queues().remove_topic(LONGER.topic);
    let failed = driver.retain(&settings());
    assert!(matches!(&failed, Err(RetentionError::Entries(_))), "{failed:?}");
    assert_eq!(store.tables().bounds().start, PhysicalOffset(0));
    assert_eq!(gone(&driver, 0), 0);
    store.close().unwrap();
}

#[test]
fn a_carried_message_that_no_look_has_seen_is_undecided() {
    let mut driver = started(45);
    let offset = driver.send_one(LONGER, 500).unwrap();
    let store = driver.opened.store.clone();
    let everything = PhysicalOffset(u64::MAX);
    let look = |driver: &Driver| Waiting::look(&store, &settings(), everything, &[], driver.now()).unwrap();
    let before = look(&driver);
    assert_eq!(before.undecided(store.tables()), 0);
    let mut entries = Vec::new();
    store.queues().read(LONGER, offset, 1, &mut entries).unwrap();
    let command = store.reader().read_message(&entries[0]).unwrap();
    let carry = NewCarry {
        topic: LONGER.topic,
        old: entries[0].physical,
        record: record_of(&command).unwrap(),
        places: &[Place {
            at: LONGER,
            offset,
            entry: entries[0],
        }],
    };
    let done = driver
        .ask([carry.encode(driver.now())].into_iter().collect())
        .unwrap();
    assert!(matches!(done[0], Ok(Done::Carried(1))), "{done:?}");
    assert_eq!(before.undecided(store.tables()), 1);
    assert_eq!(look(&driver).undecided(store.tables()), 0, "it waits");
    driver.pass_time(31 * DAY);
    assert_eq!(look(&driver).undecided(store.tables()), 0, "its time has come");
    assert_eq!(QueueOffset(0), offset);
    store.close().unwrap();
}
