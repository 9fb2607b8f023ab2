//! Clients that outlive their broker.

use std::time::Duration;

use serde_json::json;
use sluice_tests::wait;

use sluice_tests::driver::Language;

use crate::stage::{Stage, of_kind, text};

/// The client looks for its broker again by itself, some things only every 30 s.
const RECOVERED_WITHIN: Duration = Duration::from_secs(90);

fn producer_and_push_consumer_go_on_by_themselves_after_a_stop_and_start(language: Language) {
    go_on_after(language, |stage| {
        assert!(stage.broker.stop().unwrap().success());
        stage.broker.restart().unwrap();
    });
}

// Quirks java-1310, python-stream: it connects anew by itself.
fn producer_and_push_consumer_go_on_by_themselves_after_a_kill(language: Language) {
    go_on_after(language, |stage| {
        stage.broker.kill().unwrap();
        stage.broker.restart().unwrap();
    });
}

// Quirks go-late-settings, python-late-settings, rust-late-settings: minutes later, or never.
fn whoever_is_there_again_after_a_restart_is_counted_again_though_it_sends_no_settings(language: Language) {
    let mut stage = Stage::new(language);
    stage.producer("orders");
    stage.simple_consumer("reader", "readers", "orders", "*");
    let counted = |stage: &Stage| {
        wait::until("the consumer is counted", RECOVERED_WITHIN, || {
            let samples = stage.broker.metrics()?;
            let of_group = samples.iter().any(|sample| {
                sample.name == "rocketmq_consumer_connections"
                    && sample
                        .labels
                        .get("consumer_group")
                        .is_some_and(|group| group == "readers")
            });
            Ok(of_group.then_some(()))
        })
        .unwrap();
    };
    counted(&stage);
    stage.broker.kill().unwrap();
    stage.broker.restart().unwrap();
    // Heartbeats come every ten seconds, or every thirty.
    counted(&stage);
}

fn go_on_after(language: Language, restart: impl FnOnce(&mut Stage)) {
    let mut stage = Stage::new(language);
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

fn producer_and_simple_consumer_go_on_by_themselves_after_a_kill(language: Language) {
    let mut stage = Stage::new(language);
    stage.producer("orders");
    stage.simple_consumer("reader", "readers", "orders", "*");
    stage.send_bodies("orders", &names("before"));
    stage.receive_and_ack("reader", 10);

    stage.broker.kill().unwrap();
    stage.broker.restart().unwrap();

    let send = json!({"do": "send", "name": "producer", "messages": [{"topic": "orders", "body": "after"}]});
    wait::until("the producer sends again", RECOVERED_WITHIN, || {
        stage.driver.call(send.clone()).map(Some)
    })
    .unwrap();
    let receive = json!({"do": "receive", "name": "reader", "max": 32, "invisibleMs": 30_000});
    let received = wait::until("the consumer receives again", RECOVERED_WITHIN, || {
        let messages = stage.driver.call(receive.clone())?;
        Ok(messages.get(0).cloned())
    })
    .unwrap();
    assert_eq!(text(&received, "body"), "after");
    stage.ack("reader", &received);
}

fn names(prefix: &str) -> Vec<String> {
    (0..10).map(|number| format!("{prefix}-{number}")).collect()
}

with_clients! {
    producer_and_simple_consumer_go_on_by_themselves_after_a_kill: java python node go rust;
    whoever_is_there_again_after_a_restart_is_counted_again_though_it_sends_no_settings: java python node go rust;
    producer_and_push_consumer_go_on_by_themselves_after_a_stop_and_start: java python node go;
    producer_and_push_consumer_go_on_by_themselves_after_a_kill: java python node go;
}
