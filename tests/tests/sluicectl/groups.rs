//! Consumer groups: made, changed, deleted, and what they have not done.

use serde_json::json;

use crate::stage::{fails, has_keys, keys, stage};

const SET_UP: [&str; 18] = [
    "group",
    "create",
    "billing",
    "--fifo",
    "--max-attempts",
    "5",
    "--backoff",
    "1s,30s",
    "--start-from",
    "latest",
    "--receive-batch",
    "8",
    "--long-poll",
    "10s",
    "--invisible",
    "2m",
    "--subscribe",
    "orders=a || b",
];

#[test]
fn a_group_is_made_with_everything_that_was_asked_for() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["topic", "create", "orders"]).unwrap();
    let created = sluicectl.json(&SET_UP).unwrap();
    for (key, value) in [
        ("name", json!("billing")),
        ("fifo", json!(true)),
        ("max_attempts", json!(5)),
        ("backoff", json!({"kind": "steps", "steps_ms": [1000, 30_000]})),
        ("start_from", json!("latest")),
        ("receive_batch", json!(8)),
        ("long_poll_seconds", json!(10)),
        ("invisible_seconds", json!(120)),
        (
            "subscriptions",
            json!([{"topic": "orders", "expression": "a || b"}]),
        ),
        ("generation", json!(1)),
        ("created", json!(true)),
    ] {
        assert_eq!(created[key], value, "{key}");
    }
    let plain = sluicectl.json(&["group", "create", "plain"]).unwrap();
    assert_eq!(
        (&plain["fifo"], &plain["max_attempts"]),
        (&json!(false), &json!(17))
    );
}

#[test]
fn a_group_is_listed_shown_changed_and_deleted() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["topic", "create", "orders"]).unwrap();
    sluicectl.ok(&SET_UP).unwrap();
    let grow = [
        "group",
        "update",
        "billing",
        "--backoff",
        "exponential:1s:1m:2",
        "--receive-batch",
        "16",
    ];
    let updated = sluicectl.json(&grow).unwrap();
    assert_eq!(
        (&updated["receive_batch"], &updated["max_attempts"]),
        (&json!(16), &json!(5))
    );
    assert_eq!(updated["backoff"]["multiplier_milli"], json!(2000));
    assert_eq!(
        (&updated["generation"], &updated["changed"]),
        (&json!(2), &json!(true))
    );

    let list = sluicectl.json(&["group", "list"]).unwrap();
    let wanted = [
        "name",
        "fifo",
        "members",
        "ready",
        "inflight",
        "lag",
        "age_seconds",
    ];
    has_keys(&list[0], &wanted);
    let shown = sluicectl.json(&["group", "show", "billing"]).unwrap();
    has_keys(
        &shown,
        &["name", "topics", "members", "dead_letters", "subscriptions"],
    );
    let text = sluicectl.ok(&["group", "show", "billing"]).unwrap();
    assert!(
        text.contains("orders (a || b)") && text.contains("from 1s to 1m, times 2.000"),
        "{text}"
    );

    sluicectl
        .ok(&[
            "group",
            "update",
            "billing",
            "--unsubscribe",
            "orders",
            "--fifo",
            "false",
        ])
        .unwrap();
    let shown = sluicectl.json(&["group", "show", "billing"]).unwrap();
    assert_eq!(
        (&shown["subscriptions"], &shown["fifo"]),
        (&json!([]), &json!(false))
    );
    sluicectl.ok(&["group", "delete", "billing", "--yes"]).unwrap();
    let parts = ["billing", "sluicectl group list"];
    fails(
        &sluicectl,
        &["group", "show", "billing"],
        3,
        "GROUP_NOT_FOUND",
        &parts,
    );
}

#[test]
fn what_stands_against_a_group_is_told() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["group", "create", "readers"]).unwrap();
    fails(
        &sluicectl,
        &["group", "create", "readers"],
        4,
        "GROUP_EXISTS",
        &["readers", "sluicectl group update readers"],
    );
    fails(
        &sluicectl,
        &["group", "create", "bad name"],
        2,
        "GROUP_NAME_INVALID",
        &["bad name"],
    );
    fails(
        &sluicectl,
        &["group", "create", "%DLQ%readers"],
        2,
        "GROUP_NAME_INVALID",
        &["%DLQ%readers", "dead-letter topic", "choose another one"],
    );
    let said = sluicectl
        .run(&["message", "receive", "%RETRY%readers", "orders"])
        .unwrap();
    assert!(
        said.code == 2 && said.stderr.contains("no consumer group '%RETRY%readers' is made"),
        "{said:?}"
    );
    for arguments in [
        &["group", "show", "nobody"][..],
        &["group", "lag", "nobody"],
        &["group", "members", "nobody"],
        &["group", "offsets", "nobody"],
        &["group", "delete", "nobody"],
        &["group", "update", "nobody", "--fifo"],
    ] {
        fails(&sluicectl, arguments, 3, "GROUP_NOT_FOUND", &["nobody"]);
    }
}

