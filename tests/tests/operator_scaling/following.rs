//! Workloads follow the lag.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sluice_operator_api::{ConsumerGroup, Topic};
use sluice_tests::client::{Client, Receive, message};
use sluice_tests::process::Broker;
use sluice_tests::prometheus::Prometheus;
use sluice_tests::wait::until_true_async;
use tokio::task::JoinHandle;

use crate::stage::{
    BRISK, SOON, Scaling as _, Stage, Workload as _, is_ready, is_there, scaled, until_evaluated, writes,
};

/// Every number of replicas that a workload is to have had, in order.
struct Seen(Arc<Mutex<Vec<i32>>>, JoinHandle<()>);

impl Seen {
    /// Watches from now on: it has seen what the workload has by the time this returns.
    async fn of(stage: &Stage, name: &str) -> Self {
        let (seen, name) = (Arc::new(Mutex::new(Vec::new())), name.to_owned());
        let api: Api<Deployment> = stage.api();
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let sink = Arc::clone(&seen);
        let watching = tokio::spawn(async move {
            let changes = watcher(api, config).default_backoff().applied_objects();
            let changes = changes
                .into_stream()
                .filter_map(|change| std::future::ready(change.ok()));
            changes
                .for_each(|workload| {
                    let replicas = workload.replicas();
                    let mut seen = sink.lock();
                    if seen.last() != Some(&replicas) {
                        seen.push(replicas);
                    }
                    std::future::ready(())
                })
                .await;
        });
        let this = Self(seen, watching);
        until_true_async("the watch of the workload", SOON, || !this.so_far().is_empty())
            .await
            .unwrap();
        this
    }

    fn so_far(&self) -> Vec<i32> {
        self.0.lock().clone()
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.1.abort();
    }
}

/// The fields that are somebody's, as in `scale: replicas`.
fn fields_of(workload: &Deployment, manager: &str) -> BTreeSet<String> {
    let entries = workload.metadata.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| entry.manager.as_deref() == Some(manager));
    ours.flat_map(|entry| {
        let subresource = entry.subresource.clone().unwrap_or_default();
        let fields = entry.fields_v1.as_ref().map(|fields| paths(&fields.0, ""));
        fields
            .into_iter()
            .flatten()
            .map(move |path| format!("{subresource}:{path}"))
    })
    .collect()
}

