//! Messages, found (O5).

use std::time::{SystemTime, UNIX_EPOCH};

use sluice_proto::admin::get_message_request::Which;
use sluice_proto::admin::*;
use sluice_proto::v2;
use sluice_tests::client::{fifo_message, message, message_id};
use tonic::{Code, Response, Status};

use crate::stage::{Stage, refused};

const BODY: &str = "a body that is in no log";

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

fn keyed(topic: &str, key: &str) -> v2::Message {
    let mut message = message(topic, BODY);
    message.system_properties.as_mut().unwrap().keys = vec![key.to_owned(), "all".to_owned()];
    message
}

async fn get(stage: &Stage, which: Which, topic: &str) -> Result<Response<Message>, Status> {
    let request = GetMessageRequest {
        topic: topic.to_owned(),
        which: Some(which),
    };
    stage.admin.messages().get_message(request).await
}

async fn find(stage: &Stage, request: FindMessagesRequest) -> Result<FindMessagesResponse, Status> {
    Ok(stage.admin.messages().find_messages(request).await?.into_inner())
}

fn by_key(key: &str) -> FindMessagesRequest {
    FindMessagesRequest {
        topic: "orders".to_owned(),
        key: key.to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_found_by_its_id_and_by_its_place_with_its_body() {
    let stage = Stage::with("topics:\n  - {name: orders, queues: 1}\n");
    let mut sent = fifo_message("orders", "customer", BODY);
    let system = sent.system_properties.as_mut().unwrap();
    system.tag = Some("red".to_owned());
    system.keys = vec!["k-1".to_owned(), "k-2".to_owned()];
    sent.user_properties
        .insert("colour".to_owned(), "green".to_owned());
    let before = now_ms();
    let offset = stage.client.send_ok(sent.clone()).await.unwrap();

    let id = message_id(&sent);
    let found = get(&stage, Which::MessageId(id.clone()), "")
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (found.message_id.as_str(), found.topic.as_str(), found.queue),
        (id.as_str(), "orders", 0)
    );
    assert_eq!(
        (found.offset, found.body_bytes),
        (offset as u64, BODY.len() as u64)
    );
    assert_eq!(found.body, BODY);
    assert_eq!(found.keys, ["k-1", "k-2"]);
    assert_eq!(
        (found.tag.as_deref(), found.message_group.as_deref()),
        (Some("red"), Some("customer"))
    );
    assert_eq!(found.properties.get("colour").map(String::as_str), Some("green"));
    assert_eq!(
        (found.r#type(), found.origin_topic.as_deref()),
        (MessageType::Fifo, None)
    );
    assert!(
        found.stored_ms + 60_000 > before && found.born_ms > 0,
        "{found:?}"
    );

    let place = MessagePlace {
        topic: "orders".to_owned(),
        queue: 0,
        offset: 0,
    };
    assert_eq!(
        get(&stage, Which::Place(place), "").await.unwrap().into_inner(),
        found
    );
    assert_eq!(
        get(&stage, Which::MessageId(id), "orders")
            .await
            .unwrap()
            .into_inner(),
        found
    );
    assert!(!stage.broker.log().unwrap().contains(BODY));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_found_by_key_and_by_time_a_page_at_a_time_without_their_bodies() {
    let stage = Stage::with("topics:\n  - {name: orders, queues: 3}\n  - {name: bills, queues: 1}\n");
    let before = now_ms();
    let mut ids = Vec::new();
    for number in 0..7 {
        let sent = keyed("orders", &format!("k-{number}"));
        ids.push(message_id(&sent));
        stage.client.send_ok(sent).await.unwrap();
    }
    stage.client.send_ok(keyed("bills", "k-1")).await.unwrap();

    let one = find(&stage, by_key("k-1")).await.unwrap();
    assert_eq!((one.messages.len(), one.next_page_token.as_str()), (1, ""));
    assert_eq!(one.messages[0].message_id, ids[1]);
    assert_eq!(
        (one.messages[0].body.len(), one.messages[0].body_bytes),
        (0, BODY.len() as u64)
    );
    assert_eq!(find(&stage, by_key("k-9")).await.unwrap().messages, []);

    let collect = async |request: FindMessagesRequest| {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let page = find(
                &stage,
                FindMessagesRequest {
                    page_size: 2,
                    page_token,
                    ..request.clone()
                },
            )
            .await
            .unwrap();
            assert!(page.messages.len() <= 2 && page.unreadable == 0);
            found.extend(page.messages);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return found;
            }
        }
    };
    let names =
        |found: &[Message]| -> Vec<_> { found.iter().map(|message| message.message_id.clone()).collect() };
    let newest_first: Vec<_> = ids.iter().rev().cloned().collect();
    assert_eq!(names(&collect(by_key("all")).await), newest_first);
    let span = FindMessagesRequest {
        from_ms: before - 60_000,
        to_ms: now_ms() + 60_000,
        ..by_key("")
    };
    let found = collect(span).await;
    assert!(
        found.is_sorted_by_key(|message| message.stored_ms),
        "the oldest first"
    );
    // Messages of one millisecond come by queue.
    let (mut all, mut sent) = (names(&found), ids.clone());
    all.sort_unstable();
    sent.sort_unstable();
    assert_eq!(all, sent);
    let early = FindMessagesRequest {
        to_ms: before - 60_000,
        ..by_key("")
    };
    assert_eq!(collect(early).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_found_is_told_apart_from_what_cannot_be_looked_for() {
    let stage = Stage::with("topics:\n  - {name: orders, queues: 1}\n");
    for _ in 0..2 {
        stage.client.send_ok(keyed("orders", "k")).await.unwrap();
    }
    let id = || Which::MessageId("0123".to_owned());
    let place = |topic: &str, queue, offset| {
        Which::Place(MessagePlace {
            topic: topic.to_owned(),
            queue,
            offset,
        })
    };
    for (which, topic, code, why, part) in [
        (id(), "", Code::NotFound, "MESSAGE_NOT_FOUND", "'0123'"),
        (id(), "nothing", Code::NotFound, "TOPIC_NOT_FOUND", "'nothing'"),
        (id(), "a b", Code::InvalidArgument, "TOPIC_NAME_INVALID", "'a b'"),
        (
            Which::MessageId(String::new()),
            "",
            Code::InvalidArgument,
            "REQUEST_INVALID",
            "message_id",
        ),
        (
            place("orders", 0, 2),
            "",
            Code::NotFound,
            "MESSAGE_NOT_FOUND",
            "offset 2",
        ),
        (
            place("orders", 1, 0),
            "",
            Code::NotFound,
            "QUEUE_NOT_FOUND",
            "queue 1",
        ),
        (
            place("nothing", 0, 0),
            "",
            Code::NotFound,
            "TOPIC_NOT_FOUND",
            "'nothing'",
        ),
    ] {
        refused(get(&stage, which, topic).await, code, why, part);
    }
    let none = stage
        .admin
        .messages()
        .get_message(GetMessageRequest::default())
        .await;
    refused(
        none,
        Code::InvalidArgument,
        "REQUEST_INVALID",
        "message_id or place",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_cannot_be_is_refused() {
    let stage = Stage::with("topics:\n  - {name: orders, queues: 1}\n");
    for _ in 0..2 {
        stage.client.send_ok(keyed("orders", "k")).await.unwrap();
    }
    let first = FindMessagesRequest {
        page_size: 1,
        ..by_key("k")
    };
    let token = find(&stage, first).await.unwrap().next_page_token;
    assert_ne!(token, "");
    let found = async |request| find(&stage, request).await.map(Response::new);
    for (request, code, why) in [
        (
            FindMessagesRequest {
                topic: "nothing".to_owned(),
                ..by_key("k")
            },
            Code::NotFound,
            "TOPIC_NOT_FOUND",
        ),
        (
            FindMessagesRequest {
                from_ms: 2,
                to_ms: 2,
                ..by_key("k")
            },
            Code::InvalidArgument,
            "REQUEST_INVALID",
        ),
        (
            FindMessagesRequest {
                page_token: token.clone(),
                ..by_key("other")
            },
            Code::InvalidArgument,
            "PAGE_TOKEN_INVALID",
        ),
        (
            FindMessagesRequest {
                page_token: "forged".to_owned(),
                ..by_key("k")
            },
            Code::InvalidArgument,
            "PAGE_TOKEN_INVALID",
        ),
    ] {
        refused(found(request).await, code, why, "");
    }
}
