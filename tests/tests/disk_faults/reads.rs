//! Reads of the log that fail: what was to be read comes later, is there for others at once, and nothing ends.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sluice_tests::client::{Client, Receive, message};
use sluice_tests::process::Setup;
use sluice_tests::strace::{Injected, Injection, Strace, When};

use crate::is_long;

const SENT: usize = 12;
/// A message that could not be read is hidden for a minute.
const AGAIN_WITHIN: Duration = Duration::from_secs(75);

/// What a group is given until it is given nothing.
async fn received(client: &Client, group: &str) -> BTreeSet<Vec<u8>> {
    let mut bodies = BTreeSet::new();
    loop {
        let receive = Receive {
            poll: Duration::from_millis(300),
            ..Receive::new(group, "orders")
        };
        let messages = client.receive(&receive).await.unwrap().messages;
        if messages.is_empty() {
            return bodies;
        }
        client.ack_ok(group, "orders", &messages).await.unwrap();
        bodies.extend(messages.iter().map(|message| message.body.to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_reads_of_the_log_hold_messages_back_for_these_reads_alone() {
    let mut broker = Setup::new().start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    for number in 0..SENT {
        let body = format!("{number:02}");
        client.send_ok(message("orders", body)).await.unwrap();
    }
    // What was written just now is in memory; a new process reads it from the file.
    assert!(broker.stop().unwrap().success());
    broker.restart().unwrap();
    let segment = broker.shard_dir().join("log").join(format!("{:020}.seg", 0));
    let fails = Injection {
        call: "pread64",
        what: Injected::Error("EIO"),
        when: When::From(1),
    };
    let strace = Strace::inject_everywhere(broker.id().unwrap(), &fails, &segment).unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    let mut readers = received(&client, "readers").await;
    let failed = strace.detach().unwrap().injected;
    println!("{failed} failed reads");
    assert!(failed > 0, "no read of the file");
    assert!(readers.is_empty(), "what cannot be read came: {readers:?}");
    assert!(broker.runs().unwrap());
    let others = received(&client, "others").await;
    assert_eq!(others.len(), SENT, "read again, it is there");
    if !is_long() {
        // Tests of the engine pass that minute by their own clock.
        return;
    }
    let began = Instant::now();
    while readers.len() < SENT {
        assert!(began.elapsed() < AGAIN_WITHIN, "{readers:?}");
        readers.extend(received(&client, "readers").await);
    }
    assert_eq!(readers, others);
}
