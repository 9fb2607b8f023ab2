//! FIFO groups: order within each message group, and no group in another's way.

use super::*;

fn sent(groups: &[&str]) -> Queue {
    let mut queue = Queue::new(true);
    queue.send_groups(groups);
    queue
}

#[test]
fn one_receive_gets_several_messages_of_a_group_in_order() {
    let mut queue = sent(&["a", "b", "a", "a"]);
    assert_eq!(taken(&queue.receive(3)), [0, 1, 2]);
    assert!(queue.receive(9).taken.is_empty(), "3 waits for 0 and 2");
}

#[test]
fn a_reserved_message_locks_its_group_too() {
    let mut queue = sent(&["a", "a", "b"]);
    let first = queue.select(1);
    let second = queue.select(9);
    assert_eq!((offered(&first), offered(&second)), (vec![0], vec![2]));
    first.give_back(&mut queue.cursor);
    assert_eq!(
        offered(&queue.select(9)),
        [0, 1],
        "nothing overtakes what was given back"
    );
}

#[test]
fn what_waited_for_its_group_is_found_when_the_group_is_free() {
    let mut queue = sent(&["a", "b", "a", "b", "c"]);
    let first = queue.receive(2).delivery;
    assert_eq!(taken(&queue.receive(9)), [4]);
    queue.settle(Change::Done, 1, first);
    assert_eq!(taken(&queue.receive(9)), [3]);
    queue.settle(Change::Done, 0, first);
    assert_eq!(taken(&queue.receive(9)), [2]);
}

#[test]
fn after_an_expiry_the_first_unacknowledged_comes_first() {
    let mut queue = sent(&["a", "a", "a", "a"]);
    let delivery = queue.receive(3).delivery;
    queue.settle(Change::Done, 1, delivery);
    queue.clock += HIDDEN;
    let again = queue.receive(9);
    assert_eq!(
        again.taken,
        [(QueueOffset(0), 2), (QueueOffset(2), 2), (QueueOffset(3), 1)]
    );
}

#[test]
fn an_earlier_message_waits_while_a_later_one_of_its_group_is_still_held() {
    let mut queue = sent(&["a", "a", "b"]);
    let delivery = queue.receive(2).delivery;
    queue.settle(Change::VisibleIn(2 * HIDDEN), 1, delivery);
    queue.clock += HIDDEN;
    assert_eq!(taken(&queue.receive(9)), [2], "0 expired, but 1 is held");
    queue.clock += HIDDEN;
    assert_eq!(taken(&queue.receive(2)), [0, 1]);
}

#[test]
fn a_delay_holds_back_the_rest_of_its_group_only() {
    let mut queue = sent(&["a", "b", "a", "b"]);
    let delivery = queue.receive(2).delivery;
    queue.settle(Change::VisibleIn(5000), 0, delivery);
    queue.settle(Change::Done, 1, delivery);
    assert_eq!(taken(&queue.receive(9)), [3]);
    queue.clock += 5000;
    assert_eq!(taken(&queue.receive(9)), [0, 2]);
}

#[test]
fn the_rest_of_a_group_waits_for_its_dead_letter() {
    let mut queue = sent(&["a", "a", "b"]);
    for _ in 0..MAX_ATTEMPTS {
        queue.receive(1);
        queue.clock += HIDDEN;
    }
    let plan = queue.select(9);
    assert_eq!((dead(&plan), offered(&plan)), (vec![0], vec![2]));
    assert!(queue.select(9).is_empty());
}

#[test]
fn messages_without_a_group_are_one_group() {
    let mut queue = sent(&["", "a", "", "a"]);
    let delivery = queue.receive(1).delivery;
    assert_eq!(taken(&queue.receive(9)), [1, 3]);
    queue.settle(Change::Done, 0, delivery);
    assert_eq!(taken(&queue.receive(9)), [2]);
}

#[test]
fn order_survives_a_restart() {
    let mut queue = sent(&["a", "b", "a", "b"]);
    let delivery = queue.receive(1).delivery;
    queue.restart();
    assert_eq!(taken(&queue.receive(9)), [1, 3]);
    queue.settle(Change::Done, 0, delivery);
    queue.restart();
    assert_eq!(taken(&queue.receive(9)), [2]);
}

#[test]
fn filtered_messages_of_a_locked_group_are_skipped_at_once() {
    let mut queue = Queue::new(true);
    queue.filter = TagFilter::parse("x").unwrap();
    for tag in ["x", "y", "x"] {
        queue.send(Some(tag), Some("a"));
    }
    let plan = queue.select(1);
    queue.deliver(&plan);
    let plan = queue.select(9);
    assert_eq!((offered(&plan), skipped(&plan)), (vec![], vec![(1, 1)]));
}
