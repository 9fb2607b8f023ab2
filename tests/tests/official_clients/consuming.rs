//! Who gets which messages.

use serde_json::{Value, json};

use sluice_tests::driver::Language;

use crate::stage::{SOON, Stage, bodies, numbered, of_kind};

// Quirks python-1168, python-1191: metrics are off.
fn a_push_consumer_gets_every_message_once(language: Language) {
    let stage = Stage::new(language);
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

fn a_group_that_comes_later_gets_what_was_sent_before(language: Language) {
    let stage = Stage::new(language);
    stage.producer("orders");
    stage.send_bodies("orders", &numbered(50));
    stage.push_consumer("worker", "workers", "orders", json!({}));
    let events = stage.handled("worker", 50, SOON);
    assert_eq!(bodies(of_kind(&events, "handled")), numbered(50));
}

fn two_groups_each_get_every_message(language: Language) {
    let stage = Stage::new(language);
    stage.producer("orders");
    stage.push_consumer("biller", "billing", "orders", json!({}));
    stage.push_consumer("shipper", "shipping", "orders", json!({}));
    stage.send_bodies("orders", &numbered(100));
    for name in ["biller", "shipper"] {
        let events = stage.handled(name, 100, SOON);
        assert_eq!(bodies(of_kind(&events, "handled")), numbered(100), "{name}");
    }
}

fn consumers_of_one_group_share_its_messages(language: Language) {
    let stage = Stage::new(language);
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

fn a_consumer_gets_only_the_tags_it_asked_for(language: Language) {
    let stage = Stage::new(language);
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

// Quirk rust-deadline: it gives up exactly when its poll ends.
fn an_empty_topic_gives_an_empty_receive_after_the_time_to_wait(language: Language) {
    let stage = Stage::new(language);
    stage.producer("orders");
    stage.simple_consumer("reader", "readers", "orders", "*");
    let started = std::time::Instant::now();
    assert!(stage.receive("reader", SOON).is_empty());
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

fn a_waiting_receive_is_woken_by_a_send(language: Language) {
    let stage = Stage::new(language);
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

// Quirk node-refusal: it tries again for ever unless it is told by a frame.
fn a_consumer_of_a_group_that_cannot_be_is_told_so(language: Language) {
    let stage = Stage::with_init(language, &["{name: orders}"], &[]);
    let open = json!({
        "do": "push-consumer",
        "name": "worker",
        "endpoints": stage.broker.endpoint(),
        "group": "a b",
        "subscriptions": {"orders": "*"},
    });
    let error = stage.driver.call(open).unwrap_err().to_string();
    // In the broker's words, or in those of a client that does not ask it.
    let told = ["consumer group 'a b'", "consumerGroup does not match the regex"];
    assert!(told.iter().any(|words| error.contains(words)), "{error}");
}

with_clients! {
    a_consumer_of_a_group_that_cannot_be_is_told_so: java python node go;
    a_push_consumer_gets_every_message_once: java python node go;
    a_group_that_comes_later_gets_what_was_sent_before: java python node go;
    two_groups_each_get_every_message: java python node go;
    consumers_of_one_group_share_its_messages: java python node go;
    a_consumer_gets_only_the_tags_it_asked_for: java python node go;
    an_empty_topic_gives_an_empty_receive_after_the_time_to_wait: java python node go rust;
    a_waiting_receive_is_woken_by_a_send: java python node go rust;
}
