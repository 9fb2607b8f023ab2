//! Deliveries: made, settled, changed, expired, released, resumed, skipped.

use super::*;
use crate::limits;

fn skipping(bench: &Bench, spans: &[(u64, u64)]) -> Deliver {
    let span = |(start, len): &(u64, u64)| Span {
        start: QueueOffset(*start),
        len: *len,
    };
    Deliver {
        skipped: spans.iter().map(span).collect(),
        ..bench.taking("c", &[])
    }
}

fn with_messages(count: u64) -> Bench {
    let mut bench = Bench::with_group(false);
    for _ in 0..count {
        bench.send();
    }
    bench
}

#[test]
fn a_delivered_message_is_held_until_it_is_settled_or_expires() {
    let mut bench = with_messages(3);
    let delivered = bench.deliver("c", &[0, 2]);
    assert_eq!(delivered.taken, [(QueueOffset(0), 1), (QueueOffset(2), 1)]);
    assert_eq!(bench.lag(), (1, 2));
    assert!(bench.deliver("d", &[0, 2]).taken.is_empty(), "held by another");
    let queue = bench.queue();
    let held_to = |now| queue.is_held(QueueOffset(0), delivered.delivery, now);
    assert!(held_to(START + HIDDEN - 1) && !held_to(START + HIDDEN));
    assert_eq!(
        &*queue.delivery(delivered.delivery).unwrap().client,
        "c",
        "who holds it is known"
    );
    assert_eq!(
        bench.seen.ready,
        [(bench.id, START + HIDDEN)],
        "and when to look again"
    );
}

#[test]
fn an_acknowledged_message_is_done_and_the_floor_goes_on_to_the_first_gap() {
    let mut bench = with_messages(4);
    let delivery = bench.deliver("c", &[0, 1, 2]).delivery;
    for (offset, floor, settled) in [(2, 0, 1), (1, 0, 2), (0, 3, 0)] {
        assert!(bench.ack(offset, delivery));
        assert_eq!(
            (bench.queue().floor().0, bench.queue().settled().len()),
            (floor, settled)
        );
    }
    assert_eq!(bench.lag(), (1, 0));
    assert_eq!(
        bench.queue().deliveries().count(),
        0,
        "nothing names the delivery any more"
    );
    assert_eq!(bench.queue().clients().count(), 0);
}

#[test]
fn an_acknowledgement_counts_once() {
    let mut bench = with_messages(2);
    let delivery = bench.deliver("c", &[0, 1]).delivery;
    let twice = [(0, delivery), (0, delivery), (1, DeliveryId(delivery.0 + 1))];
    assert_eq!(bench.settle(Change::Done, &twice).1, [true, false, false]);
    assert!(!bench.ack(0, delivery));
    assert_eq!(bench.lag(), (0, 1));
}

#[test]
fn an_expired_delivery_is_ready_again_in_place_and_the_next_is_counted() {
    let mut bench = with_messages(2);
    let first = bench.deliver("c", &[0]).delivery;
    for attempt in 2..=5 {
        bench.clock += HIDDEN;
        let again = bench.deliver("d", &[0]);
        assert_eq!(again.taken, [(QueueOffset(0), attempt)]);
        assert!(!bench.ack(0, first), "the first client is too late");
    }
    assert_eq!(bench.queue().deliveries().count(), 1);
}

#[test]
fn an_expired_handle_is_refused_even_before_the_next_delivery() {
    let mut bench = with_messages(1);
    let delivery = bench.deliver("c", &[0]).delivery;
    bench.clock += HIDDEN;
    assert!(!bench.ack(0, delivery));
    assert_eq!(bench.settle(Change::VisibleIn(9), &[(0, delivery)]).1, [false]);
    assert_eq!(bench.lag(), (1, 0));
}

#[test]
fn a_negative_acknowledgement_hides_the_message_for_its_delay() {
    for delay in [0, 1, 10_000, u64::MAX - 1] {
        let mut bench = with_messages(1);
        let delivery = bench.deliver("c", &[0]).delivery;
        let (_, accepted) = bench.settle(Change::VisibleIn(delay), &[(0, delivery)]);
        assert_eq!(accepted, [true]);
        assert_eq!(bench.lag(), if delay == 0 { (1, 0) } else { (0, 1) });
        bench.clock = bench.clock.saturating_add(delay);
        let again = bench.deliver("c", &[0]);
        assert_eq!(attempts(&again), [2], "after {delay} ms");
        assert_eq!(
            bench.seen.ready[1],
            (bench.id, START.saturating_add(delay)),
            "who waits is told"
        );
    }
}

