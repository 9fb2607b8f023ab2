//! Clients that ask and do not take what they asked for.

use std::time::Duration;

use futures::future::join_all;
use sluice_proto::v2::{self, ReceiveMessageRequest, ReceiveMessageResponse};
use sluice_tests::client::{Client, Receive, duration, message, resource};
use sluice_tests::process::Setup;
use sluice_tests::wait;
use tonic::Streaming;

use crate::stage::{SOON, anonymous_mib, nobody_is_connected, serves};

const READERS: usize = 20;
const MESSAGES: usize = 32;
const BODY: usize = 1 << 20;
/// Each reader asks for 32 MiB, and all together for 640.
const MEMORY_MIB_MAX: u64 = 256;

/// Begins to receive, and reads nothing.
async fn begin(client: &Client, group: &str) -> Streaming<ReceiveMessageResponse> {
    let request = ReceiveMessageRequest {
        group: Some(resource(group)),
        message_queue: Some(v2::MessageQueue {
            topic: Some(resource("large")),
            ..Default::default()
        }),
        batch_size: MESSAGES as i32,
        invisible_duration: Some(duration(Duration::from_secs(3600))),
        long_polling_timeout: Some(duration(Duration::from_secs(5))),
        ..Default::default()
    };
    let request = client.request_within(request, Duration::from_secs(600));
    client.stub().receive_message(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_what_he_receives_costs_bounded_memory_and_what_he_left_comes_again() {
    let broker = Setup::new().start().unwrap();
    let producer = Client::new(&broker.endpoint()).unwrap();
    for _ in 0..MESSAGES {
        producer.send_ok(message("large", vec![7; BODY])).await.unwrap();
    }
    serves(&broker).await;
    let before = anonymous_mib(&broker);

    let clients: Vec<_> = (0..READERS)
        .map(|_| Client::new(&broker.endpoint()).unwrap())
        .collect();
    let groups: Vec<_> = (0..READERS).map(|reader| format!("readers-{reader}")).collect();
    let unread = join_all(
        clients
            .iter()
            .zip(&groups)
            .map(|(client, group)| begin(client, group)),
    )
    .await;

    for _ in 0..5 {
        serves(&broker).await;
    }
    let grown = anonymous_mib(&broker).saturating_sub(before);
    assert!(grown <= MEMORY_MIB_MAX, "{grown} MiB for who reads nothing");

    drop((unread, clients));
    let other = Client::new(&broker.endpoint()).unwrap();
    let receive = Receive {
        batch: MESSAGES as i32,
        ..Receive::new(&groups[0], "large")
    };
    let mut left = 0;
    wait::until_async("what was not read comes again", SOON, async || {
        left += other.receive(&receive).await?.messages.len();
        // What stood in the buffers of the network may count as delivered.
        Ok((left >= MESSAGES - 4).then_some(()))
    })
    .await
    .unwrap();
    drop((other, producer));
    nobody_is_connected(&broker);
}
