//! Topics made, changed, closed, grown and deleted.

use std::collections::BTreeSet;

use sluice_proto::admin::*;
use sluice_proto::v2;
use sluice_tests::client::{Receive, code, fifo_message, message};
use tonic::{Code, Response, Status};

use crate::stage::{SOON, Stage, refused};

fn spec(queues: u32) -> TopicSpec {
    TopicSpec {
        queues,
        ..Default::default()
    }
}

async fn create(stage: &Stage, name: &str, spec: TopicSpec) -> Result<Response<Topic>, Status> {
    let request = CreateTopicRequest {
        name: name.to_owned(),
        spec: Some(spec),
        epoch: 0,
    };
    stage.admin.topics().create_topic(request).await
}

async fn update(
    stage: &Stage,
    name: &str,
    spec: TopicSpec,
    expected_generation: Option<u64>,
) -> Result<Response<UpdateTopicResponse>, Status> {
    let request = UpdateTopicRequest {
        name: name.to_owned(),
        spec: Some(spec),
        expected_generation,
        epoch: 0,
    };
    stage.admin.topics().update_topic(request).await
}

async fn delete(
    stage: &Stage,
    name: &str,
    only_if_empty: bool,
    expected_generation: Option<u64>,
) -> Result<Response<DeleteTopicResponse>, Status> {
    let request = DeleteTopicRequest {
        name: name.to_owned(),
        only_if_empty,
        expected_generation,
        epoch: 0,
    };
    stage.admin.topics().delete_topic(request).await
}

