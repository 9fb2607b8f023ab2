//! Retention (F8): the log gives up its first segments, what waits there stays, and what is derived is made again as it was.
#![cfg(test)]

mod holding;
mod workload;

use holding::{at, body, bury, deliver, entry, plain};
use sluice_core::command::{CreateGroup, EncodedCommand, Place, SetFloor, Subscribe, Target, record_of};
use sluice_core::ids::{GroupId, GroupQueueId, PhysicalOffset, QueueOffset, TopicId, TopicQueue};
use sluice_core::log::{Outcome, ReplicatedLog};
use sluice_core::record::Record;
use sluice_store::io::{Fault, FaultyIo, LogIo, write_all_at};
use sluice_store::log::PAGE_BYTES;
use sluice_store::retention::{Own, RetentionError, Settings};
use sluice_store::{CheckpointPolicy, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use workload::{Driver, Opened, Stays, check, open};

const DIR: &str = "/data/broker-a";
const DAY: u64 = 24 * 3_600_000;

/// Topic 1 is kept for a year, others for a day, and the log as small as can be.
fn settings() -> Settings {
    Settings {
        keep_ms: Some(DAY),
        keep_bytes: Some(0),
        own: [(TopicId(1), Own::time(365 * DAY))].into(),
        ..Settings::default()
    }
}

fn segments(driver: &Driver) -> usize {
    driver.opened.store.log().segments()
}

/// Where the segments on the disk begin.
fn bases(io: &FaultyIo) -> Vec<PhysicalOffset> {
    let names = io.list(&Path::new(DIR).join("log")).unwrap();
    let base = |name: &PathBuf| {
        name.to_str()?
            .strip_suffix(".seg")?
            .parse()
            .ok()
            .map(PhysicalOffset)
    };
    names.iter().filter_map(base).collect()
}

#[test]
fn nineteen_of_twenty_segments_go_and_what_waits_in_the_first_still_arrives() {
    let io = FaultyIo::new(21);
    let mut driver = Driver::new(open(Arc::new(io.clone()), Path::new(DIR), 60_000).unwrap(), 21);
    driver.make().unwrap();
    let (waiting, dead, kept, unread) = (at(0, 0), at(0, 1), at(1, 0), at(0, 2));
    let offsets = [waiting, dead, kept, unread].map(|at| driver.send_one(at, 500).unwrap());
    deliver(&driver, plain(waiting), offsets[0], DAY).unwrap();
    let delivery = deliver(&driver, plain(dead), offsets[1], DAY).unwrap();
    let letter = bury(&driver, plain(dead), offsets[1], delivery);
    let store = driver.opened.store.clone();
    let letter_body = body(&store, letter.0, letter.1);
    driver.memory.acknowledged.insert(letter, letter_body);
    let bodies =
        [(waiting, offsets[0]), letter, (kept, offsets[2])].map(|(at, offset)| body(&store, at, offset));
    assert_eq!(segments(&driver), 1, "all of it stands in the first");

    while segments(&driver) < 20 {
        driver.send_one(at(0, 2), 16_000).unwrap();
    }
    // Until a checkpoint stands at the twentieth: they come often, so that it does before that one is full.
    driver.opened.store.set_checkpoint_policy(CheckpointPolicy {
        bytes: 2_000,
        every: Duration::from_secs(3600),
    });
    let is_at_last = |driver: &Driver| {
        let last = driver.opened.store.trim_points().last().map(|point| point.at);
        last == bases(&io).last().copied()
    };
    driver.send_until(50, is_at_last).unwrap();
    let before = segments(&driver);
    driver.pass_time(1000);
    let ran = driver.retain(&settings()).unwrap();
    assert!(ran.start.is_some() && !ran.blocked, "{ran:?}");
    assert_eq!(ran.carried.0, 3, "{ran:?}");
    assert!(ran.expired > 0);
    let begun = ran.start.unwrap();
    driver
        .send_until(50, |driver| driver.opened.store.log().start() == begun)
        .unwrap();
    assert_eq!((before, segments(&driver)), (20, 1), "nineteen are gone");

    let group = |store: &Store, at: TopicQueue| {
        let shards = store.tables().subscription(GroupId(0), at.topic).unwrap().shards;
        shards[at.queue.0 as usize].read(|queue| (queue.expired(), queue.floor()))
    };
    for reopened in [false, true] {
        if reopened {
            driver.opened.store.close().unwrap();
            driver.opened = open(Arc::new(io.crash_losing_all()), Path::new(DIR), 60_000).unwrap();
        }
        let store = driver.opened.store.clone();
        check(&store, &driver.memory);
        let found =
            [(waiting, offsets[0]), letter, (kept, offsets[2])].map(|(at, offset)| body(&store, at, offset));
        assert_eq!(found, bodies);
        assert!(group(&store, unread).0 > 0, "the unread ones are counted");
        assert_eq!(group(&store, waiting), (0, offsets[0]));
        assert!(store.tables().gone(unread).contains(offsets[3].0));
    }
    driver.pass_time(2 * DAY);
    assert!(
        deliver(&driver, plain(waiting), offsets[0], 1000).is_some(),
        "it comes again"
    );
    assert!(
        deliver(&driver, plain(kept), offsets[2], 1000).is_some(),
        "it was never read"
    );
    assert!(
        deliver(&driver, plain(unread), offsets[3], 1000).is_none(),
        "it is gone"
    );
    letter_arrives(&driver, letter, &bodies[1]);
    driver.opened.store.close().unwrap();
}

/// A group that nobody has heard of before reads the dead-letter topic, and gets this letter with this body.
fn letter_arrives(driver: &Driver, (at, offset): (TopicQueue, QueueOffset), body: &[u8]) {
    let store = driver.opened.store.clone();
    let ask = |command: EncodedCommand| driver.ask([command].into_iter().collect()).unwrap();
    let made = ask(CreateGroup::on_first_use("undertaker").encode(driver.now()));
    assert!(made[0].is_ok(), "{made:?}");
    let group = store.tables().group("undertaker").unwrap().id;
    let reads = Subscribe {
        group,
        topic: at.topic,
    };
    assert!(ask(reads.encode(driver.now()))[0].is_ok());
    let queue = || store.tables().subscription(group, at.topic).unwrap().shards[at.queue.0 as usize].clone();
    let tail = store
        .tables()
        .topic_by_id(at.topic)
        .unwrap()
        .tail(at.queue)
        .unwrap();
    let first_ready = || queue().read(|held| held.first_ready(tail, driver.now()));
    assert_eq!(first_ready(), Some(offset), "the letter is what it is offered");
    let id = GroupQueueId { group, at };
    assert!(deliver(driver, id, offset, 1000).is_some(), "the letter");
    let place = Place {
        at,
        offset,
        entry: entry(&store, at, offset),
    };
    let read = store.read_message(&place, driver.now()).unwrap();
    let record = Record::parse(record_of(&read).unwrap()).unwrap();
    assert_eq!(record.body, body);
    assert_ne!(first_ready(), Some(offset), "it is held now");
}

#[test]
fn what_is_visible_again_and_nobody_takes_goes_when_its_time_has_come() {
    let io = FaultyIo::new(22);
    let mut driver = Driver::new(open(Arc::new(io), Path::new(DIR), 60_000).unwrap(), 22);
    driver.make().unwrap();
    let (abandoned, hidden) = (at(0, 0), at(0, 1));
    let offsets = [abandoned, hidden].map(|at| driver.send_one(at, 500).unwrap());
    deliver(&driver, plain(abandoned), offsets[0], 1000).unwrap();
    deliver(&driver, plain(hidden), offsets[1], 3 * DAY).unwrap();
    while segments(&driver) < 4 {
        driver.send_one(at(0, 2), 16_000).unwrap();
    }
    let second = |driver: &Driver| driver.opened.store.trim_points().len() > 1;
    driver.send_until(50, second).unwrap();
    driver.pass_time(2 * DAY);
    let by_time = Settings {
        keep_bytes: None,
        ..settings()
    };
    let ran = driver.retain(&by_time).unwrap();
    assert_eq!((ran.carried.0, ran.blocked), (1, false), "{ran:?}");
    let gone = |at| driver.opened.store.tables().gone(at);
    assert!(gone(abandoned).contains(offsets[0].0) && !gone(hidden).contains(offsets[1].0));
    driver.opened.store.close().unwrap();
}

/// A store over which retention ran several times, at work or not.
fn retained(io: &FaultyIo, seed: u64, rounds: usize) -> Driver {
    let mut driver = Driver::new(open(Arc::new(io.clone()), Path::new(DIR), 60_000).unwrap(), seed);
    driver.make().unwrap();
    for round in 0..rounds {
        driver.round(6000).unwrap();
        if round % 60 == 59 {
            let settings = Settings {
                keep_ms: Some(DAY),
                keep_bytes: Some(600_000),
                // One that comes and goes.
                own: [(TopicId(2), Own::time(365 * DAY))].into(),
                ..Settings::default()
            };
            driver.retain(&settings).unwrap();
        }
    }
    driver
}

#[test]
fn whatever_waits_survives_retention_of_a_busy_store() {
    for seed in 0..4 {
        let io = FaultyIo::new(seed);
        let mut driver = retained(&io, seed, 400);
        let start = driver.opened.store.tables().bounds().start;
        assert!(start.0 > 0, "something has gone");
        // From here on nothing is taken but files.
        let stays = Stays::all(&driver.opened.store);
        assert!(stays.counts().1 > 0, "seed {seed}: nothing is pending");
        driver
            .send_until(100, |driver| driver.opened.store.log().start() == start)
            .unwrap();
        assert!(
            driver.opened.store.tables().carried_len() > 0,
            "seed {seed}: nothing was carried"
        );
        check(&driver.opened.store, &driver.memory);
        stays.check(&driver.opened.store);
        driver.opened.store.close().unwrap();
        let opened = open(Arc::new(io.crash_losing_all()), Path::new(DIR), 60_000).unwrap();
        check(&opened.store, &driver.memory);
        stays.check(&opened.store);
        opened.store.close().unwrap();
    }
}

/// Has both groups go on with this offset of the queue that is filled.
fn move_groups(opened: &Opened, now: u64, offset: QueueOffset) {
    for group in [0, 1].map(GroupId) {
        let id = GroupQueueId { group, at: at(0, 2) };
        let target = Target::Offset(offset);
        let command = SetFloor { id, target, epoch: 0 }.encode(now);
        let (answer, answered) = sync_channel(1);
        let done = Box::new(move |outcome| answer.send(outcome).unwrap());
        opened.store.log().propose([command].into_iter().collect(), done);
        let outcome = answered.recv().unwrap();
        assert!(
            matches!(&outcome, Outcome::Applied(results) if results[0].is_ok()),
            "{outcome:?}"
        );
    }
}

#[test]
fn what_groups_are_set_back_to_while_retention_runs_does_not_go_before_its_time() {
    let io = FaultyIo::new(27);
    let mut driver = Driver::new(open(Arc::new(io), Path::new(DIR), 60_000).unwrap(), 27);
    driver.make().unwrap();
    fill(&mut driver, |driver| driver.opened.store.trim_points().len() > 2);
    driver.rest();
    let (store, now) = (driver.opened.store.clone(), driver.now());
    let early = Settings {
        read_bytes: Some(1),
        ..Settings::default()
    };
    let tail = store
        .tables()
        .topic("topic-0")
        .unwrap()
        .tail(at(0, 2).queue)
        .unwrap();
    move_groups(&driver.opened, now, tail);
    let is_back = AtomicBool::new(false);
    let ran = driver.retain_with(&early, &|opened| {
        if !is_back.swap(true, Ordering::SeqCst) {
            move_groups(opened, now, QueueOffset(0));
        }
    });
    let ran = ran.unwrap();
    assert!(is_back.into_inner() && ran.start.is_none(), "{ran:?}");
    let bounds = store.tables().bounds();
    assert_eq!(
        (bounds.start, bounds.links_from),
        (PhysicalOffset(0), PhysicalOffset(0))
    );

    // With nobody set back it goes.
    move_groups(&driver.opened, now, tail);
    assert!(driver.retain(&early).unwrap().start.is_some());
    store.close().unwrap();
}

/// Sends to a topic of which nothing need stay: more than half of what is to go must not wait.
fn fill(driver: &mut Driver, is_full: impl Fn(&Driver) -> bool) {
    let begun = Instant::now();
    while !is_full(driver) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never is so");
        driver.send_one(at(0, 2), 3000).unwrap();
    }
}

