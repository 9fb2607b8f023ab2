//! Moving a group: the preview changes nothing, and `--yes` does what it showed.

use serde_json::{Value, json};
use sluice_tests::sluicectl::Sluicectl;

use crate::stage::{fails, has_keys, stage};

/// Ten messages in one queue, four of them done.
fn used(sluicectl: &Sluicectl) {
    sluicectl
        .ok(&["topic", "create", "orders", "--queues", "1"])
        .unwrap();
    sluicectl
        .ok(&["message", "send", "orders", "hello", "--count", "10"])
        .unwrap();
    sluicectl
        .ok(&["message", "receive", "readers", "orders", "--ack", "--max", "4"])
        .unwrap();
}

fn floor(sluicectl: &Sluicectl) -> Value {
    sluicectl
        .json(&["group", "offsets", "readers", "orders"])
        .unwrap()["queues"][0]["floor"]
        .clone()
}

fn reset(sluicectl: &Sluicectl, to: &str, yes: bool) -> Value {
    let arguments = ["group", "reset", "readers", "orders", "--to", to, "--yes"];
    let arguments = if yes { &arguments[..] } else { &arguments[..6] };
    sluicectl.json(arguments).unwrap()
}

#[test]
fn a_preview_changes_nothing_and_yes_does_what_it_showed() {
    let (_broker, sluicectl) = stage();
    used(&sluicectl);
    for (to, target, skipped, repeated) in [
        ("latest", 10, 6, 0),
        ("earliest", 0, 0, 10),
        ("offset:7", 7, 7, 0),
        ("skip:2", 8, 1, 0),
        ("time:-1h", 0, 0, 8),
    ] {
        let before = floor(&sluicectl);
        let preview = reset(&sluicectl, to, false);
        has_keys(&preview, &["group", "topic", "applied", "queues"]);
        assert_eq!(
            (&preview["applied"], floor(&sluicectl)),
            (&json!(false), before.clone()),
            "{to}"
        );
        let queue = &preview["queues"][0];
        assert_eq!(
            (&queue["from"], &queue["to"]),
            (&before, &json!(target)),
            "{to}: {queue}"
        );
        assert_eq!(
            (&queue["skipped"], &queue["repeated"]),
            (&json!(skipped), &json!(repeated)),
            "{to}: {queue}"
        );

        let done = reset(&sluicectl, to, true);

        assert_eq!(
            (&done["applied"], &done["queues"]),
            (&json!(true), &preview["queues"]),
            "{to}"
        );
        assert_eq!(floor(&sluicectl), json!(target), "{to}");
    }
}

#[test]
fn messages_come_again_after_a_reset_backwards_and_not_after_one_forwards() {
    let (_broker, sluicectl) = stage();
    used(&sluicectl);
    reset(&sluicectl, "offset:2", true);
    let again = sluicectl
        .json(&["message", "receive", "readers", "orders", "--ack", "--max", "2"])
        .unwrap();
    assert_eq!(again["messages"][0]["offset"], json!(2));
    reset(&sluicectl, "latest", true);
    let none = sluicectl
        .json(&["message", "receive", "readers", "orders", "--ack", "--wait", "1s"])
        .unwrap();
    assert_eq!(none["messages"], json!([]));
}

#[test]
fn people_are_told_that_a_preview_is_one() {
    let (_broker, sluicectl) = stage();
    used(&sluicectl);
    let preview = sluicectl
        .ok(&["group", "reset", "readers", "orders", "--to", "latest"])
        .unwrap();
    assert!(
        preview.contains("COME AGAIN") && preview.contains("nothing was changed: with --yes it is done"),
        "{preview}"
    );
    let done = sluicectl
        .ok(&["group", "reset", "readers", "orders", "--to", "latest", "--yes"])
        .unwrap();
    assert!(done.contains("group readers was moved in topic orders"), "{done}");
}

#[test]
fn only_the_named_queues_are_moved() {
    let (_broker, sluicectl) = stage();
    sluicectl
        .ok(&["topic", "create", "orders", "--queues", "4"])
        .unwrap();
    sluicectl
        .ok(&["message", "send", "orders", "hello", "--count", "40"])
        .unwrap();
    sluicectl
        .ok(&["message", "receive", "readers", "orders", "--ack", "--max", "1"])
        .unwrap();
    let named = [
        "group", "reset", "readers", "orders", "--to", "latest", "--queue", "1", "--queue", "3", "--yes",
    ];
    let done = sluicectl.json(&named).unwrap();
    let queues: Vec<_> = done["queues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|queue| queue["queue"].clone())
        .collect();
    assert_eq!(queues, [json!(1), json!(3)]);
    let lag = sluicectl.json(&["group", "lag", "readers"]).unwrap();
    assert_eq!(lag["topics"][0]["queues"][1]["lag"], json!(0));
    assert_ne!(lag["topics"][0]["queues"][2]["lag"], json!(0));
}

#[test]
fn a_reset_of_what_is_not_there_is_told() {
    let (_broker, sluicectl) = stage();
    used(&sluicectl);
    for (arguments, reason) in [
        (
            &["group", "reset", "nobody", "orders", "--to", "latest"][..],
            "GROUP_NOT_FOUND",
        ),
        (
            &["group", "reset", "readers", "nowhere", "--to", "latest"],
            "TOPIC_NOT_FOUND",
        ),
    ] {
        fails(&sluicectl, arguments, 3, reason, &["not"]);
    }
}
