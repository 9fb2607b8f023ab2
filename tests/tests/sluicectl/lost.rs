//! Reading past messages that are lost: however many stand one behind the other, they are not the end.

use serde_json::{Value, json};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::sluicectl::{Said, Sluicectl};

/// One receive that does not wait comes past some 64 of them.
const LOST: usize = 500;
const VICTIM: &str = "this one will be lost";

/// A broker that has lost all messages before two others.
fn stage() -> (Broker, Sluicectl) {
    let mut broker = Setup::new().start().unwrap();
    let sluicectl = Sluicectl::of(&broker).unwrap();
    sluicectl
        .ok(&["topic", "create", "orders", "--queues", "1"])
        .unwrap();
    let count = LOST.to_string();
    for (body, count) in [(VICTIM, &*count), ("behind them", "2")] {
        let send = ["message", "send", "orders", body, "--count", count, "--key", "k"];
        sluicectl.ok(&send).unwrap();
    }
    assert!(broker.stop().unwrap().success());
    let path = broker.shard_dir().join("log/00000000000000000000.seg");
    let mut bytes = std::fs::read(&path).unwrap();
    let places = bytes.windows(VICTIM.len()).enumerate();
    let places = places.filter(|(_, part)| *part == VICTIM.as_bytes());
    let places: Vec<usize> = places.map(|(at, _)| at).collect();
    assert_eq!(places.len(), LOST);
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    std::fs::write(&path, bytes).unwrap();
    broker.restart().unwrap();
    (broker, sluicectl)
}

fn bodies(received: &Value) -> Vec<&str> {
    let messages = received["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["body"].as_str().unwrap())
        .collect()
}

#[test]
fn a_receive_goes_on_past_lost_messages_and_says_how_many_and_the_log_does_not_name_each() {
    let (broker, sluicectl) = stage();
    let receive = |group: &str| {
        let said = sluicectl
            .run(&[
                "message", "receive", group, "orders", "--ack", "--max", "9999", "--wait", "0s", "-o", "json",
            ])
            .unwrap();
        assert_eq!(said.code, 0, "{said:?}");
        let told = said.stderr.contains("500 messages are lost");
        let received: Value = serde_json::from_str(&said.stdout).unwrap();
        (received, told)
    };
    for group in ["one", "another"] {
        let (received, told) = receive(group);
        assert_eq!(bodies(&received), ["behind them"; 2]);
        assert_eq!((&received["lost"], told), (&json!(LOST), true), "{received}");
        assert_eq!(received["unreadable"], json!(0));
        let (received, told) = receive(group);
        assert_eq!((&received["lost"], told), (&json!(0), false), "told once");
    }
    let lost = broker.metric_of("sluice_lost_messages_total", "at", "delivery");
    assert_eq!(lost.unwrap(), 2.0 * LOST as f64);
    let log = broker.log().unwrap();
    let lines = log.lines().filter(|line| line.contains("messages are lost"));
    let lines: Vec<_> = lines.collect();
    // One for each group at once, and one of the rest each ten seconds, in which one receive is done a thousand times over.
    assert!((2..=12).contains(&lines.len()), "{lines:#?}");
    assert!(
        lines[0].contains("one") && lines[0].contains("is damaged at file offset"),
        "{lines:#?}"
    );
}

#[test]
fn what_is_found_or_followed_says_how_many_are_left_out() {
    let (_broker, sluicectl) = stage();
    for search in [&["--from", "2026-01-01T00:00:00Z"], &["--key", "k"]] {
        let find = [&["message", "find", "orders", "--limit", "1000"], &search[..]].concat();
        let found = sluicectl.json(&find).unwrap();
        assert_eq!(found["messages"].as_array().unwrap().len(), 2, "{search:?}");
        assert_eq!(found["unreadable"], json!(LOST), "{search:?}");
        let text = sluicectl.ok(&find).unwrap();
        assert!(
            text.contains("500 messages that may belong here cannot be read"),
            "{text}"
        );
    }
    let tail = [
        "message",
        "tail",
        "orders",
        "--from",
        "2026-01-01T00:00:00Z",
        "--max",
        "2",
    ];
    let said = sluicectl.run(&tail).unwrap();
    assert_eq!(said.stdout.matches("behind them").count(), 2, "{said:?}");
    assert!(
        said.stderr
            .contains("500 messages that cannot be read are left out"),
        "{said:?}"
    );
}

#[test]
fn a_search_by_key_or_id_says_that_the_index_does_not_reach_as_far_back_as_the_log() {
    let mut broker = Setup::new().start().unwrap();
    let sluicectl = Sluicectl::of(&broker).unwrap();
    sluicectl
        .ok(&["message", "send", "orders", "one", "--key", "k"])
        .unwrap();
    let find = |more: &[&str]| {
        let find = [&["message", "find", "orders"], more].concat();
        (
            sluicectl.json(&find).unwrap()["index_begins"].clone(),
            sluicectl.ok(&find).unwrap(),
        )
    };
    let get = ["message", "get", "01AB", "-o", "json"];
    let message = |said: &Said| said.error().unwrap()["message"].as_str().unwrap().to_owned();
    assert_eq!(find(&["--key", "other"]).0, Value::Null);
    let said = sluicectl.run(&get).unwrap();
    assert!(said.code == 3 && !message(&said).contains("index"), "{said:?}");

    assert!(broker.stop().unwrap().success());
    // As a start leaves it that has found the index damaged and the log in no state to make it again.
    let begin = broker
        .shard_dir()
        .join("index/000000000000-00000000000000000064-1750000000000.begin");
    std::fs::write(begin, "").unwrap();
    broker.restart().unwrap();
    let (begins, text) = find(&["--key", "other"]);
    let at = json!({"offset": 64, "time": "2025-06-15T15:06:40.000Z"});
    assert_eq!(begins, at);
    for part in [
        "no messages",
        "before 2025-06-15T15:06:40.000Z, offset 64 of the log, are not found by key",
        "without --key",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    for search in [
        &["--key", "other", "--from", "2025-06-16T00:00:00Z"][..],
        &["--from", "-1h"],
    ] {
        assert_eq!(find(search).0, Value::Null, "{search:?} is all behind that");
    }
    let said = sluicectl.run(&get).unwrap();
    assert_eq!(said.code, 3, "{said:?}");
    let says = message(&said);
    for part in [
        "01AB",
        "begins at offset 64 of the log (messages from 2025-06-15T15:06:40Z on)",
        "was damaged",
    ] {
        assert!(says.contains(part), "{part} in {says}");
    }
}
