//! The operator is killed in the middle of each kind of change. Another replica takes over; what was begun is ended, and nothing
//! is done twice. The middle is where the first sign of a change is seen while the rest of it is still to come.

use std::collections::BTreeSet;
use std::fmt::Debug;

use anyhow::ensure;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice_operator_api::{BrokerCluster, ConsumerGroup, Topic};
use sluice_tests::{python, wait};

use crate::release;
use crate::replicas::Replicas;
use crate::stage::{SOON, Stage, until};

const NAME: &str = "takeover";
/// So many at a time that the first is done long before the last.
const MANY: usize = 24;

/// A namespace with a cluster.
async fn set(namespace: &str) -> Stage {
    let stage = Stage::new(namespace).await;
    stage.make_cluster(NAME);
    stage.cluster_ready(NAME).await;
    stage
}

/// The pod of the operator that leads.
async fn leader(stage: &Stage) -> anyhow::Result<Pod> {
    let leases = Api::<Lease>::namespaced(stage.client.clone(), release::NAMESPACE);
    let lease = leases.get(release::NAME).await?;
    let holder = lease
        .spec
        .and_then(|spec| spec.holder_identity)
        .unwrap_or_default();
    let pods = Api::<Pod>::namespaced(stage.client.clone(), release::NAMESPACE);
    let found = pods.list(&ListParams::default()).await?;
    let of_holder = found.into_iter().find(|pod| holder.contains(&pod.name_any()));
    of_holder.ok_or_else(|| anyhow::anyhow!("no pod is the leader {holder:?}"))
}

/// Kills the leader as `kill -9` does, and has another pod made instead: its own container would wait longer after each kill.
pub async fn kill_leader(stage: &Stage) {
    let pod = until("the operator has a leader", SOON, async || {
        Ok(Some(leader(stage).await?))
    })
    .await
    .unwrap();
    stage.cluster.kill(&pod, "sluice-operator").unwrap();
    let name = pod.name_any();
    let delete = ["delete", "pod", &name, "--namespace", release::NAMESPACE];
    let force = ["--grace-period=0", "--force", "--wait=false"];
    stage.kubectl.run(&[&delete[..], &force].concat()).unwrap();
    println!("killed {name}");
}

/// Waits, looking as often as it can, for the first sign of a change, and kills the leader then.
async fn kill_at(stage: &Stage, sign: &str, mut is_seen: impl AsyncFnMut() -> anyhow::Result<bool>) {
    wait::until_async(sign, SOON, async || Ok(is_seen().await?.then_some(())))
        .await
        .unwrap();
    kill_leader(stage).await;
}

fn names() -> Vec<String> {
    (0..MANY).map(|number| format!("many-{number:02}")).collect()
}

async fn all<K>(stage: &Stage) -> anyhow::Result<Vec<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + DeserializeOwned,
{
    Ok(stage.api::<K>().list(&ListParams::default()).await?.items)
}

/// Applies all of them at one go, kills the leader when the first is done, and waits until all are.
async fn change_all<K>(stage: &Stage, kind: &str, spec: Value, is_done: impl Fn(&K) -> bool) -> Vec<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + DeserializeOwned,
{
    let items: Vec<_> = names()
        .iter()
        .map(|name| {
            json!({
                "apiVersion": "sluice.dev/v1alpha1", "kind": kind,
                "metadata": {"name": name, "namespace": stage.namespace}, "spec": spec,
            })
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items});
    let kubectl = stage.kubectl.clone();
    let applying = tokio::task::spawn_blocking(move || kubectl.apply(&list).unwrap());
    let count_done = async || anyhow::Ok(all::<K>(stage).await?.iter().filter(|one| is_done(one)).count());
    kill_at(
        stage,
        "the first is changed",
        async || Ok(count_done().await? > 0),
    )
    .await;
    applying.await.unwrap();
    println!("{} of {MANY} were done at the kill", count_done().await.unwrap());
    until("all are changed", SOON, async || {
        let done = count_done().await?;
        ensure!(done == MANY, "{done} of {MANY} are");
        Ok(Some(()))
    })
    .await
    .unwrap();
    all::<K>(stage).await.unwrap()
}

