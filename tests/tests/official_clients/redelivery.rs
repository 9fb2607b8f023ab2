//! Messages that come again, and those that stop coming.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_tests::wait;

use sluice_tests::driver::Language;

use crate::stage::{SOON, Stage, bodies, numbered, of_kind, simple, text};

/// The shortest that the protocol knows.
const INVISIBLE: Duration = Duration::from_secs(10);

fn attempts(messages: &[&Value]) -> Vec<u64> {
    messages
        .iter()
        .filter_map(|message| message["attempt"].as_u64())
        .collect()
}

fn a_message_whose_handler_fails_comes_again_with_the_next_attempt(language: Language) {
    let stage = Stage::with_init(language, &["{name: orders}"], &["{name: workers, backoff: [1s]}"]);
    stage.producer("orders");
    stage.push_consumer("worker", "workers", "orders", json!({"failFirst": 2}));
    let ids = stage.send_bodies("orders", &numbered(1));
    let events = stage.handled("worker", 1, SOON);
    let received = of_kind(&events, "received");
    assert_eq!(attempts(&received), [1, 2, 3]);
    assert!(
        received
            .iter()
            .all(|message| text(message, "messageId") == ids[0])
    );
    let waits: Vec<_> = events
        .iter()
        .filter(|event| event.kind == "received")
        .map(|event| event.at)
        .collect();
    for pair in waits.windows(2) {
        let waited = pair[1] - pair[0];
        assert!(
            waited >= Duration::from_millis(900),
            "the back-off is 1 s, not {waited:?}"
        );
    }
}

fn a_message_beyond_its_attempts_goes_to_the_dead_letters(language: Language) {
    let stage = Stage::with_init(
        language,
        &["{name: orders}"],
        &["{name: workers, maxAttempts: 2, backoff: [1s]}"],
    );
    stage.producer("orders");
    stage.push_consumer(
        "worker",
        "workers",
        "orders",
        json!({"failFirst": 100, "failBody": "m-001"}),
    );
    stage.send_bodies("orders", &numbered(3));

    let dead = dead_letters(&stage, "workers");

    assert_eq!(bodies(&dead), ["m-001"]);
    let events = stage.handled("worker", 2, SOON);
    let failed = of_kind(&events, "failed");
    assert_eq!(attempts(&failed), [1, 2]);
    assert_eq!(bodies(of_kind(&events, "handled")), ["m-000", "m-002"]);
}

/// Waits until there is one; reads one message from the topic.
pub fn dead_letters(stage: &Stage, group: &str) -> Vec<Value> {
    wait::until("there are dead letters", SOON, || {
        let count = stage.broker.metric("rocketmq_send_to_dlq_messages_total")?;
        Ok((count > 0.0).then_some(()))
    })
    .unwrap();
    let dead = simple("undertakers", &format!("%DLQ%{group}"), "*");
    stage.open("simple-consumer", "undertaker", dead);
    stage.receive_and_ack("undertaker", 1)
}

fn only_what_is_not_acknowledged_comes_again_after_its_invisible_duration(language: Language) {
    let stage = Stage::new(language);
    stage.producer("orders");
    stage.send_bodies("orders", &numbered(2));
    stage.simple_consumer("reader", "readers", "orders", "*");
    let received = Instant::now();
    let mut first = Vec::new();
    while first.len() < 2 {
        first.extend(stage.receive("reader", INVISIBLE));
        assert!(
            received.elapsed() < INVISIBLE,
            "two messages are there: {first:?}"
        );
    }
    let both = Instant::now();
    let (acknowledged, kept) = (&first[0], &first[1]);
    stage.ack("reader", acknowledged);

    let mut again = Vec::new();
    while again.is_empty() && received.elapsed() < 3 * INVISIBLE {
        again = stage.receive("reader", INVISIBLE);
    }

    let waited = received.elapsed();
    assert_eq!(bodies(&again), [text(kept, "body")]);
    assert_eq!(again[0]["attempt"], json!(2));
    assert!(
        waited >= INVISIBLE && both.elapsed() < INVISIBLE * 2,
        "{waited:?}"
    );
    assert_ne!(again[0]["handle"], kept["handle"]);
    // The old handle is no good any more; the new one is.
    let old = stage
        .driver
        .call(json!({"do": "ack", "name": "reader", "ref": kept["ref"]}));
    assert!(old.is_err(), "an acknowledgement with an old handle was accepted");
    stage.ack("reader", &again[0]);
}

