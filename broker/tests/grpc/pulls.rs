//! `PullMessage`, `UpdateOffset`, `GetOffset`, `QueryOffset`.

use crate::support::*;
use sluice_proto::v2::pull_message_response::Content;
use sluice_proto::v2::*;
use std::time::{Duration, Instant};

const ONE_QUEUE: &str = "topics: [{name: t, queues: 1}]\n";

/// What a pull brought.
#[derive(Debug, Default)]
pub struct Pulled {
    pub status: Option<Status>,
    pub messages: Vec<Message>,
    pub next: Option<i64>,
    /// A letter each frame, in their order.
    pub frames: String,
}

impl Pulled {
    fn bodies(&self) -> Vec<&str> {
        let bodies = self.messages.iter().map(|message| &message.body[..]);
        bodies.map(|body| std::str::from_utf8(body).unwrap()).collect()
    }
}

fn queue(topic: &str, id: i32) -> Option<MessageQueue> {
    Some(MessageQueue {
        topic: named(topic),
        id,
        ..Default::default()
    })
}

impl Fixture {
    pub async fn pull(&self, offset: i64, change: impl FnOnce(&mut PullMessageRequest)) -> Pulled {
        let mut body = PullMessageRequest {
            group: named("g"),
            message_queue: queue("t", 0),
            offset,
            batch_size: 32,
            filter_expression: None,
            long_polling_timeout: Some(millis(0)),
        };
        change(&mut body);
        let frames = self.stub().pull_message(self.request(body)).await;
        let mut frames = frames.unwrap().into_inner();
        let mut pulled = Pulled::default();
        while let Some(frame) = frames.message().await.unwrap() {
            match frame.content.unwrap() {
                Content::Status(status) => {
                    pulled.frames.push('s');
                    pulled.status = Some(status);
                }
                Content::Message(message) => {
                    pulled.frames.push('m');
                    pulled.messages.push(message);
                }
                Content::NextOffset(next) => {
                    pulled.frames.push('n');
                    pulled.next = Some(next);
                }
            }
        }
        pulled
    }

    pub async fn update_offset(&self, offset: i64, change: impl FnOnce(&mut UpdateOffsetRequest)) -> Code {
        let mut body = UpdateOffsetRequest {
            group: named("g"),
            message_queue: queue("t", 0),
            offset,
        };
        change(&mut body);
        let answer = self.stub().update_offset(self.request(body)).await;
        code(&answer.unwrap().into_inner().status)
    }

    async fn get_offset(&self, change: impl FnOnce(&mut GetOffsetRequest)) -> (Code, i64) {
        let mut body = GetOffsetRequest {
            group: named("g"),
            message_queue: queue("t", 0),
        };
        change(&mut body);
        let answer = self.stub().get_offset(self.request(body)).await;
        let answer = answer.unwrap().into_inner();
        (code(&answer.status), answer.offset)
    }

    async fn query_offset(&self, change: impl FnOnce(&mut QueryOffsetRequest)) -> (Code, i64) {
        let mut body = QueryOffsetRequest {
            message_queue: queue("t", 0),
            ..Default::default()
        };
        change(&mut body);
        let answer = self.stub().query_offset(self.request(body)).await;
        let answer = answer.unwrap().into_inner();
        (code(&answer.status), answer.offset)
    }

    async fn send_numbered(&self, count: usize) {
        for number in 0..count {
            self.send_ok(message("t", &number.to_string())).await;
        }
    }
}

