//! Topics and groups put and deleted, generations, epochs.

use super::*;
use crate::command::{DeleteGroup, DeleteTopic, Fence, PutGroup, PutTopic, SetFloor, Target, Terms};
use crate::limits;

pub(super) fn put_topic(name: &str, queues: u32) -> PutTopic {
    PutTopic {
        spec: topic_spec(name, queues).into(),
        keep_queues: false,
        terms: Terms::default(),
    }
}

pub(super) fn put_group(name: &str) -> PutGroup {
    PutGroup {
        spec: group_spec(name, false).into(),
        terms: Terms::default(),
    }
}

pub(super) fn delete_topic(topic: TopicId, only_if_empty: bool) -> DeleteTopic {
    let terms = Terms::default();
    DeleteTopic {
        topic,
        only_if_empty,
        terms,
    }
}

pub(super) fn delete_group(group: GroupId, only_if_empty: bool) -> DeleteGroup {
    let terms = Terms::default();
    DeleteGroup {
        group,
        only_if_empty,
        terms,
    }
}

pub(super) fn expecting(generation: u64) -> Terms {
    Terms {
        expected_generation: Some(generation),
        epoch: 0,
    }
}

/// Generation and what it took.
pub(super) fn put(answer: Applied) -> (u64, Put) {
    match answer {
        Ok(Done::TopicPut { generation, how, .. }) => (generation, how),
        Ok(Done::GroupPut { generation, how, .. }) => (generation, how),
        other => panic!("something put, not {other:?}"),
    }
}

pub(super) fn present(bench: &Bench) -> (Arc<Topic>, Arc<Group>) {
    let tables = bench.state.tables();
    (tables.topic("orders").unwrap(), tables.group("workers").unwrap())
}

#[test]
fn a_topic_is_made_changed_and_left_alone_where_it_is_so_already() {
    let mut bench = Bench::at_level_2(false);
    let run = |bench: &mut Bench, command: &PutTopic| put(bench.run(command.encode(START)));
    let new = put_topic("new", 3);
    assert_eq!(run(&mut bench, &new), (1, Put::Created));
    assert_eq!(run(&mut bench, &new), (1, Put::Unchanged));
    let mut closed = put_topic("new", 3);
    closed.spec.closed = true;
    assert_eq!(run(&mut bench, &closed), (2, Put::Changed));
    assert_eq!(run(&mut bench, &closed), (2, Put::Unchanged));
    let kept = PutTopic {
        keep_queues: true,
        ..put_topic("new", 1)
    };
    assert_eq!(run(&mut bench, &kept), (3, Put::Changed));
    let topic = bench.state.tables().topic("new").unwrap();
    assert_eq!(
        (topic.generation, topic.spec.queues, topic.spec.closed),
        (3, 3, false)
    );
    assert_eq!(bench.seen.changed, [Changed::Topic(topic.id); 2]);
}

#[test]
fn a_closed_topic_refuses_messages_until_it_is_opened_and_serves_those_it_has() {
    let mut bench = Bench::at_level_2(false);
    bench.send();
    let mut command = put_topic("orders", 2);
    command.spec.closed = true;
    bench.run(command.encode(START)).unwrap();
    let sent = bench.run(message(bench.id.at, START, None));
    assert_eq!(sent, Err(Refused::Closed(bench.id.at.topic)));
    let delivery = bench.deliver("c", &[0]).delivery;
    assert!(bench.ack(0, delivery));
    command.spec.closed = false;
    bench.run(command.encode(START)).unwrap();
    assert_eq!(bench.send(), QueueOffset(1));
}

#[test]
fn a_topic_grows_with_every_subscription_and_keeps_what_stands_in_its_queues() {
    let mut bench = Bench::at_level_2(true);
    bench.send();
    bench.deliver("c", &[0]);
    let old = present(&bench).0;
    let others = bench.group("others", false);
    bench.subscribe(others, bench.id.at.topic);
    bench.run(put_topic("orders", 4).encode(START)).unwrap();
    let new = present(&bench).0;
    assert_eq!((new.spec.queues, new.generation), (4, 2));
    for (group, fifo) in [(bench.id.group, true), (others, false)] {
        let shards = bench.state.tables().subscription(group, new.id).unwrap().shards;
        assert_eq!(shards.len(), 4);
        for shard in shards.iter() {
            shard.read(|queue| assert_eq!((queue.is_fifo(), queue.floor().0), (fifo, 0)));
        }
    }
    assert_eq!(bench.attempt(0), Some(1), "what is in flight stays so");
    bench.send();
    assert_eq!(
        old.tail(QueueId(0)),
        Some(QueueOffset(2)),
        "who holds the old one reads true ends"
    );
    assert_eq!(
        (old.tail(QueueId(3)), new.tail(QueueId(3))),
        (None, Some(QueueOffset(0)))
    );
    bench.id.at.queue = QueueId(3);
    assert_eq!(bench.send(), QueueOffset(0));
    assert_eq!(offsets(&bench.deliver("c", &[0])), [0]);
}

