//! Topics, from their making to their deletion.

use serde_json::{Value, json};
use sluice_tests::client::{Client, Receive};

use crate::stage::{fails, has_keys, is_moment, stage};

#[test]
fn topics_are_made_and_listed_with_their_types() {
    let (_broker, sluicectl) = stage();
    let created = sluicectl
        .json(&["topic", "create", "orders", "--queues", "8"])
        .unwrap();
    for (key, value) in [
        ("name", json!("orders")),
        ("queues", json!(8)),
        ("types", json!(["normal"])),
        ("closed", json!(false)),
        ("generation", json!(1)),
        ("created", json!(true)),
    ] {
        assert_eq!(created[key], value, "{key}");
    }
    sluicectl
        .ok(&["topic", "create", "ordered", "--type", "fifo"])
        .unwrap();
    sluicectl
        .ok(&["topic", "create", "both", "--type", "mixed", "--queues", "1"])
        .unwrap();
    let list = |more: &[&str]| -> Vec<Value> {
        let list = sluicectl.json(&[&["topic", "list"], more].concat()).unwrap();
        let short = |topic: &Value| json!([topic["name"], topic["queues"], topic["types"]]);
        list.as_array().unwrap().iter().map(short).collect()
    };
    let (both, ordered) = (
        json!(["both", 1, ["normal", "fifo"]]),
        json!(["ordered", 4, ["fifo"]]),
    );
    let orders = json!(["orders", 8, ["normal"]]);
    assert_eq!(list(&[]), [both, ordered.clone(), orders.clone()]);
    assert_eq!(list(&["--prefix", "order"]), [ordered, orders]);
}

#[test]
fn a_topic_is_changed_shown_and_deleted() {
    let (_broker, sluicectl) = stage();
    sluicectl
        .ok(&["topic", "create", "orders", "--queues", "8"])
        .unwrap();
    let grow = ["topic", "update", "orders", "--queues", "16", "--type", "mixed"];
    let updated = sluicectl.json(&grow).unwrap();
    assert_eq!(
        (&updated["queues"], &updated["generation"]),
        (&json!(16), &json!(2))
    );
    assert_eq!(
        (&updated["types"], &updated["changed"]),
        (&json!(["normal", "fifo"]), &json!(true))
    );
    let again = sluicectl
        .json(&["topic", "update", "orders", "--queues", "16"])
        .unwrap();
    assert_eq!(
        (&again["changed"], &again["generation"]),
        (&json!(false), &json!(2))
    );

    let shown = sluicectl.json(&["topic", "show", "orders"]).unwrap();
    let wanted = [
        "name",
        "queues",
        "types",
        "messages",
        "producers",
        "by_queue",
        "groups",
    ];
    has_keys(&shown, &wanted);
    assert_eq!(shown["by_queue"].as_array().unwrap().len(), 16);

    assert_eq!(
        sluicectl.ok(&["topic", "delete", "orders"]).unwrap().trim(),
        "topic orders deleted"
    );
    let parts = ["topic 'orders'", "sluicectl topic list"];
    fails(
        &sluicectl,
        &["topic", "show", "orders"],
        3,
        "TOPIC_NOT_FOUND",
        &parts,
    );
}

#[test]
fn a_table_has_a_line_a_topic() {
    let (_broker, sluicectl) = stage();
    assert_eq!(sluicectl.ok(&["topic", "list"]).unwrap(), "no topics\n");
    sluicectl.ok(&["topic", "create", "orders"]).unwrap();
    let table = sluicectl.ok(&["topic", "list"]).unwrap();
    assert_eq!(
        table,
        "NAME     QUEUES   TYPES    STATE\norders        4   normal   open\n"
    );
    let wide = sluicectl.ok(&["topic", "list", "-o", "wide"]).unwrap();
    assert!(
        wide.starts_with("NAME     QUEUES   TYPES    STATE   KEPT   ID   GENERATION\n"),
        "{wide}"
    );
    let yaml = sluicectl.ok(&["topic", "list", "-o", "yaml"]).unwrap();
    assert!(yaml.starts_with("- name: orders\n  queues: 4\n"), "{yaml}");
}

