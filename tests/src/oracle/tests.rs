//! The checker against histories with one planted violation each.

use super::*;

const FIRST: Group = 0;
const SECOND: Group = 1;

/// One topic with two groups, and one with one.
fn oracle() -> Oracle {
    Oracle::new(vec![vec![FIRST, SECOND], vec![FIRST]])
}

fn place(offset: u32) -> Place {
    Place {
        topic: 0,
        queue: 0,
        offset,
    }
}

fn hash(number: Number) -> u64 {
    u64::from(number) + 1000
}

fn delivery(group: Group, number: Number, offset: u32) -> Delivery {
    Delivery {
        group,
        place: place(offset),
        number: Some(number),
        hash: hash(number),
    }
}

/// Sends a message and gets the acknowledgement.
fn send(oracle: &mut Oracle, number: Number, lane: Option<Lane>, offset: u32) {
    oracle.send_begins(number, 0, lane, hash(number));
    oracle.send_acknowledged(number, offset);
}

fn deliver(oracle: &mut Oracle, number: Number, offset: u32) {
    for group in [FIRST, SECOND] {
        oracle.delivered(delivery(group, number, offset));
        oracle.delivery_acknowledged(group, place(offset));
    }
}

/// The kinds of violation that a history has.
fn kinds(history: impl FnOnce(&mut Oracle)) -> Vec<String> {
    let mut oracle = oracle();
    history(&mut oracle);
    let verdict = oracle.finish();
    verdict.kinds.into_keys().collect()
}

