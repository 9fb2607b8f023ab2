//! Bounds on what one selection offers and looks through, and what it says of the rest.

use super::*;
use crate::limits::IN_FLIGHT_MAX;

/// What one selection looks through.
const SCAN_MAX: usize = limits::SCAN_MAX as usize;

#[test]
fn more_is_said_only_where_another_receive_would_find_something() {
    for fifo in [false, true] {
        let mut queue = Queue::new(fifo);
        queue.send_groups(&["a", "b", "c"]);
        for (max, more) in [(1, true), (1, true), (1, false), (1, false)] {
            assert_eq!(queue.select(max).more, more, "fifo {fifo}");
        }
        queue.restart();
        queue.receive(3);
        queue.clock += HIDDEN;
        for (max, more) in [(2, true), (1, false)] {
            assert_eq!(queue.select(max).more, more, "fifo {fifo}: of expired ones");
        }
    }
}

#[test]
fn one_selection_looks_through_a_bounded_part_and_says_that_there_is_more() {
    for fifo in [false, true] {
        let mut queue = Queue::new(fifo);
        queue.filter = TagFilter::parse("wanted").unwrap();
        queue.send_tags(&vec!["other"; 2 * SCAN_MAX]);
        queue.send_tags(&["wanted"]);
        let mut plans = Vec::new();
        while plans.last().is_none_or(|(_, more)| *more) {
            let plan = queue.select(1);
            queue.deliver(&plan);
            plans.push((offered(&plan), plan.more));
        }
        let last = vec![2 * SCAN_MAX as u64];
        let expected = [(vec![], true), (vec![], true), (last, false)];
        assert_eq!(plans, expected, "fifo {fifo}");
    }
}

#[test]
fn other_message_groups_flow_on_behind_any_number_of_messages_that_wait() {
    let mut queue = Queue::new(true);
    let waiting = 3 * SCAN_MAX;
    queue.send_groups(&vec!["a"; waiting]);
    queue.send_groups(&["b"]);
    let first = queue.receive(1);
    let mut found = Vec::new();
    for _ in 0..4 {
        queue.entries.reads.set(0);
        let plan = queue.select(1);
        assert!(queue.entries.reads.get() <= SCAN_MAX / 64 + 1);
        queue.deliver(&plan);
        found.extend(offered(&plan));
    }
    assert_eq!(found, [waiting as u64], "b");
    assert!(queue.select(1).is_empty(), "a waits for its first message");
    queue.settle(Change::Done, 0, first.delivery);
    assert_eq!(offered(&queue.select(3)), [1, 2, 3]);
}

#[test]
fn no_more_is_parked_than_there_is_room_for_and_nothing_is_lost() {
    let mut queue = Queue::new(true);
    queue.send_groups(&vec!["a"; 70_000]);
    queue.send_groups(&["b"]);
    let first = queue.receive(1);
    while queue.select(1).more {}
    assert!(queue.select(32).is_empty(), "b waits for room behind a");
    queue.settle(Change::Done, 0, first.delivery);
    let plan = queue.select(32);
    assert_eq!(offered(&plan), (1..33).collect::<Vec<_>>());
}

#[test]
fn finished_stretches_do_not_count_as_looked_through() {
    let mut queue = Queue::new(true);
    queue.send_groups(&["a", "a"]);
    queue.filter = TagFilter::parse("wanted").unwrap();
    queue.entries.all.iter_mut().for_each(|entry| {
        entry.flags |= crate::entry::TAGGED;
        entry.tag_hash = crate::hash::java_string("wanted");
    });
    queue.receive(1);
    queue.send_tags(&vec!["other"; SCAN_MAX]);
    queue.send(Some("wanted"), Some("b"));
    let plan = queue.select(1);
    assert!(plan.more && offered(&plan).is_empty());
    queue.deliver(&plan);
    assert_eq!(offered(&queue.select(1)), [2 + SCAN_MAX as u64]);
}