fn a_shorter_invisible_duration_brings_a_message_back_sooner(language: Language) {
    let stage = Stage::new(language);
    stage.producer("orders");
    stage.send_bodies("orders", &numbered(1));
    stage.simple_consumer("reader", "readers", "orders", "*");
    let first = stage.receive("reader", Duration::from_secs(300));
    assert_eq!(first.len(), 1);
    let change =
        json!({"do": "change-invisible", "name": "reader", "ref": first[0]["ref"], "invisibleMs": 1000});
    stage.driver.call(change).unwrap();
    let changed = Instant::now();
    let mut again = Vec::new();
    while again.is_empty() && changed.elapsed() < SOON {
        again = stage.receive("reader", SOON);
    }
    assert!(
        changed.elapsed() < Duration::from_secs(10),
        "{:?}",
        changed.elapsed()
    );
    assert_eq!((bodies(&again), &again[0]["attempt"]), (numbered(1), &json!(2)));
    stage.ack("reader", &again[0]);
}

// Quirk java-new-handle.
fn a_longer_invisible_duration_keeps_a_message_away(language: Language) {
    let stage = Stage::new(language);
    stage.producer("orders");
    stage.send_bodies("orders", &numbered(1));
    stage.simple_consumer("reader", "readers", "orders", "*");
    let received = Instant::now();
    let first = stage.receive("reader", INVISIBLE);
    assert_eq!(first.len(), 1);
    let change =
        json!({"do": "change-invisible", "name": "reader", "ref": first[0]["ref"], "invisibleMs": 60_000});
    stage.driver.call(change).unwrap();
    while received.elapsed() < INVISIBLE + Duration::from_secs(2) {
        let early = stage.receive("reader", SOON);
        assert!(
            early.is_empty(),
            "hidden for 60 s, it came after {:?}",
            received.elapsed()
        );
    }
    // The client goes on with the handle that the change brought.
    stage.ack("reader", &first[0]);
}

fn a_handler_may_take_longer_than_a_delivery_lasts(language: Language) {
    // Deliveries to push consumers last 60 s unless the broker renews them.
    let hold = Duration::from_secs(65);
    let stage = Stage::new(language);
    stage.producer("orders");
    stage.push_consumer(
        "worker",
        "workers",
        "orders",
        json!({"holdMs": hold.as_millis() as u64}),
    );
    stage.send_bodies("orders", &numbered(1));
    let events = stage.handled("worker", 1, hold + SOON);
    assert_eq!(of_kind(&events, "received").len(), 1, "{events:?}");
    // What came again would be received at once, for the consumer is idle now.
    stage.send_bodies("orders", &["last".to_owned()]);
    let received = stage
        .driver
        .wait_for("the last message is received", SOON, |events| {
            let received = bodies(of_kind(events, "received"));
            received.contains(&"last".to_owned()).then_some(received)
        })
        .unwrap();
    assert_eq!(received, ["last", "m-000"]);
}

with_clients! {
    a_message_whose_handler_fails_comes_again_with_the_next_attempt: java python node go;
    a_message_beyond_its_attempts_goes_to_the_dead_letters: java python node go;
    only_what_is_not_acknowledged_comes_again_after_its_invisible_duration: java python node rust;
    a_shorter_invisible_duration_brings_a_message_back_sooner: java python node go;
    a_longer_invisible_duration_keeps_a_message_away: java python node go;
    a_handler_may_take_longer_than_a_delivery_lasts: java python node go;
}
