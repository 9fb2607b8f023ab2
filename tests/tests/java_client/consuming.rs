//! Who gets which messages.

use serde_json::{Value, json};

use crate::stage::{SOON, Stage, bodies, numbered, of_kind};

#[test]
fn a_push_consumer_gets_every_message_once() {
    let stage = Stage::new();
    stage.producer("orders");
    stage.push_consumer("worker", "workers", "orders", json!({}));
    stage.send_bodies("orders", &numbered(200));
    let events = stage.handled("worker", 200, SOON);
    assert_eq!(bodies(of_kind(&events, "received")), numbered(200));
    assert!(
        of_kind(&events, "received")
            .iter()
            .all(|message| message["attempt"] == json!(1))
    );
}

#[test]
fn a_group_that_comes_later_gets_what_was_sent_before() {
    let stage = Stage::new();
    stage.producer("orders");
    stage.send_bodies("orders", &numbered(50));
    stage.push_consumer("worker", "workers", "orders", json!({}));
    let events = stage.handled("worker", 50, SOON);
    assert_eq!(bodies(of_kind(&events, "handled")), numbered(50));
}

#[test]
fn two_groups_each_get_every_message() {
    let stage = Stage::new();
    stage.producer("orders");
    stage.push_consumer("biller", "billing", "orders", json!({}));
    stage.push_consumer("shipper", "shipping", "orders", json!({}));
    stage.send_bodies("orders", &numbered(100));
    for name in ["biller", "shipper"] {
        let events = stage.handled(name, 100, SOON);
        assert_eq!(bodies(of_kind(&events, "handled")), numbered(100), "{name}");
    }
}

#[test]
fn consumers_of_one_group_share_its_messages() {
    let stage = Stage::new();
    stage.producer("orders");
    stage.push_consumer("one", "workers", "orders", json!({}));
    stage.push_consumer("two", "workers", "orders", json!({}));
    stage.send_bodies("orders", &numbered(200));
    let handled = stage
        .driver
        .wait_for("both together handle 200", SOON, |events| {
            let handled = of_kind(events, "handled");
            (handled.len() >= 200).then(|| bodies(handled))
        })
        .unwrap();
    assert_eq!(handled, numbered(200));
}

#[test]
fn a_consumer_gets_only_the_tags_it_asked_for() {
    let stage = Stage::new();
    stage.producer("paints");
    let of =
        |tag: &str, number: usize| json!({"topic": "paints", "tag": tag, "body": format!("{tag}-{number}")});
    let mut messages: Vec<Value> = (0..20)
        .flat_map(|number| ["red", "green", "blue"].map(|tag| of(tag, number)))
        .collect();
    messages.push(json!({"topic": "paints", "body": "untagged"}));
    stage.send(messages);

    stage.open(
        "push-consumer",
        "painter",
        json!({"group": "painters", "subscriptions": {"paints": "red || blue"}}),
    );
    stage.simple_consumer("gardener", "gardeners", "paints", "green");
    stage.simple_consumer("collector", "collectors", "paints", "*");

    let events = stage.handled("painter", 40, SOON);
    let painted = bodies(of_kind(&events, "received"));
    assert!(
        painted
            .iter()
            .all(|body| body.starts_with("red") || body.starts_with("blue")),
        "{painted:?}"
    );
    let greens = stage.receive_and_ack("gardener", 20);
    assert!(
        greens.iter().all(|message| message["tag"] == json!("green")),
        "{greens:?}"
    );
    assert!(stage.receive("gardener", SOON).is_empty());
    assert_eq!(stage.receive_and_ack("collector", 61).len(), 61);
}

#[test]
fn an_empty_topic_gives_an_empty_receive_after_the_time_to_wait() {
    let stage = Stage::new();
    stage.producer("orders");
    stage.simple_consumer("reader", "readers", "orders", "*");
    let started = std::time::Instant::now();
    assert!(stage.receive("reader", SOON).is_empty());
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

#[test]
fn a_waiting_receive_is_woken_by_a_send() {
    let stage = Stage::new();
    stage.producer("orders");
    stage.open(
        "simple-consumer",
        "reader",
        json!({"group": "readers", "subscriptions": {"orders": "*"}, "awaitMs": 20_000}),
    );
    let receive = json!({"do": "receive", "name": "reader", "max": 8, "invisibleMs": 30_000});
    let waiting = stage.driver.begin(receive).unwrap();
    let sent = std::time::Instant::now();
    stage.send_bodies("orders", &numbered(1));
    let messages = waiting.wait().unwrap();
    assert_eq!(bodies(messages.as_array().unwrap()), numbered(1));
    assert!(sent.elapsed().as_secs() < 5, "{:?}", sent.elapsed());
}
