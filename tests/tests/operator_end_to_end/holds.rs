//! What holds replicas although the lag asks for more: a guard over what stands behind the consumers, and a Prometheus that is
//! gone.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use sluice_operator_api::ConsumerGroup;
use sluice_tests::{metrics, python};
use tokio::sync::OnceCell;

use crate::replicas::Replicas;
use crate::stage::{SOON, Stage, condition, until};
use crate::{monitoring, release};

/// The namespace and its cluster.
const NAME: &str = "holds";
/// What the consumers of the guarded group write to: a topic, and the group that reads it.
const BEHIND: &str = "behind";
/// How often the operator looks at a group before a hold is believed.
const LOOKS: f64 = 5.0;

/// The namespace with a cluster, and a group that nothing consumes, whose lag therefore stays.
async fn set() -> Stage {
    static SET: OnceCell<()> = OnceCell::const_new();
    SET.get_or_init(async || {
        let stage = Stage::new(NAME).await;
        stage.make_cluster(NAME);
        stage.make_topic(NAME, BEHIND, 1);
        stage.make_group(NAME, BEHIND, BEHIND, &Value::Null);
    })
    .await;
    let stage = Stage::of(NAME).await;
    stage.cluster_ready(NAME).await;
    stage.topic_ready(BEHIND).await;
    stage.group_ready(BEHIND).await;
    stage
}

/// A topic, a group that is scaled by its lag, and a Deployment for it whose pods take nothing: it is the replicas that are
/// looked at.
async fn scaled(stage: &Stage, name: &str, guards: Value) -> Replicas {
    stage.make_topic(NAME, name, 8);
    stage.make_consumers(
        name,
        NAME,
        &[("TOPIC", BEHIND.to_owned()), ("GROUP", "idle".to_owned())],
    );
    let autoscaling = json!({
        "scaleTargetRef": {"name": name},
        "maxReplicas": 50,
        "lag": {"messagesPerReplica": 1000},
        "guards": guards,
        "behavior": {
            "cooldownSeconds": 0,
            "scaleUp": {"stepPolicies": [{"type": "Pods", "value": 8, "periodSeconds": 1}]},
        },
    });
    stage.make_group(NAME, name, name, &autoscaling);
    stage.topic_ready(name).await;
    stage.group_ready(name).await;
    let replicas = Replicas::watch(stage.api(), name);
    produce(stage, name, 1_500, "first").await;
    until_replicas(&replicas, 2).await;
    replicas
}

async fn produce(stage: &Stage, topic: &str, count: u32, job: &str) {
    let job = format!("{topic}-{job}");
    stage.start_job(
        &job,
        python::PRODUCER,
        1,
        NAME,
        &[
            ("TOPIC", topic.to_owned()),
            ("COUNT", count.to_string()),
            ("WITHIN_SECONDS", "80".to_owned()),
        ],
    );
    stage.finish_job(&job, SOON).await;
}