fn paths(fields: &Value, before: &str) -> Vec<String> {
    let Some(fields) = fields.as_object().filter(|fields| !fields.is_empty()) else {
        return vec![before.to_owned()];
    };
    fields
        .iter()
        .flat_map(|(name, inner)| paths(inner, &format!("{before}/{}", name.trim_start_matches("f:"))))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_rise_to_the_queue_count_fall_to_zero_and_come_back() {
    let stage = Stage::new().await;
    let _operator = stage.leader_with(&BRISK).await;
    stage.make_orders(4).await;
    let made: Deployment = stage.make_workload("worker", 1).await;
    let seen = Seen::of(&stage, "worker").await;
    let mut fields = scaled("worker", json!({"minReplicas": 0}));
    fields["autoscaling"]["behavior"]["scaleToZeroAfterSeconds"] = 1.into();
    stage.make_group("billing", fields).await;

    stage.send(40).await;
    stage.until_replicas::<Deployment>("worker", 4).await;
    let at_most = stage.api::<Deployment>().get("worker").await.unwrap();
    let ours = fields_of(&at_most, "sluice-autoscaler");
    assert_eq!(ours, ["scale:/spec/replicas".to_owned()].into());
    stage
        .until_condition("billing", "ScalingLimited", "True QueueCount")
        .await;
    stage.until_event("billing", "ScaledUp").await;
    stage.consume_all("billing").await;
    stage.until_replicas::<Deployment>("worker", 0).await;
    stage.until_event("billing", "ScaledDown").await;
    stage.send(1).await;
    stage.until_replicas::<Deployment>("worker", 1).await;
    // Each change is told by itself: it is not one more of the first that raised them.
    stage.until_event_says("billing", "replicas from 0 to 1").await;

    until_true_async("the watch has seen it", SOON, || seen.so_far().ends_with(&[0, 1]))
        .await
        .unwrap();
    let found = stage.api::<Deployment>().get("worker").await.unwrap();
    let replicas = seen.so_far();
    assert!(replicas.iter().all(|replicas| *replicas <= 4), "{replicas:?}");
    // Nothing but its scale was written, and only as often as it changed.
    assert_eq!(fields_of(&found, "sluice-operator"), BTreeSet::new());
    let changes = i64::try_from(replicas.len()).unwrap() - 1;
    assert_eq!(found.metadata.generation, Some(1 + changes), "{replicas:?}");
    let bare = |workload: &Deployment| {
        let mut spec = workload.spec.clone().unwrap();
        spec.replicas = None;
        (spec, workload.metadata.annotations.clone())
    };
    assert_eq!(bare(&found), bare(&made));
}

/// One that looks at the broker every second.
pub fn scraping(broker: &Broker) -> Prometheus {
    let configuration = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n- job_name: broker\n  static_configs:\n  - targets: ['127.0.0.1:{}']\n",
        broker.http_port()
    );
    Prometheus::start(&configuration).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_in_a_real_prometheus_scales_and_without_it_replicas_stay() {
    let stage = Stage::new().await;
    let _operator = stage.leader_with(&BRISK).await;
    let prometheus = scraping(&stage.broker);
    stage.make_orders(3).await;
    stage.make_workload::<StatefulSet>("worker", 1).await;
    stage.make_workload::<StatefulSet>("other", 2).await;
    let target = json!({"kind": "StatefulSet", "name": "worker"});
    let url = prometheus.url();
    let mut asked = json!({"scaleTargetRef": target, "prometheus": {"url": url}});
    asked["lag"] = json!({"messagesPerReplica": 1});
    stage.make_group("billing", scaled("", asked.clone())).await;
    asked["lag"]["query"] = "sum(".into();
    asked["scaleTargetRef"]["name"] = "other".into();
    stage.make_group("broken", scaled("", asked)).await;
    stage.send(7).await;

    stage.until_replicas::<StatefulSet>("worker", 3).await;
    let message = stage
        .until_condition("broken", "MetricsAvailable", "False QueryRefused")
        .await;
    assert!(message.contains("parse error"), "{message}");
    drop(prometheus);
    let message = stage
        .until_condition("billing", "MetricsAvailable", "False PrometheusUnreachable")
        .await;
    assert!(message.contains(&url), "{message}");
    stage
        .until_condition("billing", "ScalingActive", "False PrometheusUnreachable")
        .await;
    // Done or not, without a number nothing moves.
    stage.consume_all("billing").await;
    let found = stage
        .until::<ConsumerGroup>("the lag is told no longer", "billing", |group| {
            group.status.as_ref().is_some_and(|status| status.lag.is_none())
        })
        .await;
    assert!(found.metadata.deletion_timestamp.is_none());
    assert_eq!(stage.replicas::<StatefulSet>("worker").await, 3);
    assert_eq!(stage.replicas::<StatefulSet>("other").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lag_and_queues_are_those_of_all_topics_that_a_group_reads_whatever_the_source() {
    let stage = Stage::new().await;
    let _operator = stage.leader_with(&BRISK).await;
    let prometheus = scraping(&stage.broker);
    stage.make_orders(3).await;
    stage.make_topic("mails", json!({"queues": 2})).await;
    stage.until::<Topic>("it is there", "mails", is_ready).await;
    let url = prometheus.url();
    let asked = json!({"lag": {"messagesPerReplica": 1}, "prometheus": {"url": url}});
    let mut single = asked.clone();
    // The broker has no series of single queues, and is asked for them.
    single["cap"] = json!({"policy": "QueuesWithLag"});
    let groups = [
        ("billing", asked, 5),
        ("accounts", json!({}), 5),
        ("hot", single, 2),
    ];
    let client = Client::new(&stage.broker.endpoint()).unwrap();
    for (group, fields, _) in &groups {
        stage.make_workload::<Deployment>(group, 1).await;
        stage.make_group(group, scaled(group, fields.clone())).await;
        stage.until::<ConsumerGroup>("it is there", group, is_there).await;
        // Its clients read more than the resource names.
        let receive = Receive {
            poll: Duration::from_secs(1),
            ..Receive::new(group, "mails")
        };
        client.receive(&receive).await.unwrap();
    }
    for number in 0..9 {
        client
            .send_ok(message("mails", format!("{number}")))
            .await
            .unwrap();
    }
    for (group, _, wanted) in &groups {
        stage.until_replicas::<Deployment>(group, *wanted).await;
        let told = |group: &ConsumerGroup| {
            let status = group.status.clone().unwrap_or_default();
            let (replicas, lag) = (
                status.replicas.unwrap_or_default(),
                status.lag.unwrap_or_default(),
            );
            replicas.cap == Some(5) && lag.messages == 9 && lag.age_seconds.is_some()
        };
        stage
            .until::<ConsumerGroup>("lag, age and cap are told", group, told)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_happens_nothing_is_written() {
    let stage = Stage::new().await;
    let operator = stage.leader_with(&BRISK).await;
    stage.make_orders(2).await;
    for name in ["one", "two"] {
        stage.make_workload::<Deployment>(name, 1).await;
        stage.make_group(name, scaled(name, json!({}))).await;
    }
    stage.send(2).await;
    stage.until_replicas::<Deployment>("one", 2).await;
    stage.until_replicas::<Deployment>("two", 2).await;
    // What was decided last may not be told yet.
    until_evaluated(&operator, 6).await;
    let versions = async || {
        let groups = stage
            .api::<ConsumerGroup>()
            .list(&Default::default())
            .await
            .unwrap();
        let workloads = stage.api::<Deployment>().list(&Default::default()).await.unwrap();
        let groups = groups.items.into_iter().map(|group| group.metadata);
        let workloads = workloads.items.into_iter().map(|workload| workload.metadata);
        let all = groups
            .chain(workloads)
            .map(|meta| (meta.name, meta.resource_version));
        all.collect::<Vec<_>>()
    };
    let (before, written) = (versions().await, writes(&operator));
    until_evaluated(&operator, 10).await;
    assert_eq!((versions().await, writes(&operator)), (before, written));
}
