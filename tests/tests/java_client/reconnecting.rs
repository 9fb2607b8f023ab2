//! Clients that outlive their broker.

use std::time::Duration;

use serde_json::json;
use sluice_tests::wait;

use crate::stage::{Stage, of_kind, text};

/// The client looks for its broker again by itself, some things only every 30 s.
const RECOVERED_WITHIN: Duration = Duration::from_secs(90);

#[test]
fn producer_and_push_consumer_go_on_by_themselves_after_a_stop_and_start() {
    go_on_after(|stage| {
        assert!(stage.broker.stop().unwrap().success());
        stage.broker.restart().unwrap();
    });
}

#[test]
fn producer_and_push_consumer_go_on_by_themselves_after_a_kill() {
    go_on_after(|stage| {
        stage.broker.kill().unwrap();
        stage.broker.restart().unwrap();
    });
}

fn go_on_after(restart: impl FnOnce(&mut Stage)) {
    let mut stage = Stage::new();
    stage.producer("orders");
    stage.push_consumer("worker", "workers", "orders", json!({}));
    let before = names("before");
    stage.send_bodies("orders", &before);
    stage.handled("worker", before.len(), RECOVERED_WITHIN);
    stage.settled();

    restart(&mut stage);

    // A send may still fail while the client looks for its broker.
    let after = names("after");
    for body in &after {
        let send = json!({"do": "send", "name": "producer", "messages": [{"topic": "orders", "body": body}]});
        wait::until("the producer sends again", RECOVERED_WITHIN, || {
            stage.driver.call(send.clone()).map(Some)
        })
        .unwrap();
    }
    let handled = stage
        .driver
        .wait_for("the consumer receives again", RECOVERED_WITHIN, |events| {
            let handled: Vec<_> = of_kind(events, "handled")
                .iter()
                .map(|message| text(message, "body"))
                .collect();
            after.iter().all(|body| handled.contains(body)).then_some(handled)
        })
        .unwrap();
    // What was acknowledged before did not come again.
    for body in &before {
        assert_eq!(
            handled.iter().filter(|other| *other == body).count(),
            1,
            "{body}: {handled:?}"
        );
    }
}

fn names(prefix: &str) -> Vec<String> {
    (0..10).map(|number| format!("{prefix}-{number}")).collect()
}
