//! Topics that keep less than the log does (F8): their oldest messages go, what waits stays, and files made again are those that were.
#![cfg(test)]

mod holding;
mod workload;

use holding::{at, body, bury, deliver, entry, plain};
use sluice_core::entry::CARRIED;
use sluice_core::ids::{GroupId, QueueOffset, TopicId, TopicQueue};
use sluice_store::io::{Fault, FaultyIo};
use sluice_store::retention::{Own, Settings};
use sluice_store::survey::{Depth, survey};
use std::path::Path;
use std::sync::Arc;
use workload::{Driver, Stays, check, open};

const DIR: &str = "/data/broker-a";
const HOUR: u64 = 3_600_000;

/// Groups that read topic 0: what goes unread counts once for each.
const GROUPS: u64 = 2;

/// The log keeps everything for a year.
fn settings(own: Own) -> Settings {
    Settings {
        keep_ms: Some(365 * 24 * HOUR),
        own: [(TopicId(0), own)].into(),
        ..Settings::default()
    }
}

fn started(seed: u64) -> (FaultyIo, Driver) {
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(open(Arc::new(io.clone()), Path::new(DIR), 60_000).unwrap(), seed);
    driver.make().unwrap();
    (io, driver)
}

fn first(driver: &Driver, at: TopicQueue) -> QueueOffset {
    let topic = driver.opened.store.tables().topic_by_id(at.topic).unwrap();
    topic.first(at.queue).unwrap()
}

fn expired(driver: &Driver, at: TopicQueue) -> u64 {
    let shards = driver
        .opened
        .store
        .tables()
        .subscription(GroupId(0), at.topic)
        .unwrap()
        .shards;
    shards[at.queue.0 as usize].read(|queue| queue.expired())
}

/// The bytes of a topic's messages, read from its queues.
fn kept(driver: &Driver, topic: u32) -> u64 {
    let (store, mut sum) = (&driver.opened.store, 0);
    let queues = store.tables().topic_by_id(TopicId(topic)).unwrap().spec.queues;
    for at in (0..queues).map(|queue| at(topic, queue)) {
        let mut entries = Vec::new();
        let end = store.queues().span(at).end;
        store
            .queues()
            .read(at, first(driver, at), end.0 as usize, &mut entries)
            .unwrap();
        sum += entries.iter().map(|entry| u64::from(entry.size)).sum::<u64>();
        let carried = store.tables().carried_of(at);
        let below = carried.iter().filter(|(offset, _)| *offset < first(driver, at));
        sum += below.map(|(_, entry)| u64::from(entry.size)).sum::<u64>();
    }
    sum
}

#[test]
fn a_topic_that_is_kept_less_long_gives_up_what_is_older_but_for_what_waits_and_others_keep_theirs() {
    let (io, mut driver) = started(1);
    let (short, other) = (at(0, 0), at(1, 0));
    let offsets: Vec<_> = (0..4).map(|_| driver.send_one(short, 500).unwrap()).collect();
    let held_body = body(&driver.opened.store, short, offsets[1]);
    driver.send_one(other, 500).unwrap();
    deliver(&driver, plain(short), offsets[1], 3 * HOUR).unwrap();
    deliver(&driver, plain(short), offsets[2], 1000).unwrap();
    driver.pass_time(HOUR);
    let young = driver.send_one(short, 500).unwrap();
    driver.pass_time(HOUR);

    let ran = driver.retain(&settings(Own::time(2 * HOUR + 1))).unwrap();
    assert_eq!(
        (ran.expired, ran.carried.0, ran.start),
        (0, 0, None),
        "not a millisecond before its time"
    );
    let ran = driver.retain(&settings(Own::time(2 * HOUR))).unwrap();
    assert_eq!(
        (ran.expired, ran.carried.0, ran.start),
        (3 * GROUPS, 1, None),
        "{ran:?}"
    );
    let stays = Stays::all(&driver.opened.store);
    for reopened in [false, true] {
        if reopened {
            driver.opened.store.close().unwrap();
            driver.opened = open(Arc::new(io.crash_losing_all()), Path::new(DIR), 60_000).unwrap();
        }
        assert_eq!(
            (first(&driver, short), first(&driver, other)),
            (young, QueueOffset(0))
        );
        assert_eq!((expired(&driver, short), expired(&driver, other)), (3, 0));
        assert_eq!(body(&driver.opened.store, short, offsets[1]), held_body);
        check(&driver.opened.store, &driver.memory);
        stays.check(&driver.opened.store);
    }
    // It comes again, once it is not hidden any more; the others never do.
    driver.pass_time(HOUR + 1);
    for (offset, comes) in [
        (offsets[0], false),
        (offsets[1], true),
        (offsets[2], false),
        (young, true),
    ] {
        assert_eq!(
            deliver(&driver, plain(short), offset, 1000).is_some(),
            comes,
            "{offset}"
        );
    }
    // And what nobody takes then goes like any other.
    driver.pass_time(HOUR);
    let ran = driver.retain(&settings(Own::time(2 * HOUR))).unwrap();
    assert_eq!((ran.expired, ran.carried.0), (2 * GROUPS, 0), "{ran:?}");
    assert_eq!(driver.opened.store.tables().carried_len(), 0);
    assert_eq!(kept(&driver, 0), 0);
    driver.opened.store.close().unwrap();
}

