//! Message groups in order.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sluice_tests::driver::{Event, Language};

use crate::redelivery::dead_letters;
use crate::stage::{SOON, Stage, bodies, numbered, of_kind, text};

const TOPIC: &str = "{name: ledger, queues: 4, types: [FIFO]}";

fn message(group: &str, body: &str) -> Value {
    json!({"topic": "ledger", "messageGroup": group, "body": body})
}

/// The bodies by message group, in the order in which their handlers began.
fn by_group(events: &[Event]) -> BTreeMap<String, Vec<String>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for message in of_kind(events, "received") {
        groups
            .entry(text(message, "messageGroup"))
            .or_default()
            .push(text(message, "body"));
    }
    groups
}

/// Each group's `received` and `handled` or `failed` alternate.
fn assert_one_at_a_time(events: &[Event]) {
    let mut running = BTreeMap::<String, bool>::new();
    for event in events {
        let group = text(&event.message, "messageGroup");
        let begins = event.kind == "received";
        let was_running = running.insert(group.clone(), begins).unwrap_or(false);
        assert_ne!(
            begins, was_running,
            "{group} has two messages in handling at {event:?}"
        );
    }
}

fn each_message_group_is_handled_in_the_order_of_sending_one_at_a_time(language: Language) {
    let stage = Stage::with_init(language, &[TOPIC], &["{name: auditors, fifo: true}"]);
    stage.producer("ledger");
    stage.push_consumer("auditor", "auditors", "ledger", json!({"threads": 8}));
    let groups: Vec<_> = (0..8).map(|number| format!("account-{number}")).collect();
    let messages = numbered(40)
        .iter()
        .flat_map(|body| groups.iter().map(move |group| message(group, body)))
        .collect();
    stage.send(messages);

    let events = stage.handled("auditor", 320, SOON);

    let order = by_group(&events);
    assert_eq!(order.len(), 8);
    for (group, bodies) in &order {
        assert_eq!(*bodies, numbered(40), "{group}");
    }
    assert_one_at_a_time(&events);
}

fn a_backlog_of_message_groups_is_handled_in_order_by_two_consumers(language: Language) {
    let stage = Stage::with_init(language, &[TOPIC], &["{name: auditors, fifo: true}"]);
    stage.producer("ledger");
    let groups: Vec<_> = (0..5).map(|number| format!("account-{number}")).collect();
    let messages = numbered(60)
        .iter()
        .flat_map(|body| groups.iter().map(move |group| message(group, body)))
        .collect();
    stage.send(messages);

    for name in ["one", "two"] {
        stage.push_consumer(name, "auditors", "ledger", json!({"threads": 4}));
    }

    let events = stage
        .driver
        .wait_for("both together handle 300", SOON, |events| {
            (of_kind(events, "handled").len() >= 300).then(|| events.to_vec())
        })
        .unwrap();
    for (group, bodies) in by_group(&events) {
        assert_eq!(bodies, numbered(60), "{group}");
    }
}

fn a_failing_message_holds_back_its_own_message_group_only(language: Language) {
    let stage = Stage::with_init(
        language,
        &[TOPIC],
        &["{name: auditors, fifo: true, backoff: [10s]}"],
    );
    stage.producer("ledger");
    // Without it the client itself handles the message groups of one receive one after the other.
    stage.push_consumer(
        "auditor",
        "auditors",
        "ledger",
        json!({"failFirst": 1, "failBody": "bad", "accelerated": true}),
    );
    stage.send(vec![
        message("a", "first"),
        message("a", "bad"),
        message("a", "after"),
        message("b", "other"),
        message("b", "another"),
    ]);

    let events = stage.handled("auditor", 5, SOON);

    let order = by_group(&events);
    assert_eq!(order["a"], ["first", "bad", "bad", "after"]);
    assert_eq!(order["b"], ["other", "another"]);
    assert_one_at_a_time(&events);
    let at = |kind: &str, body: &str| {
        let found = events
            .iter()
            .position(|event| event.kind == kind && text(&event.message, "body") == body);
        found.unwrap_or_else(|| panic!("no {kind} {body}"))
    };
    assert!(
        at("handled", "another") < at("handled", "bad"),
        "the other message group waited too"
    );
}

fn a_message_group_goes_on_when_a_hopeless_message_became_a_dead_letter(language: Language) {
    let stage = Stage::with_init(
        language,
        &[TOPIC],
        &["{name: auditors, fifo: true, maxAttempts: 2, backoff: [1s]}"],
    );
    stage.producer("ledger");
    stage.push_consumer(
        "auditor",
        "auditors",
        "ledger",
        json!({"failFirst": 100, "failBody": "bad"}),
    );
    stage.send(vec![
        message("a", "first"),
        message("a", "bad"),
        message("a", "after"),
    ]);

    let events = stage.handled("auditor", 2, SOON);

    assert_eq!(by_group(&events)["a"], ["first", "bad", "bad", "after"]);
    assert_eq!(bodies(&dead_letters(&stage, "auditors")), ["bad"]);
}

fn a_simple_consumer_gets_the_messages_of_a_group_in_order_and_the_next_ones_once_they_are_settled(
    language: Language,
) {
    let stage = Stage::with_init(language, &[TOPIC], &["{name: auditors, fifo: true}"]);
    stage.producer("ledger");
    let groups: Vec<_> = (0..4).map(|number| format!("account-{number}")).collect();
    let messages = numbered(20)
        .iter()
        .flat_map(|body| groups.iter().map(move |group| message(group, body)))
        .collect();
    stage.send(messages);
    stage.simple_consumer("auditor", "auditors", "ledger", "*");

    let received = stage.receive_and_ack("auditor", 80);

    for group in &groups {
        let of_group = received
            .iter()
            .filter(|message| text(message, "messageGroup") == *group);
        let bodies: Vec<_> = of_group.map(|message| text(message, "body")).collect();
        assert_eq!(bodies, numbered(20), "{group}");
    }
}

with_clients! {
    a_simple_consumer_gets_the_messages_of_a_group_in_order_and_the_next_ones_once_they_are_settled: java python node go rust;
    each_message_group_is_handled_in_the_order_of_sending_one_at_a_time: java python node go;
    a_backlog_of_message_groups_is_handled_in_order_by_two_consumers: java python node go;
    a_failing_message_holds_back_its_own_message_group_only: java python node;
    a_message_group_goes_on_when_a_hopeless_message_became_a_dead_letter: java python node;
}
