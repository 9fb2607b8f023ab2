//! Clients that deal with more than one topic, and namespaces that keep clients apart.

use serde_json::{Value, json};
use sluice_tests::driver::Language;

use crate::stage::{SOON, Stage, bodies, numbered, of_kind, text};

fn of_both(messages: &[&Value]) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = messages
        .iter()
        .map(|message| (text(message, "topic"), text(message, "body")))
        .collect();
    pairs.sort();
    pairs
}

// Quirk node-first-settings: with several topics.
fn one_producer_and_one_push_consumer_serve_several_topics(language: Language) {
    let stage = Stage::with_init(language, &["{name: orders}", "{name: refunds}"], &[]);
    stage.open("producer", "producer", json!({"topics": ["orders", "refunds"]}));
    let options = json!({"group": "workers", "subscriptions": {"orders": "*", "refunds": "urgent"}});
    stage.open("push-consumer", "worker", options);
    for number in 0..20 {
        stage.send(vec![
            json!({"topic": "orders", "body": format!("order-{number:02}")}),
            json!({"topic": "refunds", "tag": "urgent", "body": format!("refund-{number:02}")}),
            json!({"topic": "refunds", "tag": "later", "body": format!("later-{number:02}")}),
        ]);
    }

    let events = stage.handled("worker", 40, SOON);

    let expected: Vec<_> = (0..20)
        .map(|number| ("orders".to_owned(), format!("order-{number:02}")))
        .chain((0..20).map(|number| ("refunds".to_owned(), format!("refund-{number:02}"))))
        .collect();
    assert_eq!(of_both(&of_kind(&events, "handled")), expected);
}

fn a_simple_consumer_of_two_topics_gets_the_messages_of_both(language: Language) {
    let stage = Stage::with_init(language, &["{name: orders}", "{name: refunds}"], &[]);
    stage.open("producer", "producer", json!({"topics": ["orders", "refunds"]}));
    stage.send_bodies("orders", &["an order".to_owned()]);
    stage.send_bodies("refunds", &["a refund".to_owned()]);
    let subscriptions = json!({"orders": "*", "refunds": "*"});
    stage.open(
        "simple-consumer",
        "reader",
        json!({"group": "readers", "subscriptions": subscriptions, "awaitMs": 1000}),
    );
    assert_eq!(
        bodies(&stage.receive_and_ack("reader", 2)),
        ["a refund", "an order"]
    );
}

// Quirk node-namespace: in the resource, the header or both.
fn clients_of_two_namespaces_share_a_broker_and_see_nothing_of_each_other(language: Language) {
    let stage = Stage::new(language);
    for namespace in ["north", "south"] {
        let options = json!({"topics": ["orders"], "namespace": namespace});
        stage.open("producer", namespace, options);
        let messages: Vec<_> = numbered(8)
            .iter()
            .map(|body| json!({"topic": "orders", "body": format!("{namespace} {body}")}))
            .collect();
        let send = json!({"do": "send", "name": namespace, "messages": messages});
        stage.driver.call(send).unwrap();
    }
    for namespace in ["north", "south"] {
        let worker = format!("{namespace} worker");
        let options = json!({"namespace": namespace});
        stage.push_consumer(&worker, "workers", "orders", options);
        let mut reader = crate::stage::simple("readers", "orders", "*");
        reader["namespace"] = json!(namespace);
        let name = format!("{namespace} reader");
        stage.open("simple-consumer", &name, reader);
        let expected: Vec<_> = numbered(8)
            .iter()
            .map(|body| format!("{namespace} {body}"))
            .collect();

        let handled = stage.handled(&worker, 8, SOON);
        let read = stage.receive_and_ack(&name, 8);

        assert_eq!(bodies(of_kind(&handled, "handled")), expected);
        assert_eq!(bodies(&read), expected);
        // As its caller wrote it, without the namespace.
        assert!(read.iter().all(|message| text(message, "topic") == "orders"));
    }
}

with_clients! {
    one_producer_and_one_push_consumer_serve_several_topics: java python node go;
    a_simple_consumer_of_two_topics_gets_the_messages_of_both: java python node go rust;
    clients_of_two_namespaces_share_a_broker_and_see_nothing_of_each_other: java python node go;
}
