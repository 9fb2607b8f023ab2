//! Looking at messages: by id, by place, by key, by time, and as they come.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_tests::sluicectl::Sluicectl;
use sluice_tests::wait;

use crate::stage::{fails, has_keys, is_moment, stage};

fn send(sluicectl: &Sluicectl, body: &str, more: &[&str]) -> String {
    let sent = sluicectl
        .json(&[&["message", "send", "orders", body][..], more].concat())
        .unwrap();
    sent["messages"][0]["message_id"].as_str().unwrap().to_owned()
}

fn ids(found: &Value) -> Vec<&str> {
    let messages = found["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["message_id"].as_str().unwrap())
        .collect()
}

#[test]
fn a_message_is_found_by_key_newest_first_and_has_the_documented_shape() {
    let (_broker, sluicectl) = stage();
    let first = send(&sluicectl, "one", &["--key", "7", "--key", "x", "--tag", "red"]);
    let second = send(&sluicectl, "two", &["--key", "7"]);
    send(&sluicectl, "three", &["--key", "8"]);

    let found = sluicectl
        .json(&["message", "find", "orders", "--key", "7"])
        .unwrap();

    assert_eq!(ids(&found), [second.as_str(), &first]);
    let [newer, older] = [&found["messages"][0], &found["messages"][1]];
    has_keys(
        older,
        &[
            "message_id",
            "topic",
            "queue",
            "offset",
            "keys",
            "tag",
            "stored_at",
        ],
    );
    assert_eq!(
        (&older["keys"], &older["tag"]),
        (&json!(["7", "x"]), &json!("red"))
    );
    assert_eq!((&newer["tag"], &newer["topic"]), (&json!(null), &json!("orders")));
    assert!(is_moment(&older["stored_at"]), "{older}");
    assert!(
        older["queue"].is_u64() && older["offset"].is_u64() && older.get("body").is_none(),
        "{older}"
    );
    let table = sluicectl
        .ok(&["message", "find", "orders", "--key", "7"])
        .unwrap();
    assert_eq!(table.lines().count(), 3, "{table}");
    assert_eq!(
        sluicectl
            .ok(&["message", "find", "orders", "--key", "9"])
            .unwrap(),
        "no messages\n"
    );
}

#[test]
fn messages_are_found_by_time_oldest_first_and_no_more_than_asked_for() {
    let (_broker, sluicectl) = stage();
    let sent: Vec<String> = (0..5)
        .map(|number| send(&sluicectl, &number.to_string(), &[]))
        .collect();
    let all = sluicectl
        .json(&["message", "find", "orders", "--from", "-1h"])
        .unwrap();
    assert_eq!(ids(&all), sent);
    assert_eq!(all["more"], json!(false));
    let some = sluicectl
        .json(&["message", "find", "orders", "--from", "-1h", "--limit", "2"])
        .unwrap();
    assert_eq!(
        (ids(&some), &some["more"]),
        (vec![sent[0].as_str(), &sent[1]], &json!(true))
    );
    let middle = all["messages"][2]["stored_at"].as_str().unwrap();
    let from = sluicectl
        .json(&["message", "find", "orders", "--from", middle])
        .unwrap();
    assert!(
        ids(&from).contains(&sent[4].as_str()) && !ids(&from).contains(&sent[0].as_str()),
        "{from}"
    );
    let to = sluicectl
        .json(&["message", "find", "orders", "--to", middle])
        .unwrap();
    assert!(
        ids(&to).contains(&sent[0].as_str()) && !ids(&to).contains(&sent[2].as_str()),
        "{to}"
    );
    let none = sluicectl
        .json(&["message", "find", "orders", "--to", "-1h"])
        .unwrap();
    assert_eq!(none["messages"], json!([]));
}

#[test]
fn a_message_is_shown_by_its_id_and_by_its_place_with_its_body() {
    let (_broker, sluicectl) = stage();
    let id = send(
        &sluicectl,
        "hello",
        &["--tag", "red", "--property", "colour=blue"],
    );
    let by_id = sluicectl.json(&["message", "get", &id]).unwrap();
    for (key, value) in [
        ("message_id", json!(id)),
        ("body", json!("hello")),
        ("tag", json!("red")),
        ("properties", json!({"colour": "blue"})),
        ("type", json!("normal")),
    ] {
        assert_eq!(by_id[key], value, "{key}");
    }
    let place = [by_id["queue"].to_string(), by_id["offset"].to_string()];
    let by_place = [
        "message", "get", "--topic", "orders", "--queue", &place[0], "--offset", &place[1],
    ];
    assert_eq!(sluicectl.json(&by_place).unwrap(), by_id);
    let text = sluicectl.ok(&["message", "get", &id]).unwrap();
    assert!(
        text.contains("property colour:") && text.ends_with("\n\nhello\n"),
        "{text}"
    );
}

#[test]
fn a_message_that_is_not_there_is_not_found() {
    let (_broker, sluicectl) = stage();
    send(&sluicectl, "hello", &[]);
    for arguments in [
        &["message", "get", "01000000000000000000000000000000000000"][..],
        &[
            "message", "get", "--topic", "orders", "--queue", "0", "--offset", "4711",
        ],
    ] {
        let said = sluicectl.run(arguments).unwrap();
        assert_eq!(said.code, 3, "{said:?}");
    }
    for arguments in [
        &["message", "find", "nowhere"][..],
        &["message", "tail", "nowhere"],
    ] {
        fails(&sluicectl, arguments, 3, "TOPIC_NOT_FOUND", &["nowhere"]);
    }
}

#[test]
fn a_topic_is_followed_without_a_group() {
    let (mut broker, sluicectl) = stage();
    let old = send(&sluicectl, "old", &[]);
    let mut following = sluicectl
        .follow(&["message", "tail", "orders", "--from", "-1h", "-o", "json"])
        .unwrap();
    assert!(following.line().unwrap().contains(&old));
    let mut new: Vec<String> = (0..3)
        .map(|number| send(&sluicectl, &format!("new {number}"), &[]))
        .collect();
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..3 {
        let message: Value = serde_json::from_str(&following.line().unwrap()).unwrap();
        assert!(message["body"].as_str().unwrap().starts_with("new "), "{message}");
        seen.push(message["message_id"].as_str().unwrap().to_owned());
    }
    new.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, new);
    // A broker that starts again is followed further.
    broker.kill().unwrap();
    broker.restart().unwrap();
    let late = send(&sluicectl, "late", &[]);
    assert!(following.line().unwrap().contains(&late));
    drop(following);
    // Nobody has a lag by that.
    assert_eq!(sluicectl.json(&["group", "list"]).unwrap(), json!([]));
    following = sluicectl
        .follow(&["message", "tail", "orders", "--from", "-1h", "--max", "2"])
        .unwrap();
    assert!(following.line().unwrap().contains("orders/"));
    assert_eq!(following.line().unwrap(), "old");
    assert_eq!(following.end().unwrap(), 0);
}

