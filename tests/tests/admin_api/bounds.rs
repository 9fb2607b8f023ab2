//! How much one answer holds, and what a question may be bound to.

use sluice_proto::admin::get_message_request::Which;
use sluice_proto::admin::*;
use sluice_proto::v2;
use sluice_proto::v2::telemetry_command::Command;
use sluice_tests::client::{Client as Rocket, Session, message, message_id, push_consumer_settings};
use sluice_tests::wait;
use tonic::{Code, Response, Status};

use crate::stage::{SOON, Stage, refused};

const INIT: &str = "topics:\n  - {name: orders, queues: 2}\n  - {name: bills, queues: 1}\n";

async fn find(stage: &Stage, request: FindMessagesRequest) -> Result<Response<FindMessagesResponse>, Status> {
    stage.admin.messages().find_messages(request).await
}

async fn get(stage: &Stage, id: &str, topic: &str) -> Message {
    let request = GetMessageRequest {
        which: Some(Which::MessageId(id.to_owned())),
        topic: topic.to_owned(),
    };
    let got = stage.admin.messages().get_message(request).await;
    got.unwrap().into_inner()
}

fn of_topic(topic: &str, key: &str) -> FindMessagesRequest {
    FindMessagesRequest {
        topic: topic.to_owned(),
        key: key.to_owned(),
        ..Default::default()
    }
}

fn keyed(body: &str) -> v2::Message {
    let mut message = message("orders", body.to_owned());
    let properties = message.system_properties.as_mut().unwrap();
    properties.keys.push("k".to_owned());
    message
}

