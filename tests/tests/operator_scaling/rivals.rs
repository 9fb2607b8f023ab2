//! Somebody else scales the workload too: he is found, named, and not fought.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;
use sluice_operator_api::ConsumerGroup;
use sluice_operator_api::labels::FORCE_SYNC;
use sluice_tests::wait;

use crate::stage::{BRISK, SOON, Scaling as _, Stage, condition_of_group, scaled, until_evaluated};

/// KEDA's kind, as far as the operator reads it.
async fn define_scaled_objects(stage: &Stage) {
    let definition = json!({
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {
            "group": "keda.sh",
            "scope": "Namespaced",
            "names": {"kind": "ScaledObject", "plural": "scaledobjects", "singular": "scaledobject"},
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                }},
            }],
        },
    });
    let definitions = Api::<CustomResourceDefinition>::all(stage.client.clone());
    let definition = serde_json::from_value(definition).unwrap();
    definitions
        .create(&PostParams::default(), &definition)
        .await
        .unwrap();
}

fn scaled_objects(stage: &Stage) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject");
    let kind = ApiResource::from_gvk_with_plural(&kind, "scaledobjects");
    Api::namespaced_with(stage.client.clone(), &stage.namespace, &kind)
}

async fn make_scaled_object(stage: &Stage, workload: &str) {
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "theirs"},
        "spec": {"scaleTargetRef": {"name": workload}},
    });
    let object = serde_json::from_value(object).unwrap();
    let probe = async || {
        let made = scaled_objects(stage)
            .create(&PostParams::default(), &object)
            .await;
        Ok(made.is_ok().then_some(()))
    };
    wait::until_async("ScaledObjects are served", SOON, probe)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_autoscaler_of_the_workload_has_it_until_it_goes() {
    let stage = Stage::new().await;
    define_scaled_objects(&stage).await;
    make_scaled_object(&stage, "of-keda").await;
    let operator = stage.leader_with(&BRISK).await;
    stage.make_orders(4).await;
    let autoscaler = json!({
        "metadata": {"name": "theirs"},
        "spec": {
            "maxReplicas": 2,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "of-kubernetes"},
        },
    });
    stage.make::<HorizontalPodAutoscaler>(autoscaler).await;
    stage.make_workload::<StatefulSet>("of-kubernetes", 1).await;
    stage.make_workload::<Deployment>("of-keda", 1).await;
    let target = json!({"scaleTargetRef": {"kind": "StatefulSet", "name": "of-kubernetes"}});
    stage.make_group("billing", scaled("", target)).await;
    stage.make_group("mails", scaled("of-keda", json!({}))).await;
    stage.send(9).await;
    for (group, words) in [
        ("billing", "HorizontalPodAutoscaler theirs"),
        ("mails", "ScaledObject theirs"),
    ] {
        let message = stage
            .until_condition(group, "Conflicted", "True OtherAutoscaler")
            .await;
        assert!(message.contains(words), "{message}");
        stage
            .until_condition(group, "ScalingActive", "False OtherAutoscaler")
            .await;
        stage.until_event(group, "Conflicted").await;
    }
    until_evaluated(&operator, 6).await;
    for group in ["billing", "mails"] {
        assert_eq!(stage.told(group, "Conflicted").await, 1, "{group}");
    }
    assert_eq!(stage.replicas::<StatefulSet>("of-kubernetes").await, 1);
    assert_eq!(stage.replicas::<Deployment>("of-keda").await, 1);
    stage.delete::<HorizontalPodAutoscaler>("theirs").await;
    scaled_objects(&stage)
        .delete("theirs", &Default::default())
        .await
        .unwrap();
    stage.until_replicas::<StatefulSet>("of-kubernetes", 4).await;
    stage.until_replicas::<Deployment>("of-keda", 4).await;
    for group in ["billing", "mails"] {
        stage
            .until_condition(group, "Conflicted", "False NoOtherAutoscaler")
            .await;
    }
    let requests = |verb: &str| {
        let lists = |sample: &sluice_tests::metrics::Sample| {
            sample.labels["resource"] == "horizontalpodautoscalers" && sample.labels["verb"] == verb
        };
        operator
            .sum("sluice_operator_kubernetes_requests_total", lists)
            .unwrap()
    };
    assert!(requests("list") <= 2.0, "they are watched, not listed");
}

/// Applies one replica whenever there are four, as a tool does that applies what stands in Git.
async fn apply_from_git(stage: &Stage, times: usize) {
    for _ in 0..times {
        stage.until_replicas::<Deployment>("worker", 4).await;
        let applied = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "worker"},
            "spec": {"replicas": 1},
        });
        let parameters = PatchParams::apply("argocd-controller").force();
        let api = stage.api::<Deployment>();
        api.patch("worker", &parameters, &Patch::Apply(applied))
            .await
            .unwrap();
    }
}

