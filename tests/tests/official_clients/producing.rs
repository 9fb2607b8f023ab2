//! What a producer sends is what a consumer gets.

use serde_json::{Value, json};

use sluice_tests::driver::Language;

use crate::stage::{Stage, bodies, numbered, text, texts};

/// What the protocol allows, less what is not body.
const LARGE: usize = (4 << 20) - 4096;

fn a_message_arrives_with_its_body_tag_keys_and_properties(language: Language) {
    let stage = Stage::new(language);
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
    // Python's client keeps them in no order.
    let mut keys = texts(&message["keys"]);
    keys.sort();
    assert_eq!(keys, ["customer-4", "order-17"]);
    let properties = json!({"region": "eu-1", "weight": "12.5", "note": "a=b; c"});
    assert_eq!(message["properties"], properties);
    assert_eq!(message["attempt"], json!(1));
    assert_sound(message);
    assert!(message["messageGroup"].is_null());
    assert!(!text(message, "bornHost").is_empty());
    assert!(
        message["bornTimestamp"]
            .as_u64()
            .is_some_and(|born| born > 1_700_000_000_000)
    );
}

/// The client takes the body for what was sent, where it says so at all.
fn assert_sound(message: &Value) {
    assert_ne!(message["corrupted"], json!(true));
}

fn a_message_without_tag_keys_and_properties_arrives_without_them(language: Language) {
    let stage = Stage::new(language);
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

// Quirk node-4-mib: what all clients can receive.
fn a_body_just_under_four_mebibytes_arrives_unharmed(language: Language) {
    arrives_unharmed(language, LARGE);
}

// Quirk go-2-mib: it says that it sends no more than half of that.
fn a_body_of_four_mebibytes_to_the_byte_arrives_unharmed(language: Language) {
    arrives_unharmed(language, 4 << 20);
}

fn arrives_unharmed(language: Language, size: usize) {
    let stage = Stage::new(language);
    stage.producer("files");
    stage.send(vec![json!({"topic": "files", "size": size})]);
    stage.simple_consumer("reader", "readers", "files", "*");

    let messages = stage.receive_and_ack("reader", 1);

    // The pattern that the driver fills bodies with.
    let body: Vec<u8> = (0..size).map(|i| (i.wrapping_mul(31) + (i >> 8)) as u8).collect();
    assert_eq!(messages[0]["size"], json!(size));
    assert_eq!(messages[0]["crc32"], json!(crc32fast::hash(&body)));
    assert_sound(&messages[0]);
}

fn messages_sent_all_at_once_all_arrive(language: Language) {
    let stage = Stage::new(language);
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

fn a_topic_nobody_declared_is_made_by_the_first_send(language: Language) {
    let stage = Stage::new(language);
    stage.open("producer", "producer", json!({}));
    stage.send_bodies("surprise", &numbered(3));
    stage.simple_consumer("reader", "readers", "surprise", "*");
    assert_eq!(bodies(&stage.receive_and_ack("reader", 3)), numbered(3));
}

fn a_send_to_an_absent_topic_fails_where_topics_are_not_made(language: Language) {
    let setup = sluice_tests::process::Setup::new().flag("--auto-create-topics", "false");
    let stage = Stage::with(language, setup);
    stage.open("producer", "producer", json!({}));
    let messages = json!([{"topic": "absent", "body": "x"}]);
    let error = stage
        .driver
        .call(json!({"do": "send", "name": "producer", "messages": messages}))
        .unwrap_err();
    let error = error.to_string();
    // Python's client keeps the broker's words to itself.
    let told = ["NotFound", "TOPIC_NOT_FOUND", "failed to fetch topic"];
    assert!(told.iter().any(|words| error.contains(words)), "{error}");
}

fn a_send_to_a_topic_that_cannot_be_is_told_to_its_caller(language: Language) {
    let stage = Stage::new(language);
    stage.producer("orders");
    let messages = json!([{"topic": "a b", "body": "x"}]);
    let send = json!({"do": "send", "name": "producer", "messages": messages});
    let error = stage.driver.call(send).unwrap_err().to_string();
    // In the broker's words, or in those of a client that does not ask it.
    let told = ["the name of the topic 'a b'", "topic does not match the regex"];
    assert!(told.iter().any(|words| error.contains(words)), "{error}");
    stage.send_bodies("orders", &numbered(1));
}

// Quirks java-tls, go-tls: TLS unless they are told otherwise.
fn a_client_in_tls_and_one_in_plaintext_share_a_port(language: Language) {
    let stage = Stage::new(language);
    let in_tls = json!({"ssl": true, "ca": stage.broker.data_dir().join("tls.crt")});
    let mut producer = in_tls.clone();
    producer["topics"] = json!(["orders"]);
    stage.open("producer", "producer", producer);
    stage.open("producer", "plain", json!({"topics": ["orders"], "ssl": false}));
    stage.send_bodies("orders", &["by TLS".to_owned()]);
    let message = json!([{"topic": "orders", "body": "in plaintext"}]);
    stage
        .driver
        .call(json!({"do": "send", "name": "plain", "messages": message}))
        .unwrap();

    for (name, options) in [("by TLS", in_tls), ("in plaintext", json!({"ssl": false}))] {
        let mut consumer = crate::stage::simple(&format!("readers-{}", options["ssl"]), "orders", "*");
        for (name, value) in options.as_object().unwrap() {
            consumer[name] = value.clone();
        }
        stage.open("simple-consumer", name, consumer);
        assert_eq!(
            bodies(&stage.receive_and_ack(name, 2)),
            ["by TLS", "in plaintext"]
        );
    }
}

with_clients! {
    a_message_arrives_with_its_body_tag_keys_and_properties: java python node go rust;
    a_message_without_tag_keys_and_properties_arrives_without_them: java python node go rust;
    a_body_just_under_four_mebibytes_arrives_unharmed: java python node go rust;
    a_body_of_four_mebibytes_to_the_byte_arrives_unharmed: java python go;
    messages_sent_all_at_once_all_arrive: java python node go rust;
    a_topic_nobody_declared_is_made_by_the_first_send: java python node rust;
    a_send_to_an_absent_topic_fails_where_topics_are_not_made: java python node rust;
    a_send_to_a_topic_that_cannot_be_is_told_to_its_caller: java python node go rust;
    a_client_in_tls_and_one_in_plaintext_share_a_port: java python node go;
}
