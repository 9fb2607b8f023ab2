//! Bounds as they are configured: what is beyond one is told to come again, and counted.

use std::time::Duration;

use sluice_proto::v2::{Code, Publishing, Settings, settings::PubSub};
use sluice_tests::client::{Client, Receive, Session, code, message, producer_settings};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::wait;

use crate::traffic::SOON;

pub fn rejected(broker: &Broker, reason: &str) -> f64 {
    broker
        .metric_of("sluice_rejections_total", "reason", reason)
        .unwrap()
}

fn limit(broker: &Broker, queue: &str) -> f64 {
    broker.metric_of("sluice_queue_limit", "queue", queue).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_beyond_the_configured_size_is_refused_and_producers_are_told_the_size() {
    let broker = Setup::new().flag("--max-body-size", "2KiB").start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    client.send_ok(message("orders", vec![7; 2048])).await.unwrap();
    let refused = client.send(vec![message("orders", vec![7; 2049])]).await.unwrap();
    assert_eq!(code(refused.status.as_ref()), Some(Code::MessageBodyTooLarge));
    let session = Session::open(&client, producer_settings(&client, &["orders"]))
        .await
        .unwrap();
    assert!(
        matches!(
            session.settings,
            Settings {
                pub_sub: Some(PubSub::Publishing(Publishing {
                    max_body_size: 2048,
                    ..
                })),
                ..
            }
        ),
        "{:?}",
        session.settings
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_beyond_the_configured_number_are_told_to_come_again_until_one_has_gone() {
    let broker = Setup::new().flag("--max-clients", "2").start().unwrap();
    let clients: Vec<_> = (0..3).map(|_| Client::new(&broker.endpoint()).unwrap()).collect();
    let receive = Receive {
        poll: Duration::ZERO,
        ..Receive::new("readers", "orders")
    };
    let mut codes = Vec::new();
    for client in &clients {
        codes.push(client.receive(&receive).await.unwrap().code);
    }
    let (nothing, too_many) = (Some(Code::MessageNotFound), Some(Code::TooManyRequests));
    assert_eq!(codes, [nothing, nothing, too_many]);
    assert_eq!(rejected(&broker, "clients"), 1.0);
    assert_eq!(limit(&broker, "clients"), 2.0);

    clients[0].farewell().await.unwrap();

    assert_eq!(clients[2].receive(&receive).await.unwrap().code, nothing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receive_beyond_the_configured_number_is_told_to_come_again_at_once() {
    let broker = Setup::new().flag("--max-receives", "1").start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        let receive = Receive {
            poll: SOON,
            ..Receive::new("readers", "orders")
        };
        async move { client.receive(&receive).await }
    });
    let waits = || broker.metric("sluice_polls").is_ok_and(|polls| polls > 0.0);
    wait::until_true_async("the first receive waits", SOON, waits)
        .await
        .unwrap();
    let refused = client.receive(&Receive::new("others", "orders")).await.unwrap();
    assert_eq!(refused.code, Some(Code::TooManyRequests));
    assert_eq!((rejected(&broker, "polls"), limit(&broker, "polls")), (1.0, 1.0));
    // The one that waits is served as ever.
    client.send_ok(message("orders", "x")).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().messages.len(), 1);
}

#[test]
fn what_the_configuration_says_is_what_the_metrics_show() {
    let broker = Setup::new()
        .flag("--max-connections", "7")
        .flag("--max-unanswered-sends", "8MiB")
        .flag("--max-unfinished-requests", "9MiB")
        .flag("--max-unread-answers", "10MiB")
        .start()
        .unwrap();
    assert_eq!(
        broker
            .metric_of("sluice_connections_limit", "listener", "client")
            .unwrap(),
        7.0
    );
    for (queue, mib) in [("body_bytes", 8), ("unfinished_bytes", 9), ("unread_bytes", 10)] {
        assert_eq!(limit(&broker, queue), f64::from(mib << 20), "{queue}");
    }
}
