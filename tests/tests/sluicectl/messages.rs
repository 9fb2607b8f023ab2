//! Sending and receiving, through the client port that was named.

use serde_json::json;
use sluice_tests::process::{Broker, Setup};
use sluice_tests::sluicectl::Sluicectl;
use sluice_tests::wait;
use std::time::Duration;

use crate::stage::{has_keys, is_moment};

/// The command line for a broker's client port alone.
fn stage() -> (Broker, Sluicectl) {
    let broker = Setup::new().start().unwrap();
    let sluicectl = Sluicectl::new().unwrap().flag("--endpoint", &broker.endpoint());
    (broker, sluicectl)
}

#[test]
fn a_consumer_goes_on_until_it_is_interrupted() {
    let (_broker, sluicectl) = stage();
    let arguments = [
        "message", "receive", "readers", "orders", "--ack", "--follow", "-o", "json",
    ];
    let following = sluicectl.follow(&arguments).unwrap();
    for body in ["one", "two"] {
        sluicectl.ok(&["message", "send", "orders", body]).unwrap();
        let document: serde_json::Value = serde_json::from_str(&following.line().unwrap()).unwrap();
        assert_eq!(document["messages"][0]["body"], json!(body));
        assert_eq!(document["acknowledged"], json!(true));
    }
    let said = sluicectl
        .run(&[
            "message", "receive", "readers", "orders", "--follow", "--max", "3",
        ])
        .unwrap();
    assert_eq!(said.code, 2, "{said:?}");
}

#[test]
fn a_consumer_waits_for_a_broker_that_is_away_and_goes_on() {
    let (mut broker, sluicectl) = stage();
    let arguments = [
        "message", "receive", "readers", "orders", "--ack", "--follow", "-o", "json",
    ];
    let following = sluicectl.follow(&arguments).unwrap();
    sluicectl.ok(&["message", "send", "orders", "before"]).unwrap();
    assert!(following.line().unwrap().contains("before"));
    broker.kill().unwrap();
    following.note_with("waiting for it").unwrap();
    broker.restart().unwrap();
    sluicectl.ok(&["message", "send", "orders", "after"]).unwrap();
    following.line_with("after").unwrap();
    following.note_with("the broker answers again").unwrap();
}

#[test]
fn a_broker_that_is_killed_under_a_send_is_told_to_have_stopped() {
    let (mut broker, sluicectl) = stage();
    let sending = sluicectl
        .follow(&["message", "send", "orders", "x", "--count", "100000000"])
        .unwrap();
    wait::until_true("messages come", Duration::from_secs(60), || {
        broker.metric("rocketmq_messages_in_total").unwrap() > 0.0
    })
    .unwrap();
    broker.kill().unwrap();
    let said = sending.note_with("the broker has stopped").unwrap();
    assert!(!said.contains("no gRPC port"), "{said}");
}

#[test]
fn a_message_is_sent_received_with_all_it_has_and_acknowledged() {
    let (_broker, sluicectl) = stage();
    let details = [
        "--tag",
        "created",
        "--key",
        "7",
        "--key",
        "customer-3",
        "--property",
        "colour=red",
    ];
    let sent = sluicectl
        .json(&[&["message", "send", "orders", "hello"][..], &details].concat())
        .unwrap();
    assert_eq!(
        (&sent["topic"], &sent["messages"][0]["offset"]),
        (&json!("orders"), &json!(0))
    );

    let received = sluicectl
        .json(&["message", "receive", "readers", "orders", "--ack"])
        .unwrap();

    assert_eq!(
        (&received["group"], &received["acknowledged"]),
        (&json!("readers"), &json!(true))
    );
    let message = &received["messages"][0];
    assert_eq!(message["message_id"], sent["messages"][0]["message_id"]);
    for (key, value) in [
        ("topic", json!("orders")),
        ("body", json!("hello")),
        ("tag", json!("created")),
        ("keys", json!(["7", "customer-3"])),
        ("properties", json!({"colour": "red"})),
        ("message_group", json!(null)),
        ("type", json!("normal")),
        ("attempt", json!(1)),
    ] {
        assert_eq!(message[key], value, "{key}");
    }
    has_keys(
        message,
        &["queue", "offset", "born_at", "born_host", "body_bytes"],
    );
    assert!(is_moment(&message["stored_at"]), "{message}");
    let none = sluicectl
        .ok(&["message", "receive", "readers", "orders", "--wait", "1s"])
        .unwrap();
    assert_eq!(none.trim(), "no messages came");
}

#[test]
fn without_ack_the_message_is_not_done_and_people_are_told() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    let said = sluicectl
        .run(&["message", "receive", "readers", "orders"])
        .unwrap();
    assert_eq!(said.code, 0);
    assert!(said.stdout.ends_with("\nhello\n"), "{said:?}");
    assert!(
        said.stderr.contains("not acknowledged") && said.stderr.contains("after 30s"),
        "{said:?}"
    );
    // It is hidden from the group, and there for another one.
    let receive = |group| {
        sluicectl
            .json(&["message", "receive", group, "orders", "--wait", "1s"])
            .unwrap()
    };
    assert_eq!(receive("readers")["messages"], json!([]));
    assert_eq!(receive("others")["messages"][0]["body"], json!("hello"));
}

#[test]
fn a_count_sends_as_many_and_a_receive_takes_them_all() {
    let (_broker, sluicectl) = stage();
    assert_eq!(
        sluicectl
            .ok(&["message", "send", "orders", "again", "--count", "150"])
            .unwrap()
            .trim(),
        "sent 150 messages to orders"
    );
    let all = sluicectl
        .json(&[
            "message", "receive", "readers", "orders", "--ack", "--max", "1000",
        ])
        .unwrap();
    assert_eq!(all["messages"].as_array().unwrap().len(), 150);
}

