//! `ReceiveMessage`, `AckMessage`, `ChangeInvisibleDuration`, `ForwardMessageToDeadLetterQueue`.

use crate::support::*;
use sluice_core::limits;
use sluice_proto::v2::*;
use std::time::{Duration, Instant};

// Quirk rust-frames: the time of delivery is that of the last frame.
#[tokio::test]
async fn a_receive_answers_status_messages_and_time() {
    let fixture = Fixture::new().await;
    let nothing = fixture.receive(|_| {}).await;
    assert_eq!(
        (code(&nothing.status), nothing.timestamps),
        (Code::MessageNotFound, 1)
    );
    fixture.send_ok(message("t", "x")).await;
    let something = fixture.receive(|_| {}).await;
    assert_eq!(
        (
            code(&something.status),
            something.messages.len(),
            something.timestamps
        ),
        (Code::Ok, 1, 1)
    );
}

#[tokio::test]
async fn a_waiting_receive_gets_a_message_as_it_comes() {
    let fixture = Fixture::new().await;
    let waiting = fixture.receive(|request| request.long_polling_timeout = Some(seconds(8)));
    let sending = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        fixture.send_ok(message("t", "x")).await;
    };
    let begun = Instant::now();
    let (received, ()) = tokio::join!(waiting, sending);
    assert_eq!(received.bodies(), ["x"]);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

// Quirks rust-deadline, go-await, all-deadline: a client that waits no longer than it polls.
#[tokio::test]
async fn a_receive_ends_before_its_deadline() {
    let fixture = Fixture::new().await;
    let mut request = fixture.request(receive_request("g", "t"));
    // The first also makes the topic and the group, on a disk that may be busy.
    request.get_mut().long_polling_timeout = Some(seconds(8));
    request.set_timeout(Duration::from_secs(8));
    let mut frames = fixture
        .stub()
        .receive_message(request)
        .await
        .unwrap()
        .into_inner();
    while frames.message().await.unwrap().is_some() {}
}

#[tokio::test]
async fn receives_that_make_no_sense_are_refused_by_their_code() {
    let fixture = Fixture::new().await;
    type Change = fn(&mut ReceiveMessageRequest);
    let sql: Change = |r| r.filter_expression.as_mut().unwrap().set_type(FilterType::Sql);
    let broker: Change = |r| {
        r.message_queue.as_mut().unwrap().broker = Some(Broker {
            name: "broker-z".into(),
            ..Default::default()
        });
    };
    let cases: [(Change, Code); 9] = [
        (|r| r.group = named("a b"), Code::IllegalConsumerGroup),
        (|r| r.group = None, Code::IllegalConsumerGroup),
        (
            |r| r.message_queue.as_mut().unwrap().topic = named(""),
            Code::IllegalTopic,
        ),
        (|r| r.message_queue = None, Code::BadRequest),
        (
            |r| r.invisible_duration = Some(seconds(9)),
            Code::IllegalInvisibleTime,
        ),
        (
            |r| r.invisible_duration = Some(seconds(0)),
            Code::IllegalInvisibleTime,
        ),
        (
            |r| r.filter_expression.as_mut().unwrap().expression = "||".into(),
            Code::IllegalFilterExpression,
        ),
        (sql, Code::IllegalFilterExpression),
        (broker, Code::BadRequest),
    ];
    for (at, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(code(&fixture.receive(change).await.status), expected, "case {at}");
    }
}

