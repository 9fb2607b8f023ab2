//! Groups that are not scaled because somebody wants it so: by mode, by annotation, by guard.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;
use sluice_operator_api::ConsumerGroup;
use sluice_tests::stage::resource;

use crate::answers::Answers;
use crate::stage::{BRISK, Scaling as _, Stage, scaled, until_evaluated};

#[tokio::test(flavor = "multi_thread")]
async fn modes_and_annotations_keep_replicas_as_they_are_and_are_told_of() {
    let stage = Stage::new().await;
    let operator = stage.leader_with(&BRISK).await;
    stage.make_orders(4).await;
    let cases = [
        ("shown", "Recommend", "", "False RecommendOnly"),
        ("off", "Disabled", "", "False Disabled"),
        ("paused", "Active", "sluice.dev/paused", "False Paused"),
        ("no-more", "Active", "sluice.dev/paused-scale-out", "True Scaling"),
        ("no-less", "Active", "sluice.dev/paused-scale-in", "True Scaling"),
    ];
    for (name, mode, annotation, _) in cases {
        let replicas = if name == "no-less" { 4 } else { 1 };
        stage.make_workload::<Deployment>(name, replicas).await;
        let mut group = resource("ConsumerGroup", name, scaled(name, json!({"mode": mode})));
        if !annotation.is_empty() {
            group["metadata"]["annotations"] = json!({annotation: "true"});
        }
        // One has too many replicas for its lag, the others have too few.
        if name == "no-less" {
            group["spec"]["autoscaling"]["lag"]["messagesPerReplica"] = 1_000.into();
        }
        stage.make::<ConsumerGroup>(group).await;
    }
    stage.send(9).await;
    for (name, .., active) in cases {
        stage.until_condition(name, "ScalingActive", active).await;
    }
    for name in ["paused", "no-more", "no-less"] {
        stage.until_condition(name, "ScalingPaused", "True Paused").await;
    }
    let recommended = |group: &ConsumerGroup| {
        let replicas = group.status.as_ref().and_then(|status| status.replicas.clone());
        replicas.is_some_and(|replicas| (replicas.current, replicas.desired) == (Some(1), Some(4)))
    };
    stage
        .until::<ConsumerGroup>("it says what it would do", "shown", recommended)
        .await;
    until_evaluated(&operator, 15).await;
    for (name, ..) in cases {
        let workload = stage.api::<Deployment>().get(name).await.unwrap();
        assert_eq!(workload.metadata.generation, Some(1), "{name}");
    }
    // When: they are let go.
    for name in ["paused", "no-more", "no-less"] {
        let released = json!({"metadata": {"annotations": null}});
        stage.patch::<ConsumerGroup>(name, released).await;
    }
    let active = json!({"spec": {"autoscaling": {"mode": "Active"}}});
    for name in ["shown", "off"] {
        stage.patch::<ConsumerGroup>(name, active.clone()).await;
    }
    for (name, replicas) in [
        ("shown", 4),
        ("off", 4),
        ("paused", 4),
        ("no-more", 4),
        ("no-less", 1),
    ] {
        stage.until_replicas::<Deployment>(name, replicas).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_holds_replicas_until_what_it_watches_is_well_again() {
    let stage = Stage::new().await;
    let operator = stage.leader_with(&BRISK).await;
    let database = Answers::serve().await;
    database.say("/load", "91");
    stage.make_orders(4).await;
    stage.make_workload::<Deployment>("worker", 1).await;
    let guard = json!({
        "name": "database",
        "type": "Prometheus",
        "prometheus": {"query": "max(load)", "above": "85"},
    });
    let fields = json!({"prometheus": {"url": database.url("/load")}, "guards": [guard]});
    stage.make_group("billing", scaled("worker", fields)).await;
    stage.send(9).await;
    let message = stage
        .until_condition("billing", "GuardActive", "True Guard")
        .await;
    assert!(message.contains("database"), "{message}");
    stage
        .until_condition("billing", "ScalingLimited", "True Guard")
        .await;
    stage.until_event("billing", "GuardActive").await;
    until_evaluated(&operator, 3).await;
    assert_eq!(stage.replicas::<Deployment>("worker").await, 1);
    database.say("/load", "20");
    stage.until_replicas::<Deployment>("worker", 4).await;
    stage
        .until_condition("billing", "GuardActive", "False NoGuardActive")
        .await;
}
