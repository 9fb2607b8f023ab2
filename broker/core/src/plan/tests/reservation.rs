//! What is offered to one receive is not offered to another, until its fate is known.

use super::*;

fn both() -> impl Iterator<Item = (bool, Queue)> {
    [false, true].into_iter().map(|fifo| {
        let mut queue = Queue::new(fifo);
        queue.send_groups(&["a", "b", "c", "d"]);
        (fifo, queue)
    })
}

#[test]
fn two_selections_never_offer_the_same_message() {
    for (fifo, mut queue) in both() {
        let (first, second, third) = (queue.select(2), queue.select(1), queue.select(9));
        assert_eq!(
            [offered(&first), offered(&second), offered(&third)],
            [vec![0, 1], vec![2], vec![3]],
            "fifo {fifo}"
        );
        queue.clock += 2 * HIDDEN;
        assert!(queue.select(9).is_empty(), "fifo {fifo}: reserved without end");
    }
}

#[test]
fn expired_messages_are_reserved_as_fresh_ones_are() {
    for (fifo, mut queue) in both() {
        queue.receive(4);
        queue.clock += HIDDEN;
        let first = queue.select(3);
        let second = queue.select(3);
        assert_eq!(
            (offered(&first), offered(&second)),
            (vec![0, 1, 2], vec![3]),
            "fifo {fifo}"
        );
        queue.deliver(&second);
        queue.deliver(&first);
        assert!(queue.select(9).is_empty(), "fifo {fifo}: all held");
        queue.clock += HIDDEN;
        assert_eq!(offered(&queue.select(9)), [0, 1, 2, 3], "fifo {fifo}");
    }
}

#[test]
fn what_is_given_back_is_offered_again() {
    for (fifo, mut queue) in both() {
        let (first, second) = (queue.select(2), queue.select(2));
        first.give_back(&mut queue.cursor);
        assert_eq!(offered(&queue.select(9)), [0, 1], "fifo {fifo}");
        queue.deliver(&second);
        assert!(queue.select(9).is_empty(), "fifo {fifo}");
    }
}

#[test]
fn what_was_applied_after_all_is_not_offered_when_given_back() {
    for (fifo, mut queue) in both() {
        let plan = queue.select(2);
        queue.deliver(&plan);
        plan.give_back(&mut queue.cursor);
        assert_eq!(
            offered(&queue.select(9)),
            [2, 3],
            "fifo {fifo}: state knows better"
        );
    }
}

#[test]
fn what_apply_did_not_take_is_offered_again_once_given_back() {
    for (fifo, mut queue) in both() {
        let plan = queue.select(2);
        queue.restart();
        queue.receive(1);
        queue.restart();
        assert_eq!(taken(&queue.deliver(&plan)), [1], "fifo {fifo}: 0 is held");
        queue.clock += HIDDEN;
        assert_eq!(offered(&queue.select(2)), [0, 1], "fifo {fifo}");
    }
}

#[test]
fn an_error_of_the_entries_leaves_nothing_reserved() {
    for (fifo, mut queue) in both() {
        queue.send_groups(&["e"; 200]);
        let delivered = queue.receive(3);
        queue.settle(Change::Done, 0, delivered.delivery);
        queue.clock += HIDDEN;
        let mut failed = 0;
        for read in 1..20 {
            queue.entries.reads.set(0);
            queue.entries.fails_at.set(read);
            match queue.try_select(150) {
                Err(Unreadable) => failed += 1,
                Ok(plan) => plan.give_back(&mut queue.cursor),
            }
            assert_eq!(queue.cursor.reserved_len(), 0, "fifo {fifo}, read {read}");
        }
        assert!(failed >= 3, "fifo {fifo}: {failed} reads failed");
        queue.entries.fails_at.set(0);
        let expected: Vec<u64> = (1..151).collect();
        assert_eq!(
            offered(&queue.select(150)),
            expected,
            "fifo {fifo}: nothing is forgotten"
        );
    }
}

#[test]
fn the_cursor_says_from_where_entries_are_read() {
    for (fifo, mut queue) in both() {
        let reads_from = |queue: &Queue| queue.cursor.reads_from(&queue.view(), queue.clock).0;
        assert_eq!(reads_from(&queue), 0);
        let delivered = queue.receive(3);
        assert_eq!(reads_from(&queue), 3, "fifo {fifo}");
        queue.settle(Change::VisibleIn(5), 1, delivered.delivery);
        queue.clock += 5;
        assert_eq!(reads_from(&queue), 1, "fifo {fifo}: what is visible again");
    }
}

#[test]
fn a_message_group_stays_reserved_until_all_its_offers_are_answered() {
    let mut queue = Queue::new(true);
    queue.send_groups(&["a", "a", "a"]);
    let plan = queue.select(2);
    assert_eq!(offered(&plan), [0, 1]);
    queue.cursor.applied(QueueOffset(0));
    assert!(queue.select(9).is_empty(), "1 is still offered to somebody");
}

#[test]
fn a_plan_that_passed_some_by_and_came_to_nothing_leaves_no_message_group_behind() {
    for failed in [1, 2, 3, 9] {
        let mut queue = Queue::new(true);
        queue.filter = TagFilter::parse("wanted").unwrap();
        for (tag, message_group) in [("other", "b"), ("wanted", "a"), ("other", "b"), ("wanted", "a")] {
            queue.send(Some(tag), Some(message_group));
        }
        queue.send(Some("wanted"), Some("c"));
        let plan = queue.select(failed);
        plan.give_back(&mut queue.cursor);
        let (mut of_a, mut of_c) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let delivered = queue.receive(1);
            for offset in taken(&delivered) {
                if offset == 4 {
                    of_c.push(offset)
                } else {
                    of_a.push(offset)
                }
                queue.settle(Change::Done, offset, delivered.delivery);
            }
        }
        assert_eq!(
            (of_a, of_c),
            (vec![1, 3], vec![4]),
            "after a plan of at most {failed}"
        );
        assert_eq!(queue.view().floor(), QueueOffset(5), "and nothing is left");
    }
}