#[tokio::test]
async fn a_pull_answers_status_messages_and_the_next_offset() {
    let fixture = Fixture::with(ONE_QUEUE, &[]).await;
    fixture.send_numbered(3).await;
    for (offset, expected, frames, next) in [
        (0, Code::Ok, "smmmn", 3),
        (2, Code::Ok, "smn", 3),
        (3, Code::MessageNotFound, "sn", 3),
        (4, Code::IllegalOffset, "sn", 3),
        (i64::MAX, Code::IllegalOffset, "sn", 3),
        (-1, Code::IllegalOffset, "sn", 0),
    ] {
        let pulled = fixture.pull(offset, |_| {}).await;
        assert_eq!(code(&pulled.status), expected, "{offset}");
        assert_eq!((&*pulled.frames, pulled.next), (frames, Some(next)), "{offset}");
    }
    for (batch_size, bodies) in [
        (2, &["0", "1"][..]),
        (0, &["0"]),
        (-5, &["0"]),
        (99, &["0", "1", "2"]),
    ] {
        let pulled = fixture.pull(0, |body| body.batch_size = batch_size).await;
        assert_eq!(pulled.bodies(), bodies, "{batch_size}");
        assert_eq!(pulled.next, Some(bodies.len() as i64));
    }
}

#[tokio::test]
async fn a_pulled_message_is_as_a_first_delivery_would_bring_it_but_for_its_handle() {
    let fixture = Fixture::with(ONE_QUEUE, &[]).await;
    let sent = with(message("t", "x"), |system| {
        system.tag = Some("red".into());
        system.keys = vec!["k".into()];
    });
    fixture.send_ok(sent).await;
    let pulled = fixture.pull(0, |_| {}).await.messages.remove(0);
    let mut received = fixture.receive(|_| {}).await.messages.remove(0);
    let system = received.system_properties.as_mut().unwrap();
    assert!(system.receipt_handle.take().is_some());
    assert!(system.invisible_duration.take().is_some());
    assert_eq!(pulled, received);
    assert_eq!(received.system_properties.unwrap().delivery_attempt, Some(1));
}

#[tokio::test]
async fn offsets_are_asked_for_by_policy_and_left_with_a_group() {
    let fixture = Fixture::with(ONE_QUEUE, &[]).await;
    fixture.send_numbered(3).await;
    let came = fixture.pull(1, |_| {}).await.messages.remove(0);
    let came = came.system_properties.unwrap().store_timestamp.unwrap();
    let at = |policy: QueryOffsetPolicy, timestamp| {
        fixture.query_offset(move |body| {
            body.set_query_offset_policy(policy);
            body.timestamp = timestamp;
        })
    };
    assert_eq!(at(QueryOffsetPolicy::Beginning, None).await, (Code::Ok, 0));
    assert_eq!(at(QueryOffsetPolicy::End, None).await, (Code::Ok, 3));
    let later = |seconds| {
        Some(prost_types::Timestamp {
            seconds: came.seconds + seconds,
            ..came
        })
    };
    for (seconds, expected) in [(-10, 0), (10, 3), (-came.seconds - 1, 0)] {
        let found = at(QueryOffsetPolicy::Timestamp, later(seconds)).await;
        assert_eq!(found, (Code::Ok, expected), "{seconds}");
    }
    assert_eq!(at(QueryOffsetPolicy::Timestamp, None).await.0, Code::BadRequest);
    let unknown = fixture.query_offset(|body| body.query_offset_policy = 9);
    assert_eq!(unknown.await.0, Code::BadRequest);

    assert_eq!(fixture.get_offset(|_| {}).await, (Code::OffsetNotFound, 0));
    for offset in [2, 2, 0, 3, 1] {
        assert_eq!(fixture.update_offset(offset, |_| {}).await, Code::Ok);
        assert_eq!(fixture.get_offset(|_| {}).await, (Code::Ok, offset));
    }
    for offset in [-1, 4] {
        assert_eq!(fixture.update_offset(offset, |_| {}).await, Code::IllegalOffset);
    }
    let received = fixture.receive(|_| {}).await;
    assert_eq!(received.bodies(), ["1", "2"], "from where the client has left it");
}