#[tokio::test]
async fn tags_choose_also_where_their_hashes_are_equal() {
    let fixture = Fixture::new().await;
    for (body, tag) in [("1", Some("Aa")), ("2", Some("BB")), ("3", None)] {
        fixture
            .send_ok(with(message("t", body), |system| {
                system.tag = tag.map(str::to_owned)
            }))
            .await;
    }
    let filter = |tags: &'static str| {
        move |request: &mut ReceiveMessageRequest| {
            request.group = named(&tags.replace(['|', '*'], "_"));
            request.filter_expression.as_mut().unwrap().expression = tags.to_owned();
        }
    };
    for (tags, expected) in [
        ("Aa", vec!["1"]),
        ("BB", vec!["2"]),
        ("Aa || BB", vec!["1", "2"]),
        ("*", vec!["1", "2", "3"]),
    ] {
        let tags: &'static str = if tags == "Aa || BB" { "Aa||BB" } else { tags };
        let mut bodies = Vec::new();
        // Each queue may answer by itself.
        for _ in 0..4 {
            bodies.extend(fixture.receive(filter(tags)).await.bodies());
        }
        bodies.sort();
        assert_eq!(bodies, expected, "{tags}");
    }
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_made_by_a_receive_and_has_no_handles() {
    for (flag, made_on_use) in [("true", Code::Ok), ("false", Code::TopicNotFound)] {
        let fixture = Fixture::with("", &["--auto-create-topics", flag]).await;
        let acknowledged = fixture.ack("g", "absent", &["handle"]).await.status;
        assert_eq!(code(&acknowledged), Code::InvalidReceiptHandle);
        let received = fixture
            .receive(|r| r.message_queue.as_mut().unwrap().topic = named("absent"))
            .await;
        match made_on_use {
            Code::Ok => assert_eq!(code(&received.status), Code::MessageNotFound),
            expected => {
                assert_eq!(code(&received.status), expected);
                let text = received.status.unwrap().message;
                assert!(text.contains("first use") && text.contains("--init"), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn more_entries_than_an_acknowledgement_may_have_are_refused() {
    let fixture = Fixture::new().await;
    fixture.send_ok(message("t", "x")).await;
    let received = fixture.receive(|_| {}).await;
    let handle = handle(&received.messages[0]);
    let refused = fixture
        .ack("g", "t", &vec![handle; limits::ACKNOWLEDGE_MAX + 1])
        .await;
    assert_eq!(code(&refused.status), Code::PayloadTooLarge);
    assert!(refused.entries.is_empty());
    let answered = fixture
        .ack("g", "t", &vec![handle; limits::ACKNOWLEDGE_MAX])
        .await;
    assert_eq!(
        code(&answered.entries[0].status),
        Code::Ok,
        "the refused one did nothing"
    );
}

// Quirk java-settles-forever: all other codes make it try again.
#[tokio::test]
async fn acknowledged_messages_are_done_and_others_are_told_apart() {
    let fixture = Fixture::new().await;
    for n in 0..3 {
        fixture.send_ok(message("t", &n.to_string())).await;
    }
    let mut received = Vec::new();
    while received.len() < 3 {
        received.extend(fixture.receive(|_| {}).await.messages);
    }
    let handles: Vec<_> = received.iter().map(handle).collect();
    let mixed = fixture
        .ack("g", "t", &[handles[0], "no handle", handles[1]])
        .await;
    assert_eq!(code(&mixed.status), Code::MultipleResults);
    let codes: Vec<_> = mixed.entries.iter().map(|entry| code(&entry.status)).collect();
    assert_eq!(codes, [Code::Ok, Code::InvalidReceiptHandle, Code::Ok]);
    assert_eq!(mixed.entries[2].receipt_handle, handles[1]);

    fixture.send_ok(message("u", "x")).await;
    fixture
        .receive_by("other", |request| request.group = named("h"))
        .await;
    for (group, topic, handle, expected) in [
        ("g", "t", handles[0], Code::InvalidReceiptHandle),
        ("h", "t", handles[2], Code::InvalidReceiptHandle),
        ("nobody", "t", handles[2], Code::InvalidReceiptHandle),
        ("g", "u", handles[2], Code::InvalidReceiptHandle),
        ("g", "absent", handles[2], Code::InvalidReceiptHandle),
        ("a b", "t", handles[2], Code::IllegalConsumerGroup),
        ("g", "t", handles[2], Code::Ok),
    ] {
        let acked = fixture.ack(group, topic, &[handle]).await;
        assert_eq!(code(&acked.status), expected, "{group} {topic}");
    }
    assert_eq!(code(&fixture.ack("g", "t", &[]).await.status), Code::BadRequest);
}

async fn change(fixture: &Fixture, handle: &str, ms: Option<i32>) -> ChangeInvisibleDurationResponse {
    let body = ChangeInvisibleDurationRequest {
        group: named("g"),
        topic: named("t"),
        receipt_handle: handle.to_owned(),
        invisible_duration: ms.map(millis),
        ..Default::default()
    };
    fixture
        .stub()
        .change_invisible_duration(fixture.request(body))
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test]
async fn a_changed_message_has_a_new_handle_and_the_old_one_is_void() {
    let fixture = Fixture::new().await;
    fixture.send_ok(message("t", "x")).await;
    let received = fixture.receive(|_| {}).await;
    let first = handle(&received.messages[0]);
    let refused = change(&fixture, first, None).await.status;
    assert_eq!(code(&refused), Code::IllegalInvisibleTime);
    assert_eq!(refused.unwrap().message, "the new invisible duration is missing");
    assert_eq!(
        code(&change(&fixture, "no handle", Some(1)).await.status),
        Code::InvalidReceiptHandle
    );
    let changed = change(&fixture, first, Some(900)).await;
    assert_eq!(code(&changed.status), Code::Ok);
    assert_ne!(changed.receipt_handle, first);
    assert_eq!(
        code(&change(&fixture, first, Some(1)).await.status),
        Code::InvalidReceiptHandle
    );
    assert_eq!(
        code(&change(&fixture, &changed.receipt_handle, Some(0)).await.status),
        Code::Ok
    );
    let again = fixture.receive(|_| {}).await;
    assert_eq!(system(&again.messages[0]).delivery_attempt, Some(2));
}

#[tokio::test]
async fn a_handle_is_void_once_its_time_is_over_and_its_message_was_delivered_again() {
    let fixture = Fixture::new().await;
    fixture.send_ok(message("t", "x")).await;
    let received = fixture.receive(|_| {}).await;
    let changed = change(&fixture, handle(&received.messages[0]), Some(500)).await;
    assert_eq!(code(&changed.status), Code::Ok);
    let expired = &changed.receipt_handle;
    let again = fixture
        .receive(|request| request.long_polling_timeout = Some(seconds(8)))
        .await;
    assert_eq!(again.bodies(), ["x"]);
    assert_eq!(system(&again.messages[0]).delivery_attempt, Some(2));

    let acked = fixture.ack("g", "t", &[expired]).await;
    assert_eq!(code(&acked.status), Code::InvalidReceiptHandle);
    assert_eq!(code(&acked.entries[0].status), Code::InvalidReceiptHandle);
    let prolonged = change(&fixture, expired, Some(900)).await;
    assert_eq!(code(&prolonged.status), Code::InvalidReceiptHandle);
    assert_eq!(forward(&fixture, expired).await, Code::InvalidReceiptHandle);

    let acked = fixture.ack("g", "t", &[handle(&again.messages[0])]).await;
    assert_eq!(code(&acked.status), Code::Ok, "it was left as it was");
}

async fn forward(fixture: &Fixture, handle: &str) -> Code {
    let body = ForwardMessageToDeadLetterQueueRequest {
        group: named("g"),
        topic: named("t"),
        receipt_handle: handle.to_owned(),
        ..Default::default()
    };
    let answer = fixture
        .stub()
        .forward_message_to_dead_letter_queue(fixture.request(body))
        .await;
    code(&answer.unwrap().into_inner().status)
}

#[tokio::test]
async fn a_message_given_up_is_in_the_dead_letter_topic_with_its_origin() {
    let fixture = Fixture::new().await;
    let sent = message("t", "x");
    fixture.send_ok(sent.clone()).await;
    let received = fixture.receive(|_| {}).await;
    let first = handle(&received.messages[0]);
    for (handle, expected) in [
        ("no handle", Code::InvalidReceiptHandle),
        (first, Code::Ok),
        (first, Code::InvalidReceiptHandle),
    ] {
        assert_eq!(forward(&fixture, handle).await, expected);
    }
    let route = QueryRouteRequest {
        topic: named("%DLQ%g"),
        endpoints: None,
    };
    let route = fixture
        .stub()
        .query_route(fixture.request(route))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(route.message_queues[0].permission(), Permission::Read);
    let dead = fixture
        .receive(|request| {
            request.group = named("undertaker");
            request.message_queue.as_mut().unwrap().topic = named("%DLQ%g");
        })
        .await;
    assert_eq!(dead.bodies(), ["x"]);
    let origin = system(&dead.messages[0]).dead_letter_queue.clone().unwrap();
    assert_eq!(
        (origin.topic, origin.message_id),
        ("t".to_owned(), system(&sent).message_id.clone())
    );
}

#[tokio::test]
async fn messages_that_a_client_did_not_take_come_back_after_a_second() {
    let fixture = Fixture::new().await;
    // More than fits the windows of a client that does not read, and no more than one receive brings.
    for n in 0..4 {
        fixture
            .send_ok(with(
                message("t", &format!("{n:02}{}", "x".repeat(1 << 20))),
                |s| {
                    s.message_group = Some("one".into());
                },
            ))
            .await;
    }
    let stream = fixture
        .stub()
        .receive_message(fixture.request(receive_request("g", "t")))
        .await
        .unwrap();
    drop(stream);
    let mut received = Vec::new();
    let begun = Instant::now();
    while received.is_empty() && begun.elapsed() < Duration::from_secs(8) {
        let poll = |request: &mut ReceiveMessageRequest| request.long_polling_timeout = Some(seconds(5));
        received = fixture.receive(poll).await.messages;
    }
    assert!(!received.is_empty(), "they were hidden for 30 s");
    assert!(
        begun.elapsed() >= Duration::from_millis(500),
        "they were free at once"
    );
    for message in &received {
        let attempt = system(message).delivery_attempt;
        assert_eq!(attempt, Some(1), "nobody has seen it before");
    }
}
