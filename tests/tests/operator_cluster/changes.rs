//! Changes of the resource, and of its objects by others.

use serde_json::json;

use crate::stage::Stage;

#[tokio::test]
async fn what_others_change_or_delete_is_put_back() {
    let stage = Stage::set("drift").await;
    stage.apply(&json!({})).await;
    stage.condition("Ready", "False Starting").await;
    stage
        .patch(
            "Service",
            "main-admin",
            &json!({"spec": {"publishNotReadyAddresses": true}}),
        )
        .await;
    let theirs = json!({"spec": {"selector": {"app.kubernetes.io/instance": "other"}}});
    stage.patch("Service", "main-grpc", &theirs).await;
    let service = stage.until("Service", "main-grpc", |service| {
        service["spec"]["selector"]["app.kubernetes.io/instance"] == "main"
    });
    service.await;
    // What the operator says nothing of is theirs.
    let admin = stage.until("Service", "main-admin", |_| true).await;
    assert_eq!(admin["spec"]["publishNotReadyAddresses"], true);
    let old = stage.until("ConfigMap", "main-config", |_| true).await;
    stage
        .api("ConfigMap")
        .delete("main-config", &Default::default())
        .await
        .unwrap();
    let anew = stage.until("ConfigMap", "main-config", |map| {
        map["metadata"]["uid"] != old["metadata"]["uid"]
    });
    assert_eq!(anew.await["data"], old["data"]);
}

#[tokio::test]
async fn live_keys_do_not_touch_the_pods_and_others_roll_them() {
    let stage = Stage::set("config").await;
    stage.apply(&json!({"config": {"log": "info"}})).await;
    let before = stage.until("StatefulSet", "main", |_| true).await;
    stage.apply(&json!({"config": {"log": "debug"}})).await;
    stage
        .until("ConfigMap", "main-config", |map| {
            map["data"]["broker.yaml"]
                .as_str()
                .unwrap()
                .contains("log: debug")
        })
        .await;
    stage.looks().await;
    let after = stage.until("StatefulSet", "main", |_| true).await;
    assert_eq!(after["metadata"]["generation"], before["metadata"]["generation"]);
    stage
        .apply(&json!({"config": {"log": "debug", "flush": "async"}}))
        .await;
    stage
        .until("StatefulSet", "main", |set| {
            let hash = |set: &serde_json::Value| {
                set["spec"]["template"]["metadata"]["annotations"]["sluice.dev/restart-hash"].clone()
            };
            hash(set) != hash(&before)
        })
        .await;
}

#[tokio::test]
async fn what_is_switched_off_goes_and_comes_back() {
    let stage = Stage::set("switches").await;
    let more =
        json!({"listeners": [{"name": "grpc"}, {"name": "outside", "exposure": {"type": "NodePort"}}]});
    stage.apply(&more).await;
    stage
        .until("Service", "main-outside", |service| {
            service["spec"]["ports"][0]["nodePort"].is_number()
        })
        .await;
    stage.until("StatefulSet", "main", |_| true).await;
    let off = json!({"networkPolicy": {"mode": "Disabled"}, "podDisruptionBudget": {"mode": "Disabled"}});
    stage.apply(&off).await;
    stage.until_gone("NetworkPolicy", "main").await;
    stage.until_gone("PodDisruptionBudget", "main").await;
    stage.until_gone("Service", "main-outside").await;
    stage.apply(&json!({})).await;
    stage.until("NetworkPolicy", "main", |_| true).await;
    stage.until("PodDisruptionBudget", "main", |_| true).await;
}

#[tokio::test]
async fn an_advertised_host_on_nodes_has_the_port_that_kubernetes_chose() {
    let stage = Stage::set("advertised").await;
    let exposure = json!({"type": "NodePort", "advertisedHost": "mq.example.org"});
    stage
        .apply(&json!({"listeners": [{"name": "grpc", "exposure": exposure}]}))
        .await;
    let map = stage.until("ConfigMap", "main-config", |_| true).await;
    let service = stage.until("Service", "main-grpc", |_| true).await;
    let wanted = format!(
        "advertise: mq.example.org:{}",
        service["spec"]["ports"][0]["nodePort"]
    );
    let file = map["data"]["broker.yaml"].as_str().unwrap();
    assert!(file.contains(&wanted), "{file}");
}

#[tokio::test]
async fn a_paused_resource_changes_nothing_until_the_annotation_is_gone() {
    let stage = Stage::set("paused").await;
    stage.apply(&json!({})).await;
    stage.until("StatefulSet", "main", |_| true).await;
    let annotation =
        |value: serde_json::Value| json!({"metadata": {"annotations": {"sluice.dev/paused": value}}});
    stage
        .patch("BrokerCluster", "main", &annotation("true".into()))
        .await;
    stage.condition("ReconciliationPaused", "True Paused").await;
    stage
        .api("ConfigMap")
        .delete("main-config", &Default::default())
        .await
        .unwrap();
    stage.looks().await;
    assert!(stage.find("ConfigMap", "main-config").await.is_none());
    stage
        .patch("BrokerCluster", "main", &annotation(json!(null)))
        .await;
    stage.until("ConfigMap", "main-config", |_| true).await;
    stage.condition("ReconciliationPaused", "False NotPaused").await;
}
