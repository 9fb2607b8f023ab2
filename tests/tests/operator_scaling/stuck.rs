//! A queue in which nothing gets done asks for no consumers.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use sluice_operator_api::{ConsumerGroup, Topic};
use sluice_tests::client::{Client, Receive, fifo_message};
use sluice_tests::wait;

use crate::stage::{BRISK, SOON, Scaling as _, Stage, TOPIC, is_ready, is_there, scaled};

/// The least time after which a queue counts as stuck, and some more.
const STUCK_WITHIN: Duration = Duration::from_secs(120);
/// Messages behind the one that no consumer can handle.
const BEHIND: usize = 50;
/// Messages that wait in other queues, of which one is done every now and then and another one comes.
const OTHERS: usize = 15;

/// A pod that works: while no consumer runs, nothing is stuck.
async fn make_ready_pod(stage: &Stage, name: &str) {
    let pod = json!({
        "metadata": {"name": name, "labels": {"app": "worker"}},
        "spec": {"containers": [{"name": "consumer", "image": "consumer"}]},
    });
    stage.make::<Pod>(pod).await;
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    stage
        .api::<Pod>()
        .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
}

/// Holds the first message of the group that fails, and gets the other groups' done while more of them come.
async fn consume(client: &Client) {
    let receive = Receive {
        batch: 1,
        poll: Duration::from_secs(1),
        invisible: Duration::from_secs(3_600),
        ..Receive::new("billing", TOPIC)
    };
    for number in 0.. {
        for message in client.receive(&receive).await.unwrap().messages {
            let group = message.system_properties.as_ref().unwrap().message_group();
            if group == "failing" {
                continue;
            }
            client.ack_ok("billing", TOPIC, &[message]).await.unwrap();
            let another = fifo_message(TOPIC, "well", format!("{number}"));
            client.send_ok(another).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

pub async fn a_queue_behind_a_message_that_always_fails_is_left_out() {
    let stage = Stage::new().await;
    let _operator = stage.leader_with(&BRISK).await;
    stage
        .make_topic(TOPIC, json!({"queues": 8, "messageType": "Fifo"}))
        .await;
    stage.until::<Topic>("it is there", TOPIC, is_ready).await;
    stage.make_workload::<Deployment>("worker", 1).await;
    make_ready_pod(&stage, "worker-0").await;
    let lag = json!({"source": "Broker", "messagesPerReplica": 10, "excludeStuckQueuesAfterSeconds": 60});
    let mut group = scaled("worker", json!({"lag": lag}));
    group["deliveryOrder"] = "Fifo".into();
    stage.make_group("billing", group).await;
    stage
        .until::<ConsumerGroup>("it is there", "billing", is_there)
        .await;
    let client = Client::new(&stage.broker.endpoint()).unwrap();
    for (of, count) in [("failing", BEHIND + 1), ("well", OTHERS)] {
        for number in 0..count {
            let message = fifo_message(TOPIC, of, format!("{number}"));
            client.send_ok(message).await.unwrap();
        }
    }
    let consuming = tokio::spawn(async move { consume(&client).await });
    stage
        .until::<ConsumerGroup>("it counts at first", "billing", |group| {
            let replicas = group.status.as_ref().and_then(|status| status.replicas.clone());
            replicas.is_some_and(|replicas| replicas.current >= Some(6))
        })
        .await;

    let probe = async || match stage.replicas::<Deployment>("worker").await {
        2 => Ok(Some(())),
        found => anyhow::bail!("it has {found}"),
    };
    wait::until_async("only the others' lag asks for replicas", STUCK_WITHIN, probe)
        .await
        .unwrap();
    let told = async || {
        let group = stage.api::<ConsumerGroup>().get("billing").await?;
        let status = group.status.unwrap_or_default();
        let stuck = status.lag.and_then(|lag| lag.stuck_queues);
        let said = status
            .last_decisions
            .iter()
            .any(|decision| decision.message.contains("1 stuck queue left out"));
        anyhow::ensure!(stuck == Some(1) && said, "{stuck:?} {:?}", status.last_decisions);
        Ok(Some(()))
    };
    wait::until_async("it is told", SOON, told).await.unwrap();
    assert!(!consuming.is_finished(), "the others go on");
    consuming.abort();
}