#[test]
fn lag_is_known_by_topic_and_queue_with_ready_and_in_flight_apart() {
    let (_broker, sluicectl) = stage();
    sluicectl
        .ok(&["topic", "create", "orders", "--queues", "2"])
        .unwrap();
    sluicectl
        .ok(&["message", "send", "orders", "hello", "--count", "10"])
        .unwrap();
    sluicectl
        .ok(&["message", "receive", "readers", "orders", "--max", "4"])
        .unwrap();

    let lag = sluicectl.json(&["group", "lag", "readers"]).unwrap();

    assert_eq!(lag["group"], json!("readers"));
    let topic = &lag["topics"][0];
    assert_eq!(topic["topic"], json!("orders"));
    assert_eq!(
        (&topic["ready"], &topic["inflight"], &topic["lag"]),
        (&json!(6), &json!(4), &json!(10))
    );
    assert!(topic["age_seconds"].as_f64().unwrap() > 0.0, "{topic}");
    let queues = topic["queues"].as_array().unwrap();
    assert_eq!(queues.len(), 2);
    for (number, queue) in queues.iter().enumerate() {
        assert_eq!(keys(queue), ["age_seconds", "inflight", "lag", "queue", "ready"]);
        assert_eq!(queue["queue"], json!(number));
        let sum = queue["ready"].as_u64().unwrap() + queue["inflight"].as_u64().unwrap();
        assert_eq!(queue["lag"], json!(sum));
    }
    let table = sluicectl.ok(&["group", "lag", "readers"]).unwrap();
    assert!(
        table.starts_with("TOPIC    READY   IN FLIGHT   LAG   OLDEST\norders       6           4    10"),
        "{table}"
    );
    assert_eq!(
        sluicectl
            .ok(&["group", "lag", "readers", "-o", "wide"])
            .unwrap()
            .lines()
            .count(),
        4
    );
    let list = sluicectl.json(&["group", "list"]).unwrap();
    assert_eq!(
        (&list[0]["name"], &list[0]["lag"]),
        (&json!("readers"), &json!(10))
    );
}

#[test]
fn without_lag_the_age_is_0() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    sluicectl
        .ok(&["message", "receive", "readers", "orders", "--ack"])
        .unwrap();
    let lag = sluicectl
        .json(&["group", "lag", "readers", "--topic", "orders"])
        .unwrap();
    assert_eq!(
        (&lag["topics"][0]["lag"], &lag["topics"][0]["age_seconds"]),
        (&json!(0), &json!(0))
    );
    let offsets = sluicectl
        .json(&["group", "offsets", "readers", "orders"])
        .unwrap();
    let done: u64 = offsets["queues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|queue| queue["floor"].as_u64().unwrap())
        .sum();
    assert_eq!(done, 1, "{offsets}");
    let wanted = [
        "topic",
        "queue",
        "min_offset",
        "max_offset",
        "floor",
        "done_above",
        "inflight",
    ];
    has_keys(&offsets["queues"][0], &wanted);
}

#[test]
fn a_static_subscription_has_a_lag_without_any_client() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["topic", "create", "orders"]).unwrap();
    sluicectl
        .ok(&["group", "create", "audit", "--subscribe", "orders=red"])
        .unwrap();
    sluicectl
        .ok(&["message", "send", "orders", "x", "--tag", "red", "--count", "3"])
        .unwrap();
    sluicectl
        .ok(&["message", "send", "orders", "x", "--tag", "blue", "--count", "2"])
        .unwrap();
    let lag = sluicectl.json(&["group", "lag", "audit"]).unwrap();
    assert_eq!(
        (&lag["topics"][0]["lag"], &lag["topics"][0]["expression"]),
        (&json!(3), &json!("red"))
    );
}

#[test]
fn a_group_with_messages_to_do_is_deleted_only_when_that_is_said() {
    let (_broker, sluicectl) = stage();
    sluicectl
        .ok(&["message", "send", "orders", "hello", "--count", "3"])
        .unwrap();
    sluicectl
        .ok(&["message", "receive", "readers", "orders", "--ack", "--max", "1"])
        .unwrap();
    fails(
        &sluicectl,
        &["group", "delete", "readers"],
        4,
        "GROUP_NOT_EMPTY",
        &["2 messages to do", "--yes"],
    );
    fails(
        &sluicectl,
        &["group", "delete", "readers", "--if-empty"],
        4,
        "GROUP_NOT_EMPTY",
        &["readers"],
    );
    let deleted = sluicectl.json(&["group", "delete", "readers", "--yes"]).unwrap();
    assert_eq!(
        deleted,
        json!({"group": "readers", "deleted": true, "undone_messages": 2})
    );
    sluicectl.ok(&["group", "create", "idle"]).unwrap();
    sluicectl.ok(&["group", "delete", "idle"]).unwrap();
}

#[test]
fn of_writers_at_the_same_time_each_is_done_or_told_that_another_was_first() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["group", "create", "readers"]).unwrap();
    let update = |batch: usize| {
        let batch = batch.to_string();
        sluicectl
            .run(&[
                "group",
                "update",
                "readers",
                "--receive-batch",
                &batch,
                "-o",
                "json",
            ])
            .unwrap()
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (1..=8).map(|batch| scope.spawn(move || update(batch))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let done = all.iter().filter(|said| said.code == 0).count() as u64;
    for said in all.iter().filter(|said| said.code != 0) {
        assert_eq!(said.code, 4, "{said:?}");
        let error = said.error().unwrap();
        assert_eq!(error["reason"], json!("GENERATION_STALE"));
        assert!(
            error["hint"]
                .as_str()
                .unwrap()
                .contains("somebody has changed it"),
            "{error}"
        );
    }
    let shown = sluicectl.json(&["group", "show", "readers"]).unwrap();
    assert!(done > 0);
    assert_eq!(shown["generation"], json!(1 + done));
}
