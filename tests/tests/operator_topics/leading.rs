//! One operator leads. Who is not the one any more ends.

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::json;
use sluice_operator_api::Topic;
use sluice_proto::admin::FenceRequest;
use sluice_tests::wait;

use crate::stage::{SOON, Stage, Topics as _, is_ready};

#[tokio::test(flavor = "multi_thread")]
async fn another_operator_takes_over_from_one_that_was_killed_and_from_one_that_stops() {
    let stage = Stage::new().await;
    let mut first = stage.leader().await;
    let mut second = stage.operator();
    assert_eq!(second.readiness().unwrap(), "standby");
    let leads =
        |operator: &sluice_tests::operator::Operator| operator.sum("sluice_operator_leader", |_| true);
    assert_eq!((leads(&first).unwrap(), leads(&second).unwrap()), (1.0, 0.0));
    stage.make_topic("before", json!({})).await;
    stage.until::<Topic>("ready", "before", is_ready).await;

    first.kill();
    wait::until_true_async("the second leads", SOON, || second.leads())
        .await
        .unwrap();
    stage.make_topic("between", json!({})).await;
    stage.until::<Topic>("ready", "between", is_ready).await;

    assert!(second.stop().unwrap().success());
    assert!(second.log().contains("gave the lease back"));
    let lease = stage.api::<Lease>().get("sluice-operator").await.unwrap();
    let holder = lease.spec.unwrap().holder_identity.unwrap_or_default();
    assert_eq!(holder, "", "nobody has it");
    let third = stage.operator();
    wait::until_true_async("the third leads", SOON, || third.leads())
        .await
        .unwrap();
    stage.make_topic("after", json!({})).await;
    stage.until::<Topic>("ready", "after", is_ready).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_whose_lease_was_taken_ends() {
    let stage = Stage::new().await;
    let mut operator = stage.leader().await;
    let stolen = json!({"spec": {"holderIdentity": "thief"}});
    stage.patch::<Lease>("sluice-operator", stolen).await;
    let status = operator.wait_for_end().unwrap();
    let log = operator.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains("lost the lease 'sluice-operator': thief holds it now"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_a_broker_refuses_as_stale_ends_and_its_successor_goes_on() {
    let stage = Stage::new().await;
    let mut operator = stage.leader().await;
    stage.make_topic("orders", json!({"queues": 1})).await;
    stage.until::<Topic>("ready", "orders", is_ready).await;
    let fence = FenceRequest {
        holder: "successor".to_owned(),
    };
    stage.admin.broker().fence(fence).await.unwrap();
    stage
        .patch::<Topic>("orders", json!({"spec": {"queues": 2}}))
        .await;
    let status = operator.wait_for_end().unwrap();
    let log = operator.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("'successor' has fenced the broker"), "{log}");
    let found = stage.topic("orders").await.unwrap().topic.unwrap();
    assert_eq!(found.spec.unwrap().queues, 1);

    let _operator = stage.leader().await;
    stage
        .until_topic("the next one may", "orders", |found| found.queues == 2)
        .await;
}
