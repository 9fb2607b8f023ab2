//! Volumes that grow. The claim is made here: nobody else makes any.

use serde_json::{Value, json};

use crate::stage::Stage;

async fn claim(stage: &Stage, size: &str) {
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "data-main-0",
            "labels": {
                "app.kubernetes.io/name": "sluice",
                "app.kubernetes.io/instance": "main",
                "app.kubernetes.io/component": "broker",
            },
        },
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    });
    let claim = serde_json::from_value(claim).unwrap();
    stage
        .api("PersistentVolumeClaim")
        .create(&Default::default(), &claim)
        .await
        .unwrap();
}

fn asked(set: &Value) -> &Value {
    &set["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]
}

#[tokio::test]
async fn a_claim_that_no_volume_is_found_for_is_named() {
    let stage = Stage::set("unbound").await;
    stage.apply(&json!({})).await;
    stage.until("StatefulSet", "main", |_| true).await;
    claim(&stage, "1Gi").await;
    let wanted = "the volume claim data-main-0 is not bound: it is Pending";
    stage
        .until("BrokerCluster", "main", |cluster| {
            let conditions = cluster["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|condition| {
                condition["type"] == "StorageResizing"
                    && condition["status"] == "Unknown"
                    && condition["message"]
                        .as_str()
                        .is_some_and(|message| message.starts_with(wanted))
            })
        })
        .await;
}

#[tokio::test]
async fn a_volume_that_may_not_grow_stays_and_says_why_while_the_rest_goes_on() {
    let stage = Stage::set("not-growing").await;
    stage.apply(&json!({})).await;
    stage.until("StatefulSet", "main", |_| true).await;
    claim(&stage, "1Gi").await;
    // A claim that no class has provided cannot be expanded: the API server itself refuses it.
    stage
        .apply(&json!({"storage": {"size": "2Gi"}, "terminationGracePeriodSeconds": 90}))
        .await;
    let message = stage.condition("StorageResizing", "False ResizeNotAllowed").await;
    assert!(
        message.contains("data-main-0") && message.contains("2Gi"),
        "{message}"
    );
    let set = stage.until("StatefulSet", "main", |set| {
        set["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 90
    });
    assert_eq!(*asked(&set.await), "1Gi");
}

#[tokio::test]
async fn a_larger_template_is_a_new_stateful_set_that_leaves_the_pods_alone() {
    let stage = Stage::set("growing").await;
    stage.apply(&json!({})).await;
    let old = stage.until("StatefulSet", "main", |_| true).await;
    stage.apply(&json!({"storage": {"size": "2Gi"}})).await;
    let going = stage
        .until("StatefulSet", "main", |set| {
            set["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    assert_eq!(
        going["metadata"]["finalizers"],
        json!(["orphan"]),
        "its pods stay"
    );
    // What the garbage collector does once the pods are nobody's.
    stage
        .patch("StatefulSet", "main", &json!({"metadata": {"finalizers": null}}))
        .await;
    let new = stage
        .until("StatefulSet", "main", |set| {
            set["metadata"]["uid"] != old["metadata"]["uid"]
        })
        .await;
    assert_eq!(*asked(&new), "2Gi");
}

#[tokio::test]
async fn volumes_belong_to_the_resource_only_if_they_are_to_go_with_it() {
    let stage = Stage::set("policy").await;
    stage.apply(&json!({})).await;
    stage.until("StatefulSet", "main", |_| true).await;
    claim(&stage, "1Gi").await;
    stage
        .apply(&json!({"deletionPolicy": {"volumes": "Delete"}}))
        .await;
    let cluster = stage.until("BrokerCluster", "main", |_| true).await;
    let uid = cluster["metadata"]["uid"].clone();
    stage
        .until("PersistentVolumeClaim", "data-main-0", |claim| {
            claim["metadata"]["ownerReferences"][0]["uid"] == uid
        })
        .await;
    stage
        .apply(&json!({"deletionPolicy": {"volumes": "Retain"}}))
        .await;
    stage
        .until("PersistentVolumeClaim", "data-main-0", |claim| {
            claim["metadata"]["ownerReferences"].is_null()
        })
        .await;
}
