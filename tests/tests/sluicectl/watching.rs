//! Looking again and again.

use serde_json::{Value, json};

use crate::stage::stage;

#[test]
fn a_watch_shows_what_has_changed_and_waits_for_a_broker_that_is_away() {
    let (mut broker, sluicectl) = stage();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    let watched = ["topic", "show", "orders", "--watch", "1", "-o", "json"];
    let following = sluicectl.follow(&watched).unwrap();
    let messages = || -> Value {
        let topic: Value = serde_json::from_str(&following.line().unwrap()).unwrap();
        topic["messages"].clone()
    };
    assert_eq!(messages(), json!(1));
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    while messages() != json!(2) {}
    broker.kill().unwrap();
    broker.restart().unwrap();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    while messages() != json!(3) {}
}

#[test]
fn a_watched_table_is_shown_anew_with_the_time_above() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    sluicectl
        .ok(&["message", "receive", "readers", "orders"])
        .unwrap();
    let following = sluicectl.follow(&["group", "lag", "readers", "--watch"]).unwrap();
    for _ in 0..2 {
        let line = following.line().unwrap();
        assert!(line.starts_with("20") && line.ends_with('Z'), "{line}");
        following.line_with("TOPIC").unwrap();
        following.line_with("orders").unwrap();
        assert_eq!(following.line().unwrap(), "");
    }
}
