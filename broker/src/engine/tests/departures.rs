//! What a client holds that has gone.

use super::files::{one_queue, open, outgoing};
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hid_messages_for_a_time_of_its_own_leaves_without_a_command() {
    let (io, clock) = (FaultyIo::new(1), Arc::new(Hand::new(1_000_000)));
    let engine = open(&io, &clock, |_| {});
    let topic = engine.create_topic(one_queue("t")).await.unwrap();
    engine
        .send(&topic, QueueId(0), outgoing("x", None))
        .await
        .unwrap();
    let ask = Receive {
        group: engine.group("g").await.unwrap(),
        topic,
        client: Arc::from("client"),
        filter: Arc::new(TagFilter::default()),
        max: 32,
        invisible_ms: 60_000,
        auto_renew: false,
        attempt_id: 0,
        deadline: Instant::now(),
    };
    // All taken out: what is left in an answer is handed back, by a command.
    assert_eq!(engine.receive(ask).await.unwrap().count(), 1);
    assert!(engine.holders().contains("client"));
    let written = engine.store().log().positions().written();
    assert_eq!(engine.release_client("client", 0).await.unwrap(), 0);
    assert_eq!(engine.store().log().positions().written(), written);
}