async fn describe(stage: &Stage, name: &str) -> Result<Response<TopicDescription>, Status> {
    let request = DescribeTopicRequest {
        name: name.to_owned(),
    };
    stage.admin.topics().describe_topic(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_made_as_asked_and_only_once() {
    let stage = Stage::new();
    let asked = TopicSpec {
        queues: 3,
        types: vec![TopicType::Fifo.into()],
        closed: false,
        retention_hours: 100,
        retention_bytes: 1 << 30,
    };
    let made = create(&stage, "orders", asked.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!((made.name.as_str(), made.generation), ("orders", 1));
    assert_eq!(made.spec, Some(asked.clone()));
    refused(
        create(&stage, "orders", asked).await,
        Code::AlreadyExists,
        "TOPIC_EXISTS",
        "topic 'orders' already",
    );
    assert_eq!(
        stage
            .client
            .query_route("orders")
            .await
            .unwrap()
            .message_queues
            .len(),
        3
    );
    let sent = stage
        .client
        .send(vec![message("orders", "no order")])
        .await
        .unwrap();
    assert_eq!(
        code(sent.status.as_ref()),
        Some(v2::Code::MessagePropertyConflictWithType)
    );
    stage
        .client
        .send_ok(fifo_message("orders", "customer", "in order"))
        .await
        .unwrap();

    let plain = create(&stage, "bills", TopicSpec::default())
        .await
        .unwrap()
        .into_inner();
    let spec = plain.spec.unwrap();
    assert_eq!((spec.queues, spec.types.len()), (4, 2), "the defaults");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_makes_changes_and_leaves_as_it_is_and_counts_generations() {
    let stage = Stage::new();
    let put = update(&stage, "orders", spec(2), Some(0))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (put.created, put.changed, put.topic.unwrap().generation),
        (true, true, 1)
    );
    let same = update(&stage, "orders", spec(0), None)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (same.created, same.changed, same.topic.unwrap().generation),
        (false, false, 1)
    );
    let grown = update(&stage, "orders", spec(5), Some(1))
        .await
        .unwrap()
        .into_inner();
    let topic = grown.topic.unwrap();
    assert_eq!(
        (grown.changed, topic.generation, topic.spec.unwrap().queues),
        (true, 2, 5)
    );

    refused(
        update(&stage, "orders", spec(6), Some(1)).await,
        Code::Aborted,
        "GENERATION_STALE",
        "topic 'orders': its generation is 2, not 1",
    );
    refused(
        update(&stage, "orders", spec(6), Some(0)).await,
        Code::AlreadyExists,
        "TOPIC_EXISTS",
        "'orders'",
    );
    refused(
        update(&stage, "bills", spec(1), Some(3)).await,
        Code::Aborted,
        "GENERATION_STALE",
        "'bills'",
    );
    refused(
        update(&stage, "orders", spec(4), None).await,
        Code::FailedPrecondition,
        "QUEUES_SHRINK",
        "5 or more, not 4",
    );
    let nothing = UpdateTopicRequest {
        name: "orders".to_owned(),
        ..Default::default()
    };
    refused(
        stage.admin.topics().update_topic(nothing).await,
        Code::InvalidArgument,
        "SPEC_INVALID",
        "specification is missing",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_topic_can_be_is_refused() {
    let stage = Stage::new();
    let of_type = |number| TopicSpec {
        types: vec![number],
        ..Default::default()
    };
    let keeping = |retention_hours, retention_bytes| TopicSpec {
        retention_hours,
        retention_bytes,
        ..Default::default()
    };
    for (name, spec, why, part) in [
        ("", spec(1), "TOPIC_NAME_INVALID", "missing"),
        ("a b", spec(1), "TOPIC_NAME_INVALID", "'a b'"),
        ("%DLQ%readers", spec(1), "TOPIC_NAME_INVALID", "nobody else makes"),
        ("TBW102", spec(1), "TOPIC_NAME_INVALID", "the system's"),
        ("orders", spec(4097), "SPEC_INVALID", "1 to 4096"),
        ("orders", of_type(0), "SPEC_INVALID", "type 0"),
        ("orders", of_type(9), "SPEC_INVALID", "type 9"),
        ("orders", keeping(876_001, 0), "SPEC_INVALID", "at most 876000"),
        ("orders", keeping(0, 1000), "SPEC_INVALID", "1MiB to 1PiB"),
        (
            "orders",
            keeping(0, (1 << 50) + 1),
            "SPEC_INVALID",
            "1MiB to 1PiB",
        ),
    ] {
        let made = create(&stage, name, spec.clone()).await;
        refused(made, Code::InvalidArgument, why, part);
        refused(
            update(&stage, name, spec, None).await,
            Code::InvalidArgument,
            why,
            part,
        );
    }
    refused(
        describe(&stage, "orders").await,
        Code::NotFound,
        "TOPIC_NOT_FOUND",
        "'orders'",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_topic_is_gone_with_its_messages_and_another_one_begins_anew() {
    let stage = Stage::new();
    let made = create(&stage, "orders", spec(2)).await.unwrap().into_inner();
    stage.send("orders", 3).await;
    stage.consume("readers", "orders", 1).await;

    refused(
        delete(&stage, "orders", false, Some(7)).await,
        Code::Aborted,
        "GENERATION_STALE",
        "not 7",
    );
    let gone = delete(&stage, "orders", false, Some(1))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(gone.undone_messages, 2);
    refused(
        delete(&stage, "orders", false, None).await,
        Code::NotFound,
        "TOPIC_NOT_FOUND",
        "'orders'",
    );
    refused(
        describe(&stage, "orders").await,
        Code::NotFound,
        "TOPIC_NOT_FOUND",
        "'orders'",
    );

    let again = create(&stage, "orders", spec(2)).await.unwrap().into_inner();
    assert!(again.id > made.id, "an id is never given twice");
    let told = describe(&stage, "orders").await.unwrap().into_inner();
    assert_eq!((told.messages, told.groups.len()), (0, 0));
    stage.send("orders", 1).await;
    stage.consume("readers", "orders", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_if_empty_deletes_what_nobody_has_to_read_any_more() {
    let stage = Stage::new();
    create(&stage, "never-used", spec(1)).await.unwrap();
    delete(&stage, "never-used", true, None).await.unwrap();

    create(&stage, "orders", spec(2)).await.unwrap();
    stage.send("orders", 2).await;
    let refusal = delete(&stage, "orders", true, None).await;
    refused(
        refusal,
        Code::FailedPrecondition,
        "TOPIC_NOT_EMPTY",
        "topic 'orders'",
    );
    stage.consume("readers", "orders", 1).await;
    let refusal = delete(&stage, "orders", true, None).await;
    refused(
        refusal,
        Code::FailedPrecondition,
        "TOPIC_NOT_EMPTY",
        "1 messages are not done",
    );
    let held = stage.receive("readers", "orders", 1).await;
    let refusal = delete(&stage, "orders", true, None).await;
    refused(refusal, Code::FailedPrecondition, "TOPIC_NOT_EMPTY", "'orders'");
    stage.client.ack_ok("readers", "orders", &held).await.unwrap();
    let gone = delete(&stage, "orders", true, None).await.unwrap().into_inner();
    assert_eq!(gone.undone_messages, 0);
}

/// B6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_topic_refuses_sends_while_consumers_go_on_and_opens_again() {
    let mut stage = Stage::new();
    create(&stage, "orders", spec(2)).await.unwrap();
    stage.send("orders", 3).await;
    let closed = TopicSpec {
        closed: true,
        ..spec(0)
    };
    let put = update(&stage, "orders", closed, None).await.unwrap().into_inner();
    assert!(put.topic.unwrap().spec.unwrap().closed);
    let is_refused = async |stage: &Stage| {
        let sent = stage.client.send(vec![message("orders", "late")]).await.unwrap();
        assert_eq!(code(sent.status.as_ref()), Some(v2::Code::Forbidden), "{sent:?}");
    };

    is_refused(&stage).await;
    stage.consume("readers", "orders", 2).await;
    stage.kill_and_start().await;
    is_refused(&stage).await;
    stage.consume("readers", "orders", 1).await;

    update(&stage, "orders", spec(0), None).await.unwrap();
    stage.send("orders", 1).await;
    stage.consume("readers", "orders", 1).await;
}

/// B8.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_grow_under_a_consumer_that_is_waiting() {
    let stage = Stage::new();
    create(&stage, "orders", spec(1)).await.unwrap();
    stage.send("orders", 1).await;
    stage.consume("readers", "orders", 1).await;
    let waiting = tokio::spawn({
        let client = stage.client.clone();
        let receive = Receive {
            poll: SOON,
            ..Receive::new("readers", "orders")
        };
        async move { client.receive(&receive).await.unwrap().messages }
    });
    stage.until_polls(1).await;

    update(&stage, "orders", spec(4), None).await.unwrap();
    let sent = 8;
    let mut queues = BTreeSet::new();
    for number in 0..sent {
        stage
            .client
            .send_ok(message("orders", number.to_string()))
            .await
            .unwrap();
    }
    let mut received = waiting.await.unwrap();
    while received.len() < sent {
        received.extend(stage.receive("readers", "orders", sent - received.len()).await);
    }
    for message in &received {
        queues.insert(message.system_properties.as_ref().unwrap().queue_id);
    }
    assert_eq!(
        queues.len(),
        4,
        "every queue has some of it, and all are received"
    );
    let route = stage.client.query_route("orders").await.unwrap();
    assert_eq!(route.message_queues.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_changed_and_deleted_survives_kill() {
    let mut stage = Stage::new();
    for name in ["kept", "grown", "gone"] {
        create(&stage, name, spec(2)).await.unwrap();
    }
    stage.send("gone", 2).await;
    update(&stage, "grown", spec(6), None).await.unwrap();
    delete(&stage, "gone", false, None).await.unwrap();
    let list = async |stage: &Stage| {
        let listed = stage
            .admin
            .topics()
            .list_topics(ListTopicsRequest::default())
            .await;
        listed.unwrap().into_inner().topics
    };
    let before = list(&stage).await;
    let told: Vec<_> = before
        .iter()
        .map(|topic| (topic.name.as_str(), topic.generation))
        .collect();
    assert_eq!(told, [("grown", 2), ("kept", 1)]);

    stage.kill_and_start().await;
    assert_eq!(list(&stage).await, before);
    let sent = stage.client.send(vec![message("gone", "again")]).await.unwrap();
    assert_eq!(
        code(sent.status.as_ref()),
        Some(v2::Code::Ok),
        "made anew on first use"
    );
    assert_eq!(describe(&stage, "gone").await.unwrap().into_inner().messages, 1);
}
