//! Series come and go with what they are about.

use std::time::Duration;

use sluice_proto::admin::{DeleteGroupRequest, DeleteTopicRequest};
use sluice_tests::admin::Admin;
use sluice_tests::client::{Client, Receive, message};
use sluice_tests::process::Setup;
use sluice_tests::prometheus::Prometheus;
use sluice_tests::wait;

use crate::page::configuration;

const SEEN_WITHIN: Duration = Duration::from_secs(60);

/// Waits until the sum of a query's samples is that; `None` until it has none.
fn wait_for(prometheus: &Prometheus, query: &str, expected: Option<f64>) {
    let what = format!("{query} is {expected:?}");
    wait::until_true(&what, SEEN_WITHIN, || {
        prometheus.sum(query).is_ok_and(|sum| sum == expected)
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_of_queues_appear_and_vanish_when_they_are_switched_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.yaml");
    let switch = |to: bool| std::fs::write(&file, format!("queueMetrics: {to}\n")).unwrap();
    switch(false);
    let path = file.display().to_string();
    let broker = Setup::new().flag("--config", &path).start().unwrap();
    let prometheus = Prometheus::start(&configuration(&broker)).unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    for n in 0..8 {
        client.send_ok(message("orders", format!("{n}"))).await.unwrap();
    }
    client.receive(&Receive::new("readers", "orders")).await.unwrap();
    let whole = "rocketmq_consumer_lag_messages{consumer_group=\"readers\"}";
    let queues = "rocketmq_consumer_queue_lag_messages{consumer_group=\"readers\"}";
    wait_for(&prometheus, whole, Some(8.0));
    wait_for(&prometheus, queues, None);
    switch(true);
    wait_for(&prometheus, queues, Some(8.0));
    wait_for(
        &prometheus,
        "count(sluice_consumer_queue_lag_age_seconds)",
        Some(4.0),
    );
    switch(false);
    wait_for(&prometheus, queues, None);
    wait_for(&prometheus, whole, Some(8.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_of_a_deleted_topic_and_of_a_deleted_group_vanish() {
    let broker = Setup::new().start().unwrap();
    let prometheus = Prometheus::start(&configuration(&broker)).unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    for topic in ["orders", "kept"] {
        client.send_ok(message(topic, "a message")).await.unwrap();
        client.receive(&Receive::new("readers", topic)).await.unwrap();
    }
    let kept = "rocketmq_consumer_lag_messages{topic=\"kept\",consumer_group=\"readers\"}";
    wait_for(&prometheus, kept, Some(1.0));
    wait_for(
        &prometheus,
        "rocketmq_messages_out_total{topic=\"orders\"}",
        Some(1.0),
    );
    let admin = Admin::new(&broker.admin_endpoint()).unwrap();
    let delete = DeleteTopicRequest {
        name: "orders".to_owned(),
        ..Default::default()
    };
    admin.topics().delete_topic(delete).await.unwrap();
    // Of the job: rates that rules record go on for as long as their time.
    wait_for(&prometheus, "count({job=\"sluice\",topic=\"orders\"})", None);
    wait_for(&prometheus, kept, Some(1.0));
    let delete = DeleteGroupRequest {
        name: "readers".to_owned(),
        ..Default::default()
    };
    admin.groups().delete_group(delete).await.unwrap();
    wait_for(
        &prometheus,
        "count({job=\"sluice\",consumer_group=\"readers\"})",
        None,
    );
    wait_for(
        &prometheus,
        "rocketmq_messages_in_total{topic=\"kept\"}",
        Some(1.0),
    );
}
