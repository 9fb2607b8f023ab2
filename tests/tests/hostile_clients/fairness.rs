//! Greedy clients beside modest ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sluice_tests::client::{Client, Receive, code, message};
use sluice_tests::process::Setup;
use sluice_tests::wait;
use tokio::task::JoinSet;

use crate::stage::{SOON, is_known, serves};

/// Sends that the flood has under way at one time.
const FLOOD: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_floods_the_broker_does_not_keep_others_from_sending_and_receiving() {
    // Half of it is for one client, and the flood would have twice as much.
    let broker = Setup::new()
        .flag("--max-unanswered-sends", "8MiB")
        .start()
        .unwrap();
    let flooder = Client::new(&broker.endpoint()).unwrap();
    let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut flood = JoinSet::new();
    for _ in 0..FLOOD {
        let (client, over, sent) = (flooder.clone(), Arc::clone(&over), Arc::clone(&sent));
        flood.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let answer = client.send(vec![message("flood", vec![7; 4096])]).await.unwrap();
                let code = code(answer.status.as_ref());
                assert!(is_known(code), "{answer:?}");
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let flooded = || sent.load(Ordering::Relaxed) > FLOOD as u64;
    wait::until_true_async("the flood has begun", SOON, flooded)
        .await
        .unwrap();
    let before = sent.load(Ordering::Relaxed);

    for _ in 0..5 {
        serves(&broker).await;
    }

    assert!(sent.load(Ordering::Relaxed) > before, "the flood goes on");
    let refused = broker.metric("sluice_rejections_total").unwrap();
    assert!(refused > 0.0, "the flood is refused beyond its share");
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = flood.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_acknowledges_holds_so_many_messages_and_keeps_none_from_other_groups() {
    const SENT: usize = 20_000;
    let broker = Setup::new()
        .init("topics:\n  - {name: orders, queues: 1}\n")
        .start()
        .unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    for _ in 0..SENT / 500 {
        let messages = (0..500).map(|_| message("orders", "x")).collect();
        let answer = client.send(messages).await.unwrap();
        assert!(is_known(code(answer.status.as_ref())), "{answer:?}");
    }
    let hoarder = Client::new(&broker.endpoint()).unwrap();
    let hoard = Receive {
        invisible: Duration::from_secs(3600),
        poll: Duration::ZERO,
        ..Receive::new("hoarders", "orders")
    };
    let mut held = 0;
    loop {
        let received = hoarder.receive(&hoard).await.unwrap().messages.len();
        held += received;
        if received == 0 {
            break;
        }
    }
    // The bound that docs/configuration.md names, and not all that there are.
    assert_eq!(held, 10_000);

    let mut others = 0;
    while others < SENT {
        let receive = Receive::new("others", "orders");
        let messages = client.receive(&receive).await.unwrap().messages;
        assert!(!messages.is_empty(), "{others} of {SENT}");
        client.ack_ok("others", "orders", &messages).await.unwrap();
        others += messages.len();
    }
    serves(&broker).await;
}
