//! Topics are made, adopted, changed and put right.

use serde_json::json;
use sluice_operator_api::Topic;
use sluice_proto::admin::{DeleteTopicRequest, TopicSpec};
use sluice_tests::wait;

use crate::stage::{SOON, Stage, Topics as _, condition, is_ready};

fn spec(queues: u32, closed: bool) -> TopicSpec {
    TopicSpec {
        queues,
        types: vec![1],
        closed,
        ..TopicSpec::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_grown_closed_and_opened() {
    let stage = Stage::new().await;
    let _operator = stage.leader().await;
    stage.make_topic("orders", json!({"queues": 2})).await;
    let topic = stage.until::<Topic>("ready", "orders", is_ready).await;
    let status = topic.status.clone().unwrap();
    assert_eq!((status.queues, status.messages), (Some(2), Some(0)));
    assert_eq!(condition(&topic, "Synced"), "True Created");
    let made = stage.topic("orders").await.unwrap().topic.unwrap();
    assert_eq!(status.topic_id, Some(i64::from(made.id)));
    assert_eq!(made.spec, Some(spec(2, false)));
    stage.until_event("orders", "Created").await;

    for (change, queues, closed) in [
        (json!({"queues": 5}), 5, false),
        (json!({"producers": "Closed"}), 5, true),
        (json!({"producers": "Open", "queues": 6}), 6, false),
    ] {
        stage.patch::<Topic>("orders", json!({"spec": change})).await;
        let what = format!("{queues} queues, closed: {closed}");
        let is_so = |found: &TopicSpec| *found == spec(queues, closed);
        stage.until_topic(&what, "orders", is_so).await;
    }
    let settled = |topic: &Topic| {
        let status = topic.status.as_ref();
        status.and_then(|status| status.queues) == Some(6)
            && status.and_then(|status| status.observed_generation) == topic.metadata.generation
            && condition(topic, "Synced") == "True Updated"
    };
    stage
        .until::<Topic>("the status follows", "orders", settled)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_change_is_put_right() {
    let stage = Stage::new().await;
    let mut operator = stage.leader().await;
    stage.make_topic("orders", json!({"queues": 2})).await;
    let before = stage.until::<Topic>("ready", "orders", is_ready).await;
    stage.set_topic("orders", spec(2, true)).await;
    stage
        .until_topic("opened again", "orders", |found| !found.closed)
        .await;
    stage.until_event("orders", "Reverted").await;

    // While no operator looks.
    operator.kill();
    let delete = DeleteTopicRequest {
        name: "orders".to_owned(),
        ..DeleteTopicRequest::default()
    };
    stage.admin.topics().delete_topic(delete).await.unwrap();
    let _operator = stage.leader().await;
    let id_before = before.status.unwrap().topic_id;
    let is_another = |topic: &Topic| {
        let id = topic.status.as_ref().and_then(|status| status.topic_id);
        is_ready(topic) && id != id_before
    };
    stage.until::<Topic>("made again", "orders", is_another).await;
    assert!(stage.topic("orders").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_there_is_adopted_with_all_its_queues() {
    let stage = Stage::new().await;
    stage.set_topic("any", spec(8, true)).await;
    stage.set_topic("fewer", spec(8, false)).await;
    let _operator = stage.leader().await;
    stage.make_topic("any", json!({})).await;
    stage.make_topic("fewer", json!({"queues": 4})).await;
    let any = stage.until::<Topic>("ready", "any", is_ready).await;
    assert_eq!(condition(&any, "Synced"), "True Adopted");
    assert_eq!(any.status.unwrap().queues, Some(8));
    stage.until_topic("opened", "any", |found| !found.closed).await;
    let fewer = stage.until::<Topic>("ready", "fewer", is_ready).await;
    assert_eq!(condition(&fewer, "Synced"), "True QueuesCannotShrink");
    assert_eq!(fewer.status.unwrap().queues, Some(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_messages_are_kept_as_the_resource_says_and_as_long_or_else_as_it_was() {
    let stage = Stage::new().await;
    let kept = TopicSpec {
        retention_hours: 720,
        retention_bytes: 10 << 30,
        ..spec(2, false)
    };
    stage.set_topic("orders", kept).await;
    let _operator = stage.leader().await;
    stage.make_topic("orders", json!({"producers": "Closed"})).await;
    stage.until_topic("closed", "orders", |found| found.closed).await;
    let found = stage.topic("orders").await.unwrap().topic.unwrap();
    let found = found.spec.unwrap();
    assert_eq!((found.retention_hours, found.retention_bytes), (720, 10 << 30));
    for hours in [48, 0] {
        let patch = json!({"spec": {"retentionHours": hours}});
        stage.patch::<Topic>("orders", patch).await;
        stage
            .until_topic("kept otherwise", "orders", |found| found.retention_hours == hours)
            .await;
    }
    for (size, bytes) in [("1.5Gi", 1_610_612_736), ("0", 0)] {
        let patch = json!({"spec": {"retentionBytes": size}});
        stage.patch::<Topic>("orders", patch).await;
        stage
            .until_topic("as many kept", "orders", |found| {
                found.retention_bytes == bytes && found.retention_hours == 0
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_resource_has_the_name_and_the_next_one_inherits_it() {
    let stage = Stage::new().await;
    let _operator = stage.leader().await;
    stage.make_topic("first", json!({"topicName": "orders"})).await;
    stage.until::<Topic>("ready", "first", is_ready).await;
    let second = json!({"topicName": "orders", "queues": 9, "deletionPolicy": "Delete"});
    stage.make_topic("second", second.clone()).await;
    stage.make_topic("third", second).await;
    let taken = |topic: &Topic| condition(topic, "Conflicted") == "True NameTaken" && !is_ready(topic);
    for name in ["second", "third"] {
        stage.until::<Topic>("the name is taken", name, taken).await;
    }
    // What has not the name takes nothing with it.
    stage.delete::<Topic>("third").await;
    stage.until_gone::<Topic>("third").await;
    let found = stage.topic("orders").await.unwrap().topic.unwrap();
    assert_eq!(found.spec.unwrap().queues, 4);
    stage.delete::<Topic>("first").await;
    stage.until::<Topic>("ready", "second", is_ready).await;
    stage
        .until_topic("as the second says", "orders", |found| found.queues == 9)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_resource_changes_nothing_and_says_so() {
    let stage = Stage::new().await;
    let _operator = stage.leader().await;
    stage.make_topic("orders", json!({})).await;
    stage.until::<Topic>("ready", "orders", is_ready).await;
    let annotated = |value| json!({"metadata": {"annotations": {"sluice.dev/paused": value}}});
    stage.patch::<Topic>("orders", annotated(Some("true"))).await;
    let paused = |topic: &Topic| condition(topic, "ReconciliationPaused") == "True Paused";
    stage.until::<Topic>("paused", "orders", paused).await;
    stage.set_topic("orders", spec(0, true)).await;
    stage
        .patch::<Topic>("orders", json!({"spec": {"queues": 9}}))
        .await;
    let seen = |topic: &Topic| {
        let status = topic.status.as_ref();
        status.and_then(|status| status.observed_generation) == topic.metadata.generation && paused(topic)
    };
    stage.until::<Topic>("the change is seen", "orders", seen).await;
    let found = stage.topic("orders").await.unwrap().topic.unwrap().spec.unwrap();
    assert_eq!((found.queues, found.closed), (4, true));
    stage.patch::<Topic>("orders", annotated(None)).await;
    stage
        .until_topic("it goes on", "orders", |found| found.queues == 9 && !found.closed)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_waits_for_its_cluster_and_its_token() {
    let stage = Stage::without_cluster().await;
    let _operator = stage.leader().await;
    stage
        .make_topic("orders", json!({"deletionPolicy": "Delete"}))
        .await;
    let missing = |topic: &Topic| condition(topic, "Ready") == "False ClusterNotFound";
    let topic = stage.until::<Topic>("no cluster", "orders", missing).await;
    assert_eq!(topic.metadata.finalizers, None, "it would wait for nobody");
    stage.make_cluster().await;
    stage.until::<Topic>("ready", "orders", is_ready).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_not_written() {
    let stage = Stage::new().await;
    let operator = stage.leader().await;
    for number in 0..5 {
        let name = format!("topic-{number}");
        let policy = json!({"deletionPolicy": "Delete", "queues": 1});
        stage.make_topic(&name, policy).await;
        stage.until::<Topic>("ready", &name, is_ready).await;
    }
    let runs = || {
        operator
            .sum("sluice_operator_reconcile_runs_total", |_| true)
            .unwrap()
    };
    let writes = || {
        let is_write = |verb: &str| !matches!(verb, "get" | "list" | "watch");
        let others = |sample: &sluice_tests::metrics::Sample| {
            is_write(&sample.labels["verb"]) && sample.labels["resource"] != "leases"
        };
        operator
            .sum("sluice_operator_kubernetes_requests_total", others)
            .unwrap()
    };
    // Those of the first looks may still be under way.
    let settled = runs();
    wait::until_true_async("all are looked at again", SOON, || runs() >= settled + 10.0)
        .await
        .unwrap();
    let (before, written) = (runs(), writes());
    assert!(written >= 10.0, "finalizers and statuses were written");
    wait::until_true_async("and again", SOON, || runs() >= before + 15.0)
        .await
        .unwrap();
    assert_eq!(writes(), written);
}
