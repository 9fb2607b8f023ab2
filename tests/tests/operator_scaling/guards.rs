//! Guards over what the group's consumers get done, with a real broker, and with a real Prometheus where that is the source.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};
use sluice_operator_api::ConsumerGroup;
use sluice_proto::v2::{Code, Message};
use sluice_tests::client::{Client, Receive, code, message};
use sluice_tests::wait;
use tokio::task::JoinHandle;

use crate::following::scraping;
use crate::stage::{BRISK, Scaling as _, Stage, TOPIC, condition_of_group, is_there, scaled};
use crate::stuck;

/// Rates are measured for half a minute at least, and what they are compared with as long before.
const MEASURED_WITHIN: Duration = Duration::from_secs(150);
/// How much gets done a minute is known after half of the guard's window.
const KNOWN_AFTER: Duration = Duration::from_secs(25);
/// As many messages as one replica is to have.
const PER_REPLICA: usize = 100;
/// So many go in one call.
const BATCH: usize = 32;

/// Groups of one workload each, one for each source of the lag.
async fn make_groups(stage: &Stage, url: &str, fields: &Value, annotation: &str) -> Vec<&'static str> {
    let sources = [
        ("by-broker", json!({"source": "Broker"})),
        ("by-prometheus", json!({"source": "Prometheus"})),
    ];
    for (name, mut lag) in sources.clone() {
        lag["messagesPerReplica"] = PER_REPLICA.into();
        let mut fields = fields.clone();
        (fields["lag"], fields["prometheus"]) = (lag, json!({"url": url}));
        stage.make_workload::<Deployment>(name, 1).await;
        let mut group = sluice_tests::stage::resource("ConsumerGroup", name, scaled(name, fields));
        if !annotation.is_empty() {
            group["metadata"]["annotations"] = json!({annotation: "true"});
        }
        stage.make::<ConsumerGroup>(group).await;
        stage.until::<ConsumerGroup>("it is there", name, is_there).await;
    }
    sources.map(|(name, _)| name).into()
}

async fn send_many(client: &Client, count: usize) {
    let numbers: Vec<_> = (0..count).collect();
    for some in numbers.chunks(BATCH) {
        let messages = some.iter().map(|number| message(TOPIC, format!("{number}")));
        let answer = client.send(messages.collect()).await.unwrap();
        assert_eq!(code(answer.status.as_ref()), Some(Code::Ok));
    }
}

/// Until a condition of the group is so, however long what it is about is measured.
async fn until_measured(stage: &Stage, group: &str, type_: &str, wanted: &str) {
    let what = format!("{type_} of {group} is {wanted}");
    let probe = async || {
        let found = stage.api::<ConsumerGroup>().get(group).await?;
        match condition_of_group(&found, type_) {
            so if so == wanted => Ok(Some(())),
            other => anyhow::bail!("it is {other}"),
        }
    };
    wait::until_async(&what, MEASURED_WITHIN, probe).await.unwrap();
}

async fn until_replicas(stage: &Stage, workload: &str, wanted: i32) {
    let probe = async || match stage.replicas::<Deployment>(workload).await {
        found if found == wanted => Ok(Some(())),
        found => anyhow::bail!("it has {found}"),
    };
    let what = format!("{workload} has {wanted} replicas");
    wait::until_async(&what, MEASURED_WITHIN, probe).await.unwrap();
}

/// All of it is measured for up to a minute, and so at one time.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_suspend_scaling_lost_throughput_takes_a_step_back_and_stuck_queues_ask_for_nothing() {
    tokio::join!(
        Box::pin(dead_letters_suspend_scaling()),
        Box::pin(a_step_after_which_less_gets_done_is_taken_back()),
        Box::pin(stuck::a_queue_behind_a_message_that_always_fails_is_left_out()),
    );
}

