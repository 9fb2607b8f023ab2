//! A disk whose sync fails. What is not synced is in the memory of this broker only and goes with its process, so that
//! whatever it acknowledged too early is missing afterwards (D2).

use std::time::Instant;

use sluice_proto::v2::{self, Code};
use sluice_tests::binaries;
use sluice_tests::client::{Client, Receive, code, message};
use sluice_tests::process::Setup;
use sluice_tests::wait;

use crate::traffic::{SOON, bodies};

const SENDERS: usize = 8;
/// Far beyond the sync that fails, whatever shares one.
const SENDS_MAX: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_ends_the_process_with_code_3_and_nothing_unsynced_is_acknowledged() {
    let setup = Setup::new()
        .binary(&binaries::faulty_broker().unwrap())
        .environment("SLUICE_PLANTED_FAULT", "fail-sync");
    let mut broker = setup.start().unwrap();
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| tokio::spawn(send_until_refused(broker.endpoint(), sender)))
        .collect();
    let mut acknowledged = Vec::new();
    for sender in senders {
        acknowledged.extend(sender.await.unwrap());
    }
    acknowledged.sort();
    assert!(!acknowledged.is_empty(), "the sync fails amid sends that work");
    assert_eq!(broker.wait_for_end().unwrap().code(), Some(3));
    assert!(broker.log().unwrap().contains("the store has failed"));

    let healthy = Setup::new().spawn_over(broker.data_dir()).unwrap();
    wait::until_true("the next broker is ready", SOON, || {
        healthy.is_ready().unwrap_or(false)
    })
    .unwrap();
    let client = Client::new(&healthy.endpoint()).unwrap();
    let kept = bodies(&everything(&client).await);
    let lost: Vec<_> = acknowledged.iter().filter(|body| !kept.contains(body)).collect();
    assert_eq!(lost, Vec::<&String>::new());
    assert!(
        kept.len() - acknowledged.len() <= SENDERS,
        "{} kept, {} acknowledged: more than the last send of each sender",
        kept.len(),
        acknowledged.len()
    );
}

/// What a group that knows nothing yet gets before it gets nothing. The process may end between a sync and the answer
/// to the send that waited for it, so that more may be kept than was acknowledged.
async fn everything(client: &Client) -> Vec<v2::Message> {
    let deadline = Instant::now() + SOON;
    let mut messages = Vec::new();
    loop {
        assert!(
            Instant::now() < deadline,
            "{} messages and no end",
            messages.len()
        );
        let received = client.receive(&Receive::new("readers", "orders")).await.unwrap();
        if received.messages.is_empty() {
            assert_eq!(received.code, Some(Code::MessageNotFound));
            return messages;
        }
        messages.extend(received.messages);
    }
}

/// Returns what was acknowledged before the first send that was not.
async fn send_until_refused(endpoint: String, sender: usize) -> Vec<String> {
    let client = Client::new(&endpoint).unwrap();
    let mut acknowledged = Vec::new();
    for number in 0..SENDS_MAX {
        let body = format!("{sender}-{number}");
        match client.send(vec![message("orders", body.clone())]).await {
            Ok(answer) if code(answer.status.as_ref()) == Some(Code::Ok) => acknowledged.push(body),
            _ => return acknowledged,
        }
    }
    panic!("{SENDS_MAX} sends and no sync failed");
}
