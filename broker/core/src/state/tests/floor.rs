//! Groups moved in a queue.

use super::*;
use crate::command::{SetFloor, Target};

fn move_to(bench: &mut Bench, target: Target) -> FloorMove {
    let (id, epoch) = (bench.id, 0);
    let preview = {
        let topic = bench.state.tables().topic_by_id(id.at.topic).unwrap();
        let tail = topic.tail(id.at.queue).unwrap();
        bench
            .queue()
            .floor_move(target, tail, &RangeSet::default(), bench.state.now())
    };
    let command = SetFloor { id, target, epoch };
    match bench.run(command.encode(bench.clock)) {
        Ok(Done::Moved(moved)) => {
            assert_eq!(*moved, preview, "it does what its preview says");
            *moved
        }
        other => panic!("a move, not {other:?}"),
    }
}

fn moved(from: u64, to: u64, skipped: u64, repeated: u64, voided: u64) -> FloorMove {
    FloorMove {
        from: QueueOffset(from),
        to: QueueOffset(to),
        skipped,
        repeated,
        voided,
    }
}

/// Ten messages: 0 and 1 done, 2 in flight, 3 done, 4 waiting for a retry, 5 in flight, 7 done. The deliveries that hold
/// 2 and 5.
fn busy(fifo: bool) -> (Bench, DeliveryId, DeliveryId) {
    let mut bench = Bench::at_level_2(fifo);
    bench.send_groups(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    let first = bench.deliver("c", &[0, 1, 2, 3, 4]).delivery;
    let second = bench.deliver("d", &[5, 7]).delivery;
    for offset in [0, 1, 3] {
        bench.ack(offset, first);
    }
    bench.settle(Change::VisibleIn(0), &[(4, first)]);
    bench.ack(7, second);
    assert_eq!(bench.lag(), (4, 2));
    (bench, first, second)
}

#[test]
fn forward_drops_what_is_below_and_keeps_what_is_above() {
    let (mut bench, first, second) = busy(true);
    assert_eq!(
        move_to(&mut bench, Target::Offset(QueueOffset(5))),
        moved(2, 5, 2, 0, 1)
    );
    assert_eq!(bench.seen.moved, [bench.id]);
    assert_eq!(bench.lag(), (3, 1));
    assert!(!bench.ack(2, first), "what was below is void");
    assert!(bench.ack(5, second), "what is above goes on");
    assert!(bench.queue().settled().contains(7));
    assert_eq!(offsets(&bench.deliver("c", &[4, 6, 7, 8])), [6, 8]);
}

#[test]
fn forward_to_a_done_message_goes_on_behind_it() {
    let (mut bench, ..) = busy(false);
    assert_eq!(
        move_to(&mut bench, Target::Offset(QueueOffset(7))),
        moved(2, 8, 4, 0, 2)
    );
    assert_eq!(bench.queue().floor(), QueueOffset(8));
    assert_eq!(bench.lag(), (2, 0));
}

#[test]
fn back_makes_everything_fresh() {
    for fifo in [false, true] {
        let (mut bench, first, second) = busy(fifo);
        assert_eq!(
            move_to(&mut bench, Target::Offset(QueueOffset(1))),
            moved(2, 1, 0, 3, 2)
        );
        assert_eq!(bench.lag(), (9, 0));
        assert!(!bench.ack(2, first) && !bench.ack(5, second));
        let all = bench.deliver("e", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(offsets(&all), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(attempts(&all), [1; 9], "as if never delivered");
    }
}

#[test]
fn to_where_it_stands_everything_comes_again_too() {
    let (mut bench, ..) = busy(false);
    assert_eq!(
        move_to(&mut bench, Target::Offset(QueueOffset(2))),
        moved(2, 2, 0, 2, 2)
    );
    assert_eq!(bench.lag(), (8, 0));
}

#[test]
fn what_was_chosen_before_a_move_back_is_not_taken_and_before_one_forward_it_is() {
    let moves = |bench: &Bench| bench.queue().standing().moves;
    for fifo in [false, true] {
        let (mut bench, ..) = busy(fifo);
        // Done and held, back; anew to where it stands; forward twice, of which the first is no move at all.
        for (target, is_chosen_anew) in [
            (Target::Offset(QueueOffset(0)), true),
            (Target::Offset(QueueOffset(0)), true),
            (Target::Newest(99), false),
            (Target::Offset(QueueOffset(1)), false),
        ] {
            let (before, chosen) = (moves(&bench), bench.taking("c", &[6]));
            move_to(&mut bench, target);
            let expected: &[u64] = if is_chosen_anew { &[] } else { &[6] };
            let delivered = bench.deliver_with(chosen);
            assert_eq!(offsets(&delivered), expected, "{target:?}, fifo {fifo}");
            assert_eq!(moves(&bench), before + u32::from(is_chosen_anew));
            if let Some((offset, _)) = delivered.taken.first() {
                bench.settle(Change::VisibleIn(0), &[(offset.0, delivered.delivery)]);
            }
        }
    }
}

#[test]
fn messages_of_a_message_group_stay_in_order_over_a_move_back() {
    let mut bench = Bench::at_level_2(true);
    bench.send_groups(&["a", "a", "a"]);
    let first = bench.deliver("c", &[0, 1]);
    for offset in [0, 1] {
        bench.ack(offset, first.delivery);
    }
    let chosen = bench.taking("c", &[2]);
    move_to(&mut bench, Target::Offset(QueueOffset(0)));
    assert!(
        bench.deliver_with(chosen).taken.is_empty(),
        "0 and 1 come before it again"
    );
    assert_eq!(offsets(&bench.deliver("c", &[0, 1, 2])), [0, 1, 2]);
}

#[test]
fn moves_come_back_from_a_checkpoint_and_cost_nothing_where_there_are_none() {
    let (mut bench, ..) = busy(true);
    let hold = |bench: &Bench| {
        let parts = encoded(&bench.state).into_iter();
        let mut holds = parts.filter(|(key, _)| *key == ShardKey::GroupQueue(bench.id));
        holds.next().unwrap().1
    };
    assert_eq!(hold(&bench)[0], 1, "as at level 1");
    for _ in 0..130 {
        move_to(&mut bench, Target::Offset(QueueOffset(2)));
    }
    assert_eq!(hold(&bench)[..4], [1 | 2, 0x82, 1, 2], "130 moves and the floor");
    let (parts, header) = (encoded(&bench.state), bench.state.snapshot().header);
    let parts = parts.iter().map(|(key, bytes)| (*key, bytes.as_slice()));
    let back = State::restore(&header, parts).unwrap();
    let held = back.tables().subscription(bench.id.group, bench.id.at.topic);
    let standing = held.unwrap().shards[0].read(GroupQueue::standing);
    assert_eq!(standing, bench.queue().standing());
    assert_eq!(standing.moves, 130);
}

#[test]
fn latest_and_beyond_the_end_are_behind_the_last_message() {
    for target in [Target::Latest, Target::Offset(QueueOffset(99)), Target::Newest(0)] {
        let (mut bench, first, _) = busy(true);
        assert_eq!(move_to(&mut bench, target), moved(2, 10, 6, 0, 2));
        assert_eq!(bench.lag(), (0, 0));
        assert!(!bench.ack(2, first));
        assert_eq!(bench.send(), QueueOffset(10));
        assert_eq!(offsets(&bench.deliver("c", &[10])), [10]);
    }
}

#[test]
fn skipping_to_the_newest_never_goes_back() {
    let (mut bench, first, _) = busy(false);
    for count in [8, 9, 100, u64::MAX] {
        assert_eq!(
            move_to(&mut bench, Target::Newest(count)),
            moved(2, 2, 0, 0, 0),
            "{count}"
        );
    }
    assert!(bench.ack(2, first), "nothing is void");
    assert_eq!(move_to(&mut bench, Target::Newest(4)), moved(4, 6, 2, 0, 1));
    assert_eq!(bench.lag(), (3, 0));
}

#[test]
fn a_group_is_moved_only_where_it_has_subscribed() {
    let mut bench = Bench::at_level_2(false);
    let good = bench.id;
    let (mut group, mut topic, mut queue) = (good, good, good);
    (group.group, topic.at.topic, queue.at.queue) = (GroupId(9), TopicId(9), QueueId(9));
    for (id, refused) in [
        (group, Refused::NotSubscribed(GroupId(9), good.at.topic)),
        (topic, Refused::NoTopic(TopicId(9))),
        (queue, Refused::NoQueue(good.at.topic, QueueId(9))),
    ] {
        let (target, epoch) = (Target::Latest, 0);
        let command = SetFloor { id, target, epoch };
        assert_eq!(bench.run(command.encode(START)), Err(refused));
    }
}

#[test]
fn what_is_ready_is_told_in_ranges_around_what_is_done_or_held() {
    let ranges = |bench: &Bench, tail| bench.queue().ready_ranges(QueueOffset(tail), bench.clock);
    let (mut bench, _, second) = busy(false);
    assert_eq!(ranges(&bench, 10), [(4, 5), (6, 7), (8, 10)]);
    assert_eq!(ranges(&bench, 7), [(4, 5), (6, 7)]);
    assert_eq!(ranges(&bench, 2), []);
    assert_eq!(bench.queue().first_held(bench.clock), Some(QueueOffset(2)));
    bench.ack(5, second);
    assert_eq!(ranges(&bench, 10), [(4, 5), (6, 7), (8, 10)]);
    bench.clock += HIDDEN;
    assert_eq!(ranges(&bench, 10), [(2, 3), (4, 5), (6, 7), (8, 10)]);
    assert_eq!(bench.queue().first_held(bench.clock), None);
}
