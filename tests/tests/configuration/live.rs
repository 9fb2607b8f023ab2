//! What a change of the file does to a broker that runs.

use std::fs;
use std::time::Instant;

use sluice_proto::v2::Code;
use sluice_tests::client::Client;
use sluice_tests::process::{Broker, Setup};
use sluice_tests::wait;

use crate::{SOON, first_use};

/// Waits until a line of the log has all these parts.
fn wait_for_line(broker: &Broker, parts: &[&str]) {
    let what = format!("a line with {parts:?}");
    wait::until(&what, SOON, || {
        let log = broker.log()?;
        let found = log
            .lines()
            .any(|line| parts.iter().all(|part| line.contains(part)));
        Ok(found.then_some(()))
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn making_topics_on_first_use_is_switched_without_a_restart_and_logged() {
    let mut broker = Setup::new().config("autoCreateTopics: true\n").start().unwrap();
    let process = broker.id();
    assert_eq!(first_use(&broker, "first").await, Some(Code::Ok));
    broker.rewrite_config("autoCreateTopics: false\n").unwrap();
    wait_for_line(
        &broker,
        &[
            "configuration has changed",
            "autoCreateTopics",
            "old=\"true\"",
            "new=\"false\"",
            "source=file",
        ],
    );
    assert_eq!(first_use(&broker, "second").await, Some(Code::TopicNotFound));
    assert_eq!(first_use(&broker, "first").await, Some(Code::Ok));

    broker.rewrite_config("# mine\n").unwrap();
    wait_for_line(&broker, &["configuration file cannot be used", "it is empty"]);
    assert_eq!(first_use(&broker, "second").await, Some(Code::TopicNotFound));
    broker.rewrite_config("{}\n").unwrap();
    wait_for_line(&broker, &["autoCreateTopics", "new=\"true\"", "source=default"]);
    assert_eq!(first_use(&broker, "second").await, Some(Code::Ok));
    assert!(broker.runs().unwrap() && broker.id() == process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_logged_changes_without_a_restart() {
    let broker = Setup::new().config("log: info\n").start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    // A refusal is said at debug.
    let refusals = || broker.log().unwrap().matches("refused").count();
    client.query_route("no topic").await.unwrap();
    broker.rewrite_config("log: info,sluice_broker=debug\n").unwrap();
    wait_for_line(&broker, &["old=\"info\"", "new=\"info,sluice_broker=debug\""]);
    assert_eq!(refusals(), 0, "it was not asked for");
    // The line is written a moment before the new level holds.
    let deadline = Instant::now() + SOON;
    while refusals() == 0 {
        assert!(Instant::now() < deadline, "no refusal is logged");
        client.query_route("no topic").await.unwrap();
    }
}

#[test]
fn what_needs_a_restart_is_said_and_nothing_else_happens() {
    let mut broker = Setup::new()
        .config("brokerName: broker-a\nclusterName: one\n")
        .start()
        .unwrap();
    broker
        .rewrite_config("brokerName: broker-b\nclusterName: one\n")
        .unwrap();
    wait_for_line(
        &broker,
        &[
            "WARN",
            "only after a restart",
            "brokerName",
            "runs=\"broker-a\"",
            "file=\"broker-b\"",
        ],
    );
    assert_eq!(broker.log().unwrap().matches("only after a restart").count(), 1);
    assert!(broker.is_ready().unwrap());
    assert!(!broker.data_dir().join("broker-b").exists());
    assert!(broker.stop().unwrap().success());
    broker.restart().unwrap();
    assert!(broker.data_dir().join("broker-b").is_dir());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_changes_nothing_and_is_said_once() {
    let broker = Setup::new().config("autoCreateTopics: false\n").start().unwrap();
    for (broken, reason) in [
        ("autoCreateTopics: [", "line 2"),
        ("autoCreateTopics: maybe\n", "true or false"),
        (
            "autoCreateTopics: true\nqueueMetric: true\n",
            "did you mean 'queueMetrics'?",
        ),
    ] {
        broker.rewrite_config(broken).unwrap();
        wait_for_line(&broker, &["cannot be used", reason]);
        assert_eq!(
            first_use(&broker, "orders").await,
            Some(Code::TopicNotFound),
            "{broken}"
        );
        assert_eq!(broker.metric("sluice_configuration_rejected").unwrap(), 1.0);
    }
    // A line that comes for a later look shows that there were looks at the broken one that said nothing more.
    broker.rewrite_config("autoCreateTopics: true\n").unwrap();
    wait_for_line(&broker, &["configuration has changed", "new=\"true\""]);
    assert_eq!(broker.log().unwrap().matches("cannot be used").count(), 3);
    assert_eq!(first_use(&broker, "orders").await, Some(Code::Ok));
    wait::until_true("the file can be used again", SOON, || {
        broker.metric("sluice_configuration_rejected").unwrap() == 0.0
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_come_as_often_as_the_file_says_now() {
    let broker = Setup::new().config("checkpointSeconds: 3600\n").start().unwrap();
    let roots = || {
        let folder = fs::read_dir(broker.shard_dir().join("checkpoint")).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().ends_with(".root"))
            .count()
    };
    assert_eq!(first_use(&broker, "orders").await, Some(Code::Ok));
    let before = roots();
    broker.rewrite_config("checkpointSeconds: 1\n").unwrap();
    wait::until_true("a checkpoint is written", SOON, || roots() > before).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_replaced_as_kubernetes_does_it_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (link, current) = (folder.path().join("sluice.yaml"), folder.path().join("..data"));
    // A volume of a ConfigMap: the file is a link through a folder that is exchanged as a whole.
    let publish = |version: &str, yaml: &str| {
        let version = folder.path().join(version);
        fs::create_dir(&version).unwrap();
        fs::write(version.join("sluice.yaml"), yaml).unwrap();
        let new = folder.path().join("..data_tmp");
        std::os::unix::fs::symlink(&version, &new).unwrap();
        fs::rename(&new, &current).unwrap();
    };
    publish("1", "autoCreateTopics: false\n");
    std::os::unix::fs::symlink("..data/sluice.yaml", &link).unwrap();
    let broker = Setup::new()
        .flag("--config", &link.display().to_string())
        .start()
        .unwrap();
    assert_eq!(first_use(&broker, "orders").await, Some(Code::TopicNotFound));
    publish("2", "autoCreateTopics: true\n");
    wait_for_line(&broker, &["configuration has changed", "autoCreateTopics"]);
    assert_eq!(first_use(&broker, "orders").await, Some(Code::Ok));
}