#[test]
fn a_message_group_keeps_its_order() {
    let (_broker, sluicectl) = stage();
    for step in ["one", "two", "three"] {
        sluicectl
            .ok(&["message", "send", "steps", step, "--group-key", "customer-3"])
            .unwrap();
    }
    let received = sluicectl
        .json(&["message", "receive", "readers", "steps", "--ack"])
        .unwrap();
    let bodies: Vec<_> = received["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["body"].clone())
        .collect();
    assert_eq!(bodies, [json!("one"), json!("two"), json!("three")]);
    assert_eq!(received["messages"][0]["message_group"], json!("customer-3"));
    assert_eq!(received["messages"][0]["type"], json!("fifo"));
}

#[test]
fn a_body_comes_from_standard_input_and_binary_ones_are_base64() {
    let (_broker, sluicectl) = stage();
    let said = sluicectl
        .run_with_input(&["message", "send", "files", "-"], b"\x00\xff\x01")
        .unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    let received = sluicectl
        .json(&["message", "receive", "readers", "files", "--ack"])
        .unwrap();
    assert_eq!(received["messages"][0]["body_base64"], json!("AP8B"));
    assert_eq!(received["messages"][0]["body_bytes"], json!(3));
}

#[test]
fn tags_choose_what_is_received() {
    let (_broker, sluicectl) = stage();
    for tag in ["red", "green", "blue"] {
        sluicectl
            .ok(&["message", "send", "colours", tag, "--tag", tag])
            .unwrap();
    }
    let chosen = [
        "message",
        "receive",
        "readers",
        "colours",
        "--ack",
        "--tags",
        "red || blue",
    ];
    let received = sluicectl.json(&chosen).unwrap();
    let mut bodies: Vec<_> = received["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["body"].to_string())
        .collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["\"blue\"", "\"red\""]);
}

#[test]
fn what_the_broker_refuses_is_told_in_its_words() {
    let (_broker, sluicectl) = stage();
    for (arguments, code, reason) in [
        (&["message", "send", "bad name", "x"][..], 2, "ILLEGAL_TOPIC"),
        (&["message", "send", "orders", ""], 2, "MESSAGE_BODY_EMPTY"),
        (
            &["message", "send", "orders", "x", "--tag", "a|b"],
            2,
            "ILLEGAL_MESSAGE_TAG",
        ),
        (
            &["message", "receive", "bad group", "orders"],
            2,
            "ILLEGAL_CONSUMER_GROUP",
        ),
        (
            &["message", "receive", "readers", "orders", "--invisible", "1s"],
            2,
            "ILLEGAL_INVISIBLE_TIME",
        ),
    ] {
        let said = sluicectl.run(&[arguments, &["-o", "json"]].concat()).unwrap();
        assert_eq!(said.code, code, "{arguments:?}: {said:?}");
        let error = said.error().unwrap();
        let reason_is = |wanted: &str| error["reason"] == json!(wanted);
        assert!(
            reason_is(reason) || (reason == "MESSAGE_BODY_EMPTY" && reason_is("BAD_REQUEST")),
            "{error}"
        );
    }
}

#[test]
fn a_topic_that_is_not_made_on_first_use_is_not_found() {
    let broker = Setup::new()
        .flag("--auto-create-topics", "false")
        .start()
        .unwrap();
    let sluicectl = Sluicectl::new().unwrap().flag("--endpoint", &broker.endpoint());
    let said = sluicectl.run(&["message", "send", "orders", "hello"]).unwrap();
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.stderr.contains("orders") && said.stderr.contains("sluicectl topic create"),
        "{said:?}"
    );
    let said = sluicectl
        .run(&["message", "receive", "readers", "orders"])
        .unwrap();
    assert_eq!(said.code, 3, "{said:?}");
    let said = Sluicectl::of(&broker)
        .unwrap()
        .run(&["group", "show", "readers"])
        .unwrap();
    assert_eq!(said.code, 3, "a receive that fails makes no group: {said:?}");
}

#[test]
fn a_receive_with_names_that_none_can_have_says_which_is_wrong_and_promises_nothing() {
    let broker = Setup::new().start().unwrap();
    let sluicectl = Sluicectl::of(&broker).unwrap();
    for (group, topic, wrong) in [
        ("a group", "orders", "group 'a group'"),
        ("readers", "or/ders", "topic 'or/ders'"),
    ] {
        let said = sluicectl.run(&["message", "receive", group, topic]).unwrap();
        assert_eq!(said.code, 2, "{said:?}");
        let error = said.stderr.lines().find(|line| line.starts_with("error"));
        assert!(error.is_some_and(|line| line.contains(wrong)), "{said:?}");
        assert!(
            !said.stderr.contains(&format!("{} yet", wrong.replace('\'', ""))),
            "{said:?}"
        );
    }
}

#[test]
fn tls_is_spoken_where_it_is_asked_for_and_strangers_are_not_trusted() {
    let (broker, sluicectl) = stage();
    let unverified = ["message", "send", "orders", "hello", "--insecure-skip-verify"];
    sluicectl.ok(&unverified).unwrap();
    let said = sluicectl
        .run(&["message", "send", "orders", "hello", "--tls"])
        .unwrap();
    assert_eq!(said.code, 5, "{said:?}");
    assert!(
        said.stderr.contains("certificate") && said.stderr.contains("--ca FILE"),
        "{said:?}"
    );
    // The broker's own certificate is for names, and 127.0.0.1 is one of them.
    let own = broker.data_dir().join("tls.crt");
    sluicectl
        .ok(&[
            "message",
            "send",
            "orders",
            "hello",
            "--ca",
            own.to_str().unwrap(),
        ])
        .unwrap();
}