#[test]
fn what_is_handed_back_does_not_count_as_an_attempt() {
    let mut bench = with_messages(1);
    for round in 0..5 {
        let delivered = bench.deliver("c", &[0]);
        assert_eq!(attempts(&delivered), [1], "round {round}");
        let (new, accepted) = bench.settle(Change::HandBack(500), &[(0, delivered.delivery)]);
        assert_eq!(accepted, [true]);
        assert!(!bench.ack(0, delivered.delivery), "the handle is void");
        assert_eq!(
            (bench.attempt(0), bench.lag()),
            (Some(0), (0, 1)),
            "hidden for now"
        );
        assert_eq!(bench.settle(Change::HandBack(0), &[(0, new)]).1, [true]);
        assert_eq!(bench.attempt(0), Some(0), "none is left to take back");
    }
    assert_eq!(bench.lag(), (1, 0), "visible at once");
}

#[test]
fn a_last_attempt_that_is_handed_back_is_made_again() {
    let mut bench = with_messages(1);
    for attempt in 1..=3 {
        let delivered = bench.deliver("c", &[0]);
        assert_eq!(attempts(&delivered), [attempt]);
        let change = if attempt < 3 {
            Change::VisibleIn(0)
        } else {
            Change::HandBack(0)
        };
        bench.settle(change, &[(0, delivered.delivery)]);
    }
    assert_eq!(
        bench.dead_letter(0, None),
        Err(Refused::NotHeld),
        "it is not exhausted"
    );
    let again = bench.deliver("d", &[0]);
    assert_eq!(attempts(&again), [3]);
    bench.clock += HIDDEN;
    assert!(bench.dead_letter(0, None).is_ok(), "nor is it given for ever");
}

#[test]
fn changing_invisibility_gives_a_new_handle_and_ends_the_old_one() {
    let mut bench = with_messages(2);
    let old = bench.deliver("c", &[0, 1]).delivery;
    let (new, _) = bench.settle(Change::VisibleIn(3 * HIDDEN), &[(0, old)]);
    bench.clock += 2 * HIDDEN;
    assert!(!bench.ack(0, old), "the old handle");
    assert!(!bench.ack(1, old), "expired meanwhile");
    assert_eq!(bench.attempt(0), Some(1), "a change is no delivery");
    assert!(bench.ack(0, new));
}

#[test]
fn release_makes_visible_only_what_is_renewed_for_that_client() {
    let mut bench = with_messages(4);
    let renewed = |client, offsets: &[u64], bench: &Bench| Deliver {
        auto_renew: true,
        ..bench.taking(client, offsets)
    };
    let mine = bench.deliver_with(renewed("c", &[0, 1], &bench)).delivery;
    bench.deliver("c", &[2]);
    bench.deliver_with(renewed("d", &[3], &bench));
    bench.settle(Change::VisibleIn(2 * HIDDEN), &[(1, mine)]);
    assert_eq!(bench.release("nobody", 0), 0);
    assert_eq!(
        bench.release("c", 1000),
        1,
        "not what it hid for a time of its own"
    );
    assert_eq!(bench.lag(), (0, 4));
    assert!(!bench.queue().is_held(QueueOffset(0), mine, START + 1000));
    assert_eq!(bench.release("c", 5000), 0, "never later than it was");
    assert_eq!(bench.release("c", 0), 1);
    assert_eq!(
        attempts(&bench.deliver("d", &[0, 1, 2, 3])),
        [2],
        "offset 0 alone is back"
    );
}

#[test]
fn a_repeated_attempt_gets_the_same_messages_uncounted() {
    let mut bench = with_messages(3);
    let attempt = |bench: &Bench, offsets: &[u64], resume, attempt_id| Deliver {
        attempt_id,
        resume,
        ..bench.taking("c", offsets)
    };
    let first = bench.deliver_with(attempt(&bench, &[0, 1], false, 7));
    let held = bench.queue().held_by_attempt("c", 7, START);
    assert_eq!(held, [(QueueOffset(0), 0), (QueueOffset(1), 0)]);
    for (attempt_id, offsets) in [(8, &[0, 1]), (0, &[0, 1])] {
        let none = bench.deliver_with(attempt(&bench, offsets, true, attempt_id));
        assert!(none.taken.is_empty(), "attempt {attempt_id} holds nothing");
    }
    let again = bench.deliver_with(attempt(&bench, &[0, 1, 2], true, 7));
    assert_eq!(again.taken, first.taken, "fresh messages are not part of it");
    assert!(!bench.ack(0, first.delivery) && bench.ack(0, again.delivery));
    bench.clock += HIDDEN;
    assert!(bench.queue().held_by_attempt("c", 7, bench.clock).is_empty());
    let late = bench.deliver_with(attempt(&bench, &[1], true, 7));
    assert!(late.taken.is_empty(), "what expired is not resumed");
}