#[tokio::test]
async fn calls_about_a_queue_that_make_no_sense_are_refused_by_their_code() {
    let fixture = Fixture::with(ONE_QUEUE, &[]).await;
    type Change = fn(&mut MessageQueue);
    let elsewhere: Change = |queue| {
        queue.broker = Some(Broker {
            name: "broker-z".into(),
            ..Default::default()
        });
    };
    let cases: [(&str, Change, Code); 8] = [
        ("no topic", |queue| queue.topic = None, Code::IllegalTopic),
        ("a blank", |queue| queue.topic = named("a b"), Code::IllegalTopic),
        (
            "a system topic",
            |queue| queue.topic = named("TBW102"),
            Code::IllegalTopic,
        ),
        ("another broker", elsewhere, Code::BadRequest),
        ("a negative queue", |queue| queue.id = -1, Code::BadRequest),
        ("an absent queue", |queue| queue.id = 1, Code::TopicNotFound),
        ("the last queue", |queue| queue.id = i32::MAX, Code::TopicNotFound),
        (
            "no dead letters",
            |queue| queue.topic = named("%DLQ%g"),
            Code::TopicNotFound,
        ),
    ];
    for (what, change, expected) in cases {
        let mut other = queue("t", 0).unwrap();
        change(&mut other);
        let other = Some(other);
        let pulled = fixture.pull(0, |body| body.message_queue = other.clone()).await;
        assert_eq!((code(&pulled.status), &*pulled.frames), (expected, "s"), "{what}");
        let updated = fixture.update_offset(0, |body| body.message_queue = other.clone());
        assert_eq!(updated.await, expected, "{what}");
        let got = fixture.get_offset(|body| body.message_queue = other.clone());
        assert_eq!(got.await.0, expected, "{what}");
        let queried = fixture.query_offset(|body| body.message_queue = other.clone());
        assert_eq!(queried.await.0, expected, "{what}");
    }
    let absent = fixture.pull(0, |body| body.message_queue = queue("t", 1)).await;
    let said = absent.status.unwrap().message;
    assert!(said.contains("there is no queue 1"), "{said}");
}

#[tokio::test]
async fn groups_filters_and_queues_of_pulls_that_make_no_sense_are_refused_by_their_code() {
    let fixture = Fixture::with(ONE_QUEUE, &[]).await;
    let filter = |kind: FilterType, text: &str| {
        Some(FilterExpression {
            r#type: kind.into(),
            expression: text.to_owned(),
        })
    };
    for (what, expression) in [
        ("no tag", filter(FilterType::Tag, "||")),
        ("SQL", filter(FilterType::Sql, "a > 1")),
    ] {
        let pulled = fixture.pull(0, |body| body.filter_expression = expression).await;
        assert_eq!(code(&pulled.status), Code::IllegalFilterExpression, "{what}");
    }
    for group in [None, named("a b"), named("")] {
        let illegal = Code::IllegalConsumerGroup;
        let pulled = fixture.pull(0, |body| body.group = group.clone()).await;
        assert_eq!((code(&pulled.status), pulled.next), (illegal, None), "{group:?}");
        let updated = fixture.update_offset(0, |body| body.group = group.clone());
        assert_eq!(updated.await, illegal, "{group:?}");
        let got = fixture.get_offset(|body| body.group = group.clone());
        assert_eq!(got.await.0, illegal, "{group:?}");
    }
    let pulled = fixture.pull(0, |body| body.message_queue = None).await;
    assert_eq!(code(&pulled.status), Code::BadRequest);
    let updated = fixture.update_offset(0, |body| body.message_queue = None);
    assert_eq!(updated.await, Code::BadRequest);
    let got = fixture.get_offset(|body| body.message_queue = None);
    assert_eq!(got.await.0, Code::BadRequest);
    let queried = fixture.query_offset(|body| body.message_queue = None);
    assert_eq!(queried.await.0, Code::BadRequest);
}

