//! What becomes of a topic when its resource is deleted.

use serde_json::json;
use sluice_operator_api::{BrokerCluster, Topic};
use sluice_tests::client::{Client, message};

use crate::stage::{CLUSTER, Stage, Topics as _, condition, is_ready};

fn is_deleting(topic: &Topic) -> bool {
    topic.metadata.deletion_timestamp.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_stays_or_goes_as_the_policy_says() {
    let stage = Stage::new().await;
    let _operator = stage.leader().await;
    for (name, policy) in [
        ("stays", "Retain"),
        ("goes", "Delete"),
        ("empty", "DeleteIfEmpty"),
        ("full", "DeleteIfEmpty"),
    ] {
        stage.make_topic(name, json!({"deletionPolicy": policy})).await;
        stage.until::<Topic>("ready", name, is_ready).await;
    }
    let client = Client::new(&stage.broker.endpoint()).unwrap();
    for topic in ["stays", "goes", "full"] {
        client.send_ok(message(topic, "a message")).await.unwrap();
    }
    for name in ["stays", "goes", "empty", "full"] {
        stage.delete::<Topic>(name).await;
    }
    for (name, there) in [("stays", true), ("goes", false), ("empty", false)] {
        stage.until_gone::<Topic>(name).await;
        assert_eq!(stage.topic(name).await.is_some(), there, "{name}");
    }
    let waits = |topic: &Topic| condition(topic, "Ready") == "False NotEmpty";
    stage.until::<Topic>("it waits", "full", waits).await;
    assert!(stage.topic("full").await.is_some());
    let policy = json!({"spec": {"deletionPolicy": "Delete"}});
    stage.patch::<Topic>("full", policy).await;
    stage.until_gone::<Topic>("full").await;
    assert!(stage.topic("full").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_waits_for_a_broker_that_is_down() {
    let mut stage = Stage::new().await;
    let mut operator = stage.leader().await;
    stage
        .make_topic("orders", json!({"deletionPolicy": "Delete"}))
        .await;
    stage.until::<Topic>("ready", "orders", is_ready).await;
    stage.broker.kill().unwrap();
    stage.delete::<Topic>("orders").await;
    let waits = |topic: &Topic| is_deleting(topic) && condition(topic, "Ready") == "False BrokerUnreachable";
    stage.until::<Topic>("it waits", "orders", waits).await;
    // Another operator goes on where this one was.
    operator.kill();
    let _operator = stage.leader().await;
    stage.broker.restart().unwrap();
    stage.until_gone::<Topic>("orders").await;
    assert!(stage.topic("orders").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_never_waits_for_a_cluster_that_is_gone() {
    let mut stage = Stage::new().await;
    let _operator = stage.leader().await;
    for name in ["before", "after"] {
        stage.make_topic(name, json!({"deletionPolicy": "Delete"})).await;
        stage.until::<Topic>("ready", name, is_ready).await;
    }
    stage.broker.kill().unwrap();
    stage.delete::<Topic>("before").await;
    stage.until::<Topic>("it waits", "before", is_deleting).await;
    stage.delete::<BrokerCluster>(CLUSTER).await;
    stage.until_gone::<Topic>("before").await;
    let free = |topic: &Topic| topic.metadata.finalizers.is_none();
    let after = stage.until::<Topic>("it waits for nobody", "after", free).await;
    assert!(!is_deleting(&after));
    stage.delete::<Topic>("after").await;
    stage.until_gone::<Topic>("after").await;
}
