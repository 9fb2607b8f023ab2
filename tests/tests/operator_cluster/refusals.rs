//! What cannot be done: each is a condition, and nothing moves.

use serde_json::json;

use crate::stage::Stage;

#[tokio::test]
async fn an_unknown_key_changes_nothing_and_is_named() {
    let stage = Stage::set("unknown-key").await;
    stage.apply(&json!({"config": {"autoCreateTopcs": true}})).await;
    let message = stage
        .condition("ConfigurationApplied", "False ConfigurationInvalid")
        .await;
    assert!(message.contains("autoCreateTopcs"), "{message}");
    stage.condition("Ready", "False ConfigurationInvalid").await;
    assert!(stage.find("StatefulSet", "main").await.is_none());
    stage.apply(&json!({"config": {"autoCreateTopics": true}})).await;
    stage.until("StatefulSet", "main", |_| true).await;
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_waited_for() {
    let stage = Stage::set("no-secret").await;
    stage
        .apply(&json!({"tls": {"secretRef": {"name": "cert"}}}))
        .await;
    let message = stage.condition("Ready", "False SecretNotFound").await;
    assert!(message.contains("'cert'"), "{message}");
    assert!(stage.find("StatefulSet", "main").await.is_none());
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cert"}, "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": "a certificate", "tls.key": "its key"},
    });
    let secret = serde_json::from_value(secret).unwrap();
    stage
        .api("Secret")
        .create(&Default::default(), &secret)
        .await
        .unwrap();
    // Secrets are not watched; a change of the resource has it looked at.
    stage
        .apply(&json!({"tls": {"secretRef": {"name": "cert"}}, "terminationGracePeriodSeconds": 90}))
        .await;
    stage.until("StatefulSet", "main", |_| true).await;
}

#[tokio::test]
async fn an_object_of_somebody_else_is_left_alone_and_named() {
    let stage = Stage::set("taken").await;
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "main-config"}, "data": {"theirs": "yes"}});
    let theirs = serde_json::from_value(theirs).unwrap();
    stage
        .api("ConfigMap")
        .create(&Default::default(), &theirs)
        .await
        .unwrap();
    stage.apply(&json!({})).await;
    let message = stage.condition("Ready", "False NameTaken").await;
    assert!(message.contains("ConfigMap 'main-config'"), "{message}");
    let map = stage.find("ConfigMap", "main-config").await.unwrap();
    assert_eq!(map["data"], json!({"theirs": "yes"}));
    assert!(stage.find("StatefulSet", "main").await.is_none());
}

#[tokio::test]
async fn the_address_of_a_service_of_somebody_else_is_not_told_as_the_clusters() {
    let stage = Stage::set("taken-service").await;
    let theirs = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "main-grpc"},
        "spec": {"ports": [{"port": 80}]},
    });
    let theirs = serde_json::from_value(theirs).unwrap();
    stage
        .api("Service")
        .create(&Default::default(), &theirs)
        .await
        .unwrap();
    stage.apply(&json!({})).await;
    let message = stage.condition("Ready", "False NameTaken").await;
    assert!(message.contains("Service 'main-grpc'"), "{message}");
    let cluster = stage.find("BrokerCluster", "main").await.unwrap();
    assert!(cluster["status"]["listeners"].is_null(), "{cluster}");
    stage
        .api("Service")
        .delete("main-grpc", &Default::default())
        .await
        .unwrap();
    stage
        .until("BrokerCluster", "main", |cluster| {
            cluster["status"]["listeners"][0]["address"] == "main-grpc.taken-service.svc:8081"
        })
        .await;
}

#[tokio::test]
async fn an_object_that_kubernetes_refuses_is_told_with_its_words() {
    let stage = Stage::set("refused").await;
    stage
        .apply(&json!({"podTemplate": {"nodeSelector": {"not a label!": "x"}}}))
        .await;
    let message = stage.condition("Ready", "False ObjectRefused").await;
    assert!(
        message.contains("StatefulSet 'main'") && message.contains("not a label!"),
        "{message}"
    );
}
