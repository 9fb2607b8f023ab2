//! What operators see.

use sluice_tests::client::Client;
use sluice_tests::http;
use sluice_tests::process::Setup;
use sluice_tests::wait;
use std::time::Duration;

use crate::traffic::{consume, numbered, send};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_in_prometheus_format_and_count_what_was_done() {
    let broker = Setup::new().start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    send(&client, "orders", &numbered(0..20)).await;
    consume(&client, "readers", "orders", 20).await;

    let samples = broker.metrics().unwrap();

    assert!(!samples.is_empty());
    assert!(samples.iter().all(|sample| !sample.value.is_nan()), "{samples:?}");
    for name in ["rocketmq_messages_in_total", "rocketmq_messages_out_total"] {
        let counted: f64 = samples
            .iter()
            .filter(|sample| {
                sample.name == name && sample.labels.get("topic").is_some_and(|topic| topic == "orders")
            })
            .map(|sample| sample.value)
            .sum();
        assert_eq!(counted, 20.0, "{name}");
    }
    assert!(
        http::get(broker.http_port(), "/metrics")
            .unwrap()
            .body
            .contains("# TYPE ")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_and_bytes_of_the_log_are_counted() {
    let broker = Setup::new().flag("--checkpoint-seconds", "1").start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    send(&client, "orders", &numbered(0..20)).await;
    let value = |name: &str| {
        let samples = broker.metrics().unwrap();
        samples
            .iter()
            .find(|sample| sample.name == name)
            .map_or(0.0, |sample| sample.value)
    };
    assert!(value("sluice_log_written_bytes") > 20.0);
    wait::until_true_async("a checkpoint is counted", Duration::from_secs(30), || {
        value("sluice_checkpoints_total") > 0.0
    })
    .await
    .unwrap();
}
