//! The release is upgraded, uninstalled and installed again, while brokers, resources and messages stay.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use sluice_operator_api::Topic;
use sluice_tests::python;

use crate::release;
use crate::stage::{SOON, Stage, until};
use crate::workloads::bodies;

const NAME: &str = "lasting";
const TOPIC: &str = "letters";
const GROUP: &str = "readers";
const MESSAGES: usize = 500;

/// What must stay what it is: the uids of the broker's pod, of its volume's claim, and of a resource.
async fn identities(stage: &Stage) -> [Option<String>; 3] {
    let pod = stage.api::<Pod>().get(&format!("{NAME}-0")).await.unwrap();
    let claims = stage.api::<PersistentVolumeClaim>();
    let claim = claims.get(&format!("data-{NAME}-0")).await.unwrap();
    let topic = stage.api::<Topic>().get(TOPIC).await.unwrap();
    [pod.uid(), claim.uid(), topic.uid()]
}

async fn operator(stage: &Stage) -> Option<Deployment> {
    let deployments = Api::<Deployment>::namespaced(stage.client.clone(), release::NAMESPACE);
    deployments.get_opt(release::NAME).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_is_upgraded_or_uninstalled_leaves_brokers_resources_and_messages_as_they_are() {
    let stage = Stage::new("lifecycle").await;
    stage.make_cluster(NAME);
    stage.make_topic(NAME, TOPIC, 2);
    stage.make_group(NAME, GROUP, TOPIC, &serde_json::Value::Null);
    stage.cluster_ready(NAME).await;
    stage.topic_ready(TOPIC).await;
    stage.group_ready(GROUP).await;
    let all = [
        ("TOPIC", TOPIC.to_owned()),
        ("COUNT", MESSAGES.to_string()),
        ("WITHIN_SECONDS", "80".to_owned()),
    ];
    stage.start_job("producer", python::PRODUCER, 1, NAME, &all);
    let sent = stage.finish_job("producer", SOON).await;
    let before = identities(&stage).await;

    release::apply(stage.cluster, "upgrade", &["logLevel=debug"]);
    let upgraded = operator(&stage).await.unwrap();
    let upgraded = serde_json::to_string(&upgraded.spec).unwrap();
    assert!(upgraded.contains("--log=debug"), "{upgraded}");
    stage.make_topic(NAME, TOPIC, 4);
    let grown = stage.topic_ready(TOPIC).await;
    assert_eq!(grown.status.and_then(|status| status.queues), Some(4));
    assert_eq!(identities(&stage).await, before);

    let uninstall = [
        "uninstall",
        release::NAME,
        "--namespace",
        release::NAMESPACE,
        "--wait",
    ];
    stage.cluster.helm().run(&uninstall).unwrap();
    assert!(operator(&stage).await.is_none());
    let pods = Api::<Pod>::namespaced(stage.client.clone(), release::NAMESPACE);
    until("the operator's pods are gone", SOON, async || {
        let left = pods.list(&Default::default()).await?.items.len();
        Ok((left == 0).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(identities(&stage).await, before);
    // Brokers need no operator to serve.
    let receiving = [&all[..], &[("GROUP", GROUP.to_owned())]].concat();
    stage.start_job("consumer", python::CONSUMER, 1, NAME, &receiving);
    let received = stage.finish_job("consumer", SOON).await;
    let [mut sent, mut received] = [bodies(&sent, "sent "), bodies(&received, "received ")];
    sent.sort_unstable();
    received.sort_unstable();
    assert_eq!(sent, received);
    let queues = json!({"spec": {"queues": 6}});
    stage.patch::<Topic>(TOPIC, queues).await;

    release::apply(stage.cluster, "install", &[]);
    let grown = stage.topic_ready(TOPIC).await;
    assert_eq!(grown.status.and_then(|status| status.queues), Some(6));
    stage.cluster_ready(NAME).await;
    assert_eq!(identities(&stage).await, before);
}
