//! Consumer groups: their settings, and what they have not done.

use serde_json::json;
use sluice_operator_api::{ConsumerGroup, Topic};
use sluice_proto::admin::{DescribeGroupRequest, GroupSpec, UpdateGroupRequest};
use sluice_tests::client::{Client, message};
use sluice_tests::wait;

use crate::stage::{SOON, Stage, condition_of_group, is_ready};

fn is_up_to_date(group: &ConsumerGroup) -> bool {
    condition_of_group(group, "Ready") == "True UpToDate"
}

async fn until_spec(stage: &Stage, what: &str, holds: impl Fn(&GroupSpec) -> bool) {
    let probe = async || {
        let request = DescribeGroupRequest {
            name: "billing".to_owned(),
        };
        let found = stage.admin.groups().describe_group(request).await?.into_inner();
        let spec = found.group.and_then(|group| group.spec);
        if spec.as_ref().is_some_and(&holds) {
            return Ok(Some(()));
        }
        anyhow::bail!("{spec:?}")
    };
    wait::until_async(what, SOON, probe).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_has_the_settings_of_its_resource_and_its_lag_is_told() {
    let stage = Stage::new().await;
    let _operator = stage.leader().await;
    stage.make_topic("orders", json!({"queues": 2})).await;
    stage.until::<Topic>("ready", "orders", is_ready).await;
    let fields = json!({"subscriptions": [{"topic": "orders"}], "retry": {"maxAttempts": 3}});
    stage.make_group("billing", fields).await;
    let made = stage
        .until::<ConsumerGroup>("ready", "billing", is_up_to_date)
        .await;
    assert_eq!(condition_of_group(&made, "Synced"), "True Created");
    until_spec(&stage, "made", |spec| spec.max_attempts == 3).await;

    let client = Client::new(&stage.broker.endpoint()).unwrap();
    for number in 0..7 {
        client
            .send_ok(message("orders", format!("{number}")))
            .await
            .unwrap();
    }
    let lagging = |group: &ConsumerGroup| {
        let lag = group.status.as_ref().and_then(|status| status.lag.as_ref());
        lag.is_some_and(|lag| lag.messages == 7 && lag.ready == Some(7))
    };
    stage
        .until::<ConsumerGroup>("its lag is told", "billing", lagging)
        .await;

    let tuned = json!({"spec": {"tuning": {"receiveBatch": 1}, "retry": {"maxAttempts": 5}}});
    stage.patch::<ConsumerGroup>("billing", tuned).await;
    until_spec(&stage, "changed", |spec| {
        spec.max_attempts == 5 && spec.receive_batch == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_put_right_and_goes_as_its_policy_says() {
    let stage = Stage::new().await;
    let _operator = stage.leader().await;
    stage
        .make_group("billing", json!({"deletionPolicy": "Delete"}))
        .await;
    let made = stage
        .until::<ConsumerGroup>("ready", "billing", is_up_to_date)
        .await;
    let request = UpdateGroupRequest {
        name: "billing".to_owned(),
        spec: Some(GroupSpec {
            max_attempts: 9,
            ..GroupSpec::default()
        }),
        ..UpdateGroupRequest::default()
    };
    stage.admin.groups().update_group(request).await.unwrap();
    until_spec(&stage, "put right", |spec| spec.max_attempts == 17).await;
    stage.until_event("billing", "Reverted").await;
    // Looked at again and again, a group with everything left out stays as it is.
    let generation = |group: &ConsumerGroup| group.status.as_ref().and_then(|status| status.generation);
    let put_right = generation(&made).map(|generation| generation + 2);
    let settled = |group: &ConsumerGroup| {
        condition_of_group(group, "DriftCorrected") == "False NoDrift" && generation(group) == put_right
    };
    stage
        .until::<ConsumerGroup>("nothing more to put right", "billing", settled)
        .await;
    stage.delete::<ConsumerGroup>("billing").await;
    stage.until_gone::<ConsumerGroup>("billing").await;
    let request = DescribeGroupRequest {
        name: "billing".to_owned(),
    };
    let gone = stage.admin.groups().describe_group(request).await.unwrap_err();
    assert_eq!(gone.code(), tonic::Code::NotFound);
}
