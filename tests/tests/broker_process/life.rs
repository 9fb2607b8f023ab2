//! Stopping, being killed, and what is there afterwards.

use std::time::{Duration, Instant};

use sluice_proto::v2::Code;
use sluice_tests::client::{Client, Receive, code, message};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::wait;

use crate::traffic::{SOON, bodies, consume, nothing, numbered, offsets, receive, send};

#[test]
fn sigterm_stops_an_idle_broker_with_code_0() {
    let mut broker = Setup::new().start().unwrap();
    let asked = Instant::now();
    let status = broker.stop().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_broker_answers_the_calls_it_has_and_keeps_what_it_acknowledged() {
    let mut broker = Setup::new().start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    send(&client, "orders", &numbered(0..1)).await;
    assert_eq!(consume(&client, "readers", "orders", 1).await.len(), 1);
    let poll = tokio::spawn({
        let client = Client::new(&broker.endpoint()).unwrap();
        let receive = Receive {
            poll: Duration::from_secs(20),
            ..Receive::new("readers", "quiet")
        };
        async move { client.receive(&receive).await }
    });
    let senders: Vec<_> = (0..16)
        .map(|sender| {
            let endpoint = broker.endpoint();
            tokio::spawn(send_until_stopped(endpoint, sender))
        })
        .collect();
    wait::until_true("the senders are at work", SOON, || {
        broker
            .metric("rocketmq_messages_in_total")
            .is_ok_and(|count| count > 500.0)
    })
    .unwrap();

    let status = broker.stop().unwrap();

    assert_eq!(status.code(), Some(0));
    let polled = poll
        .await
        .unwrap()
        .expect("a waiting receive is answered, not cut off");
    assert_eq!(polled.code, Some(Code::MessageNotFound));
    let mut acknowledged = Vec::new();
    for sender in senders {
        acknowledged.extend(sender.await.unwrap());
    }
    broker.restart().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    let received = consume(&client, "readers", "orders", acknowledged.len()).await;
    acknowledged.sort();
    assert!(received == acknowledged, "not what was acknowledged");
    // A call may fail that the broker never saw. One that it took, and whose answer was cut off, would be here.
    nothing(&client, "readers", "orders").await;
}

/// Returns what was acknowledged.
async fn send_until_stopped(endpoint: String, sender: usize) -> Vec<String> {
    let client = Client::new(&endpoint).unwrap();
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let body = format!("{sender}-{number}");
        match client.send(vec![message("orders", body.clone())]).await {
            Ok(response) if code(response.status.as_ref()) == Some(Code::Ok) => acknowledged.push(body),
            Ok(_) | Err(_) => break,
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_broker_is_not_ready_and_waits_for_the_call_it_has() {
    let mut broker = Setup::new().start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    send(&client, "orders", &numbered(0..1)).await;
    let call = client.begin_send(vec![message("orders", "m-001")]).await.unwrap();

    broker.signal_term().unwrap();
    until(&broker, "readiness turns false", |broker| Ok(!broker.is_ready()?));
    assert!(broker.runs().unwrap(), "the broker ended with a call under way");
    let response = call.complete().await.unwrap();

    assert_eq!(code(response.status.as_ref()), Some(Code::Ok), "{response:?}");
    assert!(broker.wait_for_end().unwrap().success());
    broker.restart().unwrap();
    assert_eq!(consume(&client, "readers", "orders", 2).await, numbered(0..2));
}

fn until(broker: &Broker, what: &str, holds: impl Fn(&Broker) -> anyhow::Result<bool>) {
    wait::until(what, SOON, || Ok(holds(broker)?.then_some(()))).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_and_start_keeps_messages_acknowledgements_and_deliveries() {
    keeps_everything(|broker| assert!(broker.stop().unwrap().success())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_and_start_keeps_messages_acknowledgements_and_deliveries() {
    keeps_everything(|broker| broker.kill().unwrap()).await;
}

async fn keeps_everything(end: impl FnOnce(&mut Broker)) {
    let mut broker = Setup::new()
        .init("topics:\n  - {name: orders, queues: 3}\n")
        .start()
        .unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    send(&client, "orders", &numbered(0..100)).await;
    // One group is through, one has deliveries in flight, one comes later.
    assert_eq!(consume(&client, "done", "orders", 100).await, numbered(0..100));
    let in_flight = receive(&client, "busy", "orders", 100).await;
    let (settled, open) = in_flight.split_at(60);
    for batch in settled.chunks(30) {
        client.ack_ok("busy", "orders", batch).await.unwrap();
    }

    end(&mut broker);
    broker.restart().unwrap();

    let client = Client::new(&broker.endpoint()).unwrap();
    nothing(&client, "done", "orders").await;
    // Deliveries are still in flight, and their handles are still good.
    nothing(&client, "busy", "orders").await;
    for batch in open.chunks(20) {
        client.ack_ok("busy", "orders", batch).await.unwrap();
    }
    let late = receive(&client, "late", "orders", 100).await;
    assert_eq!(bodies(&late), numbered(0..100));
    assert_eq!(offsets(&late), offsets(&in_flight), "offsets are as before");
    send(&client, "orders", &numbered(100..110)).await;
    for group in ["done", "busy"] {
        assert_eq!(
            consume(&client, group, "orders", 10).await,
            numbered(100..110),
            "{group}"
        );
    }
}
