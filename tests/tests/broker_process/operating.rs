//! What operators see.

use sluice_tests::client::Client;
use sluice_tests::http;
use sluice_tests::process::Setup;

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
