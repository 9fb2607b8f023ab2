//! More than a slow disk takes: the rest is refused while its senders wait, and nothing that was refused is stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sluice_proto::v2::Code;
use sluice_tests::binaries;
use sluice_tests::client::{Client, Receive, code, message};
use sluice_tests::process::Setup;
use tokio::task::JoinSet;

use crate::bounds::rejected;
use crate::traffic::consume;

/// What the log writes with one sync of a fifth of a second is 1 MiB: the whole would take it twelve seconds.
const SLOW_SYNCS: &str = "slow-syncs=200";
const SENDS: usize = 4000;
const BODY_BYTES: usize = 16 << 10;
const CONNECTIONS: usize = 8;

/// Receives and acknowledges until it is told that it is over; answers how many messages it has done. What ends work that was
/// begun is never told to come again.
async fn consume_meanwhile(client: Client, over: Arc<AtomicBool>) -> usize {
    let mut done = 0;
    while !over.load(Ordering::Relaxed) {
        let receive = Receive {
            poll: Duration::from_secs(1),
            ..Receive::new("meanwhile", "orders")
        };
        let received = client.receive(&receive).await.unwrap();
        assert!(
            matches!(received.code, Some(Code::Ok | Code::MessageNotFound)),
            "{received:?}"
        );
        if !received.messages.is_empty() {
            let acknowledged = client.ack_ok("meanwhile", "orders", &received.messages).await;
            acknowledged.unwrap();
        }
        done += received.messages.len();
    }
    done
}

/// A body that begins with its number.
fn body(number: usize) -> Vec<u8> {
    let mut body = format!("{number:08}").into_bytes();
    body.resize(BODY_BYTES, b'.');
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_slow_disk_does_not_take_in_time_is_refused_and_not_stored_and_all_else_is() {
    let broker = Setup::new()
        .binary(&binaries::faulty_broker().unwrap())
        .environment("SLUICE_PLANTED_FAULT", SLOW_SYNCS)
        .flag("--max-send-wait-millis", "500")
        .start()
        .unwrap();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| Client::new(&broker.endpoint()).unwrap())
        .collect();
    clients[0].send_ok(message("orders", body(SENDS))).await.unwrap();

    let over = Arc::new(AtomicBool::new(false));
    let consumer = Client::new(&broker.endpoint()).unwrap();
    let consuming = tokio::spawn(consume_meanwhile(consumer, Arc::clone(&over)));
    let mut sends = JoinSet::new();
    for number in 0..SENDS {
        let client = clients[number % CONNECTIONS].clone();
        sends.spawn(async move {
            let answer = client.send(vec![message("orders", body(number))]).await.unwrap();
            (number, answer.status.unwrap())
        });
    }
    let answers = sends.join_all().await;
    over.store(true, Ordering::Relaxed);
    assert!(consuming.await.unwrap() > 0, "nothing is delivered meanwhile");

    let mut counts = BTreeMap::<_, usize>::new();
    let mut stored = vec![format!("{SENDS:08}")];
    for (number, status) in &answers {
        *counts.entry(status.code().as_str_name()).or_default() += 1;
        match status.code() {
            Code::Ok => stored.push(format!("{number:08}")),
            Code::TooManyRequests => assert!(
                status.message.contains("again after a moment"),
                "no hint: {status:?}"
            ),
            _ => panic!("{status:?}"),
        }
    }
    println!("{counts:?}");
    let late = rejected(&broker, "late");
    assert!(late > 0.0, "{counts:?}: none waited too long");
    // Nobody else sends now: the broker takes messages again by itself.
    let after = clients[0]
        .send(vec![message("orders", body(SENDS + 1))])
        .await
        .unwrap();
    assert_eq!(code(after.status.as_ref()), Some(Code::Ok));
    stored.push(format!("{:08}", SENDS + 1));

    let received = consume(&clients[0], "readers", "orders", stored.len()).await;
    let mut received: Vec<_> = received.iter().map(|body| body[..8].to_owned()).collect();
    received.sort();
    stored.sort();
    assert_eq!(received, stored);
}