#[test]
fn a_topic_with_a_bound_gives_up_the_oldest_of_all_its_queues_until_it_is_within() {
    let (_, mut driver) = started(2);
    let mut sent = Vec::new();
    for n in 0..60 {
        let at = at(0, n % 3);
        sent.push((at, driver.send_one(at, 2000).unwrap()));
        driver.pass_time(1);
    }
    let size = |driver: &Driver, (at, offset): (TopicQueue, QueueOffset)| {
        u64::from(entry(&driver.opened.store, at, offset).size)
    };
    let sizes: Vec<u64> = sent.iter().map(|place| size(&driver, *place)).collect();
    let bound = sizes[20..].iter().sum::<u64>();
    assert_eq!(kept(&driver, 0), sizes.iter().sum::<u64>());
    let ran = driver.retain(&settings(Own::bytes(bound))).unwrap();
    assert_eq!(ran.expired, 20 * GROUPS, "{ran:?}");
    assert_eq!(kept(&driver, 0), bound, "exactly what fits");
    for (at, offset) in &sent[20..] {
        assert!(
            first(&driver, *at) <= *offset,
            "the oldest went, wherever they stood"
        );
    }
    // Sizes are kept between looks, and follow what comes and goes.
    for _ in 0..3 {
        let next = driver.send_one(at(0, 1), 2000).unwrap();
        let next = size(&driver, (at(0, 1), next));
        driver.retain(&settings(Own::bytes(bound))).unwrap();
        let left = kept(&driver, 0);
        assert!(left <= bound && left + 2200 + next > bound, "{left} of {bound}");
    }
    let ran = driver.retain(&settings(Own::bytes(0))).unwrap();
    assert_eq!((ran.carried.0, kept(&driver, 0)), (0, 0));
    driver.opened.store.close().unwrap();
}

#[test]
fn what_waits_stays_whatever_a_topic_is_bound_to_and_goes_when_it_is_done() {
    let (_, mut driver) = started(3);
    let place = at(0, 2);
    let offsets: Vec<_> = (0..5).map(|_| driver.send_one(place, 800).unwrap()).collect();
    let delivery = deliver(&driver, plain(place), offsets[0], HOUR).unwrap();
    deliver(&driver, plain(place), offsets[3], HOUR).unwrap();
    let letter = bury(&driver, plain(place), offsets[0], delivery);
    let letter_body = body(&driver.opened.store, letter.0, letter.1);
    deliver(&driver, plain(place), offsets[4], 1000).unwrap();
    driver.pass_time(2000);
    // Its time has not come, and it was delivered: it is not unread.
    let ran = driver.retain(&settings(Own::bytes(0))).unwrap();
    // The first one is done for the group that gave it up.
    assert_eq!((ran.expired, ran.carried.0), (3 * GROUPS - 1, 2), "{ran:?}");
    let carried: Vec<_> = driver.opened.store.tables().carried_of(place);
    let of: Vec<_> = carried.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(of, [offsets[3], offsets[4]]);
    assert!(carried.iter().all(|(_, entry)| entry.flags & CARRIED != 0));
    assert_eq!(
        body(&driver.opened.store, letter.0, letter.1),
        letter_body,
        "the dead letter has its record"
    );
    // It takes no room from what comes after it.
    let next = driver.send_one(place, 800).unwrap();
    let room = Own::bytes(u64::from(entry(&driver.opened.store, place, next).size));
    let ran = driver.retain(&settings(room)).unwrap();
    assert_eq!(
        (ran.expired, ran.carried.0, first(&driver, place)),
        (0, 0, next),
        "{ran:?}"
    );
    let again = driver.retain(&settings(Own::bytes(0))).unwrap();
    assert_eq!((again.expired, again.carried.0), (GROUPS, 0), "once is enough");
    let mut own = Own::bytes(0);
    own.keep_ms = Some(1000);
    driver.pass_time(HOUR);
    let ran = driver.retain(&settings(own)).unwrap();
    assert_eq!((ran.expired, ran.carried.0), (2 * GROUPS, 0), "{ran:?}");
    assert_eq!(driver.opened.store.tables().carried_len(), 0);
    driver.opened.store.close().unwrap();
}

