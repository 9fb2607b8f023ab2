//! The backlog of the mission: 60,000 messages in eight queues, consumers that are slow, and as many of them as it takes. The
//! long form has 500,000 messages.

use std::time::{Duration, Instant};

use serde_json::json;
use sluice_operator_api::{ConsumerGroup, Topic};
use sluice_tests::python;

use crate::replicas::Replicas;
use crate::shop::{self, CLUSTER, GROUP, TOPIC};
use crate::stage::{SOON, Stage, until};

/// Set by `cargo xtask test --long`.
const LONG: &str = "SLUICE_LONG";
const QUEUES: i32 = 8;
const PRODUCERS: u32 = 2;
/// What handling a message takes: one consumer gets a hundred a second done, and eight of them 60,000 in a minute and a half.
const HANDLE_SECONDS: &str = "0.008";
/// How long fewer replicas must be asked for before there are fewer.
const WINDOW: Duration = Duration::from_secs(15);
/// Until all are sent, and again until all are done: several times what it takes on two cores of its own.
const WITHIN: Duration = Duration::from_secs(420);
const WITHIN_IF_LONG: Duration = Duration::from_secs(3_600);

/// As many messages, and how long they may take.
fn size() -> (u32, Duration) {
    match std::env::var_os(LONG) {
        Some(_) => (500_000, WITHIN_IF_LONG),
        None => (60_000, WITHIN),
    }
}

/// The example's consumers, one of them, and its group with short times: what it scales by, and how far, stays as it is.
async fn set() -> Stage {
    let shop = shop::open().await;
    shop.cluster_ready(CLUSTER).await;
    shop.topic_ready("order-paid").await;
    let consuming = [
        ("TOPIC", TOPIC.to_owned()),
        ("GROUP", GROUP.to_owned()),
        ("HANDLE_SECONDS", HANDLE_SECONDS.to_owned()),
    ];
    shop.make_consumers(GROUP, CLUSTER, &consuming);
    let behavior = json!({
        "cooldownSeconds": 2,
        "scaleUp": {"stepPolicies": [{"type": "Pods", "value": 4, "periodSeconds": 5}]},
        "scaleDown": {
            "stabilizationWindowSeconds": WINDOW.as_secs(),
            "stepPolicies": [{"type": "Percent", "value": 100, "periodSeconds": 5}],
        },
    });
    let short = json!({"spec": {"autoscaling": {"behavior": behavior}}});
    shop.patch::<ConsumerGroup>(GROUP, short).await;
    shop
}

fn start_producers(shop: &Stage, messages: u32, within: Duration) {
    let producing = [
        ("TOPIC", TOPIC.to_owned()),
        ("COUNT", (messages / PRODUCERS).to_string()),
        ("IN_FLIGHT", "16".to_owned()),
        ("WITHIN_SECONDS", within.as_secs().to_string()),
    ];
    shop.start_job("order-producer", python::PRODUCER, PRODUCERS, CLUSTER, &producing);
}

async fn until_replicas(replicas: &Replicas, wanted: i32, within: Duration) {
    until(&format!("there are {wanted} replicas"), within, async || {
        anyhow::ensure!(
            replicas.now() == Some(wanted),
            "there were {:?}",
            replicas.numbers()
        );
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// Until nothing waits; gives when more than seven consumers' share waited last, so that eight were asked for: before it was asked.
async fn until_all_is_done(shop: &Stage, within: Duration) -> Instant {
    let mut asked_for_all = Instant::now();
    until("all is done", within, async || {
        let asked = Instant::now();
        let ready = shop.ready_messages(CLUSTER, GROUP).await?;
        if ready > 7_000.0 {
            asked_for_all = asked;
        }
        anyhow::ensure!(ready == 0.0, "{ready} are left");
        Ok(Some(()))
    })
    .await
    .unwrap();
    asked_for_all
}

/// Up to the number of queues and never further, then down to one, without a step back on either way, and not before the
/// window has passed.
fn check(replicas: &Replicas, asked_for_all: Instant) {
    let changes = replicas.changes();
    let numbers = replicas.numbers();
    assert_eq!(numbers.iter().max(), Some(&QUEUES), "{numbers:?}");
    let top = numbers.iter().position(|&number| number == QUEUES).unwrap();
    assert!(numbers[..=top].is_sorted(), "{numbers:?}");
    assert!(numbers[top..].is_sorted_by(|a, b| a > b), "{numbers:?}");
    let (fell, _) = changes[top + 1];
    let held = fell.saturating_duration_since(asked_for_all);
    // The last sample over the bound may be two scrapes old.
    assert!(
        held + Duration::from_secs(2) >= WINDOW,
        "they fell after {held:?}: {changes:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_brings_as_many_consumers_as_there_are_queues_and_one_is_left_after_it() {
    let (messages, within) = size();
    let shop = set().await;
    let replicas = Replicas::watch(shop.api(), GROUP);
    let started = Instant::now();
    start_producers(&shop, messages, within);

    until_replicas(&replicas, QUEUES, within).await;
    shop.finish_job("order-producer", within).await;
    let sent = started.elapsed();
    let asked_for_all = until_all_is_done(&shop, within).await;
    let done = started.elapsed();
    until_replicas(&replicas, 1, WINDOW + SOON).await;

    println!("{messages} messages: sent after {sent:.0?}, done after {done:.0?}");
    for (at, number) in replicas.changes() {
        println!(
            "{number} replicas after {:.0?}",
            at.saturating_duration_since(started)
        );
    }
    check(&replicas, asked_for_all);
    // More where the client has tried a send again whose answer was late.
    let all_there = |topic: &Topic| {
        let told = topic.status.as_ref().and_then(|status| status.messages);
        told >= Some(i64::from(messages))
    };
    shop.until("the topic's messages are told", "order-paid", SOON, all_there)
        .await;
    let none_left = |group: &ConsumerGroup| {
        let lag = group.status.as_ref().and_then(|status| status.lag.as_ref());
        lag.is_some_and(|lag| lag.messages == 0)
    };
    shop.until("no lag is told", GROUP, SOON, none_left).await;
}
