//! Dead letters: given up by a client, or out of attempts.

use super::*;
use crate::entry::LINKED;
use crate::limits;

fn dead_topic(bench: &Bench) -> Arc<Topic> {
    bench.state.tables().topic(&dead_letter_topic("workers")).unwrap()
}

#[test]
fn a_client_gives_up_what_it_holds_and_the_topic_is_made_on_first_use() {
    let mut bench = Bench::with_group(false);
    bench.send();
    bench.send();
    let delivery = bench.deliver("c", &[0, 1]).delivery;
    assert!(bench.state.tables().topic("%DLQ%workers").is_none());
    for offset in [0, 1] {
        bench.clock += 1;
        let expected = Done::DeadLettered {
            topic: TopicId(1),
            offset: QueueOffset(offset),
        };
        assert_eq!(bench.dead_letter(offset, Some(delivery)), Ok(expected));
    }
    let topic = dead_topic(&bench);
    assert_eq!((topic.id, topic.spec.queues), (TopicId(1), 1));
    assert_eq!((bench.lag(), bench.queue().floor()), ((0, 0), QueueOffset(2)));
}

#[test]
fn a_dead_letter_topic_is_made_where_there_are_as_many_topics_as_may_be() {
    let mut bench = Bench::with_group(false);
    for n in 1..limits::TOPICS_MAX {
        bench.topic(&format!("topic-{n}"), 1);
    }
    bench.send();
    let delivery = bench.deliver("c", &[0]).delivery;
    bench.dead_letter(0, Some(delivery)).unwrap();
    assert_eq!(dead_topic(&bench).tail(QueueId(0)), Some(QueueOffset(1)));
}

#[test]
fn the_link_is_the_messages_entry_with_its_own_time_and_no_attempts() {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["a"]);
    let delivery = bench.deliver("c", &[0]).delivery;
    bench.clock += 9;
    bench.dead_letter(0, Some(delivery)).unwrap();
    let [(_, _, origin), (at, _, link)] = bench.seen.entries[..] else {
        panic!("two entries")
    };
    let expected = QueueEntry {
        put_ms: START + 9,
        waiting_since_ms: START + 9,
        flags: origin.flags | LINKED,
        ..origin
    };
    assert_eq!((at.topic, link), (TopicId(1), expected));
}

#[test]
fn a_message_out_of_attempts_goes_once_it_is_visible_again_and_only_once() {
    let mut bench = Bench::with_group(false);
    bench.send();
    assert_eq!(
        bench.dead_letter(0, None),
        Err(Refused::NotHeld),
        "never delivered"
    );
    for attempt in 1..=3 {
        assert_eq!(attempts(&bench.deliver("c", &[0])), [attempt]);
        assert_eq!(bench.dead_letter(0, None), Err(Refused::NotHeld), "held");
        bench.clock += HIDDEN;
        let queue = bench.queue();
        assert_eq!(queue.is_exhausted(QueueOffset(0), 3, bench.clock), attempt == 3);
        if attempt < 3 {
            assert_eq!(bench.dead_letter(0, None), Err(Refused::NotHeld), "attempts left");
        }
    }
    assert!(bench.dead_letter(0, None).is_ok());
    assert_eq!(bench.dead_letter(0, None), Err(Refused::NotHeld), "gone");
    assert_eq!(dead_topic(&bench).tail(QueueId(0)), Some(QueueOffset(1)));
}

#[test]
fn a_stale_handle_gives_nothing_up_and_makes_no_topic() {
    let mut bench = Bench::with_group(false);
    bench.send();
    let delivery = bench.deliver("c", &[0]).delivery;
    let stale = DeliveryId(delivery.0 - 1);
    assert_eq!(bench.dead_letter(0, Some(stale)), Err(Refused::NotHeld));
    bench.clock += HIDDEN;
    assert_eq!(bench.dead_letter(0, Some(delivery)), Err(Refused::NotHeld));
    assert!(bench.state.tables().topic("%DLQ%workers").is_none());
    assert_eq!(bench.lag(), (1, 0));
}

#[test]
fn a_dead_letter_unlocks_its_message_group() {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["a", "a"]);
    let delivery = bench.deliver("c", &[0]).delivery;
    bench.dead_letter(0, Some(delivery)).unwrap();
    assert_eq!(
        bench.seen.ready.last(),
        Some(&(bench.id, START)),
        "who waits is told"
    );
    assert_eq!(offsets(&bench.deliver("c", &[1])), [1]);
}

#[test]
fn the_longest_group_name_still_has_its_dead_letter_topic() {
    let mut bench = Bench::with_group(false);
    bench.id.group = bench.group(&"g".repeat(crate::limits::GROUP_NAME_MAX), false);
    bench.subscribe(bench.id.group, bench.id.at.topic);
    bench.send();
    let delivery = bench.deliver("c", &[0]).delivery;
    assert!(bench.dead_letter(0, Some(delivery)).is_ok());
}

#[test]
fn a_dead_letter_is_consumed_and_dies_again_like_any_message() {
    let mut bench = Bench::with_group(false);
    bench.send();
    let delivery = bench.deliver("c", &[0]).delivery;
    bench.dead_letter(0, Some(delivery)).unwrap();
    bench.id.at = TopicQueue {
        topic: dead_topic(&bench).id,
        queue: QueueId(0),
    };
    bench.subscribe(bench.id.group, bench.id.at.topic);
    let delivered = bench.deliver("c", &[0]);
    assert_eq!(attempts(&delivered), [1], "attempts start anew");
    bench.dead_letter(0, Some(delivered.delivery)).unwrap();
    assert_eq!(bench.lag(), (1, 0), "the queue's own next message");
    assert_eq!(bench.queue().floor(), QueueOffset(1));
}