#[test]
fn an_attempt_of_another_client_is_another_attempt_whatever_its_id() {
    let mut bench = with_messages(2);
    let attempt = |bench: &Bench, client, resume| Deliver {
        attempt_id: 7,
        resume,
        ..bench.taking(client, &[0])
    };
    let first = bench.deliver_with(attempt(&bench, "c", false));
    assert!(bench.queue().held_by_attempt("d", 7, START).is_empty());
    let other = bench.deliver_with(attempt(&bench, "d", true));
    assert!(other.taken.is_empty());
    assert!(
        bench.ack(0, first.delivery),
        "the first client's handle is good still"
    );
}

#[test]
fn an_attempt_id_finds_all_deliveries_that_it_made() {
    let mut bench = with_messages(2);
    for offset in [1, 0] {
        let command = Deliver {
            attempt_id: 7,
            ..bench.taking("c", &[offset])
        };
        bench.deliver_with(command);
    }
    assert_eq!(bench.queue().held_by_attempt("c", 7, START).len(), 2);
}

#[test]
fn in_flight_is_bounded_and_settling_makes_room() {
    let max = limits::IN_FLIGHT_MAX as u64;
    let mut bench = with_messages(max + 2);
    let all: Vec<u64> = (0..max + 2).collect();
    let delivered = bench.deliver("c", &all);
    assert_eq!(offsets(&delivered).len() as u64, max);
    assert_eq!(bench.lag(), (2, max));
    let ready = bench.seen.ready.len();
    assert!(bench.ack(5, delivered.delivery));
    assert_eq!(
        bench.seen.ready[ready..],
        [(bench.id, START)],
        "there is room: look again"
    );
    assert_eq!(offsets(&bench.deliver("d", &all)), [max]);
    bench.clock += HIDDEN;
    assert_eq!(
        offsets(&bench.deliver("d", &all)).len() as u64,
        max,
        "redelivery needs no room"
    );
}

#[test]
fn what_is_not_there_yet_is_not_delivered() {
    let mut bench = with_messages(1);
    assert_eq!(offsets(&bench.deliver("c", &[0, 1, 9])), [0]);
    bench.send();
    assert_eq!(offsets(&bench.deliver("c", &[1])), [1]);
}

#[test]
fn skipped_spans_count_as_done_but_for_what_was_delivered_and_what_is_not_there() {
    let mut bench = with_messages(10);
    bench.deliver("c", &[3]);
    bench.deliver_with(skipping(&bench, &[(0, 2), (2, 4), (8, 50)]));
    assert_eq!(bench.queue().floor(), QueueOffset(3));
    let settled: Vec<_> = bench.queue().settled().iter().collect();
    assert_eq!(settled, [(4, 6), (8, 10)]);
    assert_eq!(bench.lag(), (2, 1));
    bench.send();
    assert_eq!(bench.lag(), (3, 1), "what comes later is not skipped");
    assert_eq!(offsets(&bench.deliver("c", &[4, 5, 6, 7, 8, 10])), [6, 7, 10]);
}

#[test]
fn one_command_may_take_and_skip() {
    let mut bench = with_messages(3);
    let command = Deliver {
        taken: bench.taking("c", &[1]).taken,
        ..skipping(&bench, &[(0, 1), (2, 1)])
    };
    let delivery = bench.deliver_with(command).delivery;
    assert_eq!(bench.queue().floor(), QueueOffset(1));
    assert!(bench.ack(1, delivery));
    assert_eq!((bench.queue().floor(), bench.lag()), (QueueOffset(3), (0, 0)));
}

#[test]
fn queues_and_groups_hold_apart() {
    let mut bench = with_messages(1);
    let other = bench.group("others", false);
    bench.subscribe(other, bench.id.at.topic);
    bench.deliver("c", &[0]);
    bench.id.group = other;
    assert_eq!(bench.lag(), (1, 0));
    bench.id.at.queue = QueueId(1);
    assert_eq!(bench.lag(), (0, 0));
}

#[test]
fn the_first_ready_message_is_the_first_that_is_neither_done_nor_held() {
    let mut bench = with_messages(6);
    let first_ready = |bench: &Bench| {
        let queue = bench.queue();
        queue
            .first_ready(QueueOffset(6), bench.clock)
            .map(|offset| offset.0)
    };
    assert_eq!(first_ready(&bench), Some(0));
    let held = bench.deliver("c", &[0, 1, 3]).delivery;
    assert_eq!(first_ready(&bench), Some(2), "2 was never delivered");
    let later = bench.deliver("d", &[2, 4]).delivery;
    assert!(bench.ack(1, held) && bench.ack(2, later));
    assert_eq!(first_ready(&bench), Some(5), "1 and 2 are done, the rest is held");
    bench.deliver("e", &[5]);
    assert_eq!(first_ready(&bench), None);
    bench.clock += HIDDEN;
    assert_eq!(first_ready(&bench), Some(0), "what ran out is ready again");
}
