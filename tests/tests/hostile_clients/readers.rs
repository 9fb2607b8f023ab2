//! Clients that ask and do not take what they asked for.

use std::time::Duration;

use futures::future::join_all;
use sluice_proto::v2::{self, ReceiveMessageRequest, ReceiveMessageResponse};
use sluice_tests::client::{Client, Receive, duration, message, resource};
use sluice_tests::process::Setup;
use sluice_tests::wait;
use tonic::Streaming;

use crate::stage::{SOON, anonymous_mib, nobody_is_connected, refused, serves};

/// Clients, and receives of each at one time.
const READERS: usize = 20;
const RECEIVES: usize = 10;
const MESSAGES: usize = 32;
const BODY: usize = 1 << 20;
/// Sent behind them, until none of them is in the memory that all receives share.
const OTHERS: usize = 64;
/// A receive brings 4 MiB, and all of them would bring 800.
const MEMORY_MIB_MAX: u64 = 160;

/// Begins to receive, and reads nothing.
async fn begin(client: &Client, group: String) -> Streaming<ReceiveMessageResponse> {
    let request = ReceiveMessageRequest {
        group: Some(resource(&group)),
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
    let broker = Setup::new()
        .flag("--max-unread-answers", "64MiB")
        .flag("--max-transfer-seconds", "5")
        .start()
        .unwrap();
    let producer = Client::new(&broker.endpoint()).unwrap();
    for (count, topic) in [(MESSAGES, "large"), (OTHERS, "others")] {
        for _ in 0..count {
            producer.send_ok(message(topic, vec![7; BODY])).await.unwrap();
        }
    }
    serves(&broker).await;
    let before = anonymous_mib(&broker);

    let clients: Vec<_> = (0..READERS)
        .map(|_| Client::new(&broker.endpoint()).unwrap())
        .collect();
    let group = |number: usize| format!("readers-{number}");
    let receives = (0..READERS * RECEIVES).map(|number| begin(&clients[number % READERS], group(number)));
    let unread = join_all(receives).await;
    assert!(refused(&broker, "unread") > 0.0, "all of it is held");

    for _ in 0..5 {
        serves(&broker).await;
    }
    let grown = anonymous_mib(&broker).saturating_sub(before);
    assert!(grown <= MEMORY_MIB_MAX, "{grown} MiB for who reads nothing");

    // Their connections are closed, though they keep them open.
    wait::until_true_async("nothing is held", SOON, || {
        let held = broker.metric_of("sluice_queue_depth", "queue", "unread_bytes");
        held.is_ok_and(|bytes| bytes == 0.0)
    })
    .await
    .unwrap();
    drop((unread, clients));
    let other = Client::new(&broker.endpoint()).unwrap();
    let receive = Receive {
        batch: MESSAGES as i32,
        ..Receive::new(&group(0), "large")
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