async fn until_replicas(replicas: &Replicas, wanted: i32) {
    until(&format!("there are {wanted} replicas"), SOON, async || {
        let numbers = replicas.numbers();
        anyhow::ensure!(numbers.last() == Some(&wanted), "there were {numbers:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

async fn until_condition(stage: &Stage, group: &str, type_: &str, wanted: &str) {
    let what = format!("{type_} of {group} is {wanted}");
    let holds = |group: &ConsumerGroup| {
        let status = group.status.as_ref();
        status.is_some_and(|status| condition(&status.conditions, type_) == wanted)
    };
    stage.until(&what, group, SOON, holds).await;
}

/// How often the operator's replicas have looked at groups that are scaled.
async fn looks(stage: &Stage) -> f64 {
    let pods = Api::<Pod>::namespaced(stage.client.clone(), release::NAMESPACE);
    let selector = format!("app.kubernetes.io/instance={}", release::NAME);
    let mut looks = 0.0;
    for pod in pods.list(&ListParams::default().labels(&selector)).await.unwrap() {
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}:8080/proxy/metrics",
            release::NAMESPACE,
            pod.metadata.name.unwrap()
        );
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let page = stage.client.request_text(request).await.unwrap();
        let samples = metrics::parse(&page).unwrap();
        let of_scaling = samples.iter().filter(|sample| {
            sample.name == "sluice_operator_reconcile_runs_total"
                && sample
                    .labels
                    .get("kind")
                    .is_some_and(|kind| kind == "Autoscaling")
        });
        looks += of_scaling.map(|sample| sample.value).sum::<f64>();
    }
    looks
}

/// Until each of the groups here has been looked at some more times.
async fn after_more_looks(stage: &Stage) {
    let groups = Api::<ConsumerGroup>::all(stage.client.clone());
    let groups = groups.list(&ListParams::default()).await.unwrap().items;
    let scaled = groups
        .iter()
        .filter(|group| group.spec.autoscaling.is_some())
        .count();
    let enough = looks(stage).await + LOOKS * f64::from(u32::try_from(scaled).unwrap());
    until("the operator looks again and again", SOON, async || {
        Ok((looks(stage).await >= enough).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_over_what_stands_behind_the_consumers_holds_them_until_that_has_caught_up() {
    let stage = set().await;
    let query =
        format!("sum(rocketmq_consumer_ready_messages{{cluster=\"{NAME}\",consumer_group=\"{BEHIND}\"}})");
    let guard =
        json!({"name": "behind", "type": "Prometheus", "prometheus": {"query": query, "above": "100"}});
    let replicas = scaled(&stage, "guarded", json!([guard])).await;

    produce(&stage, BEHIND, 200, "backlog").await;
    until_condition(&stage, "guarded", "GuardActive", "True Guard").await;
    produce(&stage, "guarded", 3_000, "more").await;
    let held = |group: &ConsumerGroup| {
        let told = group.status.as_ref().and_then(|status| status.replicas.as_ref());
        told.is_some_and(|told| told.recommended == Some(5) && told.desired == Some(2))
    };
    stage
        .until("five are asked for and two held", "guarded", SOON, held)
        .await;
    after_more_looks(&stage).await;
    assert_eq!(replicas.numbers(), [1, 2]);

    stage
        .sluicectl(
            NAME,
            &["group", "reset", BEHIND, BEHIND, "--to", "latest", "--yes"],
        )
        .unwrap();
    until_replicas(&replicas, 5).await;
    until_condition(&stage, "guarded", "GuardActive", "False NoGuardActive").await;
    assert_eq!(replicas.numbers(), [1, 2, 5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_prometheus_replicas_are_held_and_a_condition_says_so_until_it_is_back() {
    let stage = set().await;
    let replicas = scaled(&stage, "unwatched", json!([])).await;
    let scale = |replicas: &str| {
        let replicas = format!("--replicas={replicas}");
        let deployment = [
            "scale",
            "deployment/prometheus",
            "--namespace",
            monitoring::NAMESPACE,
        ];
        stage
            .kubectl
            .run(&[&deployment[..], &[&replicas]].concat())
            .unwrap();
    };

    scale("0");
    let all = [
        "pods",
        "--all",
        "--namespace",
        monitoring::NAMESPACE,
        "--wait=false",
    ];
    let force = ["--grace-period=0", "--force"];
    stage
        .kubectl
        .run(&[&["delete"], &all[..], &force].concat())
        .unwrap();
    until_condition(
        &stage,
        "unwatched",
        "MetricsAvailable",
        "False PrometheusUnreachable",
    )
    .await;
    produce(&stage, "unwatched", 3_000, "more").await;
    after_more_looks(&stage).await;
    assert_eq!(replicas.numbers(), [1, 2]);

    scale("1");
    monitoring::wait_until_ready(&stage.kubectl, monitoring::NAME);
    until_replicas(&replicas, 5).await;
    until_condition(&stage, "unwatched", "MetricsAvailable", "True MetricsRead").await;
    assert_eq!(replicas.numbers(), [1, 2, 5]);
}
