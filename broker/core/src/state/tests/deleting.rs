//! Topics and groups deleted.

use super::administer::{delete_group, delete_topic};
use super::*;

#[test]
fn a_deleted_topic_is_gone_with_all_that_groups_hold_of_it() {
    let mut bench = Bench::at_level_2(false);
    bench.send();
    bench.send();
    let delivery = bench.deliver("c", &[0, 1]).delivery;
    bench.ack(0, delivery);
    bench.state.snapshot();
    let late = bench.taking("c", &[1]);
    let (topic, group) = (bench.id.at.topic, bench.id.group);
    assert_eq!(
        bench.run(delete_topic(topic, false).encode(START)),
        Ok(Done::TopicDeleted(1))
    );
    assert_eq!(bench.seen.changed, [Changed::TopicGone(topic)]);
    assert!(bench.state.tables().topic("orders").is_none());
    assert!(bench.state.tables().subscriptions_of(group).is_empty());
    assert_eq!(
        bench.run(message(bench.id.at, START, None)),
        Err(Refused::NoTopic(topic))
    );
    assert_eq!(bench.run(late.encode(START)), Err(Refused::NoTopic(topic)));
    let mut snapshot = bench.state.snapshot();
    let queue = |queue| {
        let at = TopicQueue {
            topic,
            queue: QueueId(queue),
        };
        ShardKey::GroupQueue(GroupQueueId { group, at })
    };
    assert_eq!(snapshot.removed, [ShardKey::Topic(topic), queue(0), queue(1)]);
    assert!(snapshot.take_changed().is_empty());
    let again = bench.topic("orders", 1);
    assert_ne!(again, topic, "made anew it is another topic");
    assert_eq!(
        bench.run(delete_topic(topic, false).encode(START)),
        Err(Refused::NoTopic(topic))
    );
}

#[test]
fn a_topic_is_empty_if_it_never_had_a_message_or_all_its_groups_are_done() {
    let mut bench = Bench::at_level_2(false);
    let unread = bench.topic("unread", 1);
    let fresh = bench.topic("fresh", 1);
    let at = TopicQueue {
        topic: unread,
        queue: QueueId(0),
    };
    bench.send_to(at, None);
    let orders = bench.id.at.topic;
    bench.send();
    let others = bench.group("others", false);
    bench.subscribe(others, orders);
    let delivery = bench.deliver("c", &[0]).delivery;
    let ask = |bench: &mut Bench, topic| bench.run(delete_topic(topic, true).encode(START));
    assert_eq!(ask(&mut bench, fresh), Ok(Done::TopicDeleted(0)));
    assert_eq!(
        ask(&mut bench, unread),
        Err(Refused::NotEmpty(1)),
        "nobody has read it"
    );
    assert_eq!(ask(&mut bench, orders), Err(Refused::NotEmpty(2)));
    bench.ack(0, delivery);
    assert_eq!(ask(&mut bench, orders), Err(Refused::NotEmpty(1)));
    bench.id.group = others;
    let delivery = bench.deliver("c", &[0]).delivery;
    assert_eq!(
        ask(&mut bench, orders),
        Err(Refused::NotEmpty(1)),
        "in flight is not done"
    );
    bench.ack(0, delivery);
    assert_eq!(ask(&mut bench, orders), Ok(Done::TopicDeleted(0)));
}

#[test]
fn a_deleted_group_leaves_its_dead_letters_and_others_alone() {
    let mut bench = Bench::at_level_2(false);
    let others = bench.group("others", false);
    bench.subscribe(others, bench.id.at.topic);
    bench.send();
    bench.send();
    let delivery = bench.deliver("c", &[0]).delivery;
    bench.dead_letter(0, Some(delivery)).unwrap();
    let group = bench.id.group;
    assert_eq!(
        bench.run(delete_group(group, true).encode(START)),
        Err(Refused::NotEmpty(1))
    );
    assert_eq!(
        bench.run(delete_group(group, false).encode(START)),
        Ok(Done::GroupDeleted(1))
    );
    let tables = bench.state.tables();
    assert!(tables.group("workers").is_none());
    assert!(tables.topic("%DLQ%workers").is_some());
    assert_eq!(tables.all_subscriptions().len(), 1);
    assert_eq!(
        bench.run(
            Subscribe {
                group,
                topic: bench.id.at.topic
            }
            .encode(START)
        ),
        Err(Refused::NoGroup(group))
    );
    assert_ne!(bench.group("workers", false), group);
}
