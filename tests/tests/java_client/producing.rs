//! What a producer sends is what a consumer gets.

use serde_json::json;

use crate::stage::{Stage, bodies, numbered, text, texts};

/// What the protocol allows, less what is not body.
const LARGE: usize = (4 << 20) - 4096;

#[test]
fn a_message_arrives_with_its_body_tag_keys_and_properties() {
    let stage = Stage::new();
    stage.producer("orders");
    let ids = stage.send(vec![json!({
        "topic": "orders",
        "body": "grüße, 世界",
        "tag": "paid",
        "keys": ["order-17", "customer-4"],
        "properties": {"region": "eu-1", "weight": "12.5", "note": "a=b; c"},
    })]);
    stage.simple_consumer("reader", "readers", "orders", "*");

    let messages = stage.receive_and_ack("reader", 1);

    let message = &messages[0];
    assert_eq!(text(message, "messageId"), ids[0]);
    assert_eq!(text(message, "topic"), "orders");
    assert_eq!(text(message, "body"), "grüße, 世界");
    assert_eq!(text(message, "tag"), "paid");
    assert_eq!(texts(&message["keys"]), ["order-17", "customer-4"]);
    let properties = json!({"region": "eu-1", "weight": "12.5", "note": "a=b; c"});
    assert_eq!(message["properties"], properties);
    assert_eq!(message["attempt"], json!(1));
    assert_eq!(message["corrupted"], json!(false));
    assert!(message["messageGroup"].is_null());
    assert!(!text(message, "bornHost").is_empty());
    assert!(
        message["bornTimestamp"]
            .as_u64()
            .is_some_and(|born| born > 1_700_000_000_000)
    );
}

#[test]
fn a_message_without_tag_keys_and_properties_arrives_without_them() {
    let stage = Stage::new();
    stage.producer("orders");
    stage.send_bodies("orders", &numbered(1));
    stage.simple_consumer("reader", "readers", "orders", "*");
    let messages = stage.receive_and_ack("reader", 1);
    assert!(messages[0]["tag"].is_null());
    assert_eq!(
        (&messages[0]["keys"], &messages[0]["properties"]),
        (&json!([]), &json!({}))
    );
}

#[test]
fn a_body_just_under_four_mebibytes_arrives_unharmed() {
    let stage = Stage::new();
    stage.producer("files");
    stage.send(vec![json!({"topic": "files", "size": LARGE})]);
    stage.simple_consumer("reader", "readers", "files", "*");

    let messages = stage.receive_and_ack("reader", 1);

    // The pattern that the driver fills bodies with.
    let body: Vec<u8> = (0..LARGE)
        .map(|i| (i.wrapping_mul(31) + (i >> 8)) as u8)
        .collect();
    assert_eq!(messages[0]["size"], json!(LARGE));
    assert_eq!(messages[0]["crc32"], json!(crc32fast::hash(&body)));
    assert_eq!(messages[0]["corrupted"], json!(false));
}

#[test]
fn messages_sent_all_at_once_all_arrive() {
    let stage = Stage::new();
    stage.producer("orders");
    let sent = numbered(300);
    let messages: Vec<_> = sent
        .iter()
        .map(|body| json!({"topic": "orders", "body": body}))
        .collect();
    let command = json!({"do": "send", "name": "producer", "async": true, "messages": messages});
    let mut ids = texts(&stage.driver.call(command).unwrap());
    stage.simple_consumer("reader", "readers", "orders", "*");

    let received = stage.receive_and_ack("reader", 300);

    assert_eq!(bodies(&received), sent);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 300);
}

#[test]
fn a_topic_nobody_declared_is_made_by_the_first_send() {
    let stage = Stage::new();
    stage.open("producer", "producer", json!({}));
    stage.send_bodies("surprise", &numbered(3));
    stage.simple_consumer("reader", "readers", "surprise", "*");
    assert_eq!(bodies(&stage.receive_and_ack("reader", 3)), numbered(3));
}

#[test]
fn a_send_to_an_absent_topic_fails_where_topics_are_not_made() {
    let setup = sluice_tests::process::Setup::new().flag("--auto-create-topics", "false");
    let stage = Stage::with(setup);
    stage.open("producer", "producer", json!({"maxAttempts": 1}));
    let messages = json!([{"topic": "absent", "body": "x"}]);
    let error = stage
        .driver
        .call(json!({"do": "send", "name": "producer", "messages": messages}))
        .unwrap_err();
    assert!(error.to_string().contains("NotFound"), "{error}");
}

#[test]
fn a_client_in_tls_and_one_in_plaintext_share_a_port() {
    let stage = Stage::new();
    // TLS is the client's default.
    stage.producer("orders");
    stage.open("producer", "plain", json!({"topics": ["orders"], "ssl": false}));
    stage.send_bodies("orders", &["by TLS".to_owned()]);
    let message = json!([{"topic": "orders", "body": "in plaintext"}]);
    stage
        .driver
        .call(json!({"do": "send", "name": "plain", "messages": message}))
        .unwrap();

    for (name, options) in [
        ("by TLS", json!({"ssl": true})),
        ("in plaintext", json!({"ssl": false})),
    ] {
        let mut consumer = crate::stage::simple(&format!("readers-{}", options["ssl"]), "orders", "*");
        consumer["ssl"] = options["ssl"].clone();
        stage.open("simple-consumer", name, consumer);
        assert_eq!(
            bodies(&stage.receive_and_ack(name, 2)),
            ["by TLS", "in plaintext"]
        );
    }
}
