//! What groups have since level 2.

use super::administer::{put, put_group};
use super::*;
use crate::command::{GroupSpec, PutGroup, StartFrom, StaticSubscription, SubscribeAt};
use crate::limits;

#[test]
fn the_order_of_a_group_changes_only_while_nothing_is_pending() {
    let mut bench = Bench::at_level_2(false);
    bench.send_groups(&["a", "a"]);
    let delivery = bench.deliver("c", &[0]).delivery;
    let mut fifo = put_group("workers");
    fifo.spec.fifo = true;
    assert_eq!(bench.run(fifo.encode(START)), Err(Refused::InUse(1)));
    bench.settle(Change::VisibleIn(0), &[(0, delivery)]);
    assert_eq!(
        bench.run(fifo.encode(START)),
        Err(Refused::InUse(1)),
        "what waits for a retry counts"
    );
    let delivery = bench.deliver("c", &[0]).delivery;
    bench.ack(0, delivery);
    let chosen_before = bench.taking("c", &[1]);
    assert_eq!(put(bench.run(fifo.encode(START))), (2, Put::Changed));
    bench.send_groups(&["a"]);
    let late = bench.deliver_with(chosen_before);
    assert!(
        late.taken.is_empty(),
        "what was chosen without order is not taken in order"
    );
    assert_eq!(offsets(&bench.deliver("c", &[1])), [1]);
    assert!(bench.deliver("d", &[2]).taken.is_empty(), "the group is locked");
}

#[test]
fn bounds_of_groups_are_kept() {
    let mut bench = Bench::at_level_2(false);
    let subscription = |topic: String, expression: &str| StaticSubscription {
        topic,
        expression: expression.to_owned(),
    };
    let with = |change: &dyn Fn(&mut GroupSpec)| {
        let mut command = put_group("bounded");
        change(&mut command.spec);
        command.encode(START)
    };
    let many = |count: usize| {
        let all = (0..count).map(|n| subscription(format!("t{n}"), "*"));
        all.collect::<Vec<_>>()
    };
    let topic_max = "t".repeat(limits::TOPIC_NAME_MAX);
    let wrong: [(&str, EncodedCommand); 9] = [
        ("attempts", with(&|spec| spec.max_attempts = 0)),
        ("batch", with(&|spec| spec.receive_batch = 0)),
        (
            "batch",
            with(&|spec| spec.receive_batch = limits::RECEIVE_MAX as u8 + 1),
        ),
        (
            "long poll",
            with(&|spec| spec.long_poll_ms = limits::LONG_POLL_MS_MAX + 1),
        ),
        (
            "invisible",
            with(&|spec| spec.invisible_ms = limits::INVISIBLE_MS_MIN - 1),
        ),
        (
            "many",
            with(&|spec| spec.subscriptions = many(limits::SUBSCRIPTIONS_MAX + 1)),
        ),
        (
            "twice",
            with(&|spec| spec.subscriptions = vec![many(1).remove(0), many(1).remove(0)]),
        ),
        (
            "name",
            with(&|spec| spec.subscriptions = vec![subscription(format!("{topic_max}t"), "*")]),
        ),
        (
            "expression",
            with(&|spec| spec.subscriptions = vec![subscription("t".to_owned(), "")]),
        ),
    ];
    for (what, command) in wrong {
        assert!(bench.run(command).is_err(), "{what}");
    }
    let most = with(&|spec| {
        spec.subscriptions = many(limits::SUBSCRIPTIONS_MAX);
        spec.subscriptions[0] = subscription(topic_max.clone(), &"e".repeat(limits::EXPRESSION_BYTES_MAX));
        (spec.receive_batch, spec.long_poll_ms) = (1, limits::LONG_POLL_MS_MIN);
        spec.invisible_ms = limits::INVISIBLE_MS_MAX;
    });
    assert_eq!(put(bench.run(most)), (1, Put::Created));
}

#[test]
fn a_group_subscribes_at_given_offsets_once_and_within_what_there_is() {
    let mut bench = Bench::at_level_2(false);
    for _ in 0..5 {
        bench.send();
    }
    let late = bench.group("late", false);
    let topic = bench.id.at.topic;
    let at = |floors: &[u64]| {
        let floors = floors.iter().copied().map(QueueOffset).collect();
        SubscribeAt {
            group: late,
            topic,
            floors,
        }
        .encode(START)
    };
    assert_eq!(bench.run(at(&[3, 9, 9])), Ok(Done::Subscribed));
    assert_eq!(bench.run(at(&[1])), Ok(Done::Subscribed));
    let shards = bench.state.tables().subscription(late, topic).unwrap().shards;
    let floors: Vec<u64> = shards
        .iter()
        .map(|shard| shard.read(|queue| queue.floor().0))
        .collect();
    assert_eq!(floors, [3, 0]);
}

fn reading(topics: &[&str], start_from: StartFrom) -> PutGroup {
    let subscription = |topic: &&str| StaticSubscription {
        topic: (*topic).to_owned(),
        expression: "*".to_owned(),
    };
    let mut command = put_group("readers");
    command.spec.start_from = start_from;
    command.spec.subscriptions = topics.iter().map(subscription).collect();
    command
}

#[test]
fn a_static_subscription_stands_before_the_first_message_of_the_topic() {
    let mut bench = Bench::at_level_2(false);
    bench.send();
    let command = reading(&["orders", "later", "%DLQ%workers"], StartFrom::Latest);
    put(bench.run(command.encode(START)));
    let tables = Arc::clone(bench.state.tables());
    let readers = tables.group("readers").unwrap().id;
    let floor = |topic: &str| {
        let topic = tables.topic(topic).unwrap();
        let held = tables.subscription(readers, topic.id)?;
        Some(held.shards[0].read(GroupQueue::floor))
    };
    assert_eq!(floor("orders"), Some(QueueOffset(1)), "behind what is there");
    bench.topic("later", 2);
    assert_eq!(floor("later"), Some(QueueOffset(0)));
    let delivery = bench.deliver("c", &[0]).delivery;
    bench.dead_letter(0, Some(delivery)).unwrap();
    assert_eq!(
        floor("%DLQ%workers"),
        Some(QueueOffset(0)),
        "before the dead letter"
    );
}

#[test]
fn a_group_that_starts_at_a_time_is_left_to_the_proposer_where_there_are_messages() {
    let mut bench = Bench::at_level_2(false);
    put(bench.run(reading(&["orders", "later"], StartFrom::Time(START)).encode(START)));
    let tables = Arc::clone(bench.state.tables());
    let readers = tables.group("readers").unwrap().id;
    let orders = tables.topic("orders").unwrap().id;
    assert!(tables.subscription(readers, orders).is_none());
    let later = bench.topic("later", 1);
    assert!(
        tables.subscription(readers, later).is_some(),
        "an empty topic has one start"
    );
}
