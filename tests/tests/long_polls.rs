//! Many waiting receives, one message.
#![cfg(test)]

use std::time::Duration;

use sluice_proto::v2::Code;
use sluice_tests::client::{Client, Receive, message};
use sluice_tests::process::Setup;
use sluice_tests::wait;

const POLLS: usize = 1000;
/// Few enough on each for any limit of streams.
const CONNECTIONS: usize = 20;
const WAKEUPS: &str = "sluice_poll_wakeups_total";
const WAITING: &str = "sluice_polls";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_waiting_receives_and_one_message_are_one_delivery_and_at_most_two_wakeups() {
    let broker = Setup::new()
        .init("topics:\n  - {name: orders, queues: 1}\n")
        .start()
        .unwrap();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| Client::new(&broker.endpoint()).unwrap())
        .collect();
    let receive = Receive {
        poll: Duration::from_secs(20),
        ..Receive::new("readers", "orders")
    };
    let polls: Vec<_> = (0..POLLS)
        .map(|poll| {
            let (client, receive) = (clients[poll % CONNECTIONS].clone(), receive.clone());
            tokio::spawn(async move { client.receive(&receive).await })
        })
        .collect();
    wait::until("all receives wait", Duration::from_secs(18), || {
        let waiting = broker.metric(WAITING)?;
        Ok((waiting >= POLLS as f64).then_some(()))
    })
    .unwrap();
    let before = broker.metric(WAKEUPS).unwrap();

    clients[0].send_ok(message("orders", "the one")).await.unwrap();

    let mut bodies = Vec::new();
    for poll in polls {
        let received = poll.await.unwrap().unwrap();
        let expected = if received.messages.is_empty() {
            Code::MessageNotFound
        } else {
            Code::Ok
        };
        assert_eq!(received.code, Some(expected));
        bodies.extend(received.messages.into_iter().map(|message| message.body));
    }
    assert_eq!(bodies, ["the one"]);
    let wakeups = broker.metric(WAKEUPS).unwrap() - before;
    println!("{wakeups} wake-ups");
    assert!((1.0..=2.0).contains(&wakeups), "{wakeups} wake-ups");
}
