//! The script of level 1: frames of named commands. It is never changed once level 1 is released.

use super::common::{START, message};
use sluice_core::command::{
    Backoff, Change, CreateGroup, CreateTopic, DeadLetter, Deliver, EncodedCommand, Membership, Release,
    Settle, SettleItem, Span, Standing, StartFrom, Subscribe, Take, Types, Unanswered, Voter, encode_level,
};
use sluice_core::entry::{GROUPED, QueueEntry};
use sluice_core::hash::message_group;
use sluice_core::ids::{
    DeliveryId, GroupId, GroupQueueId, LogIndex, PhysicalOffset, QueueId, QueueOffset, TopicId, TopicQueue,
};

/// A frame: its term, and its commands by name.
pub type Frame = (u64, Vec<(&'static str, Vec<u8>)>);

const ORDERS: TopicId = TopicId(0);
const WORKERS: GroupId = GroupId(0);
const FIFO: GroupId = GroupId(1);

pub fn named(name: &'static str, command: EncodedCommand) -> (&'static str, Vec<u8>) {
    (name, command.as_bytes().to_vec())
}

pub fn at(queue: u32) -> TopicQueue {
    TopicQueue {
        topic: ORDERS,
        queue: QueueId(queue),
    }
}

pub fn of(group: GroupId) -> GroupQueueId {
    GroupQueueId { group, at: at(0) }
}

/// The first log: who votes, the level, and topics and groups of every shape.
fn beginnings() -> Vec<Frame> {
    let voter = Voter {
        node: 1,
        name: "broker-a".to_owned(),
    };
    let membership = Membership { voters: vec![voter] };
    let topic = |name: &str, queues, types| {
        let spec = CreateTopic {
            name: name.to_owned(),
            queues,
            types,
        };
        spec.encode(START)
    };
    let workers = CreateGroup {
        max_attempts: 2,
        ..CreateGroup::on_first_use("workers")
    };
    let fifo = CreateGroup {
        fifo: true,
        max_attempts: 1000,
        backoff: Backoff::Exponential {
            initial_ms: 100,
            max_ms: 10_000,
            multiplier_milli: 1500,
        },
        ..CreateGroup::on_first_use("in-order")
    };
    let late = CreateGroup {
        start_from: StartFrom::Latest,
        ..CreateGroup::on_first_use("späte")
    };
    let subscribe = |group| Subscribe { group, topic: ORDERS }.encode(START + 3);
    vec![
        (0, vec![named("membership", membership.encode(START))]),
        (1, vec![named("level", encode_level(START, 1))]),
        (
            1,
            vec![
                named("topic", topic("orders", 2, Types::ALL)),
                named("topic-normal", topic("plain", 1, Types::NORMAL)),
                named("topic-exists", topic("orders", 9, Types::FIFO)),
                named("group", workers.encode(START + 1)),
                named("group-fifo", fifo.encode(START + 2)),
                named("subscribe", subscribe(WORKERS)),
                named("subscribe-fifo", subscribe(FIFO)),
            ],
        ),
        (1, vec![named("group-latest", late.encode(START))]),
    ]
}

fn messages() -> Vec<Frame> {
    let kinds = [
        ("append", None, None),
        ("append-tag", Some("red"), None),
        ("append-group", None, Some("order-1")),
        ("append-both", Some("größe"), Some("order-1")),
        ("append-group-2", Some("red"), Some("order-2")),
        ("append-more", None, None),
    ];
    let mut commands = Vec::new();
    for (number, (name, tag, group)) in (0..).zip(kinds) {
        let command = message(at(0), START + 10 + number, tag, group, number);
        commands.push(named(name, command));
    }
    let normal = TopicQueue {
        topic: TopicId(1),
        queue: QueueId(0),
    };
    let late = Subscribe {
        group: GroupId(2),
        topic: ORDERS,
    };
    vec![
        (1, commands),
        (
            2,
            vec![
                named("append-other-queue", message(at(1), START, None, None, 6)),
                named("append-kind-refused", message(normal, START, None, Some("x"), 7)),
                named("append-no-queue", message(at(2), START, None, None, 8)),
                named("subscribe-latest", late.encode(START)),
            ],
        ),
    ]
}

pub fn deliver(group: GroupId, offsets: &[(u64, u32)]) -> Deliver {
    let take = |(offset, group_hash): &(u64, u32)| Take {
        offset: QueueOffset(*offset),
        group_hash: *group_hash,
    };
    Deliver {
        id: of(group),
        client: "host@1@0".to_owned(),
        attempt_id: 0,
        auto_renew: false,
        resume: false,
        standing: Standing::default(),
        invisible_ms: 30_000,
        taken: offsets.iter().map(take).collect(),
        skipped: Vec::new(),
    }
}

pub fn settle(group: GroupId, change: Change, items: &[(u64, DeliveryId)]) -> Settle {
    let item = |(offset, delivery): &(u64, DeliveryId)| SettleItem {
        offset: QueueOffset(*offset),
        delivery: *delivery,
    };
    Settle {
        id: of(group),
        change,
        items: items.iter().map(item).collect(),
    }
}

/// The deliveries of frame 6, by their place in it.
fn delivery(place: u16) -> DeliveryId {
    DeliveryId::new(LogIndex(6), place)
}

fn deliveries() -> Vec<Frame> {
    let (first, second) = (message_group("order-1"), message_group("order-2"));
    let renewed = Deliver {
        auto_renew: true,
        attempt_id: 0x0102_0304_0506_0708,
        ..deliver(FIFO, &[(0, 0), (2, first), (4, second)])
    };
    let resumed = Deliver {
        resume: true,
        ..renewed.clone()
    };
    let resumed_by_another = Deliver {
        client: "host@2@0".to_owned(),
        ..resumed.clone()
    };
    let span = |start, len| Span {
        start: QueueOffset(start),
        len,
    };
    let skipping = Deliver {
        skipped: vec![span(1, 1), span(3, 1), span(5, 90)],
        ..deliver(WORKERS, &[(0, 0), (2, 0)])
    };
    let time = START + 100;
    vec![
        (
            2,
            vec![
                named("deliver-skipping", skipping.encode(time)),
                named("deliver-renewed", renewed.encode(time + 1)),
                named(
                    "deliver-locked",
                    deliver(FIFO, &[(3, first), (5, 0)]).encode(time + 2),
                ),
                named("deliver-resumed", resumed.encode(time + 3)),
                named(
                    "deliver-last",
                    deliver(WORKERS, &[(4, 0), (9, 0)]).encode(time + 4),
                ),
                named("deliver-resumed-by-another", resumed_by_another.encode(time + 5)),
            ],
        ),
        (2, endings()),
        (3, expiries()),
        (3, hand_backs()),
    ]
}

/// What reached nobody, in frame 9.
fn hand_backs() -> Vec<(&'static str, Vec<u8>)> {
    let (time, delivery) = (START + 80_000, |place| DeliveryId::new(LogIndex(9), place));
    let hand_back = |change, delivery| settle(WORKERS, change, &[(4, delivery)]);
    vec![
        named("deliver", deliver(WORKERS, &[(4, 0)]).encode(time)),
        named(
            "hand-back",
            hand_back(Change::HandBack(700), delivery(0)).encode(time + 1),
        ),
        named(
            "hand-back-stale",
            hand_back(Change::HandBack(0), delivery(0)).encode(time + 2),
        ),
    ]
}

fn endings() -> Vec<(&'static str, Vec<u8>)> {
    let time = START + 200;
    let release = Release {
        id: of(FIFO),
        client: "host@1@0".to_owned(),
        visible_in_ms: 250,
    };
    let given_up = DeadLetter {
        id: of(FIFO),
        offset: QueueOffset(4),
        delivery: Some(delivery(3)),
        entry: QueueEntry {
            physical: PhysicalOffset(777),
            put_ms: START + 14,
            waiting_since_ms: START + 14,
            tag_hash: -5,
            group_hash: message_group("order-2"),
            size: 140,
            attempt: 0,
            flags: GROUPED,
        },
    };
    let done = settle(WORKERS, Change::Done, &[(2, delivery(0)), (2, delivery(0))]);
    let stale = settle(FIFO, Change::Done, &[(2, delivery(1))]);
    let nack = settle(FIFO, Change::VisibleIn(1500), &[(2, delivery(3))]);
    vec![
        named("settle-done", done.encode(time)),
        named("settle-stale", stale.encode(time)),
        named("settle-visible", nack.encode(time + 1)),
        named("dead-letter", given_up.encode(time + 2)),
        named("release", release.encode(time - 150)),
    ]
}

/// Attempts run out, and what does not fit.
fn expiries() -> Vec<(&'static str, Vec<u8>)> {
    let time = START + 40_000;
    let out = DeadLetter {
        id: of(WORKERS),
        offset: QueueOffset(0),
        delivery: None,
        entry: QueueEntry {
            physical: PhysicalOffset(999),
            ..QueueEntry::default()
        },
    };
    let mut cut = deliver(WORKERS, &[(4, 0)]).encode(time).as_bytes().to_vec();
    cut.truncate(20);
    let mut unknown = encode_level(time, 1).as_bytes().to_vec();
    unknown[8] = 99;
    vec![
        named("deliver-again", deliver(WORKERS, &[(0, 0), (4, 0)]).encode(time)),
        named("dead-letter-too-early", out.encode(time)),
        named("dead-letter-exhausted", out.encode(time + 30_000)),
        named(
            "deliver-fifo-again",
            deliver(FIFO, &[(0, 0), (2, 7)]).encode(time + 30_001),
        ),
        named("level-again", encode_level(time, 1)),
        ("malformed-cut", cut),
        ("malformed-kind", unknown),
    ]
}

/// A restart after a delivery that may not have been answered.
fn restart() -> Vec<(&'static str, Vec<u8>)> {
    let time = START + 80_000;
    let renewed = Deliver {
        auto_renew: true,
        invisible_ms: 3 * 3600 * 1000,
        ..deliver(WORKERS, &[(4, 0)])
    };
    let unanswered = Unanswered {
        id: of(WORKERS),
        hidden_until_min: time + renewed.invisible_ms - 10_000,
        visible_in_ms: 60_000,
    };
    vec![
        named("deliver-unanswered", renewed.encode(time)),
        named("unanswered", unanswered.encode(time + 500)),
    ]
}

/// The whole script.
pub fn frames() -> Vec<Frame> {
    let mut frames = beginnings();
    frames.extend(messages());
    frames.extend(deliveries());
    frames.push((4, restart()));
    frames
}
