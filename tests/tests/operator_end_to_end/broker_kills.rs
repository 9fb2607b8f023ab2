//! The broker is killed while messages are sent and received: everything that was acknowledged is there.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use sluice_tests::python;

use crate::stage::{SOON, Stage, until};
use crate::workloads::bodies;

const NAME: &str = "kills";
const TOPIC: &str = "ledger";
const GROUP: &str = "auditors";
const MESSAGES: usize = 6_000;
/// The load goes on over both kills: eight threads that wait a little after each message.
const IN_FLIGHT: &str = "8";
const PAUSE_SECONDS: &str = "0.03";
const WITHIN: Duration = Duration::from_secs(240);

/// A broker's pod that is ready: its uid, and how often its container was started again.
async fn ready(stage: &Stage) -> anyhow::Result<Option<(String, i32)>> {
    let Some(pod) = stage.api::<Pod>().get_opt(&format!("{NAME}-0")).await? else {
        return Ok(None);
    };
    let of_containers = pod.status.and_then(|status| status.container_statuses);
    let container = of_containers.unwrap_or_default().into_iter().next();
    let ready = container.filter(|container| container.ready);
    Ok(ready.and_then(|container| Some((pod.metadata.uid?, container.restart_count))))
}

/// Until so many messages were acknowledged.
async fn until_sent(stage: &Stage, count: usize) {
    until(&format!("{count} messages are sent"), WITHIN, async || {
        let sent = stage.logs("producer").await?.matches("sent ").count();
        anyhow::ensure!(sent >= count, "{sent} are");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// A cluster with a load on it, of a producer and a consumer.
async fn set() -> Stage {
    let stage = Stage::new(NAME).await;
    stage.make_cluster(NAME);
    stage.make_topic(NAME, TOPIC, 4);
    stage.make_group(NAME, GROUP, TOPIC, &serde_json::Value::Null);
    stage.cluster_ready(NAME).await;
    stage.topic_ready(TOPIC).await;
    stage.group_ready(GROUP).await;
    let within = ("WITHIN_SECONDS", WITHIN.as_secs().to_string());
    let count = ("COUNT", MESSAGES.to_string());
    let topic = ("TOPIC", TOPIC.to_owned());
    stage.start_job(
        "producer",
        python::PRODUCER,
        1,
        NAME,
        &[
            topic.clone(),
            count.clone(),
            within.clone(),
            ("IN_FLIGHT", IN_FLIGHT.to_owned()),
            ("PAUSE_SECONDS", PAUSE_SECONDS.to_owned()),
        ],
    );
    stage.start_job(
        "consumer",
        python::CONSUMER,
        1,
        NAME,
        &[topic, count, within, ("GROUP", GROUP.to_owned())],
    );
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_under_load_has_lost_nothing_that_it_acknowledged() {
    let stage = set().await;
    until_sent(&stage, MESSAGES / 6).await;
    let (first, _) = ready(&stage).await.unwrap().expect("the broker is ready");

    let pod = format!("{NAME}-0");
    stage
        .run(&[
            "delete",
            "pod",
            &pod,
            "--grace-period=0",
            "--force",
            "--wait=false",
        ])
        .unwrap();
    let (second, restarts) = until("another pod is ready", SOON, async || {
        let found = ready(&stage).await?;
        Ok(found.filter(|(uid, _)| *uid != first))
    })
    .await
    .unwrap();
    let sent = stage.logs("producer").await.unwrap().matches("sent ").count();
    until_sent(&stage, sent + MESSAGES / 6).await;

    let running = stage.api::<Pod>().get(&pod).await.unwrap();
    assert_eq!(running.uid().as_ref(), Some(&second));
    stage.cluster.kill(&running, "sluice-broker").unwrap();
    let (last, _) = until("the container is ready again", SOON, async || {
        let found = ready(&stage).await?;
        Ok(found.filter(|(_, now)| *now > restarts))
    })
    .await
    .unwrap();
    assert_eq!(last, second, "the same pod");
    let sent_before = stage.logs("producer").await.unwrap().matches("sent ").count();
    assert!(sent_before < MESSAGES, "the load has not outlasted the kills");

    let sent = stage.finish_job("producer", WITHIN).await;
    let received = stage.finish_job("consumer", WITHIN).await;
    let failed = bodies(&sent, "failed ").len();
    let [sent, received]: [BTreeSet<_>; 2] =
        [bodies(&sent, "sent "), bodies(&received, "received ")].map(|bodies| bodies.into_iter().collect());
    assert_eq!(sent.len(), MESSAGES);
    let lost: Vec<_> = sent.difference(&received).collect();
    assert!(lost.is_empty(), "acknowledged and not received: {lost:?}");
    assert!(failed > 0, "no send has noticed that the broker was killed");
    println!("{MESSAGES} messages over two kills; {failed} sends had failed");
}
