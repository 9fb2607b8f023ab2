//! FIFO groups: a message group is locked while one of its messages is held.

use super::*;

#[test]
fn a_message_group_is_locked_while_one_of_its_messages_is_held() {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["a", "b", "a", "b"]);
    let first = bench.deliver("c", &[0]).delivery;
    let (a, b) = (hash::message_group("a"), hash::message_group("b"));
    assert!(bench.queue().is_locked(a, START) && !bench.queue().is_locked(b, START));
    assert_eq!(
        offsets(&bench.deliver("d", &[1, 2, 3])),
        [1, 3],
        "group b flows on"
    );
    assert!(bench.ack(0, first));
    assert_eq!(offsets(&bench.deliver("d", &[2])), [2]);
}

#[test]
fn one_delivery_may_hold_several_messages_of_a_group() {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["a", "a", "a"]);
    let delivery = bench.deliver("c", &[0, 1]).delivery;
    assert!(bench.ack(1, delivery), "in any order");
    assert!(bench.deliver("d", &[2]).taken.is_empty());
    assert!(bench.ack(0, delivery));
    assert_eq!(offsets(&bench.deliver("d", &[2])), [2]);
}

#[test]
fn after_an_expiry_the_unacknowledged_come_again_in_order_and_counted() {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["a", "a", "a", "a"]);
    let delivery = bench.deliver("c", &[0, 1, 2]).delivery;
    assert!(bench.ack(0, delivery));
    bench.clock += HIDDEN;
    let again = bench.deliver("d", &[0, 1, 2, 3]);
    assert_eq!(
        (offsets(&again), attempts(&again)),
        (vec![1, 2, 3], vec![2, 2, 1])
    );
}

#[test]
fn a_negatively_acknowledged_message_keeps_its_group_locked_through_the_delay() {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["a", "a", "b"]);
    let delivery = bench.deliver("c", &[0]).delivery;
    bench.settle(Change::VisibleIn(5000), &[(0, delivery)]);
    assert_eq!(offsets(&bench.deliver("c", &[0, 1, 2])), [2]);
    bench.clock += 5000;
    assert_eq!(attempts(&bench.deliver("c", &[0, 1])), [2, 1]);
}

#[test]
fn messages_without_a_group_wait_for_each_other_in_a_fifo_group() {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["", "", "a"]);
    bench.deliver("c", &[0]);
    assert_eq!(offsets(&bench.deliver("d", &[1, 2])), [2]);
    let mut other_queue = bench.id;
    other_queue.at.queue = QueueId(1);
    bench.send_to(other_queue.at, None);
    bench.id = other_queue;
    assert_eq!(offsets(&bench.deliver("d", &[0])), [0], "each queue by itself");
}

#[test]
fn groups_that_are_not_fifo_know_no_locks() {
    let mut bench = Bench::with_group(false);
    bench.send_groups(&["a", "a"]);
    bench.deliver("c", &[0]);
    assert!(!bench.queue().is_locked(hash::message_group("a"), START));
    assert_eq!(offsets(&bench.deliver("d", &[1])), [1]);
    let kept = bench.queue().pending(QueueOffset(1)).unwrap().group_hash;
    assert_eq!(kept, 0, "nor is the message group kept");
}

#[test]
fn settling_in_a_fifo_group_wakes_who_waits() {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["a"]);
    let delivery = bench.deliver("c", &[0]).delivery;
    bench.clock += 7;
    assert!(bench.ack(0, delivery));
    assert_eq!(bench.seen.ready.last(), Some(&(bench.id, START + 7)));
}

#[test]
fn a_release_unlocks_the_group() {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["a", "a"]);
    let command = Deliver {
        auto_renew: true,
        ..bench.taking("c", &[0])
    };
    bench.deliver_with(command);
    assert_eq!(bench.release("c", 0), 1);
    assert_eq!(attempts(&bench.deliver("d", &[0, 1])), [2, 1]);
}

#[test]
fn a_repeated_attempt_gets_its_batch_although_the_group_is_locked_by_it() {
    let mut bench = Bench::with_group(true);
    bench.send_groups(&["a", "a", "a"]);
    let repeat = |bench: &Bench, resume| Deliver {
        attempt_id: 7,
        resume,
        ..bench.taking("c", &[0, 1])
    };
    bench.deliver_with(repeat(&bench, false));
    let again = bench.deliver_with(repeat(&bench, true));
    assert_eq!((offsets(&again), attempts(&again)), (vec![0, 1], vec![1, 1]));
}