#[test]
fn a_topic_that_is_made_anew_between_two_looks_is_followed_from_its_first_message_on() {
    let (_broker, sluicectl) = stage();
    let make = ["topic", "create", "orders", "--queues", "1"];
    sluicectl.ok(&make).unwrap();
    for number in 0..3 {
        send(&sluicectl, &format!("old {number}"), &[]);
    }
    let tail = [
        "message", "tail", "orders", "--from", "-1h", "--every", "5s", "-o", "json",
    ];
    let following = sluicectl.follow(&tail).unwrap();
    for _ in 0..3 {
        assert!(following.line().unwrap().contains("\"old "));
    }
    // It has just looked: the next look is seconds away.
    sluicectl.ok(&["topic", "delete", "orders", "--yes"]).unwrap();
    sluicectl.ok(&make).unwrap();
    let anew = send(&sluicectl, "anew", &[]);
    assert!(following.line().unwrap().contains(&anew));
    following.note_with("deleted and made anew").unwrap();
}

#[test]
fn what_retention_takes_between_two_looks_is_told() {
    let (_broker, sluicectl) = stage();
    let make = [
        "topic",
        "create",
        "orders",
        "--queues",
        "1",
        "--retention-bytes",
        "1MiB",
    ];
    sluicectl.ok(&make).unwrap();
    send(&sluicectl, "seen", &[]);
    let following = sluicectl
        .follow(&["message", "tail", "orders", "--from", "-1h", "-o", "json"])
        .unwrap();
    assert!(following.line().unwrap().contains("\"seen"));
    following.halt().unwrap();
    let body = "b".repeat(100_000);
    for number in 0..30 {
        send(&sluicectl, &format!("{number} {body}"), &[]);
    }
    let first = wait::until("retention took some", Duration::from_secs(60), || {
        let shown = sluicectl.json(&["topic", "show", "orders"])?;
        Ok(shown["by_queue"][0]["min_offset"]
            .as_u64()
            .filter(|first| *first > 20))
    })
    .unwrap();
    following.wake().unwrap();

    let note = following
        .note_with("retention took them before they were fetched")
        .unwrap();
    assert!(
        note.starts_with(&format!("{} messages are not shown", first - 1)),
        "{note}"
    );
    let next = following.line().unwrap();
    assert!(
        next.contains(&format!("\"body\":\"{} b", first - 1)),
        "{:.200}",
        next
    );
}