#[test]
fn a_damaged_record_that_waits_is_left_behind_and_one_that_the_disk_fails_to_read_stays() {
    let io = FaultyIo::new(25);
    let mut driver = Driver::new(open(Arc::new(io.clone()), Path::new(DIR), 60_000).unwrap(), 25);
    driver.make().unwrap();
    let (damaged, failing, sound) = (at(0, 0), at(0, 1), at(0, 2));
    let places = [damaged, failing, sound].map(|at| (at, driver.send_one(at, 500).unwrap()));
    for (at, offset) in places {
        deliver(&driver, plain(at), offset, 365 * DAY).unwrap();
    }
    driver.pass_time(2 * DAY);
    fill(&mut driver, |driver| segments(driver) >= 4);
    let before = driver.opened.store.trim_points().len();
    fill(&mut driver, |driver| {
        driver.opened.store.trim_points().len() > before
    });
    // A restart leaves no record in memory.
    driver.opened.store.close().unwrap();
    driver.opened = open(Arc::new(io.clone()), Path::new(DIR), 60_000).unwrap();
    let store = driver.opened.store.clone();
    let ends = places.map(|(at, offset)| {
        let entry = entry(&store, at, offset);
        4096 + entry.physical.0 + u64::from(entry.size)
    });
    let first = Path::new(DIR).join("log/00000000000000000000.seg");
    let file = io.open(&first).unwrap();
    write_all_at(&*file, b"?", ends[0] - 1).unwrap();
    io.plant(Fault::ReadError {
        path: first,
        range: ends[1] - 1..ends[1],
    });

    let failed = driver.retain(&settings());
    assert!(matches!(&failed, Err(RetentionError::Waits(_))), "{failed:?}");
    assert_eq!(store.tables().bounds().start, PhysicalOffset(0), "nothing goes");
    assert_eq!(
        store.tables().bounds().links_from,
        PhysicalOffset(0),
        "links go on"
    );
    io.lift_read_errors();
    let ran = driver.retain(&settings()).unwrap();
    assert!(ran.start.is_some(), "{ran:?}");
    assert_eq!(ran.lost, 1);
    assert!(store.tables().gone(damaged).contains(places[0].1.0));
    for (at, offset) in &places[1..] {
        assert!(store.tables().carried(*at, *offset).is_some(), "{at:?}");
    }
}

