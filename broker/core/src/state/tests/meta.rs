//! Topics, groups, subscriptions, offsets and time.

use super::*;
use crate::command::{Membership, StartFrom, Voter};
use crate::limits;

#[test]
fn topics_and_groups_get_ids_in_order_of_their_making() {
    let mut bench = Bench::empty();
    assert_eq!(
        [bench.topic("a", 1), bench.topic("b", 1)],
        [TopicId(0), TopicId(1)]
    );
    assert_eq!(
        [bench.group("g", false), bench.group("h", true)],
        [GroupId(0), GroupId(1)]
    );
    let tables = bench.state.tables();
    assert_eq!(tables.topic("b").unwrap().id, TopicId(1));
    assert!(tables.group("h").unwrap().spec.fifo);
    assert_eq!(tables.all_topics().len() + tables.all_groups().len(), 4);
}

#[test]
fn a_name_that_exists_is_answered_with_its_id() {
    let mut bench = Bench::with_group(false);
    let topic = bench.run(topic_spec("orders", 9).encode(START));
    assert_eq!(topic, Err(Refused::TopicExists(bench.id.at.topic)));
    let group = bench.run(group_spec("workers", true).encode(START));
    assert_eq!(group, Err(Refused::GroupExists(bench.id.group)));
    assert_eq!(bench.state.tables().topic("orders").unwrap().spec.queues, 2);
    assert!(!bench.state.tables().group("workers").unwrap().spec.fifo);
}

#[test]
fn names_and_numbers_at_their_bounds_are_taken_and_beyond_refused() {
    let (topic_max, group_max) = (limits::TOPIC_NAME_MAX, limits::GROUP_NAME_MAX);
    let topics = [
        (1, 1, true),
        (topic_max, limits::QUEUES_MAX, true),
        (0, 1, false),
        (topic_max + 1, 1, false),
        (3, 0, false),
        (3, limits::QUEUES_MAX + 1, false),
    ];
    let mut bench = Bench::empty();
    for (name_len, queues, taken) in topics {
        let answer = bench.run(topic_spec(&"t".repeat(name_len), queues).encode(START));
        assert_eq!(answer.is_ok(), taken, "topic name of {name_len}, {queues} queues");
    }
    let groups = [
        (1, 1, true),
        (group_max, limits::ATTEMPTS_MAX, true),
        (0, 1, false),
        (group_max + 1, 1, false),
        (3, 0, false),
        (3, limits::ATTEMPTS_MAX + 1, false),
    ];
    for (name_len, max_attempts, taken) in groups {
        let spec = CreateGroup {
            max_attempts,
            ..group_spec(&"g".repeat(name_len), false)
        };
        let answer = bench.run(spec.encode(START));
        assert_eq!(
            answer.is_ok(),
            taken,
            "group name of {name_len}, {max_attempts} attempts"
        );
    }
}

#[test]
fn beyond_their_numbers_no_topics_groups_and_subscriptions_are_made() {
    let mut bench = Bench::with_group(false);
    let queues = limits::QUEUES_MAX;
    let topic = bench.topic("wide", queues);
    for n in 1..limits::GROUPS_MAX {
        let group = bench.group(&format!("group-{n}"), false);
        if n < limits::SUBSCRIBED_QUEUES_MAX / queues as usize {
            bench.subscribe(group, topic);
        }
    }
    let refused = |answer: Applied, what| {
        assert!(
            matches!(answer, Err(Refused::Full(full, _)) if full == what),
            "{answer:?}"
        );
    };
    refused(
        bench.run(group_spec("one more", false).encode(START)),
        "consumer groups",
    );
    // The bench's own subscription is one too many for another of that width.
    let group = bench.state.tables().all_groups().last().unwrap().id;
    refused(
        bench.run(Subscribe { group, topic }.encode(START)),
        "subscribed queues",
    );
    let topic = bench.topic("narrow", 1);
    bench.subscribe(group, topic);
    for n in bench.state.tables().all_topics().len()..limits::TOPICS_MAX {
        bench.topic(&format!("topic-{n}"), 1);
    }
    refused(bench.run(topic_spec("one more", 1).encode(START)), "topics");
    let there = bench.run(topic_spec("wide", 1).encode(START));
    assert!(matches!(there, Err(Refused::TopicExists(_))), "{there:?}");
}

#[test]
fn the_number_of_subscribed_queues_is_the_same_after_a_restart() {
    let mut bench = Bench::with_group(false);
    let topic = bench.topic("wide", 7);
    bench.subscribe(bench.id.group, topic);
    let parts = encoded(&bench.state);
    let header = bench.state.snapshot().header;
    let parts = parts.iter().map(|(key, bytes)| (*key, bytes.as_slice()));
    let restored = State::restore(&header, parts).unwrap();
    let queues = |state: &State| state.tables().subscriptions.read().queues;
    assert_eq!((queues(&bench.state), queues(&restored)), (9, 9));
}