/// The generation that the broker gives a topic or group is one more after each change of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_and_groups_are_made_and_changed_once_by_operators_that_are_killed_meanwhile() {
    let stage = set("takeover-objects").await;
    let cluster = json!({"name": NAME});
    let is_topic = |queues: i32| {
        move |topic: &Topic| {
            let status = topic.status.as_ref();
            status.is_some_and(|status| {
                status.queues == Some(queues) && status.observed_generation == topic.metadata.generation
            })
        }
    };
    let generations = |topics: &[Topic]| -> BTreeSet<_> {
        let of = |topic: &Topic| topic.status.as_ref().and_then(|status| status.generation);
        topics.iter().map(of).collect()
    };

    let spec = json!({"clusterRef": cluster, "queues": 4});
    let made = change_all::<Topic>(&stage, "Topic", spec, is_topic(4)).await;
    let first = generations(&made);
    let numbers: BTreeSet<_> = made
        .iter()
        .map(|topic| topic.status.as_ref().and_then(|status| status.topic_id))
        .collect();
    assert_eq!(numbers.len(), MANY, "each was made, and once");
    assert_eq!(first.len(), 1, "none was changed after it was made: {first:?}");

    let spec = json!({"clusterRef": cluster, "queues": 8});
    let grown = change_all::<Topic>(&stage, "Topic", spec, is_topic(8)).await;
    let second = generations(&grown);
    let once_more = first.iter().map(|generation| generation.map(|count| count + 1));
    assert_eq!(second, once_more.collect(), "each has grown once");
    let same: BTreeSet<_> = grown
        .iter()
        .map(|topic| topic.status.as_ref().and_then(|status| status.topic_id))
        .collect();
    assert_eq!(same, numbers, "they are the same topics");

    let is_group = |group: &ConsumerGroup| {
        let observed = group
            .status
            .as_ref()
            .and_then(|status| status.observed_generation);
        let generation = group.status.as_ref().and_then(|status| status.generation);
        observed == group.metadata.generation && generation.is_some()
    };
    let generations = |groups: &[ConsumerGroup]| -> BTreeSet<_> {
        let of = |group: &ConsumerGroup| group.status.as_ref().and_then(|status| status.generation);
        groups.iter().map(of).collect()
    };
    let spec = json!({"clusterRef": cluster});
    let made = change_all::<ConsumerGroup>(&stage, "ConsumerGroup", spec, is_group).await;
    let first = generations(&made);
    assert_eq!(first.len(), 1, "none was changed after it was made: {first:?}");
    let spec = json!({"clusterRef": cluster, "tuning": {"receiveBatch": 4}});
    let is_tuned = |group: &ConsumerGroup| group.metadata.generation == Some(2) && is_group(group);
    let tuned = change_all::<ConsumerGroup>(&stage, "ConsumerGroup", spec, is_tuned).await;
    let once_more = first.iter().map(|generation| generation.map(|count| count + 1));
    assert_eq!(generations(&tuned), once_more.collect(), "each was tuned once");
    let told = stage
        .sluicectl(NAME, &["group", "show", "many-07", "-o", "json"])
        .unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["receive_batch"], 4, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_changed_once_by_operators_that_are_killed_meanwhile() {
    let stage = set("takeover-scaling").await;
    let (topic, group) = ("work", "workers");
    stage.make_topic(NAME, topic, 8);
    // Its pods take nothing: it is the replicas that are looked at.
    stage.make_consumers(
        group,
        NAME,
        &[("TOPIC", topic.to_owned()), ("GROUP", "others".to_owned())],
    );
    let step = json!([{"type": "Pods", "value": 8, "periodSeconds": 1}]);
    let autoscaling = json!({
        "scaleTargetRef": {"name": group},
        "maxReplicas": 8,
        "lag": {"source": "Broker", "messagesPerReplica": 100},
        "behavior": {
            "cooldownSeconds": 0,
            "scaleUp": {"stepPolicies": step},
            "scaleDown": {"stabilizationWindowSeconds": 5, "stepPolicies": step},
        },
    });
    stage.make_group(NAME, group, topic, &autoscaling);
    stage.topic_ready(topic).await;
    stage.group_ready(group).await;
    let replicas = Replicas::watch(stage.api(), group);
    stage.start_job(
        "producer",
        python::PRODUCER,
        1,
        NAME,
        &[
            ("TOPIC", topic.to_owned()),
            ("COUNT", "250".to_owned()),
            ("WITHIN_SECONDS", "80".to_owned()),
        ],
    );

    // The number is written first, and the status tells of it after that.
    kill_at(&stage, "replicas rise", async || Ok(replicas.now() > Some(1))).await;
    stage.finish_job("producer", SOON).await;
    until("there are three", SOON, async || {
        ensure!(replicas.now() == Some(3), "there were {:?}", replicas.numbers());
        Ok(Some(()))
    })
    .await
    .unwrap();
    let is_told = |replicas: i32| {
        move |group: &ConsumerGroup| {
            let told = group.status.as_ref().and_then(|status| status.replicas.as_ref());
            told.is_some_and(|told| told.current == Some(replicas) && told.desired == Some(replicas))
        }
    };
    stage.until("three are told", group, SOON, is_told(3)).await;
    let up = replicas.numbers();
    assert!(up.is_sorted() && up.last() == Some(&3), "{up:?}");

    stage
        .sluicectl(NAME, &["group", "reset", group, topic, "--to", "latest", "--yes"])
        .unwrap();
    kill_at(&stage, "replicas fall", async || Ok(replicas.now() < Some(3))).await;
    stage.until("one is told", group, SOON, is_told(1)).await;
    let numbers = replicas.numbers();
    let down = &numbers[up.len() - 1..];
    assert!(
        down.is_sorted_by(|a, b| a > b) && down.last() == Some(&1),
        "{numbers:?}"
    );
    assert!(numbers.iter().all(|&number| number <= 3), "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_are_restarted_once_by_operators_that_are_killed_meanwhile() {
    let stage = set("takeover-brokers").await;
    let pod = format!("{NAME}-0");
    let pods = stage.api::<Pod>();
    let before = pods.get(&pod).await.unwrap().uid().unwrap();
    let revisions = async || {
        let selector = format!("app.kubernetes.io/instance={NAME}");
        let all = stage.api::<ControllerRevision>();
        let all = all.list(&ListParams::default().labels(&selector)).await.unwrap();
        all.items.len()
    };
    assert_eq!(revisions().await, 1);
    let sets = stage.api::<StatefulSet>();
    let generation = sets.get(NAME).await.unwrap().metadata.generation;

    // A key that only a restart brings.
    let patch = json!({"spec": {"config": {"logFormat": "text"}}});
    stage.patch::<BrokerCluster>(NAME, patch).await;
    kill_at(&stage, "the StatefulSet is changed", async || {
        Ok(sets.get(NAME).await?.metadata.generation > generation)
    })
    .await;
    let is_another = |pod: &Pod| pod.uid().as_ref() != Some(&before);
    let after = stage.until("there is another pod", &pod, SOON, is_another).await;
    stage.cluster_ready(NAME).await;

    let last = pods.get(&pod).await.unwrap();
    assert_eq!(last.uid(), after.uid(), "it was exchanged once");
    assert_eq!(revisions().await, 2, "the template was changed once");
    let log = stage.run(&["logs", &pod]).unwrap();
    assert!(!log.trim_start().starts_with('{'), "{log}");
}
