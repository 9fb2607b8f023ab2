//! The broker and its configuration.

use serde_json::json;

use crate::stage::{fails, has_keys, is_moment, keys, stage};

#[test]
fn the_status_says_how_the_broker_is() {
    let (broker, sluicectl) = stage();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    let status = sluicectl.json(&["broker", "status"]).unwrap();
    let wanted = [
        "broker",
        "cluster",
        "version",
        "uptime_seconds",
        "listeners",
        "log",
        "disk",
        "topics",
        "groups",
        "uuid",
    ];
    has_keys(&status, &wanted);
    assert_eq!(
        (&status["broker"], &status["topics"]),
        (&json!("broker-a"), &json!(1))
    );
    assert_eq!(status["client_address"], json!(broker.endpoint()));
    assert!(is_moment(&status["started_at"]), "{status}");
    assert!(status["log"]["durable"].as_u64().unwrap() > 0, "{status}");
    let text = sluicectl.ok(&["broker", "status"]).unwrap();
    assert!(
        text.contains("broker:") && text.contains(&broker.endpoint()),
        "{text}"
    );
    assert!(
        sluicectl
            .ok(&["broker", "status", "-o", "wide"])
            .unwrap()
            .contains("uuid:")
    );
}

#[test]
fn the_status_says_how_full_the_disk_is_and_where_its_marks_are() {
    let (_broker, sluicectl) = stage();
    sluicectl
        .ok(&[
            "config",
            "set",
            "earlyRetentionPercent=98",
            "refuseSendsPercent=99",
        ])
        .unwrap();
    let wide = sluicectl.ok(&["broker", "status", "-o", "wide"]).unwrap();
    for part in [
        "disk use:",
        "early retention 98 %, forced retention off, refused sends 99 %",
    ] {
        assert!(wide.contains(part), "{wide}");
    }
    let status = sluicectl.json(&["broker", "status"]).unwrap();
    let disk = &status["disk"];
    assert_eq!(
        (&disk["early_retention_percent"], &disk["refuse_sends_percent"]),
        (&json!(98), &json!(99))
    );
    assert!(disk["used_percent"].as_f64().unwrap() > 0.0, "{status}");
}

#[test]
fn the_status_follows_a_retention_that_is_changed() {
    let (_broker, sluicectl) = stage();
    let status = || sluicectl.json(&["broker", "status"]).unwrap()["log"].clone();
    let before = status();
    assert_eq!(
        (&before["retention_hours"], &before["retention_bytes"]),
        (&json!(72), &json!(null))
    );
    sluicectl
        .ok(&["config", "set", "retentionHours=24", "retentionBytes=10GiB"])
        .unwrap();
    let after = status();
    assert_eq!(
        (&after["retention_hours"], &after["retention_bytes"]),
        (&json!(24), &json!(10_u64 << 30))
    );
    let text = sluicectl.ok(&["broker", "status"]).unwrap();
    assert!(text.contains("24 hours, and 10GiB of log at most"), "{text}");
}

#[test]
fn live_keys_are_changed_shown_with_their_source_and_taken_back() {
    let (_broker, sluicectl) = stage();
    let all = sluicectl.json(&["config", "get"]).unwrap();
    assert!(all.as_array().unwrap().len() > 10, "{all}");
    assert_eq!(keys(&all[0]), ["description", "key", "live", "source", "value"]);
    let key = |words: &[&str]| sluicectl.json(words).unwrap()[0].clone();
    let before = key(&["config", "get", "autoCreateTopics"]);
    assert_eq!(
        (&before["value"], &before["source"], &before["live"]),
        (&json!("true"), &json!("default"), &json!(true))
    );

    let set = key(&["config", "set", "autoCreateTopics=false"]);
    assert_eq!((&set["value"], &set["source"]), (&json!("false"), &json!("live")));
    assert_eq!(
        sluicectl
            .run(&["message", "send", "orders", "hello"])
            .unwrap()
            .code,
        3
    );
    assert_eq!(key(&["config", "get", "autoCreateTopics"]), set);

    assert_eq!(key(&["config", "reset", "autoCreateTopics"]), before);
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    let table = sluicectl.ok(&["config", "set", "queueMetrics", "true"]).unwrap();
    assert!(
        table.contains("queueMetrics") && table.contains("live"),
        "{table}"
    );
}

#[test]
fn keys_that_are_not_there_or_not_live_and_bad_values_are_refused_and_nothing_changes() {
    let (_broker, sluicectl) = stage();
    for (arguments, code, reason) in [
        (
            &["config", "get", "autoCreateTopic"][..],
            3,
            "CONFIG_KEY_NOT_FOUND",
        ),
        (
            &["config", "set", "autoCreateTopic=false"],
            3,
            "CONFIG_KEY_NOT_FOUND",
        ),
        (&["config", "reset", "autoCreateTopic"], 3, "CONFIG_KEY_NOT_FOUND"),
        (
            &["config", "set", "autoCreateTopics=perhaps"],
            2,
            "CONFIG_VALUE_INVALID",
        ),
        (&["config", "set", "dataDir=/elsewhere"], 4, "CONFIG_KEY_FIXED"),
        (&["config", "set", "log="], 2, "CONFIG_VALUE_INVALID"),
        (
            &["config", "set", "queueMetrics=true", "autoCreateTopics=perhaps"],
            2,
            "CONFIG_VALUE_INVALID",
        ),
    ] {
        let key = arguments[arguments.len() - 1].split('=').next().unwrap();
        fails(&sluicectl, arguments, code, reason, &[key]);
    }
    let entry = sluicectl.json(&["config", "get", "queueMetrics"]).unwrap();
    assert_eq!(entry[0]["value"], json!("false"), "all or none");
}
