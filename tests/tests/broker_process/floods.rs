//! Connections without end, and what they must leave to others: open files, and an answer to the next probe.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sluice_tests::client::Client;
use sluice_tests::process::{Broker, Setup};
use sluice_tests::sluicectl::Sluicectl;
use sluice_tests::{http, wait};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use crate::traffic::{SOON, consume, numbered, send};

const OPEN_FILES: u32 = 200;
/// More than the process may have open files.
const IDLE: usize = 300;
/// An HTTP/2 client's first words, and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Three times as many as the broker has places for.
const HALF_SENT: usize = 200;
/// After that long the broker gives up a request whose headers do not end.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_take_no_open_files_from_the_store_and_give_way_to_clients() {
    let mut broker = Setup::new()
        .open_files(OPEN_FILES)
        .flag("--checkpoint-seconds", "1")
        .start()
        .unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    send(&client, "before", &numbered(0..10)).await;

    // Each on a task of its own: those that the broker does not accept may have to wait for their connection.
    let mut idle = JoinSet::new();
    for _ in 0..IDLE {
        idle.spawn(be_idle(broker.endpoint()));
    }
    wait::until("all places are taken, and taken again", SOON, || {
        let places = broker.metric_of("sluice_connections_limit", "listener", "client")?;
        let displaced = broker.metric_of("sluice_connections_refused_total", "reason", "displaced")?;
        Ok((displaced >= places / 2.0).then_some(()))
    })
    .unwrap();

    let open = open_files(&broker);
    assert!(open < OPEN_FILES as usize * 3 / 4, "{open} files are open");
    // New topics and a checkpoint are new files.
    let checkpoints = broker.metric("sluice_checkpoints_total").unwrap();
    for topic in ["amid-1", "amid-2", "amid-3"] {
        let client = Client::new(&broker.endpoint()).unwrap();
        send(&client, topic, &numbered(0..10)).await;
        assert_eq!(consume(&client, "readers", topic, 10).await, numbered(0..10));
    }
    wait::until("a checkpoint is written", SOON, || {
        Ok((broker.metric("sluice_checkpoints_total")? > checkpoints).then_some(()))
    })
    .unwrap();
    assert_eq!(consume(&client, "readers", "before", 10).await, numbered(0..10));
    let log = broker.log().unwrap();
    assert!(
        log.contains("100 connections at a time") && log.contains("which is 200"),
        "{log}"
    );
    assert!(!log.contains("Too many open files"), "{log}");

    drop(idle);
    assert!(broker.stop().unwrap().success());
    broker.restart().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    assert_eq!(consume(&client, "others", "amid-3", 10).await, numbered(0..10));
}

/// Begins HTTP/2, says nothing more and never hangs up.
async fn be_idle(address: String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_port_full_of_clients_that_only_greet_lets_another_in() {
    let broker = Setup::new().start().unwrap();
    let mut idle = JoinSet::new();
    for _ in 0..64 {
        idle.spawn(be_idle(broker.admin_endpoint()));
    }
    wait::until("all places of the admin port are taken", SOON, || {
        let samples = broker.metrics()?;
        let taken = samples.iter().any(|sample| {
            sample.name == "sluice_connections"
                && sample.labels.get("listener").is_some_and(|name| name == "admin")
                && sample.value >= 64.0
        });
        Ok(taken.then_some(()))
    })
    .unwrap();
    let sluicectl = Sluicectl::of(&broker).unwrap();
    let status = tokio::task::block_in_place(|| sluicectl.ok(&["broker", "status"]));
    status.unwrap();
}

fn open_files(broker: &Broker) -> usize {
    let folder = format!("/proc/{}/fd", broker.id().unwrap());
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn too_low_a_limit_on_open_files_ends_the_start_and_is_named() {
    let mut broker = Setup::new().open_files(100).spawn().unwrap();
    let status = broker.wait_for_end().unwrap();
    let log = broker.log().unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains("the limit on open files is 100") && log.contains("at least 128"),
        "{log}"
    );
}

#[test]
fn half_sent_requests_keep_no_probe_waiting() {
    let broker = Setup::new().start().unwrap();
    let address = format!("127.0.0.1:{}", broker.http_port());
    let half_sent: Vec<TcpStream> = (0..HALF_SENT)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n").unwrap();
            stream
        })
        .collect();
    let asked = Instant::now();
    // Connections are accepted in the order in which they come.
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(http::get(broker.http_port(), path).unwrap().status, 200, "{path}");
    }
    assert!(asked.elapsed() < HEADERS_WITHIN, "{:?}", asked.elapsed());
    drop(half_sent);
}
