//! The image at work, without any right that Kubernetes' restricted profile does not give.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_tests::container::{GRACE, proc_file, volume};
use sluice_tests::driver::{Driver, Language};
use sluice_tests::http;

use crate::stage::{Broker, USER};

fn open(driver: &Driver, kind: &str, name: &str, broker: &Broker, mut options: Value) {
    options["do"] = json!(kind);
    options["name"] = json!(name);
    options["endpoints"] = json!(broker.endpoint());
    driver.call(options).unwrap();
}

fn send(driver: &Driver, bodies: impl Iterator<Item = String>) {
    let messages: Vec<_> = bodies
        .map(|body| json!({"topic": "orders", "body": body}))
        .collect();
    driver
        .call(json!({"do": "send", "name": "producer", "messages": messages}))
        .unwrap();
}

/// The bodies of so many messages that a simple consumer was given and has acknowledged.
fn received(driver: &Driver, consumer: &str, count: usize) -> BTreeSet<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut bodies = BTreeSet::new();
    while bodies.len() < count && Instant::now() < deadline {
        let receive = json!({"do": "receive", "name": consumer, "max": 32, "invisibleMs": 30_000});
        for message in driver.call(receive).unwrap().as_array().unwrap() {
            let ack = json!({"do": "ack", "name": consumer, "ref": message["ref"]});
            driver.call(ack).unwrap();
            bodies.insert(message["body"].as_str().unwrap().to_owned());
        }
    }
    bodies
}

/// The bodies of what a push consumer has handled, once there are so many.
fn handled(driver: &Driver, consumer: &str, count: usize) -> BTreeSet<String> {
    driver
        .wait_for(
            &format!("{consumer} handles {count}"),
            Duration::from_secs(30),
            |events| {
                let own = events
                    .iter()
                    .filter(|event| event.client == consumer && event.kind == "handled");
                let bodies: BTreeSet<_> = own
                    .map(|event| event.message["body"].as_str().unwrap_or_default().to_owned())
                    .collect();
                (bodies.len() >= count).then_some(bodies)
            },
        )
        .unwrap()
}

fn numbered(numbers: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    numbers.map(|number| format!("m-{number:03}"))
}

#[test]
fn a_container_serves_the_java_client_ends_on_sigterm_and_keeps_its_data() {
    let volume = volume(USER).unwrap();
    let driver = Driver::start(Language::Java).unwrap();

    let mut broker = Broker::ready(volume.path());
    open(
        &driver,
        "producer",
        "producer",
        &broker,
        json!({"topics": ["orders"]}),
    );
    let mut subscription = json!({"group": "readers", "subscriptions": {"orders": "*"}, "awaitMs": 3000});
    open(
        &driver,
        "simple-consumer",
        "first reader",
        &broker,
        subscription.clone(),
    );
    send(&driver, numbered(0..40));
    assert_eq!(received(&driver, "first reader", 40), numbered(0..40).collect());
    send(&driver, numbered(40..60));
    // Clients stay connected: nobody has to leave first.
    stop(&mut broker);

    // Another container, another address, the same volume.
    let mut broker = Broker::ready(volume.path());
    subscription["ssl"] = json!(false);
    open(&driver, "push-consumer", "second reader", &broker, subscription);
    assert_eq!(handled(&driver, "second reader", 20), numbered(40..60).collect());
    // It waits for more by now.
    stop(&mut broker);
    assert_eq!(handled(&driver, "second reader", 20), numbered(40..60).collect());
}

fn stop(broker: &mut Broker) {
    let (status, took) = broker.container.stop().unwrap();
    assert_eq!(status.code(), Some(0), "{}", broker.container.log().unwrap());
    assert!(took < GRACE, "{took:?}");
    println!("ended {took:?} after SIGTERM");
}

#[test]
fn probes_answer_as_kubernetes_asks_them() {
    let volume = volume(USER).unwrap();
    let broker = Broker::ready(volume.path());
    for path in ["/livez", "/readyz"] {
        assert_eq!(http::get(broker.http_port, path).unwrap().status, 200, "{path}");
    }
    let metrics = http::get(broker.http_port, "/metrics").unwrap();
    assert!(metrics.body.contains("# TYPE "), "{}", metrics.body);
}

#[test]
fn the_command_line_in_the_image_reaches_its_broker() {
    let volume = volume(USER).unwrap();
    let broker = Broker::ready(volume.path());
    broker.sluicectl(&["topic", "create", "orders"]);
    broker.sluicectl(&["message", "send", "orders", "hello from inside"]);
    let received = broker.sluicectl(&["message", "receive", "readers", "orders", "--ack"]);
    assert!(received.contains("hello from inside"), "{received}");
    let status = broker.sluicectl(&["broker", "status", "-o", "json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["disk"]["folder"], "/var/lib/sluice/broker-a", "{status}");
}

#[test]
fn the_process_has_no_right_that_the_restricted_profile_withholds() {
    let volume = volume(USER).unwrap();
    let broker = Broker::ready(volume.path());
    let process = broker.container.process().unwrap();
    let status = proc_file(process, "status").unwrap();
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once('\t'))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap()
    };
    assert_eq!(value("Uid:"), vec![USER.to_string(); 4].join("\t"));
    assert_eq!(value("Gid:"), vec![USER.to_string(); 4].join("\t"));
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(value(set).trim_start_matches('0'), "", "{set} {status}");
    }
    assert_eq!(
        (value("NoNewPrivs:").as_str(), value("Seccomp:").as_str()),
        ("1", "2")
    );

    // What can be written is the volume, and what the engine itself puts under /proc and /dev.
    let mounts = proc_file(process, "mountinfo").unwrap();
    let writable = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(4);
        let (place, options) = (words.next()?, words.next()?);
        let own = place != "/proc"
            && place != "/dev"
            && !place.starts_with("/proc/")
            && !place.starts_with("/dev/");
        (own && options.split(',').any(|option| option == "rw")).then_some(place)
    });
    assert_eq!(writable.collect::<Vec<_>>(), ["/var/lib/sluice"], "{mounts}");
}

#[test]
fn every_line_of_a_containers_log_is_json() {
    let volume = volume(USER).unwrap();
    let mut broker = Broker::ready(volume.path());
    assert!(broker.container.stop().unwrap().0.success());
    let log = broker.container.log().unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}")))
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line["level"] == "INFO" && line["timestamp"].is_string()),
        "{log}"
    );
}

#[test]
fn a_container_whose_data_cannot_be_written_says_so_and_ends() {
    let mut broker = Broker::start(None);
    let status = broker.container.wait_for_end().unwrap();
    let log = broker.container.log().unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains("/var/lib/sluice") && log.contains("Read-only file system"),
        "{log}"
    );
}
