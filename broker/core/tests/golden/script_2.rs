//! The script of level 2: what administrators do, before the level is raised and after. It is never changed once level 2
//! is released.

use super::common::{START, message};
use super::script::{Frame, at, deliver, named, of, settle};
use sluice_core::command::{
    Backoff, Change, CreateGroup, CreateTopic, DeleteGroup, DeleteTopic, Deliver, EncodedCommand, Fence,
    GroupSpec, PutGroup, PutTopic, SetFloor, Standing, StartFrom, StaticSubscription, Subscribe, SubscribeAt,
    Target, Terms, TopicSpec, Types, encode_level,
};
use sluice_core::hash::message_group;
use sluice_core::ids::{DeliveryId, GroupId, LogIndex, QueueId, QueueOffset, TopicId, TopicQueue};

const ORDERS: TopicId = TopicId(0);
const WORKERS: GroupId = GroupId(0);

fn put_topic(name: &str, queues: u32, change: impl FnOnce(&mut PutTopic)) -> EncodedCommand {
    let mut put = PutTopic {
        spec: TopicSpec {
            name: name.to_owned(),
            queues,
            types: Types::ALL,
            closed: false,
            retention_hours: 0,
            retention_bytes: 0,
        },
        keep_queues: false,
        terms: Terms::default(),
    };
    change(&mut put);
    put.encode(START + 20)
}

fn put_group(name: &str, change: impl FnOnce(&mut PutGroup)) -> EncodedCommand {
    let mut put = PutGroup {
        spec: GroupSpec::on_first_use(name),
        terms: Terms::default(),
    };
    change(&mut put);
    put.encode(START + 30)
}

fn set_floor(target: Target, epoch: u64) -> EncodedCommand {
    let id = of(WORKERS);
    SetFloor { id, target, epoch }.encode(START + 60)
}

/// A log of level 1, in which these kinds are unknown yet.
fn before() -> Vec<Frame> {
    let topic = CreateTopic {
        name: "orders".to_owned(),
        queues: 2,
        types: Types::ALL,
    };
    let subscribe = Subscribe {
        group: WORKERS,
        topic: ORDERS,
    };
    let mut commands = vec![
        named("topic", topic.encode(START)),
        named("group", CreateGroup::on_first_use("workers").encode(START)),
        named("subscribe", subscribe.encode(START)),
        named("put-too-early", put_topic("early", 1, |_| ())),
        named(
            "fence-too-early",
            Fence {
                holder: "early".to_owned(),
            }
            .encode(START + 999),
        ),
    ];
    for number in 0..8 {
        let group = ["a", "b", "c"][number % 3];
        let sent = message(at(0), START + 10, None, Some(group), number as u64);
        commands.push(named("append", sent));
    }
    vec![
        (1, vec![named("level-1", encode_level(START, 1))]),
        (1, commands),
        (1, vec![named("level-2", encode_level(START + 15, 2))]),
    ]
}

fn topics() -> Vec<(&'static str, Vec<u8>)> {
    let expecting = |generation| move |put: &mut PutTopic| put.terms.expected_generation = Some(generation);
    let new_queue = TopicQueue {
        topic: ORDERS,
        queue: QueueId(2),
    };
    vec![
        named(
            "put-new",
            put_topic("mails", 1, |put| put.spec.types = Types::NORMAL),
        ),
        named("put-same", put_topic("orders", 2, |_| ())),
        named("put-grown", put_topic("orders", 3, expecting(1))),
        named("put-stale", put_topic("orders", 4, expecting(1))),
        named("put-exists", put_topic("orders", 4, expecting(0))),
        named("put-shrunk", put_topic("orders", 1, |_| ())),
        named(
            "put-closed",
            put_topic("orders", 1, |put| {
                put.keep_queues = true;
                put.spec.closed = true;
            }),
        ),
        named("append-closed", message(at(0), START + 21, None, None, 100)),
        named("put-open", put_topic("orders", 3, |_| ())),
        named(
            "append-new-queue",
            message(new_queue, START + 22, None, None, 101),
        ),
        named("put-no-queues", put_topic("none", 0, |_| ())),
    ]
}

fn groups() -> Vec<(&'static str, Vec<u8>)> {
    let subscription = |topic: &str, expression: &str| StaticSubscription {
        topic: topic.to_owned(),
        expression: expression.to_owned(),
    };
    let full = |name: &str| {
        put_group(name, |put| {
            put.spec.fifo = true;
            put.spec.max_attempts = 3;
            put.spec.backoff = Backoff::Exponential {
                initial_ms: 100,
                max_ms: 10_000,
                multiplier_milli: 1500,
            };
            put.spec.start_from = StartFrom::Time(START + 10);
            put.spec.receive_batch = 4;
            put.spec.long_poll_ms = 5000;
            put.spec.invisible_ms = 30_000;
            put.spec.subscriptions = vec![subscription("orders", "red || größe"), subscription("later", "*")];
        })
    };
    let late = SubscribeAt {
        group: GroupId(1),
        topic: ORDERS,
        floors: vec![QueueOffset(3), QueueOffset(7)],
    };
    vec![
        named("group-new", full("späte")),
        named("group-that-stays", full("bleibende")),
        named("group-same", put_group("workers", |_| ())),
        named(
            "group-changed",
            put_group("workers", |put| put.spec.max_attempts = 5),
        ),
        named(
            "group-stale",
            put_group("workers", |put| put.terms.expected_generation = Some(1)),
        ),
        named(
            "group-out-of-bounds",
            put_group("workers", |put| put.spec.receive_batch = 33),
        ),
        named("subscribe-at", late.encode(START + 31)),
        named("subscribe-at-again", late.encode(START + 32)),
    ]
}

