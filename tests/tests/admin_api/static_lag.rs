//! Lag of groups that have no client, by their static subscriptions (B1).

use sluice_proto::admin::*;
use sluice_tests::client::message;
use sluice_tests::wait;

use crate::stage::{SOON, Stage};

fn subscription(topic: &str, expression: &str) -> StaticSubscription {
    StaticSubscription {
        topic: topic.to_owned(),
        expression: expression.to_owned(),
    }
}

async fn put_group(stage: &Stage, name: &str, subscriptions: Vec<StaticSubscription>) {
    let request = UpdateGroupRequest {
        name: name.to_owned(),
        spec: Some(GroupSpec {
            subscriptions,
            ..Default::default()
        }),
        ..Default::default()
    };
    stage.admin.groups().update_group(request).await.unwrap();
}

async fn lag(stage: &Stage, group: &str) -> Vec<TopicLag> {
    let request = GetLagRequest {
        group: group.to_owned(),
        topic: String::new(),
    };
    stage
        .admin
        .groups()
        .get_lag(request)
        .await
        .unwrap()
        .into_inner()
        .topics
}

async fn send_tagged(stage: &Stage, topic: &str, tag: &str) {
    let mut message = message(topic, "x");
    message.system_properties.as_mut().unwrap().tag = Some(tag.to_owned());
    stage.client.send_ok(message).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lag_of_a_group_is_known_without_any_client() {
    let mut stage = Stage::with("topics:\n  - {name: orders, queues: 2}\n");
    put_group(
        &stage,
        "billing",
        vec![subscription("orders", ""), subscription("later", "")],
    )
    .await;
    stage.send("orders", 5).await;
    // A topic that comes after its group.
    stage.send("later", 2).await;

    let told = lag(&stage, "billing").await;
    let topics: Vec<_> = told
        .iter()
        .map(|topic| (topic.topic.as_str(), topic.ready))
        .collect();
    assert_eq!(topics, [("later", 2), ("orders", 5)]);
    assert_eq!(told[1].queues.len(), 2);
    wait::until_async("the lag grows older", SOON, async || {
        Ok((lag(&stage, "billing").await[1].age_ms > 50).then_some(()))
    })
    .await
    .unwrap();

    stage.kill_and_start().await;
    let again = lag(&stage, "billing").await;
    assert_eq!(again.iter().map(|topic| topic.lag).collect::<Vec<_>>(), [2, 5]);
    stage.consume("billing", "orders", 5).await;
    assert_eq!(lag(&stage, "billing").await[1].lag, 0);
    assert_eq!(lag(&stage, "billing").await[1].age_ms, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_a_static_subscription_leaves_out_are_no_lag() {
    let stage = Stage::with("topics:\n  - {name: orders, queues: 1}\n");
    put_group(&stage, "billing", vec![subscription("orders", "red || green")]).await;
    for tag in ["red", "blue", "green", "blue", "red"] {
        send_tagged(&stage, "orders", tag).await;
    }
    let told = lag(&stage, "billing").await;
    assert_eq!(
        (told[0].expression.as_str(), told[0].ready, told[0].lag),
        ("red || green", 3, 3)
    );
}
