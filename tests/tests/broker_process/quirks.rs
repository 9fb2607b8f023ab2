//! What clients rely on across restarts of their broker, though they announce nothing anew.

use std::collections::{BTreeMap, BTreeSet};

use sluice_tests::client::{Client, Receive, Session, fifo_message, push_consumer_settings};
use sluice_tests::process::{Broker, Setup};

use crate::traffic::{nothing, numbered, receive, send};

fn start() -> (Broker, Client) {
    let broker = Setup::new().start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    (broker, client)
}

// Quirk all-9128: settings, and handles, of a process that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_received_before_a_restart_is_acknowledged_without_settings_after_it() {
    let (mut broker, client) = start();
    let settings = push_consumer_settings(&client, "workers", &[("orders", "*")]);
    let session = Session::open(&client, settings).await.unwrap();
    send(&client, "orders", &numbered(0..3)).await;
    let held = receive(&client, "workers", "orders", 3).await;
    drop(session);

    broker.kill().unwrap();
    broker.restart().unwrap();

    // The connection of before has broken; the id is another, too, that this process has never heard.
    let client = Client::new(&broker.endpoint()).unwrap();
    client.ack_ok("workers", "orders", &held).await.unwrap();
    nothing(&client, "workers", "orders").await;
}

// Quirk all-routes: a route that has changed is begun anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_is_the_same_after_a_restart_and_each_time() {
    let (mut broker, client) = start();
    send(&client, "orders", &numbered(0..3)).await;
    let before = client.query_route("orders").await.unwrap();
    assert!(before.message_queues.len() > 1);
    assert_eq!(client.query_route("orders").await.unwrap(), before);

    broker.kill().unwrap();
    broker.restart().unwrap();

    let client = Client::new(&broker.endpoint()).unwrap();
    assert_eq!(client.query_route("orders").await.unwrap(), before);
}

// Quirk all-queues: clients ask for the queue that they have chosen, and send to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_group_has_one_queue_whichever_its_sender_names() {
    let (_broker, client) = start();
    for queue in [0, 1, 7, -1] {
        for number in 0..8 {
            let mut message = fifo_message("ledger", &format!("account-{number}"), "x");
            message.system_properties.as_mut().unwrap().queue_id = queue;
            client.send_ok(message).await.unwrap();
        }
    }
    let receive = Receive::new("auditors", "ledger");
    let mut queues = BTreeMap::<_, BTreeSet<_>>::new();
    let mut count = 0;
    while count < 32 {
        let messages = client.receive(&receive).await.unwrap().messages;
        assert!(!messages.is_empty(), "{count} of 32 messages");
        count += messages.len();
        for properties in messages
            .iter()
            .filter_map(|message| message.system_properties.as_ref())
        {
            let group = properties.message_group.clone();
            queues.entry(group).or_default().insert(properties.queue_id);
        }
    }
    assert_eq!(queues.len(), 8);
    assert!(queues.values().all(|queues| queues.len() == 1), "{queues:?}");
}
