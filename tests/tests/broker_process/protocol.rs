//! Calls as clients of other languages make them, by their codes.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use sluice_proto::v2::{self, Code, receive_message_response};
use sluice_tests::client::{
    Client, Receive, Session, code, duration, fifo_message, message, producer_settings,
    push_consumer_settings, resource, simple_consumer_settings,
};
use sluice_tests::process::{Broker, Setup};

use crate::traffic::{bodies, consume, numbered, receive, send};

fn start() -> (Broker, Client) {
    let broker = Setup::new().start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    (broker, client)
}

#[test]
fn whoever_looks_at_a_grpc_port_by_http_1_is_told_what_it_is() {
    let broker = Setup::new().start().unwrap();
    for port in [broker.endpoint(), broker.admin_endpoint()] {
        for request in [
            "GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
            "PUT / HTTP/1.1\r\n\r\n",
        ] {
            let mut stream = std::net::TcpStream::connect(&port).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 505 ") && answer.contains("This port speaks gRPC"),
                "{request:?}: {answer:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_do_not_exist_yet_answer_not_implemented() {
    let (_broker, client) = start();
    let mut stub = client.stub();
    macro_rules! code_of {
        ($call:ident, $request:expr) => {
            code(
                stub.$call(client.request($request))
                    .await
                    .unwrap()
                    .into_inner()
                    .status
                    .as_ref(),
            )
        };
    }
    let codes = [
        (
            "EndTransaction",
            code_of!(end_transaction, v2::EndTransactionRequest::default()),
        ),
        (
            "RecallMessage",
            code_of!(recall_message, v2::RecallMessageRequest::default()),
        ),
        (
            "SyncLiteSubscription",
            code_of!(sync_lite_subscription, v2::SyncLiteSubscriptionRequest::default()),
        ),
    ];
    for (call, code) in codes {
        assert_eq!(code, Some(Code::NotImplemented), "{call}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_name_is_told_so() {
    let (_broker, client) = start();
    let nameless = client.nameless();
    let route = nameless.query_route("orders").await.unwrap();
    assert_eq!(code(route.status.as_ref()), Some(Code::ClientIdRequired));
    let sent = nameless.send(vec![message("orders", "x")]).await.unwrap();
    assert_eq!(code(sent.status.as_ref()), Some(Code::ClientIdRequired));
}

/// A message with other system properties.
fn with(change: impl FnOnce(&mut v2::SystemProperties)) -> Vec<v2::Message> {
    let mut message = message("orders", "x");
    change(message.system_properties.as_mut().unwrap());
    vec![message]
}

fn with_property(name: &str) -> Vec<v2::Message> {
    let mut message = message("orders", "x");
    message.user_properties.insert(name.to_owned(), "x".to_owned());
    vec![message]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_that_cannot_be_taken_are_refused_by_their_code() {
    let (_broker, client) = start();
    let large = vec![7; (4 << 20) + 1];
    for (what, messages, expected) in [
        ("no message", vec![], Code::MessageCorrupted),
        // The code made for it is newer than Rust's client, as which this one goes.
        ("no body", vec![message("orders", "")], Code::BadRequest),
        (
            "a topic with a blank",
            vec![message("or ders", "x")],
            Code::IllegalTopic,
        ),
        (
            "a system topic",
            vec![message("SCHEDULE_TOPIC_XXXX", "x")],
            Code::IllegalTopic,
        ),
        (
            "two topics",
            vec![message("orders", "x"), message("bills", "x")],
            Code::MessageCorrupted,
        ),
        (
            "a body too large",
            vec![message("orders", large)],
            Code::MessageBodyTooLarge,
        ),
        (
            "a tag with a bar",
            with(|it| it.tag = Some("a|b".to_owned())),
            Code::IllegalMessageTag,
        ),
        (
            "a blank key",
            with(|it| it.keys = vec![" ".to_owned()]),
            Code::IllegalMessageKey,
        ),
        (
            "a long message group",
            vec![fifo_message("orders", &"g".repeat(64), "x")],
            Code::IllegalMessageGroup,
        ),
        (
            "a reserved property",
            with_property("KEYS"),
            Code::IllegalMessagePropertyKey,
        ),
        (
            "no message id",
            with(|it| it.message_id.clear()),
            Code::IllegalMessageId,
        ),
    ] {
        let response = client.send(messages).await.unwrap();
        assert_eq!(
            code(response.status.as_ref()),
            Some(expected),
            "{what}: {response:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_gets_one_answer_a_message() {
    let (_broker, client) = start();
    let messages: Vec<_> = numbered(0..8)
        .iter()
        .map(|body| message("orders", body.clone()))
        .collect();
    let ids: Vec<_> = messages
        .iter()
        .map(|message| message.system_properties.clone().unwrap().message_id)
        .collect();
    let response = client.send(messages).await.unwrap();
    assert_eq!(code(response.status.as_ref()), Some(Code::Ok));
    let answered: Vec<_> = response
        .entries
        .iter()
        .map(|entry| entry.message_id.clone())
        .collect();
    assert_eq!(answered, ids);
    assert_eq!(consume(&client, "readers", "orders", 8).await, numbered(0..8));
}

// Quirk java-settles-forever: all other codes make it try again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_that_are_none_are_refused_and_the_good_ones_beside_them_are_not() {
    let (_broker, client) = start();
    send(&client, "orders", &numbered(0..2)).await;
    let mut messages = receive(&client, "readers", "orders", 2).await;
    client.ack_ok("readers", "orders", &messages[..1]).await.unwrap();
    let mut nonsense = messages[1].clone();
    nonsense.system_properties.as_mut().unwrap().receipt_handle = Some("nonsense".to_owned());
    messages.push(nonsense);
    let response = client.ack("readers", "orders", &messages).await.unwrap();
    assert_eq!(
        code(response.status.as_ref()),
        Some(Code::MultipleResults),
        "{response:?}"
    );
    let codes: Vec<_> = response
        .entries
        .iter()
        .map(|entry| code(entry.status.as_ref()))
        .collect();
    assert_eq!(codes[1..], [Some(Code::Ok), Some(Code::InvalidReceiptHandle)]);
    let changed = client
        .change_invisible("readers", "orders", &messages[2], Duration::from_secs(10))
        .await
        .unwrap();
    assert_eq!(code(changed.status.as_ref()), Some(Code::InvalidReceiptHandle));
    let forwarded = client
        .forward_to_dead_letters("readers", "orders", &messages[2])
        .await
        .unwrap();
    assert_eq!(code(forwarded.status.as_ref()), Some(Code::InvalidReceiptHandle));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivered_message_carries_what_clients_need() {
    let (_broker, client) = start();
    let mut sent = message("orders", "body");
    sent.user_properties
        .insert("region".to_owned(), "eu-1".to_owned());
    client.send_ok(sent.clone()).await.unwrap();
    let received = receive(&client, "readers", "orders", 1).await.remove(0);
    let (was, is) = (
        sent.system_properties.unwrap(),
        received.system_properties.unwrap(),
    );
    assert_eq!(received.user_properties, sent.user_properties);
    assert_eq!(
        (
            is.message_id,
            is.born_timestamp.map(|time| time.seconds),
            is.born_host
        ),
        (
            was.message_id,
            was.born_timestamp.map(|time| time.seconds),
            was.born_host
        )
    );
    let digest = is.body_digest.unwrap();
    // Every client understands MD5, in upper-case hex.
    assert_eq!(
        (digest.r#type(), digest.checksum.as_str()),
        (v2::DigestType::Md5, "841A2D689AD86BD1611447453C22C6FC")
    );
    assert_eq!(is.body_encoding, i32::from(v2::Encoding::Identity));
    assert_eq!(is.message_type, i32::from(v2::MessageType::Normal));
    assert_eq!((is.delivery_attempt, is.queue_offset), (Some(1), Some(0)));
    assert!(is.store_timestamp.is_some() && !is.store_host.is_empty());
    assert!(
        is.receipt_handle
            .is_some_and(|handle| handle.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receive_ends_with_its_status_in_front_and_in_time() {
    let (_broker, client) = start();
    send(&client, "orders", &numbered(0..3)).await;
    let body = v2::ReceiveMessageRequest {
        group: Some(resource("readers")),
        message_queue: Some(v2::MessageQueue {
            topic: Some(resource("orders")),
            ..Default::default()
        }),
        filter_expression: Some(v2::FilterExpression {
            r#type: v2::FilterType::Tag.into(),
            expression: "*".to_owned(),
        }),
        batch_size: 32,
        invisible_duration: Some(duration(Duration::from_secs(30))),
        long_polling_timeout: Some(duration(Duration::from_secs(5))),
        ..Default::default()
    };
    let mut stream = client
        .stub()
        .receive_message(client.request(body))
        .await
        .unwrap()
        .into_inner();
    let mut kinds = String::new();
    while let Some(frame) = stream.message().await.unwrap() {
        kinds.push(match frame.content.unwrap() {
            receive_message_response::Content::Status(_) => 's',
            receive_message_response::Content::Message(_) => 'm',
            receive_message_response::Content::DeliveryTimestamp(_) => 't',
        });
    }
    assert!(kinds.starts_with("sm") && kinds.ends_with('t'), "{kinds}");
    assert!(
        kinds[1..kinds.len() - 1].bytes().all(|kind| kind == b'm'),
        "{kinds}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_answered_with_what_clients_of_each_kind_wait_for() {
    let broker = Setup::new()
        .init("groups:\n  - {name: auditors, fifo: true, maxAttempts: 5, backoff: [2s]}\n")
        .start()
        .unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    let producer = Session::open(&client, producer_settings(&client, &["orders"]))
        .await
        .unwrap()
        .settings;
    let Some(v2::settings::PubSub::Publishing(publishing)) = producer.pub_sub else {
        panic!("no publishing");
    };
    assert!(publishing.max_body_size > 1 << 20 && publishing.validate_message_type);
    let backoff = producer.backoff_policy.unwrap();
    assert!(
        matches!(
            backoff.strategy,
            Some(v2::retry_policy::Strategy::ExponentialBackoff(_))
        ),
        "{backoff:?}"
    );
    assert_eq!(producer.metric.map(|metric| metric.on), Some(false));

    for settings in [simple_consumer_settings, push_consumer_settings] {
        let mut session = Session::open(&client, settings(&client, "auditors", &[("orders", "*")]))
            .await
            .unwrap();
        for _ in 0..2 {
            let Some(v2::settings::PubSub::Subscription(subscription)) = &session.settings.pub_sub else {
                panic!("no subscription");
            };
            assert_eq!(subscription.fifo, Some(true));
            assert_eq!(subscription.receive_batch_size, Some(32));
            let polling = subscription.long_polling_timeout.unwrap();
            assert!(polling.seconds > 0, "{polling:?}");
            assert_eq!(session.settings.backoff_policy.as_ref().unwrap().max_attempts, 5);
            session
                .resend(settings(&client, "auditors", &[("orders", "red")]))
                .await
                .unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_names_the_address_that_its_client_used_unless_told_otherwise() {
    let (broker, client) = start();
    let address = |route: v2::QueryRouteResponse| {
        let broker = route.message_queues[0].broker.clone().unwrap();
        assert_eq!(broker.id, 0);
        let address = broker.endpoints.unwrap().addresses[0].clone();
        format!("{}:{}", address.host, address.port)
    };
    assert_eq!(
        address(client.query_route("orders").await.unwrap()),
        broker.endpoint()
    );
    let broker = Setup::new()
        .flag("--advertise", "broker.example.org:80")
        .start()
        .unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    assert_eq!(
        address(client.query_route("orders").await.unwrap()),
        "broker.example.org:80"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_given_again_to_the_same_attempt() {
    let broker = Setup::new()
        .init("groups:\n  - {name: auditors, fifo: true}\n")
        .start()
        .unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    for body in numbered(0..3) {
        client
            .send_ok(fifo_message("ledger", "account", body))
            .await
            .unwrap();
    }
    let receive = Receive {
        attempt_id: Some("attempt-1".to_owned()),
        ..Receive::new("auditors", "ledger")
    };
    let first = client.receive(&receive).await.unwrap();
    let again = client.receive(&receive).await.unwrap();
    assert!(!first.messages.is_empty());
    assert_eq!(bodies(&again.messages), bodies(&first.messages));
    let attempts = again
        .messages
        .iter()
        .map(|message| message.system_properties.as_ref().unwrap().delivery_attempt);
    assert!(
        attempts.clone().all(|attempt| attempt == Some(1)),
        "{:?}",
        attempts.collect::<Vec<_>>()
    );
    client
        .ack_ok("auditors", "ledger", &again.messages)
        .await
        .unwrap();
}
