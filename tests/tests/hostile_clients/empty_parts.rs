//! Settings and requests whose parts are many and empty: a few bytes on their way, and many in memory.

use bytes::Bytes;
use sluice_tests::client::{Client, Session, producer_settings};
use sluice_tests::process::{Broker, Setup};
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::protobuf::Raw;
use crate::stage::{memory_mib, serves};

/// What a request may take on its way, less what is around its parts.
const BYTES: usize = (8 << 20) - 64;
/// What all these requests together may add: each lies in a few buffers on its way.
const MORE_MIB_MAX: u64 = 96;

/// Fields within fields, at whose end one is repeated without anything in it.
fn filled(path: &[u32], repeated: u8) -> Vec<u8> {
    let empty = [repeated << 3 | 2, 0].repeat(BYTES / 2);
    path.iter().rev().fold(empty, |inner, number| {
        let mut field = Vec::new();
        prost::encoding::bytes::encode(*number, &inner, &mut field);
        field
    })
}

/// How the broker refuses a request.
async fn refusal(channel: &Channel, call: &str, request: Vec<u8>) -> Status {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new(tokio_stream::once(Bytes::from(request)));
    request
        .metadata_mut()
        .insert("x-mq-client-id", "harm".parse().unwrap());
    let path = format!("/apache.rocketmq.v2.MessagingService/{call}");
    match client.streaming(request, path.parse().unwrap(), Raw).await {
        Err(refusal) => refusal,
        Ok(answers) => answers.into_inner().message().await.unwrap_err(),
    }
}

fn start() -> (Broker, Channel) {
    let broker = Setup::new().start().unwrap();
    let endpoint = Endpoint::new(format!("http://{}", broker.endpoint())).unwrap();
    let channel = endpoint.connect_lazy();
    (broker, channel)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_millions_of_empty_parts_are_refused_before_they_are_read() {
    let (broker, channel) = start();
    serves(&broker).await;
    let before = memory_mib(&broker);
    for (what, path, repeated) in [
        ("subscriptions", &[2, 6][..], 2),
        ("topics", &[2, 5], 1),
        ("steps of a back-off", &[2, 3, 3], 1),
        ("addresses", &[2, 2], 2),
        ("keys of a message to be tried", &[7, 2, 3], 2),
    ] {
        let refusal = refusal(&channel, "Telemetry", filled(path, repeated)).await;
        let more = memory_mib(&broker).saturating_sub(before);
        println!("{what}: {more} MiB more");
        assert_eq!(refusal.code(), Code::InvalidArgument, "{what}: {refusal:?}");
        assert!(refusal.message().contains("announce fewer topics"), "{refusal:?}");
        assert!(more <= MORE_MIB_MAX, "{what} took {more} MiB");
    }
    serves(&broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_millions_of_empty_parts_are_refused_before_they_are_read() {
    let (broker, channel) = start();
    serves(&broker).await;
    let before = memory_mib(&broker);
    for (call, path, repeated) in [
        ("SendMessage", &[1, 3][..], 2),
        ("SendMessage", &[1], 2),
        ("QueryRoute", &[2], 2),
        ("QueryAssignment", &[3], 2),
        ("ReceiveMessage", &[2, 4, 3], 2),
        ("PullMessage", &[2, 4, 3], 2),
        ("UpdateOffset", &[2, 4, 3], 2),
        ("GetOffset", &[2, 4, 3], 2),
        ("QueryOffset", &[1, 4, 3], 2),
    ] {
        let refusal = refusal(&channel, call, filled(path, repeated)).await;
        let more = memory_mib(&broker).saturating_sub(before);
        println!("{call}: {more} MiB more");
        assert_eq!(refusal.code(), Code::OutOfRange, "{call}: {refusal:?}");
        assert!(more <= MORE_MIB_MAX, "{call} took {more} MiB");
    }
    serves(&broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_of_a_thousand_topics_are_taken() {
    let (broker, _) = start();
    let client = Client::new(&broker.endpoint()).unwrap();
    let names: Vec<_> = (0..1000).map(|number| format!("{number:0>120}")).collect();
    let topics: Vec<_> = names.iter().map(String::as_str).collect();
    Session::open(&client, producer_settings(&client, &topics))
        .await
        .unwrap();
}