async fn dead_letters_suspend_scaling() {
    let stage = Stage::new().await;
    let _operator = stage.leader_with(&BRISK).await;
    let prometheus = scraping(&stage.broker);
    stage.make_orders(4).await;
    let guard = json!({"name": "failures", "type": "DeadLetterRate", "deadLetterRate": {"perMinute": 10}});
    let groups = make_groups(&stage, &prometheus.url(), &json!({"guards": [guard]}), "").await;
    let client = Client::new(&stage.broker.endpoint()).unwrap();
    for group in &groups {
        let known = "True MetricsRead";
        stage.until_condition(group, "MetricsAvailable", known).await;
    }
    // When: no message can be handled, and as few come as bring no replica.
    let consumers = groups
        .iter()
        .map(|group| Consumers::of(&client, group, 400, Outcome::Fails));
    let _consumers: Vec<_> = consumers.collect();
    let few = client.clone();
    let sending = tokio::spawn(async move {
        loop {
            few.send_ok(message(TOPIC, "one of few")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    for group in &groups {
        until_measured(&stage, group, "GuardActive", "True Guard").await;
    }
    send_many(&client, 8 * PER_REPLICA).await;
    for group in &groups {
        let lag = |group: &ConsumerGroup| {
            let lag = group.status.as_ref().and_then(|status| status.lag.clone());
            lag.is_some_and(|lag| lag.messages > i64::try_from(4 * PER_REPLICA).unwrap())
        };
        stage.until::<ConsumerGroup>("its lag is told", group, lag).await;
        stage.until_condition(group, "ScalingActive", "False Guard").await;
        stage.until_event(group, "GuardActive").await;
        assert_eq!(stage.replicas::<Deployment>(group).await, 1, "{group}");
    }
    sending.abort();
}

/// What comes of the messages that consumers take.
#[derive(Clone, Copy)]
enum Outcome {
    Done,
    /// They go to the dead-letter topic, as those do that no consumer can handle.
    Fails,
}

/// Consumers that take a message every so many milliseconds, until they are dropped.
struct Consumers {
    pause_ms: Arc<AtomicU64>,
    running: JoinHandle<()>,
}

impl Consumers {
    fn of(client: &Client, group: &str, pause_ms: u64, outcome: Outcome) -> Self {
        let pause_ms = Arc::new(AtomicU64::new(pause_ms));
        let (pause, client, group) = (Arc::clone(&pause_ms), client.clone(), group.to_owned());
        let running = tokio::spawn(async move {
            let receive = Receive {
                batch: 1,
                poll: Duration::from_secs(1),
                ..Receive::new(&group, TOPIC)
            };
            loop {
                for message in client.receive(&receive).await.unwrap().messages {
                    finish(&client, &group, message, outcome).await;
                }
                tokio::time::sleep(Duration::from_millis(pause.load(Ordering::Relaxed))).await;
            }
        });
        Self { pause_ms, running }
    }
}

async fn finish(client: &Client, group: &str, message: Message, outcome: Outcome) {
    match outcome {
        Outcome::Done => client.ack_ok(group, TOPIC, &[message]).await.unwrap(),
        Outcome::Fails => {
            let answer = client.forward_to_dead_letters(group, TOPIC, &message).await;
            assert_eq!(code(answer.unwrap().status.as_ref()), Some(Code::Ok));
        }
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn a_step_after_which_less_gets_done_is_taken_back() {
    let stage = Stage::new().await;
    let _operator = stage.leader_with(&BRISK).await;
    let prometheus = scraping(&stage.broker);
    stage.make_orders(4).await;
    let guard = json!({
        "name": "throughput",
        "type": "ThroughputRegression",
        "throughputRegression": {"windowSeconds": 30, "dropPercent": 50},
    });
    let client = Client::new(&stage.broker.endpoint()).unwrap();
    send_many(&client, 20 * PER_REPLICA).await;
    // None is added until it is known how much one replica gets done.
    let paused = "sluice.dev/paused-scale-out";
    let groups = make_groups(&stage, &prometheus.url(), &json!({"guards": [guard]}), paused).await;
    let consumers = groups
        .iter()
        .map(|group| Consumers::of(&client, group, 50, Outcome::Done));
    let consumers: Vec<_> = consumers.collect();
    tokio::time::sleep(KNOWN_AFTER).await;
    for group in &groups {
        assert_eq!(stage.replicas::<Deployment>(group).await, 1, "{group}");
        let released = json!({"metadata": {"annotations": null}});
        stage.patch::<ConsumerGroup>(group, released).await;
    }
    // When: what stands downstream takes less from four of them than from one. At once, before the step looks good.
    for (group, some) in groups.iter().zip(&consumers) {
        stage.until_replicas::<Deployment>(group, 4).await;
        some.pause_ms.store(1_000, Ordering::Relaxed);
    }
    for group in &groups {
        until_replicas(&stage, group, 1).await;
        let reverted = |group: &ConsumerGroup| {
            let status = group.status.clone().unwrap_or_default();
            let change = status
                .last_scale
                .map(|change| (change.from, change.to, change.reason));
            change == Some((4, 1, "Reverted".to_owned())) && status.guards.iter().all(|guard| guard.active)
        };
        stage
            .until::<ConsumerGroup>("the step is taken back", group, reverted)
            .await;
        stage.until_event(group, "GuardActive").await;
        // There is as much to do as before, and further steps wait.
        stage.until_condition(group, "ScalingLimited", "True Guard").await;
        assert_eq!(stage.replicas::<Deployment>(group).await, 1, "{group}");
    }
}
