//! The configuration of a broker that runs: what is live reaches it, and what is not restarts it.

use std::time::Instant;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde_json::json;
use sluice_operator_api::BrokerCluster;

use crate::living::{self, NAME};
use crate::stage::{SOON, Stage, condition, until};

/// By queue only where the broker is told so.
const BY_QUEUE: &str = "rocketmq_consumer_queue_lag_messages";

async fn configure(stage: &Stage, config: serde_json::Value) {
    stage
        .patch::<BrokerCluster>(NAME, json!({"spec": {"config": config}}))
        .await;
}

/// Until the running broker has a value; gives where it is from.
async fn until_set(stage: &Stage, key: &str, wanted: &str) -> String {
    let what = format!("{key} is {wanted}");
    until(&what, SOON, async || {
        let (value, source) = living::setting(stage, key)?;
        anyhow::ensure!(value == wanted, "it is {value:?}, from {source}");
        Ok(Some(source))
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_key_reaches_the_running_broker_and_another_key_restarts_it_once() {
    let stage = living::set().await;
    stage.make_topic(NAME, "watched", 2);
    stage.make_group(NAME, "watchers", "watched", &serde_json::Value::Null);
    stage.topic_ready("watched").await;
    stage.group_ready("watchers").await;
    let is_by_queue = async || {
        let samples = living::samples(&stage).await?;
        anyhow::Ok(samples.iter().any(|sample| sample.name == BY_QUEUE))
    };
    let life = living::life(&stage).await;
    assert!(!is_by_queue().await.unwrap());

    let changed = Instant::now();
    configure(&stage, json!({"queueMetrics": true, "checkpointSeconds": 47})).await;
    until_set(&stage, "queueMetrics", "true").await;
    until_set(&stage, "checkpointSeconds", "47").await;
    println!("the running broker has them after {:?}", changed.elapsed());
    assert!(is_by_queue().await.unwrap(), "its metrics follow");
    let cluster = stage.cluster_ready(NAME).await;
    let status = cluster.status.unwrap();
    assert_eq!(
        condition(&status.conditions, "ConfigurationApplied"),
        "True Applied"
    );
    assert_eq!(status.pending_restart_keys, [""; 0]);
    assert_eq!(living::life(&stage).await, life, "nothing was restarted");

    // What the next start would read.
    let map = stage.api::<ConfigMap>().get(&format!("{NAME}-config")).await;
    let file = map.unwrap().data.unwrap().into_values().next().unwrap();
    assert!(file.contains("checkpointSeconds: 47"), "{file}");

    configure(&stage, json!({"checkpointSeconds": null, "flush": "async"})).await;
    let is_another = |pod: &Pod| pod.metadata.uid.as_ref() != Some(&life.0);
    let another = stage
        .until("there is another pod", &living::pod(), SOON, is_another)
        .await;
    stage.cluster_ready(NAME).await;
    assert_eq!(living::life(&stage).await, (another.metadata.uid.unwrap(), 0));
    assert_eq!(until_set(&stage, "flush", "async").await, "file");
    assert_eq!(until_set(&stage, "queueMetrics", "true").await, "file");
    until_set(&stage, "checkpointSeconds", "30").await;
}
