//! Groups without order: what comes first, what comes again, what is out of attempts.

use super::*;

fn with_messages(count: usize) -> Queue {
    let mut queue = Queue::new(false);
    queue.send_groups(&vec![""; count]);
    queue
}

#[test]
fn fresh_messages_come_in_order_up_to_the_number_asked_for() {
    let mut queue = with_messages(5);
    for (max, expected, more) in [
        (0, vec![], true),
        (2, vec![0, 1], true),
        (9, vec![2, 3, 4], false),
    ] {
        let plan = queue.select(max);
        assert_eq!((offered(&plan), plan.more), (expected, more), "{max} asked for");
        assert_eq!(plan.is_empty(), max == 0);
    }
    let plan = queue.select(9);
    assert!(plan.is_empty() && !plan.more);
}

#[test]
fn an_offer_carries_the_messages_entry() {
    let mut queue = with_messages(2);
    let plan = queue.select(2);
    let entries: Vec<_> = plan.offers.iter().map(|offer| offer.entry).collect();
    assert_eq!(entries, queue.entries.all);
}

#[test]
fn what_is_visible_again_comes_before_fresh_messages() {
    let mut queue = with_messages(4);
    let delivery = queue.receive(3).delivery;
    queue.settle(Change::VisibleIn(10), 2, delivery);
    queue.settle(Change::VisibleIn(20), 0, delivery);
    let at = |queue: &mut Queue, after: TimeMs| {
        queue.clock = START + after;
        let plan = queue.select(1);
        plan.give_back(&mut queue.cursor);
        offered(&plan)
    };
    assert_eq!(at(&mut queue, 9), [3]);
    assert_eq!(at(&mut queue, 10), [2]);
    assert_eq!(at(&mut queue, 20), [2], "the soonest first");
    let plan = queue.select(3);
    assert_eq!(offered(&plan), [0, 2, 3], "in rising order within an offer");
}

#[test]
fn a_message_out_of_attempts_is_dead_and_does_not_count_as_offered() {
    let mut queue = with_messages(3);
    for attempt in 1..=MAX_ATTEMPTS {
        let delivered = queue.receive(2);
        assert_eq!(delivered.taken[0].1, attempt);
        queue.clock += HIDDEN;
    }
    let plan = queue.select(1);
    assert_eq!((dead(&plan), offered(&plan)), (vec![0, 1], vec![2]));
    assert!(!plan.is_empty());
    let again = queue.select(1);
    assert!(again.is_empty(), "the dead are reserved as well");
    plan.give_back(&mut queue.cursor);
    assert_eq!(dead(&queue.select(1)), [0, 1]);
}

#[test]
fn holes_are_found_again_after_a_restart() {
    let mut queue = with_messages(6);
    let lost = queue.select(2);
    let delivered = queue.receive(2);
    assert_eq!((offered(&lost), taken(&delivered)), (vec![0, 1], vec![2, 3]));
    queue.settle(Change::Done, 3, delivered.delivery);
    queue.restart();
    let plan = queue.select(9);
    assert_eq!(offered(&plan), [0, 1, 4, 5], "2 is held and 3 done");
}

#[test]
fn a_released_message_is_offered_at_once() {
    let mut queue = with_messages(2);
    queue.receive(1);
    queue.release();
    assert_eq!(queue.receive(9).taken, [(QueueOffset(0), 2), (QueueOffset(1), 1)]);
}

#[test]
fn new_messages_are_found_behind_what_was_looked_through() {
    let mut queue = with_messages(1);
    assert_eq!(taken(&queue.receive(9)), [0]);
    queue.send_groups(&["", ""]);
    assert_eq!(taken(&queue.receive(9)), [1, 2]);
}