/// A delivery of what was chosen while the group stood so.
fn chosen_while(in_order: bool, moves: u32, offsets: &[u64]) -> EncodedCommand {
    let hash = |offset: u64| message_group(["a", "b", "c"][offset as usize % 3]);
    let takes: Vec<(u64, u32)> = offsets.iter().map(|offset| (*offset, hash(*offset))).collect();
    Deliver {
        standing: Standing { in_order, moves },
        ..deliver(WORKERS, &takes)
    }
    .encode(START + 40)
}

/// Deliveries, and a group that becomes FIFO between choice and delivery, in frame 5.
fn orders() -> Vec<(&'static str, Vec<u8>)> {
    let fifo = || {
        put_group("workers", |put| {
            put.spec.fifo = true;
            put.spec.max_attempts = 5;
        })
    };
    let chosen = |in_order, offsets: &[u64]| chosen_while(in_order, 0, offsets);
    let delivery = |place| DeliveryId::new(LogIndex(5), place);
    let done = |delivery| settle(WORKERS, Change::Done, &[(0, delivery)]).encode(START + 41);
    vec![
        named("deliver", chosen(false, &[0])),
        named("fifo-in-use", fifo()),
        named("settle", done(delivery(0))),
        named("fifo", fifo()),
        named("deliver-chosen-before", chosen(false, &[1])),
        named("deliver-in-order", chosen(true, &[1, 2, 4])),
        named("deliver-locked", chosen(true, &[7])),
        named(
            "settle-above",
            settle(WORKERS, Change::Done, &[(4, delivery(5))]).encode(START + 42),
        ),
    ]
}

fn floors() -> Vec<(&'static str, Vec<u8>)> {
    let offset = |offset| Target::Offset(QueueOffset(offset));
    let fence = |holder: &str| {
        let holder = holder.to_owned();
        Fence { holder }.encode(START + 50)
    };
    vec![
        named("fence", fence("operator-0")),
        named("fence-again", fence("operator-1")),
        named("floor-stale-epoch", set_floor(Target::Latest, 1)),
        named("floor-newest-not-back", set_floor(Target::Newest(99), 2)),
        named("floor-forward", set_floor(offset(2), 2)),
        named("floor-newest", set_floor(Target::Newest(4), 0)),
        named("floor-back", set_floor(offset(1), 0)),
        named("deliver-chosen-before-the-move", chosen_while(true, 0, &[6, 7])),
        named("deliver-chosen-after-the-move", chosen_while(true, 1, &[1, 4])),
        named("floor-anew", set_floor(offset(1), 0)),
        named("deliver-chosen-between-moves", chosen_while(true, 1, &[1])),
        named("deliver-chosen-after-both", chosen_while(true, 2, &[2])),
        named("floor-latest", set_floor(Target::Latest, 0)),
        named("floor-beyond", set_floor(offset(99), 0)),
    ]
}

fn deletions() -> Vec<(&'static str, Vec<u8>)> {
    let topic = |topic, only_if_empty, epoch| {
        let terms = Terms {
            epoch,
            ..Terms::default()
        };
        DeleteTopic {
            topic: TopicId(topic),
            only_if_empty,
            terms,
        }
        .encode(START + 70)
    };
    let group = |group, only_if_empty, expected_generation| {
        let terms = Terms {
            expected_generation,
            epoch: 0,
        };
        DeleteGroup {
            group: GroupId(group),
            only_if_empty,
            terms,
        }
        .encode(START + 71)
    };
    vec![
        named("delete-stale-epoch", topic(1, true, 1)),
        named("delete-empty", topic(1, true, 2)),
        named("delete-gone", topic(1, false, 0)),
        named("delete-not-empty", topic(0, true, 0)),
        named("delete-group-not-empty", group(1, true, None)),
        named("delete-group-stale", group(1, false, Some(9))),
        named("delete-group", group(1, false, Some(1))),
        named("put-anew", put_topic("mails", 2, |put| put.spec.closed = true)),
        named("put-passing", put_topic("passing", 1, |_| ())),
        named("delete-passing", topic(3, false, 0)),
    ]
}

/// The whole script.
pub fn frames() -> Vec<Frame> {
    let mut frames = before();
    frames.extend([topics(), groups(), orders(), floors(), deletions()].map(|commands| (2, commands)));
    frames
}