/// Scales to one replica whenever there are four, as `kubectl scale` does.
async fn scale_by_hand(stage: &Stage, times: usize) {
    for _ in 0..times {
        stage.until_replicas::<Deployment>("worker", 4).await;
        let parameters = PatchParams {
            field_manager: Some("kubectl".to_owned()),
            ..PatchParams::default()
        };
        let scale = json!({"spec": {"replicas": 1}});
        let api = stage.api::<Deployment>();
        api.patch_scale("worker", &parameters, &Patch::Merge(scale))
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_puts_replicas_back_three_times_is_named_and_keeps_them_until_people_have_answered() {
    let stage = Stage::new().await;
    let operator = stage.leader_with(&BRISK).await;
    stage.make_orders(4).await;
    stage.make_workload::<Deployment>("worker", 1).await;
    stage.make_group("billing", scaled("worker", json!({}))).await;
    stage.send(9).await;
    apply_from_git(&stage, 3).await;
    let reverted = "True ReplicasReverted";
    let message = stage
        .until_condition("billing", "ReplicasContended", reverted)
        .await;
    assert!(
        message.contains("last by argocd-controller (Apply at 20"),
        "{message}"
    );
    assert!(message.contains("ignoreDifferences"), "{message}");
    stage
        .until_condition("billing", "ScalingActive", "False ReplicasReverted")
        .await;
    stage.until_event("billing", "ReplicasContended").await;
    // When: an alert asks for an evaluation.
    let annotated = |value: &str| json!({"metadata": {"annotations": {FORCE_SYNC: value}}});
    stage
        .patch::<ConsumerGroup>("billing", annotated("alert-00"))
        .await;
    until_evaluated(&operator, 4).await;
    assert_eq!(stage.replicas::<Deployment>("worker").await, 1);
    assert_eq!(stage.told("billing", "ReplicasContended").await, 1);
    // When: somebody says that it is mended, and it is not.
    stage.patch::<ConsumerGroup>("billing", annotated("mended")).await;
    scale_by_hand(&stage, 3).await;
    let by_hand = |group: &ConsumerGroup| {
        let conditions = group.status.iter().flat_map(|status| &status.conditions);
        conditions
            .filter(|condition| condition.type_ == "ReplicasContended")
            .any(|condition| condition.message.contains("last by kubectl (Update of scale"))
    };
    stage
        .until::<ConsumerGroup>("it is named", "billing", by_hand)
        .await;
    assert_eq!(stage.replicas::<Deployment>("worker").await, 1);
    // When: the resource is changed.
    let fewer = json!({"spec": {"autoscaling": {"maxReplicas": 3}}});
    stage.patch::<ConsumerGroup>("billing", fewer).await;
    stage.until_replicas::<Deployment>("worker", 3).await;
    stage
        .until_condition("billing", "ReplicasContended", "False NotContended")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_groups_on_one_workload_the_older_has_it_and_the_other_inherits_it() {
    let stage = Stage::new().await;
    let operator = stage.leader_with(&BRISK).await;
    stage.make_orders(4).await;
    stage.make_workload::<Deployment>("worker", 1).await;
    let per_replica = |messages: i32| json!({"lag": {"source": "Broker", "messagesPerReplica": messages}});
    stage.make_group("older", scaled("worker", per_replica(4))).await;
    // Ages are in seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    stage
        .make_group("younger", scaled("worker", per_replica(1)))
        .await;
    stage.send(8).await;
    stage.until_replicas::<Deployment>("worker", 2).await;
    let message = stage
        .until_condition("younger", "Conflicted", "True OtherGroup")
        .await;
    assert!(message.contains("ConsumerGroup older"), "{message}");
    until_evaluated(&operator, 6).await;
    assert_eq!(stage.replicas::<Deployment>("worker").await, 2);
    let older = stage.api::<ConsumerGroup>().get("older").await.unwrap();
    assert_eq!(
        condition_of_group(&older, "Conflicted"),
        "False NoOtherAutoscaler"
    );
    stage.delete::<ConsumerGroup>("older").await;
    stage.until_replicas::<Deployment>("worker", 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_name_is_taken_leaves_its_workload_to_a_younger_one() {
    let stage = Stage::new().await;
    let _operator = stage.leader_with(&BRISK).await;
    stage.make_orders(4).await;
    for workload in ["of-first", "worker"] {
        stage.make_workload::<Deployment>(workload, 1).await;
    }
    let named = |workload: &str, name: &str| {
        let mut group = scaled(workload, json!({}));
        group["groupName"] = name.into();
        group
    };
    for (group, workload, name) in [
        ("first", "of-first", "billing"),
        ("second", "worker", "billing"),
        ("third", "worker", "mails"),
    ] {
        stage.make_group(group, named(workload, name)).await;
        // Ages are in seconds.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    stage.send(9).await;
    stage
        .until_condition("second", "Conflicted", "True NameTaken")
        .await;
    stage.until_replicas::<Deployment>("worker", 4).await;
    stage
        .until_condition("third", "Conflicted", "False NoOtherAutoscaler")
        .await;
    stage
        .until_condition("second", "ScalingActive", "False NameTaken")
        .await;
}
