//! An operator that starts anew goes on from what the last one has left in the status.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use sluice_operator_api::ConsumerGroup;
use sluice_tests::ports;

use crate::stage::{BRISK, Scaling as _, Stage, scaled, until_evaluated};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_operator_keeps_to_the_cooldown_of_the_last_ones_change() {
    let stage = Stage::new().await;
    let mut first = stage.leader_with(&BRISK).await;
    stage.make_orders(8).await;
    stage.make_workload::<Deployment>("worker", 1).await;
    let mut group = scaled("worker", json!({}));
    group["autoscaling"]["behavior"]["cooldownSeconds"] = 3_600.into();
    stage.make_group("billing", group).await;
    stage.send(3).await;
    stage
        .until::<Deployment>("it is scaled", "worker", |worker| {
            worker.metadata.generation > Some(1)
        })
        .await;
    let told = |group: &ConsumerGroup| {
        let status = group.status.as_ref();
        status.is_some_and(|status| status.last_scale.is_some() && status.history.is_some())
    };
    let group = stage.until::<ConsumerGroup>("it is told", "billing", told).await;
    let reached = group.status.unwrap().last_scale.unwrap().to;
    first.kill();
    stage.send(9).await;

    let second = stage.leader_with(&BRISK).await;
    stage
        .until_condition("billing", "ScalingLimited", "True Cooldown")
        .await;
    until_evaluated(&second, 3).await;
    assert_eq!(stage.replicas::<Deployment>("worker").await, reached);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fallback_counts_from_when_the_lag_was_known_last_whoever_has_seen_that() {
    let stage = Stage::new().await;
    let mut first = stage.leader_with(&BRISK).await;
    stage.make_workload::<Deployment>("worker", 2).await;
    let nobody = format!("http://127.0.0.1:{}", ports::free().unwrap());
    let fields = json!({
        "lag": {},
        "prometheus": {"url": nobody},
        "cap": {"policy": "None"},
        "onMetricsMissing": {"action": "Fallback", "afterSeconds": 600, "fallbackReplicas": 5},
    });
    stage.make_group("billing", scaled("worker", fields)).await;
    let noted = |group: &ConsumerGroup| {
        let history = group.status.as_ref().and_then(|status| status.history.as_ref());
        history.is_some_and(|history| history.missing_since.is_some())
    };
    stage
        .until::<ConsumerGroup>("it is noted", "billing", noted)
        .await;
    stage
        .until_condition("billing", "FallbackActive", "False NoFallback")
        .await;
    // It comes behind the status.
    stage.until_event("billing", "MetricsMissing").await;
    first.kill();
    assert_eq!(stage.replicas::<Deployment>("worker").await, 2);
    // When: that was long ago.
    let ago = json!({"status": {"history": {"missingSince": "2026-01-01T00:00:00Z"}}});
    stage
        .api::<ConsumerGroup>()
        .patch_status("billing", &PatchParams::default(), &Patch::Merge(ago))
        .await
        .unwrap();
    let _second = stage.leader_with(&BRISK).await;
    stage.until_replicas::<Deployment>("worker", 5).await;
    stage
        .until_condition("billing", "FallbackActive", "True Fallback")
        .await;
    stage.until_event("billing", "FallbackActive").await;
    assert_eq!(
        stage.told("billing", "MetricsMissing").await,
        1,
        "by the first of the two operators"
    );
}
