//! Whole runs against a server in memory that behaves like a broker.

mod memory;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser as _;
use memory::Memory;
use sluice_bench::args::{Cli, Command};
use sluice_bench::bare::http2_server;
use sluice_bench::report::Report;
use sluice_bench::{consume, h2load, latency, produce, spread};
use sluice_proto::v2::Code;
use sluice_proto::v2::messaging_service_server::MessagingServiceServer;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};

/// Serves on a free port for as long as the test lives.
fn serve(server: Server, memory: Memory) -> SocketAddr {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = incoming.local_addr().expect("an address");
    tokio::spawn(server.serve_with_incoming(MessagingServiceServer::new(memory), incoming));
    address
}

fn command(line: &str, address: SocketAddr) -> Command {
    let line = format!("sluice-bench {line} --endpoint localhost:{}", address.port());
    Cli::parse_from(line.split_whitespace()).command
}

async fn run(line: &str, address: SocketAddr) -> anyhow::Result<Report> {
    match command(line, address) {
        Command::Produce(args) => produce::run(&args).await,
        Command::Consume(args) => consume::run(&args).await,
        Command::Latency(args) => latency::run(&args).await,
        Command::Spread(args) => spread::run(&args).await,
        other => unreachable!("{other:?} makes no report over a connection"),
    }
}

#[tokio::test]
async fn produce_measures_what_it_was_asked_to() {
    let memory = Memory::default();
    let address = serve(http2_server(), memory.clone());
    let report = run(
        "produce --connections 2 --in-flight 4 --warmup 0s --count 500 --keys 7",
        address,
    )
    .await
    .unwrap();
    assert!(report.clean(), "{}", report.text());
    assert_eq!(report.latencies["send"].count, 500);
    assert_eq!(memory.stored(), 500);
    assert!(memory.saw_settings_and_farewell());
}

#[tokio::test]
async fn refusals_are_counted_by_code() {
    let memory = Memory::refusing_every_third(Code::TooManyRequests);
    let address = serve(http2_server(), memory);
    let report = run(
        "produce --connections 1 --in-flight 1 --warmup 0s --count 30",
        address,
    )
    .await
    .unwrap();
    assert_eq!(
        report.errors["send: TOO_MANY_REQUESTS 42900"],
        10,
        "{}",
        report.text()
    );
    assert_eq!(report.latencies["send"].count, 20);
    assert!(!report.clean());
}

#[tokio::test]
async fn consume_acknowledges_each_message_once() {
    for options in ["", "--ack-batch 32", "--consumer simple --receivers 3"] {
        let memory = Memory::default();
        let address = serve(http2_server(), memory.clone());
        let line = format!("consume --prefill 1000 --connections 2 --long-poll 100ms {options}");
        let report = run(&line, address).await.unwrap();
        assert!(report.clean(), "{options}: {}", report.text());
        assert_eq!(report.counts["acknowledged"], 1000, "{options}");
        assert_eq!(report.counts["redelivered"], 0, "{options}");
        assert_eq!(memory.unacknowledged(), 0, "{options}");
    }
}

#[tokio::test]
async fn latency_times_every_message_of_its_own() {
    let memory = Memory::default();
    let address = serve(http2_server(), memory);
    // Left over from before: received and acknowledged, but not timed.
    run("produce --connections 1 --warmup 0s --count 50", address)
        .await
        .unwrap();
    let line = "latency --connections 2 --rate 1000 --warmup 100ms --duration 500ms --long-poll 100ms";
    let report = run(line, address).await.unwrap();
    assert!(report.clean(), "{}", report.text());
    assert_eq!(report.latencies["send"].count, 500);
    assert_eq!(report.latencies["delivery"].count, 500);
    assert_eq!(report.counts["sent but not arrived"], 0);
}

#[tokio::test]
async fn spread_sends_to_each_topic_and_receives_for_each_group() {
    let memory = Memory::default();
    let address = serve(http2_server(), memory.clone());
    let line = "spread --connections 2 --topics 5 --groups 2 --each 3";
    let report = run(line, address).await.unwrap();
    assert!(report.clean(), "{}", report.text());
    assert_eq!(report.latencies["send"].count, 15);
    assert_eq!(report.latencies["receive"].count, 10);
    assert_eq!(memory.unacknowledged(), 15, "what was received is held");
}

#[tokio::test]
async fn a_stall_is_charged_to_every_send_that_was_due_in_it() {
    let memory = Memory::stalling_once(Duration::from_millis(300));
    let address = serve(http2_server(), memory);
    let line = "produce --connections 1 --in-flight 1 --rate 1000 --warmup 0s --duration 600ms";
    let send = run(line, address).await.unwrap().latencies["send"];
    assert_eq!(send.count, 600);
    // A closed loop would show one slow send; due times show about 300 of them, 150 ms late on average.
    assert!(send.p50_us > 1000 && send.p90_us > 100_000, "{send:?}");
}

#[tokio::test]
async fn tls_takes_a_self_signed_certificate() {
    let made = rcgen::generate_simple_self_signed(["somewhere-else".to_owned()]).unwrap();
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let server = http2_server()
        .tls_config(ServerTlsConfig::new().identity(identity))
        .unwrap();
    let address = serve(server, Memory::default());
    let report = run("produce --tls --connections 1 --warmup 0s --count 20", address)
        .await
        .unwrap();
    assert!(report.clean(), "{}", report.text());
    let error = run("produce --connections 1 --count 1", address)
        .await
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("plaintext HTTP/2 (--tls for TLS)")
            || format!("{error:#}").contains("route")
    );
}

#[tokio::test]
async fn h2load_data_fails_when_the_server_would_refuse() {
    let directory = tempfile::tempdir().unwrap();
    let line = format!(
        "h2load-data --size 100 --out {}",
        directory.path().join("body").display()
    );
    let accepting = serve(http2_server(), Memory::default());
    let refusing = serve(http2_server(), Memory::refusing_every_third(Code::Forbidden));
    for (address, wanted) in [
        (accepting, true),
        (refusing, true),
        (refusing, true),
        (refusing, false),
    ] {
        let Command::H2loadData(args) = command(&line, address) else {
            panic!("another command")
        };
        assert_eq!(h2load::write_request(&args).await.is_ok(), wanted);
    }
    assert!(std::fs::read(directory.path().join("body")).unwrap().len() > 100);
}