async fn stacks(stage: &Stage, id: &str) -> Result<Response<GetThreadStacksResponse>, Status> {
    let request = GetThreadStacksRequest {
        client_id: id.to_owned(),
        timeout_ms: 0,
    };
    stage.admin.clients().get_thread_stacks(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_the_largest_size_is_got_whole() {
    let stage = Stage::with(INIT);
    let sent = message("orders", vec![b'x'; 4 << 20]);
    let id = message_id(&sent);
    stage.client.send_ok(sent).await.unwrap();
    let got = get(&stage, &id, "").await;
    assert_eq!((got.body.len(), got.body_bytes), (4 << 20, 4 << 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_large_properties_is_short_enough_for_any_client() {
    let stage = Stage::with(INIT);
    let note = "n".repeat(15 << 10);
    for _ in 0..200 {
        let mut sent = message("orders", "m");
        sent.user_properties.insert("note".to_owned(), note.clone());
        stage.client.send_ok(sent).await.unwrap();
    }
    let all = FindMessagesRequest {
        page_size: 1000,
        ..of_topic("orders", "")
    };
    let first = find(&stage, all.clone()).await.unwrap().into_inner();
    let rest = FindMessagesRequest {
        page_token: first.next_page_token.clone(),
        ..all
    };
    let rest = find(&stage, rest).await.unwrap().into_inner();
    assert_eq!(rest.next_page_token, "", "2 MiB are a page");
    assert!(first.messages.len() > 100 && !rest.messages.is_empty());
    assert_eq!(first.messages.len() + rest.messages.len(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_token_is_good_for_its_own_search_alone() {
    let stage = Stage::with(INIT);
    for _ in 0..3 {
        stage.client.send_ok(keyed("m")).await.unwrap();
    }
    let page = FindMessagesRequest {
        page_size: 1,
        ..of_topic("orders", "k")
    };
    let first = find(&stage, page.clone()).await.unwrap().into_inner();
    let token = first.next_page_token;
    let with = |token: &str, request: FindMessagesRequest| FindMessagesRequest {
        page_token: token.to_owned(),
        ..request
    };
    let mut damaged = token.clone();
    let other = if damaged.pop() == Some('A') { 'Q' } else { 'A' };
    damaged.push(other);
    let later = FindMessagesRequest {
        from_ms: 1,
        ..page.clone()
    };
    for request in [
        with(&damaged, page.clone()),
        with(&token[1..], page.clone()),
        with(&token, of_topic("orders", "")),
        with(&token, of_topic("bills", "k")),
        with(&token, later),
    ] {
        let found = find(&stage, request).await;
        refused(found, Code::InvalidArgument, "PAGE_TOKEN_INVALID", "first page");
    }
    let longer = FindMessagesRequest {
        page_size: 2,
        ..with(&token, page)
    };
    let longer = find(&stage, longer).await.unwrap().into_inner();
    assert_eq!(longer.messages.len(), 2, "its length may change");
    let spaced = find(&stage, of_topic("orders", "k l")).await;
    refused(spaced, Code::InvalidArgument, "REQUEST_INVALID", "one of them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_tells_where_it_comes_from() {
    let stage = Stage::with(INIT);
    let sent = [keyed("dead"), keyed("alive")];
    let id = message_id(&sent[0]);
    for message in sent {
        stage.client.send_ok(message).await.unwrap();
    }
    let received = stage.receive("readers", "orders", 2).await;
    let dead = received.iter().find(|message| message_id(message) == id).unwrap();
    stage
        .client
        .forward_to_dead_letters("readers", "orders", dead)
        .await
        .unwrap();

    let told = get(&stage, &id, "%DLQ%readers").await;

    assert_eq!((told.topic.as_str(), told.offset), ("%DLQ%readers", 0));
    assert_eq!(told.origin_topic.as_deref(), Some("orders"));
    assert_eq!(told.body, "dead");
    assert_eq!(get(&stage, &id, "").await.topic, "orders");
    for key in ["k", ""] {
        let found = find(&stage, of_topic("%DLQ%readers", key)).await.unwrap();
        let found = found.into_inner().messages;
        assert_eq!((found.len(), &found[0].message_id), (1, &id), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stacks_without_end_are_cut_and_a_client_that_leaves_is_not_waited_for() {
    let stage = Stage::with(INIT);
    let client = Rocket::new(&stage.broker.endpoint()).unwrap();
    let settings = push_consumer_settings(&client, "readers", &[("orders", "*")]);
    let mut session = Session::open(&client, settings).await.unwrap();
    let answering = async {
        let Command::PrintThreadStackTraceCommand(asked) = session.question().await.unwrap() else {
            panic!("another question")
        };
        let answer = v2::ThreadStackTrace {
            nonce: asked.nonce,
            thread_stack_trace: Some("x".repeat(5 << 20)),
        };
        let answer = Command::ThreadStackTrace(answer);
        session.reply(v2::Code::Ok, answer).await.unwrap();
    };
    let (told, ()) = tokio::join!(stacks(&stage, client.id()), answering);
    let told = told.unwrap().into_inner().stacks;
    assert!(told.len() < 4 << 20 && told.ends_with("the client has sent 5242880 bytes"));

    let leaving = async {
        session.question().await.unwrap();
        drop(session);
    };
    let (told, ()) = tokio::join!(stacks(&stage, client.id()), leaving);
    refused(
        told,
        Code::FailedPrecondition,
        "CLIENT_NOT_CONNECTED",
        "disconnected",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_change_has_one_value_a_key_and_what_is_logged_changes_at_once() {
    let stage = Stage::with(INIT);
    let set = |changes: &[(&str, &str)]| {
        let changes = changes.iter().map(|(key, value)| ConfigChange {
            key: (*key).to_owned(),
            value: Some((*value).to_owned()),
        });
        let request = SetConfigRequest {
            changes: changes.collect(),
            epoch: 0,
        };
        let mut broker = stage.admin.broker();
        async move { broker.set_config(request).await }
    };
    let twice = set(&[("log", "info"), ("queueMetrics", "true"), ("log", "warn")]).await;
    refused(twice, Code::InvalidArgument, "REQUEST_INVALID", "'log' twice");
    // A refusal is said at debug.
    let debug_lines = || stage.broker.log().unwrap().matches("DEBUG").count();
    stage.client.query_route("no topic").await.unwrap();
    assert_eq!(debug_lines(), 0);
    set(&[("log", "info,sluice_broker=debug")]).await.unwrap();
    wait::until_async("a refusal is logged at debug", SOON, async || {
        stage.client.query_route("no topic").await?;
        Ok((debug_lines() > 0).then_some(()))
    })
    .await
    .unwrap();
}
