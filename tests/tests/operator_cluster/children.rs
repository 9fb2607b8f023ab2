//! What is made of a resource.

use std::collections::BTreeMap;

use serde_json::json;

use crate::stage::Stage;

const CHILDREN: [(&str, &str); 9] = [
    ("Service", "main-brokers"),
    ("Service", "main-admin"),
    ("Service", "main-grpc"),
    ("Secret", "main-admin"),
    ("Secret", "main-binding"),
    ("ConfigMap", "main-config"),
    ("NetworkPolicy", "main"),
    ("PodDisruptionBudget", "main"),
    ("StatefulSet", "main"),
];

#[tokio::test]
async fn a_resource_becomes_objects_that_belong_to_it_and_a_status() {
    let stage = Stage::set("made").await;
    stage.apply(&json!({"config": {"log": "debug"}})).await;
    let cluster = stage.until("BrokerCluster", "main", |_| true).await;
    for (kind, name) in CHILDREN {
        let child = stage.until(kind, name, |_| true).await;
        let owner = &child["metadata"]["ownerReferences"][0];
        assert_eq!(owner["uid"], cluster["metadata"]["uid"], "{kind} {name}");
        assert_eq!(
            child["metadata"]["labels"]["sluice.dev/cluster"], "main",
            "{kind} {name}"
        );
    }
    stage.condition("Ready", "False Starting").await;
    let cluster = stage
        .until("BrokerCluster", "main", |cluster| {
            cluster["status"]["binding"].is_object()
        })
        .await;
    let status = &cluster["status"];
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(status["listeners"][0]["address"], "main-grpc.made.svc:8081");
    assert_eq!(
        status["adminTokenSecretRef"],
        json!({"name": "main-admin", "key": "token"})
    );
    assert!(status["nextTokenRotationTime"].is_string(), "{status}");
    assert_eq!(status["brokers"][0]["name"], "main-0");
    let map = stage.until("ConfigMap", "main-config", |_| true).await;
    let file = map["data"]["broker.yaml"].as_str().unwrap();
    assert!(
        file.contains("log: debug") && file.contains("clusterName: main"),
        "{file}"
    );
}

/// Versions of all objects, and of the resource.
async fn versions(stage: &Stage) -> BTreeMap<(&'static str, &'static str), String> {
    let mut versions = BTreeMap::new();
    for (kind, name) in CHILDREN.into_iter().chain([("BrokerCluster", "main")]) {
        let object = stage.until(kind, name, |_| true).await;
        versions.insert((kind, name), object["metadata"]["resourceVersion"].to_string());
    }
    versions
}

#[tokio::test]
async fn an_operator_that_looks_again_and_again_writes_nothing() {
    let stage = Stage::set("steady").await;
    // What the API server writes otherwise than it was given: a quantity, a variable without a value.
    let odd = json!({
        "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}},
        "podTemplate": {"env": [{"name": "EMPTY", "value": ""}]},
    });
    stage.apply(&odd).await;
    stage.condition("Ready", "False Starting").await;
    stage.looks().await;
    let before = versions(&stage).await;
    stage.looks().await;
    stage.looks().await;
    assert_eq!(versions(&stage).await, before);
}