#[tokio::test]
async fn looking_makes_no_topic_and_leaving_an_offset_does() {
    let fixture = Fixture::new().await;
    for _ in 0..2 {
        assert_eq!(code(&fixture.pull(0, |_| {}).await.status), Code::TopicNotFound);
        assert_eq!(fixture.get_offset(|_| {}).await.0, Code::TopicNotFound);
        assert_eq!(fixture.query_offset(|_| {}).await.0, Code::TopicNotFound);
    }
    assert_eq!(fixture.update_offset(0, |_| {}).await, Code::Ok);
    assert_eq!(fixture.get_offset(|_| {}).await, (Code::Ok, 0));
    let strict = Fixture::with("", &["--auto-create-topics", "false"]).await;
    assert_eq!(strict.update_offset(0, |_| {}).await, Code::TopicNotFound);
}

#[tokio::test]
async fn a_closed_topic_can_be_pulled_to_its_end() {
    let fixture = Fixture::with("topics: [{name: t, queues: 1, closed: true}]\n", &[]).await;
    let pulled = fixture.pull(0, |_| {}).await;
    assert_eq!(
        (code(&pulled.status), pulled.next),
        (Code::MessageNotFound, Some(0))
    );
    assert_eq!(fixture.update_offset(0, |_| {}).await, Code::Ok);
}

#[tokio::test]
async fn pulls_stay_within_their_namespace() {
    let fixture = Fixture::with("topics: [{name: t, queues: 1}, {name: blue%t, queues: 1}]\n", &[]).await;
    fixture.send_ok(message("t", "bare")).await;
    let mut blue = message("t", "blue");
    blue.topic.as_mut().unwrap().resource_namespace = "blue".to_owned();
    fixture.send_ok(blue).await;
    assert_eq!(fixture.pull(0, |_| {}).await.bodies(), ["bare"]);
    let pulled = fixture.pull(0, |body| {
        let queue = body.message_queue.as_mut().unwrap();
        queue.topic.as_mut().unwrap().resource_namespace = "blue".to_owned();
    });
    let pulled = pulled.await;
    assert_eq!(pulled.bodies(), ["blue"]);
    let topic = pulled.messages[0].topic.as_ref().unwrap();
    assert_eq!((&*topic.resource_namespace, &*topic.name), ("blue", "t"));

    let in_blue = |group: &mut Option<Resource>| group.as_mut().unwrap().resource_namespace = "blue".into();
    let updated = fixture.update_offset(1, |body| in_blue(&mut body.group));
    assert_eq!(updated.await, Code::Ok);
    assert_eq!(fixture.get_offset(|_| {}).await.0, Code::OffsetNotFound);
    let got = fixture.get_offset(|body| in_blue(&mut body.group));
    assert_eq!(got.await, (Code::Ok, 1));
}

#[tokio::test]
async fn a_waiting_pull_gets_a_message_as_it_comes() {
    let fixture = Fixture::with(ONE_QUEUE, &[]).await;
    let waiting = fixture.pull(0, |body| body.long_polling_timeout = Some(seconds(8)));
    let sending = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        fixture.send_ok(message("t", "x")).await;
    };
    let begun = Instant::now();
    let (pulled, ()) = tokio::join!(waiting, sending);
    assert_eq!((pulled.bodies(), pulled.next), (vec!["x"], Some(1)));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_pull_ends_before_its_deadline() {
    let fixture = Fixture::with(ONE_QUEUE, &[]).await;
    let body = PullMessageRequest {
        group: named("g"),
        message_queue: queue("t", 0),
        long_polling_timeout: Some(seconds(2)),
        ..Default::default()
    };
    let mut request = fixture.request(body);
    request.set_timeout(Duration::from_secs(2));
    let frames = fixture.stub().pull_message(request).await;
    let mut frames = frames.unwrap().into_inner();
    let mut last = None;
    while let Some(frame) = frames.message().await.unwrap() {
        last = frame.content;
    }
    assert_eq!(last, Some(Content::NextOffset(0)));
}
