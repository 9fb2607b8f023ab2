//! Many topics and groups: all of them are made in bounded time, and afterwards nothing is written. With `SLUICE_OPERATOR_OBJECTS` the
//! number is another, and what it costs the process is measured for as long as a figure takes.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PostParams};
use serde_json::json;
use sluice_operator_api::labels::FORCE_SYNC;
use sluice_operator_api::{ConsumerGroup, Topic};
use sluice_tests::metrics::Sample;
use sluice_tests::operator::Operator;
use sluice_tests::stage::{Kind, resource};
use sluice_tests::wait;

use crate::stage::{
    Scaling as _, Stage, TOPIC, condition_of_group, is_ready, scaled, until_evaluated, writes,
};

/// Of each kind, where nobody says how many.
const COUNT: usize = 150;
/// How many are made at one time.
const AT_ONCE: usize = 16;
const WITHIN: Duration = Duration::from_secs(300);
/// What a look at everything takes in the test: short, so that there are several.
const RESYNC_SECONDS: u64 = 5;
/// Groups that are scaled, where nobody says how many.
const SCALED_COUNT: usize = 40;
/// What came of the first looks may take a further one.
const SETTLED_AFTER: Duration = Duration::from_secs(30);
/// As long as everything is looked at once, when nobody says otherwise.
const STEADY_FOR: Duration = Duration::from_secs(120);

/// How many of each kind, and whether that is to be measured.
fn wanted() -> (usize, bool) {
    let said = std::env::var("SLUICE_OPERATOR_OBJECTS").ok();
    let said = said.map(|said| said.parse().expect("SLUICE_OPERATOR_OBJECTS is a number"));
    (said.unwrap_or(COUNT), said.is_some())
}

/// Makes so many resources.
async fn make_all<K: Kind>(stage: &Stage, kind: &str, count: usize, fields: &serde_json::Value) {
    let api = stage.api::<K>();
    let made = stream::iter(0..count).map(|number| {
        let object = resource(kind, &format!("{}-{number}", kind.to_lowercase()), fields.clone());
        let object: K = serde_json::from_value(object).unwrap();
        let api = api.clone();
        async move { api.create(&PostParams::default(), &object).await }
    });
    made.buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
}

/// Every resource of a kind, and the version of the last change of any.
async fn all<K: Kind>(stage: &Stage) -> (Vec<K>, Vec<Option<String>>) {
    let found = stage.api::<K>().list(&Default::default()).await.unwrap();
    let versions = found.items.iter().map(|one| one.meta().resource_version.clone());
    (found.items.clone(), versions.collect())
}

async fn until_all<K: Kind>(stage: &Stage, count: usize, is_so: impl Fn(&K) -> bool) {
    let probe = async || {
        let (found, _) = all::<K>(stage).await;
        let so = found.iter().filter(|one| is_so(one)).count();
        if so == count {
            return Ok(Some(()));
        }
        // A list of all is no small thing to ask for.
        tokio::time::sleep(Duration::from_millis(500)).await;
        anyhow::bail!("{so} of {count}")
    };
    wait::until_async("all are as they are to be", WITHIN, probe)
        .await
        .unwrap();
}

/// Until so many statuses were written: to list all of them time and again would be most of the load.
async fn until_told(operator: &Operator, count: usize) {
    let count = f64::from(u32::try_from(count).unwrap());
    let told = || {
        operator
            .sum("sluice_operator_status_writes_total", |_| true)
            .unwrap()
    };
    wait::until_true_async("all are told of", WITHIN, || told() >= count)
        .await
        .unwrap();
}

/// The workload of all groups, of which its controller tells that it works: otherwise each evaluation would look at its pods.
async fn make_working_workload(stage: &Stage) {
    stage.make_workload::<Deployment>("worker", 1).await;
    let working = json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1});
    let working = Patch::Merge(json!({"status": working}));
    let api = stage.api::<Deployment>();
    api.patch_status("worker", &Default::default(), &working)
        .await
        .unwrap();
}

fn is_up_to_date(group: &ConsumerGroup) -> bool {
    condition_of_group(group, "Ready") == "True UpToDate"
}

/// An operator with the times of its lease that it has where nobody says otherwise: load is no reason to lose it.
async fn leader(stage: &Stage, further: &[&str]) -> Operator {
    let address = stage.admin_address();
    let flags = [
        "--namespaces",
        &stage.namespace,
        "--admin-addresses",
        &address,
        "--lease-namespace",
        &stage.namespace,
    ];
    let operator = Operator::start(stage.kubeconfig(), &[&flags, further].concat()).unwrap();
    wait::until_true_async("the operator leads", WITHIN, || operator.leads())
        .await
        .unwrap();
    operator
}

