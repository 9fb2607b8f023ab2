//! What single clients do otherwise than the protocol says, a test each where no other shows it.

use crate::sessions::{consumer, open};
use crate::support::*;
use sluice_proto::v2::messaging_service_client::MessagingServiceClient;
use sluice_proto::v2::*;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tonic::transport::Channel;

// Quirk java-1322: an attempt id comes again until messages come with it.
#[tokio::test]
async fn an_attempt_id_is_not_used_up_by_receives_that_bring_nothing() {
    let fixture = Fixture::with("groups: [{name: g}, {name: ordered, fifo: true}]\n", &[]).await;
    for group in ["g", "ordered"] {
        let ask = |request: &mut ReceiveMessageRequest| {
            request.group = named(group);
            request.auto_renew = true;
            request.attempt_id = Some("attempt-1".to_owned());
        };
        for _ in 0..3 {
            let received = fixture.receive(ask).await;
            assert_eq!(code(&received.status), Code::MessageNotFound);
            assert!(received.messages.is_empty());
        }
    }
    fixture.send_ok(message("t", "late")).await;
    for group in ["g", "ordered"] {
        let received = fixture.receive(|request| {
            request.group = named(group);
            request.auto_renew = true;
            request.attempt_id = Some("attempt-1".to_owned());
        });
        assert_eq!(received.await.bodies(), ["late"], "{group}");
    }
}

// Quirk java-1237: later clients put properties of their own into their settings.
#[tokio::test]
async fn properties_in_settings_are_given_back_as_they_came() {
    let fixture = Fixture::new().await;
    let mut session = open(&fixture, "c").await;
    let properties = HashMap::from([("zone".to_owned(), "eu-1".to_owned())]);
    let announced = Settings {
        client_properties: properties.clone(),
        ..consumer("g")
    };
    let told = session.announce(announced).await.unwrap();
    assert_eq!(told.client_properties, properties);
}

// Quirks java-same-id, go-same-id: what is sent again after an error has the id that it had.
#[tokio::test]
async fn a_message_sent_again_with_its_id_is_there_twice_and_keeps_it() {
    let fixture = Fixture::new().await;
    let sent = message("t", "x");
    fixture.send_ok(sent.clone()).await;
    fixture.send_ok(sent.clone()).await;
    let mut messages = fixture.receive(|_| {}).await.messages;
    messages.extend(fixture.receive(|_| {}).await.messages);
    let ids: Vec<_> = messages
        .iter()
        .map(|message| &system(message).message_id)
        .collect();
    assert_eq!(ids, [&system(&sent).message_id; 2]);
}

// Quirks all-1000, all-8133: clients call before they have announced themselves, or without ever doing it.
#[tokio::test]
async fn a_client_that_never_announces_itself_is_served_all_calls() {
    let fixture = Fixture::new().await;
    fixture.send_ok(message("t", "x")).await;
    for auto_renew in [false, true] {
        let received = fixture
            .receive_by("stranger", |request| {
                request.auto_renew = auto_renew;
                request.long_polling_timeout = Some(seconds(5));
            })
            .await;
        assert_eq!(received.bodies(), ["x"]);
        let body = ChangeInvisibleDurationRequest {
            group: named("g"),
            topic: named("t"),
            receipt_handle: handle(&received.messages[0]).to_owned(),
            invisible_duration: Some(seconds(0)),
            ..Default::default()
        };
        let request = fixture.request_by("stranger", body);
        let changed = fixture.stub().change_invisible_duration(request).await;
        assert_eq!(code(&changed.unwrap().into_inner().status), Code::Ok);
    }
    let received = fixture
        .receive_by("stranger", |request| {
            request.long_polling_timeout = Some(seconds(5));
        })
        .await;
    let acked = fixture.ack("g", "t", &[handle(&received.messages[0])]).await;
    assert_eq!(code(&acked.status), Code::Ok);
}