#[test]
fn queues_never_become_fewer_and_no_more_than_fit() {
    let mut bench = Bench::at_level_2(false);
    for (queues, refused) in [
        (1, Refused::QueuesShrink { present: 2, asked: 1 }),
        (0, Refused::OutOfBounds("the topic's number of queues")),
        (
            limits::QUEUES_MAX + 1,
            Refused::OutOfBounds("the topic's number of queues"),
        ),
    ] {
        let answer = bench.run(put_topic("orders", queues).encode(START));
        assert_eq!(answer, Err(refused), "{queues} queues");
    }
    for n in 0..limits::SUBSCRIBED_QUEUES_MAX / limits::QUEUES_MAX as usize {
        let group = bench.group(&format!("group-{n}"), false);
        bench.subscribe(group, bench.id.at.topic);
    }
    let answer = bench.run(put_topic("orders", limits::QUEUES_MAX).encode(START));
    assert_eq!(
        answer,
        Err(Refused::Full("subscribed queues", limits::SUBSCRIBED_QUEUES_MAX))
    );
    assert_eq!(present(&bench).0.spec.queues, 2);
}

#[test]
fn a_write_that_expects_another_generation_changes_nothing() {
    let mut bench = Bench::at_level_2(false);
    let (topic, group) = (bench.id.at.topic, bench.id.group);
    let stale = |expected, present| Err(Refused::Generation { expected, present });
    let mut topic_put = put_topic("orders", 9);
    let mut group_put = put_group("workers");
    group_put.spec.max_attempts = 9;
    for (expected, topic_answer, group_answer) in [
        (
            0,
            Err(Refused::TopicExists(topic)),
            Err(Refused::GroupExists(group)),
        ),
        (2, stale(2, 1), stale(2, 1)),
    ] {
        (topic_put.terms, group_put.terms) = (expecting(expected), expecting(expected));
        assert_eq!(bench.run(topic_put.encode(START)), topic_answer);
        assert_eq!(bench.run(group_put.encode(START)), group_answer);
    }
    let terms = expecting(2);
    let gone = DeleteTopic {
        terms,
        ..delete_topic(topic, false)
    };
    assert_eq!(bench.run(gone.encode(START)), stale(2, 1));
    let gone = DeleteGroup {
        terms,
        ..delete_group(group, false)
    };
    assert_eq!(bench.run(gone.encode(START)), stale(2, 1));
    let new = PutTopic {
        terms,
        ..put_topic("new", 1)
    };
    assert_eq!(bench.run(new.encode(START)), stale(2, 0));
    let (topic, group) = present(&bench);
    assert_eq!((topic.generation, group.generation), (1, 1));
    (topic_put.terms, group_put.terms) = (expecting(1), expecting(1));
    assert_eq!(put(bench.run(topic_put.encode(START))), (2, Put::Changed));
    assert_eq!(put(bench.run(group_put.encode(START))), (2, Put::Changed));
}

#[test]
fn a_writer_with_an_older_epoch_is_refused_and_one_without_is_not() {
    let mut bench = Bench::at_level_2(false);
    for (holder, epoch) in [("first", 1), ("second", 2)] {
        let holder = holder.to_owned();
        assert_eq!(bench.run(Fence { holder }.encode(START)), Ok(Done::Fenced(epoch)));
    }
    let refused = Err(Refused::Epoch {
        epoch: 1,
        present: 2,
        holder: "second".to_owned(),
    });
    let terms = Terms {
        epoch: 1,
        ..Terms::default()
    };
    let (id, target, epoch) = (bench.id, Target::Latest, 1);
    let commands = [
        PutTopic {
            terms,
            ..put_topic("orders", 9)
        }
        .encode(START),
        PutGroup {
            terms,
            ..put_group("new")
        }
        .encode(START),
        DeleteTopic {
            terms,
            ..delete_topic(id.at.topic, false)
        }
        .encode(START),
        DeleteGroup {
            terms,
            ..delete_group(id.group, false)
        }
        .encode(START),
        SetFloor { id, target, epoch }.encode(START),
    ];
    for command in commands {
        assert_eq!(bench.run(command), refused);
    }
    for epoch in [0, 2] {
        let floor = SetFloor { id, target, epoch };
        bench.run(floor.encode(START)).unwrap();
    }
    assert_eq!(bench.state.tables().fenced().holder, "second");
}