#[test]
fn how_long_and_how_much_a_topic_keeps_is_shown_and_a_note_says_what_goes() {
    let (_broker, sluicectl) = stage();
    let created = sluicectl
        .json(&["topic", "create", "audit", "--retention-bytes", "10GiB"])
        .unwrap();
    assert_eq!(created["retention_bytes"], json!(10_737_418_240_u64));
    let update = |option: &str, value: &str| {
        sluicectl
            .ok(&["topic", "update", "audit", option, value])
            .unwrap()
    };
    let empty = update("--retention-hours", "48");
    assert!(!empty.contains("note"), "nothing is there to go: {empty}");
    sluicectl
        .ok(&["topic", "update", "audit", "--retention-hours", "0"])
        .unwrap();
    sluicectl.ok(&["message", "send", "audit", "m"]).unwrap();
    for (option, value, note) in [
        ("--retention-hours", "240", None),
        (
            "--retention-hours",
            "24",
            Some("note: messages older than 24 hours go"),
        ),
        ("--retention-bytes", "20 GiB", None),
        (
            "--retention-bytes",
            "1MiB",
            Some("note: the oldest messages beyond 1MiB go"),
        ),
        ("--retention-bytes", "1MiB", None),
    ] {
        let told = update(option, value);
        assert_eq!(told.contains("note"), note.is_some(), "{told}");
        assert!(told.contains(note.unwrap_or_default()), "{told}");
    }
    let told = sluicectl
        .json(&["topic", "update", "audit", "--retention-hours", "12"])
        .unwrap();
    let note = told["note"].as_str().unwrap();
    assert!(note.starts_with("messages older than 12 hours"), "{told}");
    let shown = sluicectl.ok(&["topic", "show", "audit"]).unwrap();
    assert!(shown.contains("12 hours, 1MiB at most"), "{shown}");
    let shown = sluicectl.json(&["topic", "show", "audit"]).unwrap();
    assert_eq!(
        (&shown["retention_hours"], &shown["retention_bytes"]),
        (&json!(12), &json!(1_048_576))
    );
    let list = sluicectl.ok(&["topic", "list", "-o", "wide"]).unwrap();
    assert!(list.contains(" 12h,1MiB "), "{list}");
    update("--retention-bytes", "0");
    let shown = sluicectl.json(&["topic", "show", "audit"]).unwrap();
    assert_eq!(shown["retention_bytes"], Value::Null);
}

#[test]
fn a_size_that_no_topic_can_have_is_refused() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["topic", "create", "audit"]).unwrap();
    fails(
        &sluicectl,
        &["topic", "update", "audit", "--retention-bytes", "1000"],
        2,
        "SPEC_INVALID",
        &["'audit'", "1MiB to 1PiB"],
    );
    let said = sluicectl
        .run(&["topic", "update", "audit", "--retention-bytes", "much"])
        .unwrap();
    assert!(said.code == 2 && said.stderr.contains("is no size"), "{said:?}");
}

#[test]
fn what_stands_against_a_topic_is_told() {
    let (_broker, sluicectl) = stage();
    sluicectl
        .ok(&["topic", "create", "orders", "--queues", "8"])
        .unwrap();
    fails(
        &sluicectl,
        &["topic", "create", "orders"],
        4,
        "TOPIC_EXISTS",
        &["orders", "sluicectl topic update orders"],
    );
    fails(
        &sluicectl,
        &["topic", "update", "orders", "--queues", "4"],
        4,
        "QUEUES_SHRINK",
        &["orders"],
    );
    fails(
        &sluicectl,
        &["topic", "create", "bad name"],
        2,
        "TOPIC_NAME_INVALID",
        &["bad name"],
    );
    for command in ["update", "close", "delete", "show"] {
        let arguments = ["topic", command, "nowhere", "--queues", "9"];
        let arguments = if command == "update" {
            &arguments[..]
        } else {
            &arguments[..3]
        };
        fails(&sluicectl, arguments, 3, "TOPIC_NOT_FOUND", &["nowhere"]);
    }
}

#[test]
fn a_topic_with_messages_is_deleted_only_when_that_is_said() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["topic", "create", "orders"]).unwrap();
    sluicectl
        .ok(&["message", "send", "orders", "hello", "--count", "5"])
        .unwrap();
    fails(
        &sluicectl,
        &["topic", "delete", "orders"],
        4,
        "TOPIC_NOT_EMPTY",
        &["5 messages that no group reads", "--yes"],
    );
    sluicectl
        .ok(&["message", "receive", "readers", "orders", "--ack", "--max", "2"])
        .unwrap();
    fails(
        &sluicectl,
        &["topic", "delete", "orders"],
        4,
        "TOPIC_NOT_EMPTY",
        &["readers has 3 to do"],
    );
    fails(
        &sluicectl,
        &["topic", "delete", "orders", "--if-empty"],
        4,
        "TOPIC_NOT_EMPTY",
        &["orders"],
    );
    let deleted = sluicectl.json(&["topic", "delete", "orders", "--yes"]).unwrap();
    assert_eq!(
        deleted,
        json!({"topic": "orders", "deleted": true, "undone_messages": 3})
    );
    // One that everybody has done with is empty.
    sluicectl.ok(&["topic", "create", "done"]).unwrap();
    sluicectl.ok(&["message", "send", "done", "hello"]).unwrap();
    sluicectl
        .ok(&["message", "receive", "readers", "done", "--ack"])
        .unwrap();
    sluicectl.ok(&["topic", "delete", "done", "--if-empty"]).unwrap();
}