// Quirk node-connections: one client's stream and its calls come by several connections.
#[tokio::test]
async fn a_client_is_known_by_its_id_whatever_connection_it_calls_by() {
    let fixture = Fixture::new().await;
    let mut session = open(&fixture, "c").await;
    session.announce(consumer("g")).await.unwrap();
    let connect = || async {
        let channel = Channel::from_shared(format!("http://{}", fixture.address)).unwrap();
        MessagingServiceClient::new(channel.connect().await.unwrap())
    };
    for _ in 0..2 {
        let beat = fixture.request_by("c", HeartbeatRequest::default());
        let answer = connect().await.heartbeat(beat).await.unwrap().into_inner();
        assert_eq!(code(&answer.status), Code::Ok);
    }
    // The connection of the call is gone, and the stream's is there.
    session.announce(consumer("g")).await.unwrap();
}

// Quirk all-groups: what a client has announced is of one of them.
#[tokio::test]
async fn one_client_id_serves_several_groups_and_settles_for_each_what_is_its_own() {
    let fixture = Fixture::with("groups: [{name: ordered, fifo: true}]\n", &[]).await;
    let mut session = open(&fixture, &fixture.client).await;
    session.announce(consumer("g")).await.unwrap();
    fixture.send_ok(message("t", "x")).await;
    let mut handles = Vec::new();
    for group in ["g", "h", "ordered"] {
        let received = fixture
            .receive(|request| {
                request.group = named(group);
                request.long_polling_timeout = Some(seconds(5));
            })
            .await;
        assert_eq!(received.bodies(), ["x"], "{group}");
        handles.push((group, handle(&received.messages[0]).to_owned()));
    }
    let of_another = fixture.ack("g", "t", &[&handles[1].1]).await;
    assert_eq!(code(&of_another.status), Code::InvalidReceiptHandle);
    for (group, handle) in &handles {
        let acked = fixture.ack(group, "t", &[handle]).await;
        assert_eq!(code(&acked.status), Code::Ok, "{group}");
    }
    // It is still the client that it announced itself as.
    let told = session.announce(consumer("g")).await.unwrap();
    assert!(matches!(
        told.pub_sub,
        Some(settings::PubSub::Subscription(Subscription {
            fifo: Some(false),
            ..
        }))
    ));
}

// Quirk rust-headers: nothing is announced before they have come.
#[tokio::test]
async fn a_stream_of_telemetry_has_its_headers_before_anything_is_said() {
    let fixture = Fixture::new().await;
    let opened = Instant::now();
    let mut session = open(&fixture, "c").await;
    assert!(opened.elapsed() < Duration::from_secs(3));
    session.announce(consumer("g")).await.unwrap();
}

// Quirk python-stream: the end of a stream is not noticed for minutes.
#[tokio::test]
async fn a_stream_on_which_nothing_is_said_stays_open() {
    let fixture = Fixture::new().await;
    let mut session = open(&fixture, "c").await;
    session.announce(consumer("g")).await.unwrap();
    // Longer than a connection may take for its first request.
    session.is_silent_for(Duration::from_secs(12)).await;
    session.announce(consumer("g")).await.unwrap();
}

// Quirk python-authorization: the header comes with an access key that is empty.
#[tokio::test]
async fn credentials_are_not_read() {
    let fixture = Fixture::new().await;
    for header in [
        "MQv2-HMAC-SHA1 Credential=, SignedHeaders=x-mq-date-time, Signature=0A",
        "nothing of the kind",
    ] {
        let messages = vec![message("t", "x")];
        let mut request = fixture.request(SendMessageRequest { messages });
        let metadata = request.metadata_mut();
        metadata.insert("authorization", header.parse().unwrap());
        let sent = fixture.stub().send_message(request).await.unwrap().into_inner();
        assert_eq!(code(&sent.status), Code::Ok, "{header}");
    }
}

// Quirk go-nameless: the heartbeat that tries a broker which has failed has no client id.
#[tokio::test]
async fn a_heartbeat_without_a_client_id_is_answered() {
    let fixture = Fixture::new().await;
    let beat = tonic::Request::new(HeartbeatRequest::default());
    let answer = fixture.stub().heartbeat(beat).await.unwrap().into_inner();
    assert_eq!(code(&answer.status), Code::ClientIdRequired);
}