#[test]
fn offsets_of_each_queue_count_from_zero_without_holes() {
    let mut bench = Bench::with_group(false);
    let other = TopicQueue {
        queue: QueueId(1),
        ..bench.id.at
    };
    let missing = TopicQueue {
        queue: QueueId(2),
        ..bench.id.at
    };
    for expected in 0..3 {
        assert_eq!(bench.send(), QueueOffset(expected));
        let refused = bench.run(message(missing, START, None));
        assert_eq!(refused, Err(Refused::NoQueue(missing.topic, missing.queue)));
        assert_eq!(bench.send_to(other, None), QueueOffset(expected));
    }
    let of_queue = |at| {
        bench
            .seen
            .entries
            .iter()
            .filter(move |entry| entry.0 == at)
            .count()
    };
    assert_eq!((of_queue(bench.id.at), of_queue(other)), (3, 3));
    let topic = bench.state.tables().topic("orders").unwrap();
    assert_eq!(topic.tail(QueueId(1)), Some(QueueOffset(3)));
    assert_eq!(topic.tail(QueueId(2)), None);
}

#[test]
fn an_entry_says_where_the_command_stands_and_what_it_holds() {
    let mut bench = Bench::with_group(true);
    let physical = bench.physical;
    bench.clock += 5;
    bench.send_groups(&["a"]);
    let (_, _, entry) = bench.seen.entries[0];
    assert_eq!(entry.physical, PhysicalOffset(physical));
    assert_eq!((entry.put_ms, entry.waiting_since_ms), (START + 5, START + 5));
    assert_eq!(entry.size as usize, bench.log.last().unwrap().len());
    assert_eq!(entry.group_hash, hash::message_group("a"));
    assert!(entry.has_tag(hash::java_string("TagA")));
    assert_eq!(entry.flags, crate::entry::TAGGED | crate::entry::GROUPED);
}

#[test]
fn time_never_goes_back() {
    let mut bench = Bench::with_group(false);
    let mut put = Vec::new();
    for clock in [START + 10, START + 3, START, START + 11] {
        bench.clock = clock;
        bench.send();
        put.push(bench.seen.entries.last().unwrap().2.put_ms - START);
        assert_eq!(bench.state.now(), bench.state.tables().now());
    }
    assert_eq!(put, [10, 10, 10, 11]);
}

#[test]
fn a_topic_takes_only_the_kinds_it_was_made_for() {
    let mut bench = Bench::empty();
    let spec = CreateTopic {
        types: Types::NORMAL,
        ..topic_spec("plain", 1)
    };
    bench.run(spec.encode(START)).unwrap();
    let at = TopicQueue::default();
    assert_eq!(
        bench.run(message(at, START, Some("a"))),
        Err(Refused::KindNotTaken(at.topic))
    );
    assert_eq!(
        bench.run(message(at, START, None)),
        Ok(Done::Appended(QueueOffset(0)))
    );
}

#[test]
fn a_group_starts_where_it_was_told_and_keeps_its_place_when_it_subscribes_again() {
    for (start_from, floor) in [(StartFrom::Earliest, 0), (StartFrom::Latest, 2)] {
        let mut bench = Bench::with_group(false);
        bench.send();
        bench.send();
        let spec = CreateGroup {
            start_from,
            ..group_spec("late", false)
        };
        bench.run(spec.encode(START)).unwrap();
        bench.id.group = GroupId(1);
        bench.subscribe(bench.id.group, bench.id.at.topic);
        assert_eq!(bench.queue().floor(), QueueOffset(floor));
        bench.send();
        bench.subscribe(bench.id.group, bench.id.at.topic);
        assert_eq!(bench.queue().floor(), QueueOffset(floor), "{start_from:?}");
    }
}

#[test]
fn subscribing_needs_both_group_and_topic() {
    let mut bench = Bench::with_group(false);
    let (group, topic) = (bench.id.group, bench.id.at.topic);
    let mut subscribe = |group, topic| bench.run(Subscribe { group, topic }.encode(START));
    assert_eq!(subscribe(GroupId(7), topic), Err(Refused::NoGroup(GroupId(7))));
    assert_eq!(subscribe(group, TopicId(7)), Err(Refused::NoTopic(TopicId(7))));
}

#[test]
fn levels_only_rise_and_only_as_far_as_the_build_knows() {
    let mut bench = Bench::blank();
    assert_eq!(bench.state.level(), 0);
    for (asked, present, taken) in [
        (0, 0, false),
        (LEVEL + 1, 0, false),
        (1, 0, true),
        (1, 1, false),
        (0, 1, false),
    ] {
        let expected = if taken {
            Ok(Done::Level(asked))
        } else {
            Err(Refused::Level { asked, present })
        };
        assert_eq!(bench.run(encode_level(START, asked)), expected);
    }
    assert_eq!(bench.state.level(), 1);
}

#[test]
fn the_last_membership_stands() {
    let mut bench = Bench::empty();
    let voter = |node| Voter {
        node,
        name: format!("broker-{node}"),
    };
    for nodes in [vec![1], vec![1, 2, 3]] {
        let membership = Membership {
            voters: nodes.into_iter().map(voter).collect(),
        };
        assert_eq!(bench.run(membership.encode(START)), Ok(Done::Membership));
        assert_eq!(bench.state.membership(), &membership);
    }
}