/// Sees to it that nothing is written while nothing happens, and prints the figures, each in a line of its own that
/// `cargo xtask figures` finds.
async fn measure(operator: &Operator, of: &str) {
    let calls = |name: &str| operator.sum(name, |_| true).unwrap();
    let requests = || {
        let to_kubernetes = calls("sluice_operator_kubernetes_requests_total");
        (to_kubernetes, calls("sluice_operator_broker_requests_total"))
    };
    tokio::time::sleep(SETTLED_AFTER).await;
    let (cpu, before, written) = (operator.cpu_seconds().unwrap(), requests(), writes(operator));
    tokio::time::sleep(STEADY_FOR).await;
    let (cpu, after) = (operator.cpu_seconds().unwrap() - cpu, requests());
    assert_eq!(writes(operator), written, "nothing has changed");
    let seconds = STEADY_FOR.as_secs_f64();
    for (name, value) in [
        ("percent of a core", cpu / seconds * 100.0),
        ("memory, MiB", operator.memory_mib().unwrap()),
        (
            "requests to the API server a second",
            (after.0 - before.0) / seconds,
        ),
        ("calls of the broker a second", (after.1 - before.1) / seconds),
    ] {
        println!("figure: {of}: {name} = {value:.3}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_topics_and_groups_are_made_and_afterwards_nothing_is_written() {
    let (count, measured) = wanted();
    let stage = Stage::new().await;
    make_all::<Topic>(&stage, "Topic", count, &json!({"queues": 1})).await;
    make_all::<ConsumerGroup>(&stage, "ConsumerGroup", count, &json!({})).await;
    let started = Instant::now();
    let resync = if measured { 120 } else { RESYNC_SECONDS }.to_string();
    let operator = leader(&stage, &["--resync-seconds", &resync]).await;
    until_told(&operator, count * 2).await;
    until_all::<Topic>(&stage, count, is_ready).await;
    until_all::<ConsumerGroup>(&stage, count, is_up_to_date).await;
    let first = started.elapsed().as_secs_f64();
    let requests = |what: &str| operator.sum(what, |_| true).unwrap();
    println!(
        "{count} topics and {count} groups: {} writes to the API server and {} calls of the broker",
        writes(&operator),
        requests("sluice_operator_broker_requests_total")
    );
    if measured {
        println!("figure: all are made: s = {first:.3}");
        measure(&operator, "steady").await;
        return;
    }
    let runs = || requests("sluice_operator_reconcile_runs_total");
    let versions = async || {
        let topics = all::<Topic>(&stage).await.1;
        (topics, all::<ConsumerGroup>(&stage).await.1)
    };
    // Looks that are under way may have something to tell.
    let settled = runs();
    let twice = f64::from(u32::try_from(count * 2).unwrap());
    let looked = wait::until_true_async("all are looked at", WITHIN, || runs() >= settled + twice);
    looked.await.unwrap();
    let (before, written, looked) = (versions().await, writes(&operator), runs());
    wait::until_true_async("and again", WITHIN, || runs() >= looked + twice)
        .await
        .unwrap();
    assert_eq!(writes(&operator), written, "nothing has changed");
    assert!(versions().await == before, "something was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_groups_are_scaled_with_few_requests_and_no_writes_while_nothing_happens() {
    let (count, measured) = wanted();
    let count = if measured { count } else { SCALED_COUNT };
    let stage = Stage::new().await;
    make_working_workload(&stage).await;
    let broker = json!({"source": "Broker"});
    let fields = scaled("worker", json!({"lag": broker, "mode": "Recommend"}));
    make_all::<ConsumerGroup>(&stage, "ConsumerGroup", count, &fields).await;
    let every = if measured { "15" } else { "1" };
    let operator = leader(&stage, &["--resync-seconds", "120", "--evaluate-seconds", every]).await;
    stage.make_orders(4).await;
    let shown = |group: &ConsumerGroup| condition_of_group(group, "MetricsAvailable") == "True MetricsRead";
    until_all::<ConsumerGroup>(&stage, count, shown).await;
    // How many groups read the topic is told with its next look, which is to come now and not amid what is counted.
    let again = json!({"metadata": {"annotations": {FORCE_SYNC: "now"}}});
    stage.patch::<Topic>(TOPIC, again).await;
    let all_read = |topic: &Topic| {
        let groups = topic.status.as_ref().and_then(|status| status.consumer_groups);
        groups == i32::try_from(count).ok()
    };
    stage.until::<Topic>("all groups read it", TOPIC, all_read).await;
    if measured {
        measure(&operator, "all scaled").await;
        return;
    }
    let all_of = u32::try_from(count).unwrap();
    until_evaluated(&operator, all_of * 2).await;
    let reads = || {
        let of_workloads = |sample: &Sample| sample.labels["resource"].starts_with("deployments");
        operator
            .sum("sluice_operator_kubernetes_requests_total", of_workloads)
            .unwrap()
    };
    let (written, read, looks) = (writes(&operator), reads(), operator.evaluations().unwrap());
    until_evaluated(&operator, all_of * 5).await;
    assert_eq!(writes(&operator), written, "nothing has changed");
    let (read, looks) = (reads() - read, operator.evaluations().unwrap() - looks);
    // Some are under way at either end.
    assert!(
        read <= looks + f64::from(all_of),
        "{read} for {looks} evaluations"
    );
}