#[test]
fn a_place_to_begin_at_that_is_thinned_out_during_the_look_gives_way_to_the_one_before() {
    let io = FaultyIo::new(26);
    let mut driver = Driver::new(open(Arc::new(io.clone()), Path::new(DIR), 60_000).unwrap(), 26);
    driver.make().unwrap();
    driver.send_until(3000, |driver| segments(driver) >= 6).unwrap();
    let enough = |driver: &Driver| driver.opened.store.trim_points().len() >= 4;
    driver.send_until(3000, enough).unwrap();
    driver.rest();
    let points = driver.opened.store.trim_points();
    for point in &points[1..] {
        let root = format!("checkpoint/{:020}.root", point.at.0);
        io.remove(&Path::new(DIR).join(root)).unwrap();
    }
    let all = Settings {
        own: Default::default(),
        ..settings()
    };
    let ran = driver.retain(&all).unwrap();
    assert_eq!(ran.start, Some(points[0].at), "{ran:?} of {points:?}");
    driver.opened.store.close().unwrap();
}

#[test]
fn a_dead_letter_whose_record_is_lost_is_told_once_and_holds_nothing_back() {
    let io = FaultyIo::new(25);
    let mut driver = Driver::new(open(Arc::new(io.clone()), Path::new(DIR), 60_000).unwrap(), 25);
    driver.make().unwrap();
    let dead = at(0, 0);
    let offset = driver.send_one(dead, 500).unwrap();
    let delivery = deliver(&driver, plain(dead), offset, 365 * DAY).unwrap();
    driver.send_until(3000, |driver| segments(driver) >= 4).unwrap();
    let points = driver.opened.store.trim_points().len();
    let has_more = |driver: &Driver| driver.opened.store.trim_points().len() > points;
    driver.send_until(50, has_more).unwrap();
    driver.pass_time(2 * DAY);
    // Linked behind the place at which the log is going to begin: so its queue begins before it, and its entry stays.
    let (at, offset) = bury(&driver, plain(dead), offset, delivery);
    driver.opened.store.close().unwrap();
    driver.opened = open(Arc::new(io.clone()), Path::new(DIR), 60_000).unwrap();
    let store = driver.opened.store.clone();
    let entry = entry(&store, at, offset);
    let file = io
        .open(&Path::new(DIR).join("log/00000000000000000000.seg"))
        .unwrap();
    write_all_at(
        &*file,
        b"?",
        PAGE_BYTES + entry.physical.0 + u64::from(entry.size) - 1,
    )
    .unwrap();
    let by_size = Settings {
        own: [].into(),
        ..settings()
    };
    let ran = driver.retain(&by_size).unwrap();
    assert_eq!(ran.lost, 1);
    let begin = ran.start.unwrap();
    driver
        .send_until(50, |driver| driver.opened.store.log().start() == begin)
        .unwrap();
    let read = store.read_message(&Place { at, offset, entry }, driver.now());
    assert!(read.unwrap_err().is_lost(), "nobody can skip it");
    for _ in 0..3 {
        let before = segments(&driver);
        driver
            .send_until(3000, |driver| segments(driver) >= before + 3)
            .unwrap();
        driver
            .send_until(50, |driver| {
                let store = &driver.opened.store;
                let start = store.tables().bounds().start;
                store.trim_points().iter().any(|point| point.at > start)
            })
            .unwrap();
        let ran = driver.retain(&by_size).unwrap();
        assert_eq!(ran.lost, 0, "told again");
        assert!(ran.start.is_some(), "{ran:?}");
    }
    store.close().unwrap();
}