#[test]
fn a_history_without_faults_is_clean() {
    let found = kinds(|oracle| {
        for number in 0..100 {
            send(oracle, number, Some(number % 3), number);
            deliver(oracle, number, number);
        }
        let count = oracle.verdict().count;
        assert_eq!((count.sends, count.deliveries, count.undelivered), (100, 200, 0));
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_delivery_may_come_before_the_acknowledgement_of_its_send() {
    let found = kinds(|oracle| {
        oracle.send_begins(0, 0, None, hash(0));
        deliver(oracle, 0, 0);
        oracle.send_acknowledged(0, 0);
        assert_eq!(oracle.verdict().count.undelivered, 0);
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_send_whose_answer_was_lost_may_appear_or_not() {
    let found = kinds(|oracle| {
        for number in 0..3 {
            oracle.send_begins(number, 0, Some(1), hash(number));
            oracle.send_lost_its_answer(number);
        }
        deliver(oracle, 1, 0);
        oracle.delivered(delivery(FIRST, 2, 1));
        oracle.delivered(delivery(FIRST, 2, 2));
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_message_may_come_again_until_it_is_acknowledged() {
    let found = kinds(|oracle| {
        send(oracle, 0, Some(1), 0);
        send(oracle, 1, Some(1), 1);
        oracle.delivered(delivery(FIRST, 0, 0));
        oracle.delivered(delivery(FIRST, 1, 1));
        deliver(oracle, 0, 0);
        deliver(oracle, 1, 1);
        assert_eq!(oracle.verdict().count.repeated_deliveries, 2);
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_message_that_one_group_never_gets_is_lost() {
    let found = kinds(|oracle| {
        send(oracle, 0, None, 0);
        oracle.delivered(delivery(FIRST, 0, 0));
        assert_eq!(oracle.verdict().count.undelivered, 1);
    });
    assert_eq!(found, ["Lost"]);
}

#[test]
fn what_nobody_sent_is_invented() {
    let nobody = Delivery {
        number: None,
        ..delivery(FIRST, 0, 0)
    };
    assert_eq!(kinds(|oracle| oracle.delivered(nobody)), ["Invented"]);
    assert_eq!(
        kinds(|oracle| oracle.delivered(delivery(FIRST, 7, 0))),
        ["Invented"]
    );
    let found = kinds(|oracle| {
        // Numbers up to the highest heard of are not all begun.
        oracle.send_begins(5, 0, None, hash(5));
        oracle.delivered(delivery(FIRST, 3, 0));
    });
    assert_eq!(found, ["Invented"]);
}

#[test]
fn a_body_that_changed_is_found() {
    let found = kinds(|oracle| {
        send(oracle, 0, None, 0);
        deliver(oracle, 0, 0);
        oracle.send_begins(1, 0, None, hash(1));
        oracle.delivered(Delivery {
            hash: 1,
            ..delivery(FIRST, 1, 1)
        });
    });
    assert_eq!(found, ["BodyDiffers"]);
}

#[test]
fn a_message_under_another_topic_is_found() {
    let found = kinds(|oracle| {
        oracle.send_begins(0, 1, None, hash(0));
        oracle.delivered(delivery(FIRST, 0, 0));
    });
    assert_eq!(found, ["OtherTopic"]);
}

#[test]
fn an_offset_far_beyond_all_sends_is_found() {
    let found = kinds(|oracle| {
        oracle.send_begins(0, 0, None, hash(0));
        oracle.delivered(delivery(FIRST, 0, u32::MAX));
    });
    assert_eq!(found, ["BeyondTheQueue"]);
}

#[test]
fn a_refused_send_never_appears() {
    let before = kinds(|oracle| {
        oracle.send_begins(0, 0, None, hash(0));
        oracle.send_refused(0);
        oracle.delivered(delivery(FIRST, 0, 0));
    });
    let after = kinds(|oracle| {
        oracle.send_begins(0, 0, None, hash(0));
        oracle.delivered(delivery(FIRST, 0, 0));
        oracle.send_refused(0);
    });
    assert_eq!(before, ["RefusedYetDelivered"]);
    assert_eq!(after, ["RefusedYetDelivered"]);
}

#[test]
fn an_offset_that_names_another_message_later_is_found() {
    let found = kinds(|oracle| {
        for number in 0..2 {
            oracle.send_begins(number, 0, None, hash(number));
            oracle.send_lost_its_answer(number);
        }
        oracle.delivered(delivery(FIRST, 0, 0));
        oracle.delivered(delivery(SECOND, 1, 0));
    });
    assert_eq!(found, ["TwoMessagesAtOnePlace"]);
}

#[test]
fn an_acknowledged_message_with_two_places_is_found() {
    let found = kinds(|oracle| {
        send(oracle, 0, None, 0);
        deliver(oracle, 0, 0);
        oracle.delivered(delivery(FIRST, 0, 1));
    });
    assert_eq!(found, ["TwoPlacesOfOneMessage"]);
}

#[test]
fn an_offset_other_than_the_answered_one_is_found() {
    let found = kinds(|oracle| {
        send(oracle, 0, None, 1);
        deliver(oracle, 0, 0);
    });
    assert_eq!(found, ["OtherOffsetThanAnswered"]);
    let found = kinds(|oracle| {
        oracle.send_begins(0, 0, None, hash(0));
        deliver(oracle, 0, 0);
        oracle.send_acknowledged(0, 1);
    });
    assert_eq!(found, ["OtherOffsetThanAnswered"]);
}

#[test]
fn first_deliveries_of_a_lane_against_their_order_are_found() {
    let found = kinds(|oracle| {
        for number in 0..3 {
            send(oracle, number, Some(9), number);
        }
        deliver(oracle, 0, 0);
        oracle.delivered(delivery(FIRST, 2, 2));
        deliver(oracle, 1, 1);
        deliver(oracle, 2, 2);
    });
    assert_eq!(found, ["OutOfOrder"]);
}

#[test]
fn lanes_do_not_order_each_other() {
    let found = kinds(|oracle| {
        send(oracle, 0, Some(1), 0);
        send(oracle, 1, Some(2), 1);
        deliver(oracle, 1, 1);
        deliver(oracle, 0, 0);
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_delivery_after_its_acknowledgement_is_found() {
    let found = kinds(|oracle| {
        send(oracle, 0, None, 0);
        deliver(oracle, 0, 0);
        oracle.delivered(delivery(SECOND, 0, 0));
    });
    assert_eq!(found, ["DeliveredAfterAcknowledgement"]);
}

#[test]
fn a_delivery_that_the_broker_forgot_is_found() {
    let found = kinds(|oracle| {
        send(oracle, 0, None, 0);
        deliver(oracle, 0, 0);
        oracle.delivery_forgotten(FIRST, place(0));
    });
    assert_eq!(found, ["DeliveryForgotten"]);
}

#[test]
fn a_later_send_in_front_of_an_acknowledged_one_is_found() {
    let found = kinds(|oracle| {
        send(oracle, 0, None, 1);
        send(oracle, 1, None, 0);
        deliver(oracle, 0, 1);
        deliver(oracle, 1, 0);
    });
    assert_eq!(found, ["AgainstTime"]);
}

#[test]
fn sends_that_overlap_may_stand_in_any_order() {
    let found = kinds(|oracle| {
        oracle.send_begins(0, 0, None, hash(0));
        oracle.send_begins(1, 0, None, hash(1));
        oracle.send_acknowledged(0, 1);
        oracle.send_acknowledged(1, 0);
        deliver(oracle, 0, 1);
        deliver(oracle, 1, 0);
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn violations_beyond_those_described_are_counted() {
    let mut oracle = oracle();
    for number in 0..200 {
        oracle.delivered(delivery(FIRST, number, number));
    }
    let verdict = oracle.finish();
    assert_eq!((verdict.violation_count, verdict.violations.len()), (200, 20));
    assert_eq!(verdict.kinds["Invented"], 200);
    assert!(!verdict.is_clean());
}
