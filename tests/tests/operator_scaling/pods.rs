//! Pods, which are objects here: those that are idle go first, and those that no node takes hold further ones back.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use sluice_operator_api::labels::POD_DELETION_COST;
use sluice_tests::client::{Client, Receive, Session, simple_consumer_settings};

use crate::stage::{BRISK, Scaling as _, Stage, TOPIC, scaled};

/// A pod of the workload.
async fn make_pod(stage: &Stage, name: &str) {
    let pod = json!({
        "metadata": {"name": name, "labels": {"app": "worker"}},
        "spec": {"containers": [{"name": "consumer", "image": "consumer"}]},
    });
    stage.make::<Pod>(pod).await;
}

/// A consumer that is connected, and the pod that it runs in.
async fn consumer(stage: &Stage) -> (Client, Session, String) {
    let client = Client::new(&stage.broker.endpoint()).unwrap();
    let settings = simple_consumer_settings(&client, "billing", &[(TOPIC, "*")]);
    let session = Session::open(&client, settings).await.unwrap();
    let pod = client.id().rsplit('@').next().unwrap().to_owned();
    make_pod(stage, &pod).await;
    (client, session, pod)
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_whose_consumers_hold_nothing_are_marked_to_go_first() {
    let stage = Stage::new().await;
    let _operator = stage.leader_with(&BRISK).await;
    stage.make_orders(4).await;
    stage.make_workload::<Deployment>("worker", 1).await;
    let mut group = scaled("worker", json!({}));
    group["autoscaling"]["behavior"]["scaleDown"]["preferIdlePods"] = "Enabled".into();
    stage.make_group("billing", group).await;
    make_pod(&stage, "unknown").await;
    let (client, _session, busy) = consumer(&stage).await;
    let (_idle, _other_session, idle) = consumer(&stage).await;
    stage.send(3).await;
    stage.until_replicas::<Deployment>("worker", 3).await;
    // When: one of them holds all that there is.
    let receive = Receive {
        invisible: Duration::from_secs(3_600),
        ..Receive::new("billing", TOPIC)
    };
    let mut held = 0;
    while held < 3 {
        held += client.receive(&receive).await.unwrap().messages.len();
    }
    stage.until_replicas::<Deployment>("worker", 1).await;
    let cost = async |name: &str| {
        let pod = stage.api::<Pod>().get(name).await.unwrap();
        pod.annotations().get(POD_DELETION_COST).cloned()
    };
    assert_eq!(cost(&idle).await.as_deref(), Some("-100"));
    assert_eq!((cost(&busy).await, cost("unknown").await), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_no_node_takes_hold_further_ones_back() {
    let stage = Stage::new().await;
    let _operator = stage.leader_with(&BRISK).await;
    stage.make_orders(4).await;
    stage.make_workload::<Deployment>("worker", 1).await;
    make_pod(&stage, "waiting").await;
    let waits = json!({"status": {"conditions": [{
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}});
    let parameters = PatchParams::default();
    stage
        .api::<Pod>()
        .patch_status("waiting", &parameters, &Patch::Merge(waits))
        .await
        .unwrap();
    let guards = json!({"guards": [{"name": "nodes", "type": "PendingPods"}]});
    stage.make_group("billing", scaled("worker", guards)).await;
    stage.send(9).await;
    stage
        .until_condition("billing", "ScalingLimited", "True Guard")
        .await;
    let message = stage
        .until_condition("billing", "GuardActive", "True Guard")
        .await;
    assert!(message.contains("nodes"), "{message}");
    assert_eq!(stage.replicas::<Deployment>("worker").await, 1);
    stage.delete::<Pod>("waiting").await;
    stage.until_replicas::<Deployment>("worker", 4).await;
}