#[test]
fn a_topic_that_is_kept_longer_and_has_a_bound_gives_up_what_the_log_kept_for_it() {
    let (_, mut driver) = started(4);
    let place = at(0, 0);
    for _ in 0..10 {
        driver.send_one(place, 1500).unwrap();
    }
    while driver.opened.store.log().segments() < 3 {
        driver.send_one(at(1, 0), 16_000).unwrap();
    }
    driver
        .send_until(50, |driver| !driver.opened.store.trim_points().is_empty())
        .unwrap();
    let log = |own| Settings {
        keep_ms: Some(24 * HOUR),
        ..settings(own)
    };
    driver.pass_time(48 * HOUR);
    let ran = driver.retain(&log(Own::time(100 * HOUR))).unwrap();
    assert!(ran.start.is_some() && ran.carried.0 >= 10, "{ran:?}");
    let before = kept(&driver, 0);
    assert!(driver.opened.store.tables().carried_of(place).len() >= 10);
    let own = Own {
        keep_ms: Some(100 * HOUR),
        keep_bytes: Some(before / 2),
    };
    let ran = driver.retain(&log(own)).unwrap();
    assert!(ran.expired > 0 && ran.carried.0 == 0, "{ran:?}");
    assert!(kept(&driver, 0) <= before / 2 && kept(&driver, 0) > 0);
    driver.opened.store.close().unwrap();
}

#[test]
fn folders_of_topics_that_give_up_at_work_are_sound_and_start_from_any_of_their_checkpoints() {
    for seed in 10..14 {
        let (io, mut driver) = started(seed);
        for round in 0..400 {
            driver.round(6000).unwrap();
            if round % 20 == 19 {
                let own = Own {
                    keep_ms: (round % 40 == 39).then_some(200),
                    keep_bytes: Some(60_000),
                };
                let mut settings = settings(own);
                settings.keep_bytes = (round > 200).then_some(500_000);
                settings.own.insert(TopicId(2), Own::bytes(30_000));
                driver.retain(&settings).unwrap();
            }
        }
        check(&driver.opened.store, &driver.memory);
        let stays = Stays::all(&driver.opened.store);
        assert!(stays.counts().1 > 0, "seed {seed}: nothing is pending");
        driver.opened.store.close().unwrap();
        let io: Arc<dyn sluice_store::io::LogIo> = Arc::new(io.crash_losing_all());
        let looked = survey(&io, Path::new(DIR), Depth::Everything).unwrap();
        assert!(looked.findings.is_sound(), "seed {seed}: {:?}", looked.findings);
        let opened = open(Arc::clone(&io), Path::new(DIR), 60_000).unwrap();
        check(&opened.store, &driver.memory);
        stays.check(&opened.store);
        opened.store.close().unwrap();
    }
}

#[test]
fn a_topic_whose_entries_cannot_be_read_keeps_no_other_from_giving_up_what_is_too_old() {
    let (io, mut driver) = started(5);
    for _ in 0..3 {
        driver.send_one(at(0, 0), 500).unwrap();
        driver.send_one(at(1, 0), 500).unwrap();
    }
    driver.opened.store.close().unwrap();
    driver.opened = open(Arc::new(io.clone()), Path::new(DIR), 60_000).unwrap();
    let path = Path::new(DIR).join("queue/0/0/00000000000000000000.cq");
    io.plant(Fault::ReadError { path, range: 0..40 });
    driver.pass_time(3 * HOUR);
    let mut settings = settings(Own::time(HOUR));
    settings.own.insert(TopicId(1), Own::time(HOUR));
    let ran = driver.retain(&settings).unwrap();
    assert!(ran.failed && ran.expired == 3 * GROUPS, "{ran:?}");
    let firsts = [at(0, 0), at(1, 0)].map(|at| first(&driver, at).0);
    assert_eq!(firsts, [0, 3]);
    io.lift_read_errors();
    let ran = driver.retain(&settings).unwrap();
    assert!(!ran.failed && ran.expired == 3 * GROUPS, "{ran:?}");
    driver.opened.store.close().unwrap();
}

#[test]
fn where_no_more_may_be_carried_a_topic_keeps_more_than_its_bound_rather_than_give_up_what_is_younger() {
    let (_, mut driver) = started(6);
    let old: Vec<_> = (0..10).map(|_| driver.send_one(at(0, 0), 800).unwrap()).collect();
    for offset in &old {
        deliver(&driver, plain(at(0, 0)), *offset, HOUR).unwrap();
    }
    driver.pass_time(1);
    for _ in 0..10 {
        driver.send_one(at(0, 1), 800).unwrap();
    }
    let mut settings = settings(Own::bytes(kept(&driver, 0) / 2));
    settings.carried_max = Some(6);
    let ran = driver.retain(&settings).unwrap();
    assert_eq!(
        (ran.expired, ran.carried.0, ran.too_many),
        (0, 3, false),
        "{ran:?}"
    );
    assert_eq!(
        [at(0, 0), at(0, 1)].map(|at| first(&driver, at).0),
        [3, 0],
        "half of what may be carried"
    );
    let ran = driver.retain(&settings).unwrap();
    assert_eq!(
        (ran.expired, ran.carried.0, ran.too_many),
        (0, 0, true),
        "told: {ran:?}"
    );
    assert_eq!([at(0, 0), at(0, 1)].map(|at| first(&driver, at).0), [3, 0]);
    driver.opened.store.close().unwrap();
}
