//! Topics that a group names and that the broker does not have: by which entry, and what there is instead.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};
use sluice_operator_api::{ConsumerGroup, Topic};

use crate::answers::Answers;
use crate::stage::{BRISK, Scaling as _, Stage, condition_of_group, is_ready, scaled};

const HINT: &str = "the Topic 'bills' stands for the topic 'Bills', so name 'Bills'";

/// Until the group's lag stands so, in these words.
async fn until_told(stage: &Stage, group: &str, wanted: &str, words: &str) {
    let what = format!("{group} is {wanted}: {words}");
    let is_told = |found: &ConsumerGroup| {
        let conditions = found.status.iter().flat_map(|status| &status.conditions);
        let mut of_lag = conditions.filter(|condition| condition.type_ == "MetricsAvailable");
        condition_of_group(found, "MetricsAvailable") == wanted
            && of_lag.any(|condition| condition.message == words)
    };
    stage.until::<ConsumerGroup>(&what, group, is_told).await;
}

fn reading(workload: &str, topics: &[&str], fields: Value) -> Value {
    let mut group = scaled(workload, fields);
    group["subscriptions"] = topics.iter().map(|topic| json!({"topic": topic})).collect();
    group
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_is_named_with_its_entry_and_the_one_that_was_meant() {
    // Given: a topic whose resource has another name, and a Prometheus that knows of nothing.
    let stage = Stage::new().await;
    let _operator = stage.leader_with(&BRISK).await;
    let answers = Answers::serve().await;
    stage.make_orders(2).await;
    stage.make_topic("bills", json!({"topicName": "Bills"})).await;
    stage
        .until::<Topic>("the topic is there", "bills", is_ready)
        .await;
    for name in ["broker", "prometheus"] {
        stage.make_workload::<Deployment>(name, 1).await;
    }
    // When: a group names the resource, whatever its lag comes from.
    let empty = json!({"lag": {"messagesPerReplica": 1}, "prometheus": {"url": answers.url("/empty")}});
    for (name, fields) in [("broker", json!({})), ("prometheus", empty)] {
        stage.make_group(name, reading(name, &["bills"], fields)).await;
        let words = format!("the brokers have no topic 'bills' (spec.subscriptions[0]): {HINT}");
        until_told(&stage, name, "False ResultEmpty", &words).await;
    }
    // When: a topic that is there stands beside it.
    let topics = reading("broker", &["orders", "bills"], json!({}))["subscriptions"].clone();
    stage
        .patch::<ConsumerGroup>("broker", json!({"spec": {"subscriptions": topics}}))
        .await;
    let words = format!(
        "the lag can be told, but not all of it: the brokers have no topic 'bills' (spec.subscriptions[1]): {HINT}"
    );
    until_told(&stage, "broker", "True MetricsRead", &words).await;
    // When: the hint is followed.
    let topics = reading("broker", &["orders", "Bills"], json!({}))["subscriptions"].clone();
    stage
        .patch::<ConsumerGroup>("broker", json!({"spec": {"subscriptions": topics}}))
        .await;
    until_told(&stage, "broker", "True MetricsRead", "the lag can be told").await;
}
