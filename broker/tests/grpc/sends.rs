//! `SendMessage`.

use crate::support::*;
use sluice_core::limits;
use sluice_proto::v2::*;
use std::collections::BTreeSet;

const INIT: &str = "topics: [{name: normal, types: normal}, {name: fifo, types: fifo}]\n";

// Quirks python-entry, rust-multiple-results: one message, one entry, and OK for all of them where all are.
#[tokio::test]
async fn each_message_of_a_request_has_an_entry_in_its_place() {
    let fixture = Fixture::new().await;
    let messages: Vec<_> = (0..8).map(|n| message("t", &n.to_string())).collect();
    let ids: Vec<_> = messages
        .iter()
        .map(|message| system(message).message_id.clone())
        .collect();
    let sent = fixture.send(messages).await;
    assert_eq!(code(&sent.status), Code::Ok);
    assert_eq!(
        sent.entries
            .iter()
            .map(|entry| entry.message_id.clone())
            .collect::<Vec<_>>(),
        ids
    );
    assert!(sent.entries.iter().all(|entry| code(&entry.status) == Code::Ok));
    let mut offsets: Vec<_> = sent.entries.iter().map(|entry| entry.offset).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [0, 0, 0, 0, 1, 1, 1, 1], "in turn over four queues");
}

#[tokio::test]
async fn messages_sent_together_stand_in_order_however_many_frames_they_fill() {
    let fixture = Fixture::new().await;
    // More than a frame takes by their number, and more than one takes by their bytes.
    for (count, body) in [(2500, "x".to_owned()), (15, "x".repeat(500 << 10))] {
        let group = format!("group-{count}");
        let messages = (0..count).map(|_| {
            with(message("t", &body), |system| {
                system.message_group = Some(group.clone())
            })
        });
        let sent = fixture.send(messages.collect()).await;
        assert_eq!(code(&sent.status), Code::Ok);
        let offsets: Vec<_> = sent.entries.iter().map(|entry| entry.offset).collect();
        let first = offsets[0];
        assert_eq!(offsets, (first..first + count).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_request_of_more_parts_than_any_has_is_refused_before_it_is_read() {
    let fixture = Fixture::new().await;
    // Two bytes each on their way, and several hundred once they are read.
    let messages = vec![Message::default(); 100_000];
    let request = fixture.request(SendMessageRequest { messages });
    let refusal = fixture.stub().send_message(request).await.unwrap_err();
    assert_eq!(refusal.code(), tonic::Code::OutOfRange);
    assert!(refusal.message().contains("more than 32768 parts"), "{refusal}");
}

// Quirk rust-multiple-results: nothing is taken of what it would send again.
#[tokio::test]
async fn messages_sent_together_are_refused_together() {
    let fixture = Fixture::new().await;
    // Its keys pass one by one, but not as they are stored.
    let too_large = with(message("t", "x"), |system| {
        system.keys = vec!["k".repeat(1000); 40]
    });
    let sent = fixture
        .send(vec![message("t", "x"), too_large, message("t", "x")])
        .await;
    assert_eq!(code(&sent.status), Code::MessagePropertiesTooLarge);
    assert!(fixture.receive(|_| {}).await.messages.is_empty());
}

#[tokio::test]
async fn more_messages_than_a_request_may_have_are_refused() {
    let fixture = Fixture::new().await;
    let many = |count: usize| vec![message("t", "x"); count];
    let sent = fixture.send(many(limits::SEND_MAX)).await;
    assert_eq!(code(&sent.status), Code::Ok);
    let sent = fixture.send(many(limits::SEND_MAX + 1)).await;
    assert_eq!(code(&sent.status), Code::PayloadTooLarge);
    assert!(sent.status.unwrap().message.contains("at most 4096"));
    assert!(sent.entries.is_empty());
}

#[tokio::test]
async fn a_message_group_stays_on_one_queue_and_in_order() {
    let fixture = Fixture::with("groups: [{name: g, fifo: true}]\n", &[]).await;
    for n in 0..10 {
        fixture
            .send_ok(with(message("t", &n.to_string()), |s| {
                s.message_group = Some("a".into())
            }))
            .await;
    }
    let received = fixture.receive(|_| {}).await;
    assert_eq!(
        received.bodies(),
        (0..10).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    let queues: BTreeSet<_> = received
        .messages
        .iter()
        .map(|message| system(message).queue_id)
        .collect();
    assert_eq!(queues.len(), 1);
    assert!(
        received
            .messages
            .iter()
            .all(|m| system(m).message_type() == MessageType::Fifo)
    );
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_by_its_code() {
    let fixture = Fixture::new().await;
    let m = || message("t", "x");
    let mut property = m();
    property.user_properties.insert("UNIQ_KEY".into(), "1".into());
    let mut many = m();
    many.user_properties = (0..129).map(|n| (format!("p{n}"), String::new())).collect();
    let digest = Digest {
        r#type: DigestType::Md5.into(),
        checksum: "00".into(),
    };
    let other_topic = [m(), message("other", "x")];
    for (messages, expected) in [
        (vec![], Code::MessageCorrupted),
        (other_topic.into(), Code::MessageCorrupted),
        (
            vec![with(m(), |s| s.body_digest = Some(digest))],
            Code::MessageCorrupted,
        ),
        (vec![message("a b", "x")], Code::IllegalTopic),
        (vec![message("%DLQ%g", "x")], Code::IllegalTopic),
        (vec![message("TBW102", "x")], Code::IllegalTopic),
        (vec![with(m(), |s| s.message_id.clear())], Code::IllegalMessageId),
        (vec![message("t", "")], Code::MessageBodyEmpty),
        (
            vec![message("t", &"x".repeat((4 << 20) + 1))],
            Code::MessageBodyTooLarge,
        ),
        (
            vec![with(m(), |s| s.tag = Some("a|b".into()))],
            Code::IllegalMessageTag,
        ),
        (
            vec![with(m(), |s| s.keys = vec![" ".into()])],
            Code::IllegalMessageKey,
        ),
        (
            vec![with(m(), |s| s.message_group = Some("g".repeat(64)))],
            Code::IllegalMessageGroup,
        ),
        (vec![property], Code::IllegalMessagePropertyKey),
        (vec![many], Code::MessagePropertiesTooLarge),
    ] {
        let sent = fixture.send(messages.clone()).await;
        assert_eq!(
            code(&sent.status),
            expected,
            "{:?}",
            messages.first().map(|message| &message.system_properties)
        );
        assert!(sent.entries.is_empty());
    }
    assert_eq!(
        fixture.receive(|_| {}).await.messages.len(),
        0,
        "nothing of it was taken"
    );
}

#[tokio::test]
async fn a_message_of_a_type_that_its_topic_does_not_take_is_refused() {
    let fixture = Fixture::with(INIT, &[]).await;
    for (topic, change) in TYPES {
        let sent = fixture.send(vec![with(message(topic, "x"), change)]).await;
        assert_eq!(
            code(&sent.status),
            Code::MessagePropertyConflictWithType,
            "{topic}"
        );
    }
}

type Change = fn(&mut SystemProperties);
const TYPES: [(&str, Change); 9] = [
    ("normal", |system| system.message_group = Some("g".into())),
    ("fifo", |_| {}),
    ("any", |system| {
        system.delivery_timestamp = Some(Default::default())
    }),
    ("any", |system| system.set_message_type(MessageType::Transaction)),
    ("any", |system| system.set_message_type(MessageType::Delay)),
    ("any", |system| system.set_message_type(MessageType::Lite)),
    ("any", |system| system.lite_topic = Some("l".into())),
    ("any", |system| system.set_message_type(MessageType::Priority)),
    ("any", |system| system.priority = Some(1)),
];

#[tokio::test]
async fn a_message_whose_type_is_unknown_or_lacks_its_message_group_is_refused_and_never_stored_as_normal() {
    let fixture = Fixture::with(INIT, &[]).await;
    let typed = |topic: &str, number| with(message(topic, "x"), |system| system.message_type = number);
    let fifo = MessageType::Fifo as i32;
    for (refused, part) in [
        (typed("normal", 99), "message type 99 is not known"),
        (typed("any", -1), "message type -1 is not known"),
        (
            with(typed("fifo", 7), |system| system.message_group = Some("g".into())),
            "message type 7 is not known",
        ),
        (typed("normal", fifo), "no message group"),
        (typed("any", fifo), "no message group"),
        (typed("fifo", fifo), "no message group"),
    ] {
        // One of many refuses them all.
        let together = match refused.topic.as_ref().unwrap().name.as_str() {
            "any" => vec![message("any", "x"), refused],
            _ => vec![refused],
        };
        let status = fixture.send(together).await.status;
        assert_eq!(code(&status), Code::MessagePropertyConflictWithType, "{part}");
        let text = status.unwrap().message;
        assert!(text.contains(part), "{text}");
    }
    for topic in ["normal", "any", "fifo"] {
        let received = fixture
            .receive(|request| request.message_queue.as_mut().unwrap().topic = named(topic))
            .await;
        assert!(received.messages.is_empty(), "{topic}");
    }
}

// The type may be left out, and one that says less than the message has does no harm: RocketMQ looks at neither.
#[tokio::test]
async fn a_message_with_a_group_is_in_order_whatever_type_of_those_that_are_there_it_names() {
    let fixture = Fixture::with(INIT, &[]).await;
    for called in [MessageType::Unspecified, MessageType::Normal, MessageType::Fifo] {
        let sent = with(message("fifo", "x"), |system| {
            system.message_group = Some("g".into());
            system.set_message_type(called);
        });
        fixture.send_ok(sent).await;
    }
}

#[tokio::test]
async fn the_largest_body_goes_through_and_comes_back() {
    let fixture = Fixture::new().await;
    let body = "x".repeat(4 << 20);
    fixture.send_ok(message("t", &body)).await;
    assert_eq!(fixture.receive(|_| {}).await.bodies(), [body]);
}

#[tokio::test]
async fn small_segments_take_smaller_bodies_and_say_so() {
    let fixture = Fixture::with("", &["--segment-size", "256KiB"]).await;
    fixture.send_ok(message("t", &"x".repeat(32 << 10))).await;
    let sent = fixture
        .send(vec![message("t", &"x".repeat((32 << 10) + 1))])
        .await;
    assert_eq!(code(&sent.status), Code::MessageBodyTooLarge);
}

#[tokio::test]
async fn a_message_is_delivered_with_all_that_it_was_sent_with() {
    let fixture = Fixture::new().await;
    let sent = with(message("t", "body"), |system| {
        system.tag = Some("red".into());
        system.keys = vec!["k1".into(), "k2".into()];
        system.trace_context = Some("00-1-2-01".into());
        system.born_host = "laptop".into();
        system.born_timestamp = Some(prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 5_000_000,
        });
    });
    let mut sent = sent;
    sent.user_properties.insert("colour".into(), "grün".into());
    fixture.send_ok(sent.clone()).await;
    let received = fixture.receive(|_| {}).await;
    let message = &received.messages[0];
    assert_eq!((&message.topic, &message.body), (&sent.topic, &sent.body));
    assert_eq!(message.user_properties, sent.user_properties);
    let (was, is) = (system(&sent), system(message));
    assert_eq!(
        (&is.message_id, &is.tag, &is.keys),
        (&was.message_id, &was.tag, &was.keys)
    );
    assert_eq!(
        (&is.trace_context, &is.born_host, is.born_timestamp),
        (&was.trace_context, &was.born_host, was.born_timestamp)
    );
    assert_eq!(
        is.body_digest.as_ref().unwrap().checksum,
        "841A2D689AD86BD1611447453C22C6FC"
    );
    assert_eq!(
        (is.body_encoding(), is.message_type()),
        (Encoding::Identity, MessageType::Normal)
    );
    assert_eq!((is.delivery_attempt, is.queue_offset), (Some(1), Some(0)));
    assert!(is.store_timestamp.is_some() && !is.store_host.is_empty() && is.receipt_handle.is_some());
    assert!(is.dead_letter_queue.is_none());
}