#[test]
fn a_closed_topic_refuses_producers_while_consumers_go_on() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["topic", "create", "orders"]).unwrap();
    sluicectl.ok(&["message", "send", "orders", "before"]).unwrap();
    let closed = sluicectl.json(&["topic", "close", "orders"]).unwrap();
    assert_eq!(
        (&closed["closed"], &closed["generation"]),
        (&json!(true), &json!(2))
    );
    let said = sluicectl.run(&["message", "send", "orders", "during"]).unwrap();
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.stderr.contains("closed"), "{said:?}");
    let received = sluicectl
        .json(&["message", "receive", "readers", "orders", "--ack"])
        .unwrap();
    assert_eq!(received["messages"][0]["body"], json!("before"));
    assert!(
        sluicectl
            .ok(&["topic", "close", "orders"])
            .unwrap()
            .contains("is so already")
    );
    sluicectl.ok(&["topic", "open", "orders"]).unwrap();
    sluicectl.ok(&["message", "send", "orders", "after"]).unwrap();
}

#[test]
fn a_topics_type_is_held_and_the_hint_says_what_fits() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["topic", "create", "plain"]).unwrap();
    sluicectl
        .ok(&["topic", "create", "ordered", "--type", "fifo"])
        .unwrap();
    for arguments in [
        &["message", "send", "plain", "x", "--group-key", "g"][..],
        &["message", "send", "ordered", "x"],
    ] {
        let said = sluicectl.run(arguments).unwrap();
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.stderr.contains("--group-key"), "{said:?}");
    }
    sluicectl
        .ok(&["message", "send", "ordered", "x", "--group-key", "g"])
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_when_all_topics_are_asked_for_and_say_where_they_come_from() {
    let (broker, sluicectl) = stage();
    sluicectl
        .ok(&["message", "send", "orders", "hello", "--key", "7"])
        .unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    let received = client.receive(&Receive::new("readers", "orders")).await.unwrap();
    client
        .forward_to_dead_letters("readers", "orders", &received.messages[0])
        .await
        .unwrap();

    let names = |arguments: &[&str]| -> Vec<Value> {
        let topics = sluicectl.json(arguments).unwrap();
        topics
            .as_array()
            .unwrap()
            .iter()
            .map(|topic| json!([topic["name"], topic["system"]]))
            .collect()
    };
    assert_eq!(names(&["topic", "list"]), [json!(["orders", false])]);
    assert_eq!(
        names(&["topic", "list", "--all"]),
        [json!(["%DLQ%readers", true]), json!(["orders", false])]
    );
    let found = sluicectl.json(&["message", "find", "%DLQ%readers"]).unwrap();
    let letter = &found["messages"][0];
    assert_eq!(
        (&letter["topic"], &letter["origin_topic"]),
        (&json!("%DLQ%readers"), &json!("orders"))
    );
    let received = sluicectl
        .json(&["message", "receive", "undertakers", "%DLQ%readers"])
        .unwrap();
    for (time, of) in [("stored_at", "when it became one"), ("born_at", "its origin's")] {
        assert_eq!(received["messages"][0][time], letter[time], "{time}: {of}");
    }
    assert_eq!(
        sluicectl.json(&["group", "show", "readers"]).unwrap()["dead_letters"],
        json!(1)
    );
    let said = fails(
        &sluicectl,
        &["topic", "update", "%DLQ%readers", "--retention-hours", "240"],
        2,
        "TOPIC_NAME_INVALID",
        &["nobody else makes or changes one", "retentionHours"],
    );
    assert!(!said.stderr.contains("choose another"), "{said:?}");
    let shown = sluicectl.json(&["topic", "show", "orders"]).unwrap();
    let queues = shown["by_queue"].as_array().unwrap();
    assert!(
        queues.iter().any(|queue| is_moment(&queue["last_put_at"])),
        "{shown}"
    );
}