#[test]
fn offers_and_deliveries_together_stay_within_what_may_be_in_flight() {
    let mut queue = Queue::new(false);
    queue.send_groups(&vec![""; IN_FLIGHT_MAX + 4]);
    let held = queue.receive(IN_FLIGHT_MAX - 10);
    let (reserved, rest) = (queue.select(4), queue.select(100));
    assert_eq!((reserved.offers.len(), rest.offers.len()), (4, 6));
    assert!(!rest.more, "nothing until there is room");
    queue.settle(Change::Done, 0, held.delivery);
    assert_eq!(queue.select(100).offers.len(), 1);
}

#[test]
fn a_fifo_receive_takes_no_fresh_message_beyond_what_may_be_in_flight() {
    let mut queue = Queue::new(true);
    let groups: Vec<String> = (0..IN_FLIGHT_MAX + 3).map(|i| format!("g{i}")).collect();
    queue.send_groups(&groups.iter().map(String::as_str).collect::<Vec<_>>());
    let held = queue.receive(usize::MAX);
    assert_eq!(held.taken.len(), IN_FLIGHT_MAX);
    assert!(queue.select(9).is_empty());
    queue.settle(Change::Done, 7, held.delivery);
    assert_eq!(
        offered(&queue.select(9)),
        [IN_FLIGHT_MAX as u64],
        "the one that waited longest"
    );
    queue.clock += HIDDEN;
    assert_eq!(offered(&queue.select(2)), [0, 1], "redelivery needs no room");
}

#[test]
fn dead_letters_of_one_selection_are_bounded() {
    let mut queue = Queue::new(false);
    queue.send_groups(&[""; 100]);
    for _ in 0..MAX_ATTEMPTS {
        queue.receive(100);
        queue.clock += HIDDEN;
    }
    let first = queue.select(32);
    assert_eq!((first.dead.len(), first.more), (64, true));
    let second = queue.select(32);
    assert_eq!((second.dead.len(), second.more), (36, false));
}

/// A queue whose messages are all out of attempts.
fn exhausted(messages: usize) -> Queue {
    let mut queue = Queue::new(false);
    queue.send_groups(&vec![""; messages]);
    for _ in 0..MAX_ATTEMPTS {
        queue.receive(messages);
        queue.clock += HIDDEN;
    }
    queue
}

/// A queue whose every second message is passed by, and those between wait for their message group.
fn striped(pairs: usize) -> Queue {
    let mut queue = Queue::new(true);
    queue.filter = TagFilter::parse("wanted").unwrap();
    queue.send_tags(&["wanted"]);
    queue.receive(1);
    queue.send_tags(&["other", "wanted"].repeat(pairs));
    queue
}

#[test]
fn a_plan_fits_the_bytes_that_its_room_has() {
    for (name, mut queue) in [("dead", exhausted(60)), ("skipped", striped(500))] {
        let room = Room::new(32, 2000);
        let plan = queue.try_select_in(room).unwrap();
        let commands = commands(&plan);
        let bytes: usize = commands.iter().map(EncodedCommand::len).sum();
        assert!(bytes <= 2000, "{name}: {bytes} bytes");
        assert!(plan.more, "{name}: the rest is for the next receive");
        assert!(plan.dead.len() + plan.skipped.len() > 10, "{name}");
        assert!(!room.without(&plan).is_left(), "{name}");
    }
}

#[test]
fn the_plans_of_a_receive_come_to_no_more_commands_than_a_batch_holds() {
    let mut queues: Vec<Queue> = (0..17).map(|_| exhausted(64)).collect();
    let (mut room, mut sum) = (Room::new(32, limits::BATCH_BYTES_MAX), 0);
    let mut looked_at = 0;
    for queue in &mut queues {
        if !room.is_left() {
            break;
        }
        let plan = queue.try_select_in(room).unwrap();
        room = room.without(&plan);
        sum += commands(&plan).len();
        looked_at += 1;
        assert_eq!(plan.more, looked_at == 16, "queue {looked_at}");
    }
    assert_eq!((sum, looked_at), (limits::BATCH_COMMANDS_MAX, 16));
}
