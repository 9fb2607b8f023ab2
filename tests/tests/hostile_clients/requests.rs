//! Requests that begin and do not come to their end.

use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::Request;
use sluice_tests::process::Setup;
use sluice_tests::wait;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::stage::{SOON, anonymous_mib, nobody_is_connected, refused, serves};

/// Connections, each of a client of its own, and requests that each of them begins.
const CONNECTIONS: usize = 4;
const REQUESTS: usize = 100;
/// What comes of each request, which says that it is longer.
const COMES: usize = 3 << 20;
const SAYS: u32 = 4 << 20;
/// All of them would be 1,200 MiB, and 32 are admitted: what the windows of the connections let come besides is on top.
const MEMORY_MIB_MAX: u64 = 300;

/// A connection of this client.
async fn connect(address: &str) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    (requests, tokio::spawn(connection))
}

/// Begins a send of so many bytes, of which none has come.
fn begin(requests: &mut SendRequest<Bytes>, client: &str) -> (ResponseFuture, SendStream<Bytes>) {
    let request = Request::post("http://localhost/apache.rocketmq.v2.MessagingService/SendMessage")
        .header("content-type", "application/grpc")
        .header("x-mq-client-id", client)
        .body(())
        .unwrap();
    requests.send_request(request, false).unwrap()
}

/// The beginning of a message, as far as the broker takes it.
async fn say(stream: &mut SendStream<Bytes>) {
    let mut left = Bytes::from([&[0], &SAYS.to_be_bytes()[..], &vec![7; COMES]].concat());
    while !left.is_empty() {
        stream.reserve_capacity(left.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let Some(Ok(room)) = room else { return };
        if stream
            .send_data(left.split_to(room.min(left.len())), false)
            .is_err()
        {
            return;
        }
    }
}

/// Begins as many as a connection may, says what comes of each, and waits for all answers: answers how many were told to come
/// again. Those that are held have none until the broker has had enough of the connection.
async fn never_come_to_the_end(address: String, client: String) -> usize {
    let (requests, connection) = connect(&address).await;
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..REQUESTS {
        let mut requests = requests.clone().ready().await.unwrap();
        let client = client.clone();
        sending.spawn(async move {
            let (answer, mut stream) = begin(&mut requests, &client);
            say(&mut stream).await;
            // The stream is there for as long as it is answered.
            let answered = answer.await;
            drop(stream);
            answered.is_ok_and(|answer| answer.headers().get("grpc-status").is_some_and(|it| it == "8"))
        });
    }
    let mut told = 0;
    while let Some(was_told) = sending.join_next().await {
        told += usize::from(was_told.unwrap());
    }
    drop(requests);
    let _ = connection.await.unwrap();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_do_not_come_to_their_end_cost_bounded_memory_and_end_with_their_connection() {
    let broker = Setup::new()
        .flag("--max-unfinished-requests", "32MiB")
        .flag("--max-transfer-seconds", "5")
        .start()
        .unwrap();
    serves(&broker).await;
    let before = anonymous_mib(&broker);
    let clients = (0..CONNECTIONS).map(|client| format!("client-{client}"));
    let attacks: Vec<_> = clients
        .map(|client| tokio::spawn(never_come_to_the_end(broker.endpoint(), client)))
        .collect();
    wait::until_true_async("some are refused", SOON, || refused(&broker, "unfinished") > 0.0)
        .await
        .unwrap();
    serves(&broker).await;
    let grown = anonymous_mib(&broker).saturating_sub(before);
    assert!(
        grown <= MEMORY_MIB_MAX,
        "{grown} MiB for requests that do not end"
    );
    let mut told = 0;
    for attack in attacks {
        told += attack.await.unwrap();
    }
    let held = CONNECTIONS * REQUESTS - told;
    assert!(
        told > 0 && held > 0,
        "{told} were told to come again, {held} held"
    );
    nobody_is_connected(&broker);
    let held = broker
        .metric_of("sluice_queue_depth", "queue", "unfinished_bytes")
        .unwrap();
    assert_eq!(held, 0.0);
    let lost = broker
        .metric_of("sluice_connections_refused_total", "reason", "stalled")
        .unwrap();
    assert!(lost > 0.0, "no connection was closed for what it held");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_a_message_and_one_without_an_end_are_not_waited_for() {
    let broker = Setup::new().flag("--max-transfer-seconds", "1").start().unwrap();
    for message in [&b""[..], b"\0\0\0\0\0"] {
        let (requests, connection) = connect(&broker.endpoint()).await;
        let (_answer, mut stream) = begin(&mut requests.ready().await.unwrap(), "a-client");
        stream.send_data(Bytes::from_static(message), false).unwrap();
        let ended = tokio::time::timeout(SOON, connection).await;
        assert!(ended.is_ok(), "{message:?}");
    }
    tokio::time::timeout(Duration::from_secs(30), serves(&broker))
        .await
        .unwrap();
}
