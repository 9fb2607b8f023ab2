//! Where groups stand, and moving them (F6, B5).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice_proto::admin::reset_offsets_request::Target;
use sluice_proto::admin::*;
use sluice_proto::v2;
use sluice_tests::client::{Receive, code};
use tonic::{Code, Response, Status};

use crate::stage::{Stage, refused};

const INIT: &str = "topics:\n  - {name: orders, queues: 1}\n  - {name: wide, queues: 3}\n";

fn reset(target: Target, preview: bool) -> ResetOffsetsRequest {
    ResetOffsetsRequest {
        group: "readers".to_owned(),
        topic: "orders".to_owned(),
        target: Some(target),
        preview,
        ..Default::default()
    }
}

async fn call(stage: &Stage, request: ResetOffsetsRequest) -> Result<Response<ResetOffsetsResponse>, Status> {
    stage.admin.groups().reset_offsets(request).await
}

async fn stands(stage: &Stage) -> QueueOffsets {
    let request = GetOffsetsRequest {
        group: "readers".to_owned(),
        topic: "orders".to_owned(),
    };
    let told = stage
        .admin
        .groups()
        .get_offsets(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told.queues.len(), 1);
    told.queues[0].clone()
}

async fn bodies(stage: &Stage, count: usize) -> Vec<String> {
    let messages = stage.receive("readers", "orders", count).await;
    stage.client.ack_ok("readers", "orders", &messages).await.unwrap();
    let bodies = messages
        .iter()
        .map(|message| String::from_utf8_lossy(&message.body).into_owned());
    bodies.collect()
}

async fn nothing_left(stage: &Stage) {
    let receive = Receive {
        poll: Duration::from_secs(1),
        ..Receive::new("readers", "orders")
    };
    let received = stage.client.receive(&receive).await.unwrap();
    assert_eq!(received.messages.len(), 0);
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_stands_where_it_has_done_everything_below() {
    let stage = Stage::with(INIT);
    stage.send("orders", 6).await;
    let held = stage.receive("readers", "orders", 4).await;
    for done in [&held[0..1], &held[2..3]] {
        stage.client.ack_ok("readers", "orders", done).await.unwrap();
    }
    let told = stands(&stage).await;
    assert_eq!(
        (told.topic.as_str(), told.queue, told.min_offset, told.max_offset),
        ("orders", 0, 0, 6)
    );
    assert_eq!((told.floor, told.done_above, told.inflight), (1, 1, 2));

    let all = GetOffsetsRequest {
        group: "readers".to_owned(),
        topic: String::new(),
    };
    let told = stage.admin.groups().get_offsets(all).await.unwrap().into_inner();
    assert_eq!(told.queues.len(), 1, "what it reads");
    for (group, topic, code, why) in [
        ("nobody", "", Code::NotFound, "GROUP_NOT_FOUND"),
        ("readers", "nothing", Code::NotFound, "TOPIC_NOT_FOUND"),
        ("readers", "wide", Code::FailedPrecondition, "NOT_SUBSCRIBED"),
        ("a b", "", Code::InvalidArgument, "GROUP_NAME_INVALID"),
    ] {
        let request = GetOffsetsRequest {
            group: group.to_owned(),
            topic: topic.to_owned(),
        };
        refused(stage.admin.groups().get_offsets(request).await, code, why, "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_does_nothing_and_the_reset_does_just_that_and_survives_kill() {
    let mut stage = Stage::with(INIT);
    stage.send("orders", 6).await;
    let held = stage.receive("readers", "orders", 4).await;
    stage
        .client
        .ack_ok("readers", "orders", &held[..3])
        .await
        .unwrap();

    let preview = call(&stage, reset(Target::Earliest(true), true))
        .await
        .unwrap()
        .into_inner();
    assert!(!preview.applied);
    let shown = &preview.queues[0];
    assert_eq!((shown.from, shown.to, shown.max_offset), (3, 0, 6));
    assert_eq!((shown.skipped, shown.repeated, shown.voided), (0, 3, 1));
    assert_eq!(stands(&stage).await.floor, 3, "a preview moves nothing");

    let done = call(&stage, reset(Target::Earliest(true), false))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((done.applied, &done.queues), (true, &preview.queues));
    let late = stage.client.ack("readers", "orders", &held[3..]).await.unwrap();
    assert_eq!(
        code(late.entries[0].status.as_ref()),
        Some(v2::Code::InvalidReceiptHandle)
    );
    stage.kill_and_start().await;
    let expected: Vec<_> = (0..6).map(|number| format!("m-{number:03}")).collect();
    assert_eq!(
        bodies(&stage, 6).await,
        expected,
        "the consumer sees all of it again"
    );
    nothing_left(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_to_an_offset_a_time_the_end_or_its_newest() {
    let stage = Stage::with(INIT);
    stage.send("orders", 4).await;
    let between = now_ms() + 1;
    while now_ms() <= between {
        std::thread::yield_now();
    }
    stage.send("orders", 4).await;
    assert_eq!(bodies(&stage, 8).await.len(), 8);
    for (target, to, comes) in [
        (Target::Offset(6), 6, 2),
        (Target::Offset(100), 8, 0),
        (Target::TimeMs(between), 4, 4),
        (Target::TimeMs(now_ms() + 3_600_000), 8, 0),
        (Target::Earliest(true), 0, 8),
        (Target::Latest(true), 8, 0),
        (Target::SkipToNewest(3), 8, 0),
    ] {
        let done = call(&stage, reset(target, false)).await.unwrap().into_inner();
        assert_eq!(done.queues[0].to, to, "{target:?}");
        if comes > 0 {
            bodies(&stage, comes).await;
        }
        nothing_left(&stage).await;
    }
    stage.send("orders", 5).await;
    let done = call(&stage, reset(Target::SkipToNewest(2), false))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (done.queues[0].from, done.queues[0].to, done.queues[0].skipped),
        (8, 11, 3)
    );
    assert_eq!(bodies(&stage, 2).await, ["m-003", "m-004"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_named_queues_are_moved() {
    let stage = Stage::with(INIT);
    stage.send("wide", 9).await;
    stage.consume("readers", "wide", 9).await;
    let some = ResetOffsetsRequest {
        topic: "wide".to_owned(),
        queues: vec![2, 0, 2],
        ..reset(Target::Earliest(true), false)
    };
    let done = call(&stage, some.clone()).await.unwrap().into_inner();
    let queues: Vec<_> = done.queues.iter().map(|queue| queue.queue).collect();
    assert_eq!(queues, [0, 2]);
    let repeated: u64 = done.queues.iter().map(|queue| queue.repeated).sum();
    assert_eq!(repeated, 6);
    stage.consume("readers", "wide", 6).await;

    let beyond = ResetOffsetsRequest {
        queues: vec![1, 3],
        ..some
    };
    refused(
        call(&stage, beyond).await,
        Code::NotFound,
        "QUEUE_NOT_FOUND",
        "there is no queue 3",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_that_cannot_be_followed_says_why() {
    let stage = Stage::with(INIT);
    stage.send("orders", 1).await;
    stage.consume("readers", "orders", 1).await;
    let of = |group: &str, topic: &str, target| ResetOffsetsRequest {
        group: group.to_owned(),
        topic: topic.to_owned(),
        target,
        ..Default::default()
    };
    let earliest = Some(Target::Earliest(true));
    for (request, code, why, part) in [
        (
            of("nobody", "orders", earliest),
            Code::NotFound,
            "GROUP_NOT_FOUND",
            "'nobody'",
        ),
        (
            of("readers", "nothing", earliest),
            Code::NotFound,
            "TOPIC_NOT_FOUND",
            "'nothing'",
        ),
        (
            of("readers", "wide", earliest),
            Code::FailedPrecondition,
            "NOT_SUBSCRIBED",
            "'wide'",
        ),
        (
            of("readers", "orders", None),
            Code::InvalidArgument,
            "REQUEST_INVALID",
            "skip_to_newest",
        ),
        (
            of("readers", "orders", Some(Target::Latest(false))),
            Code::InvalidArgument,
            "REQUEST_INVALID",
            "skip_to_newest",
        ),
    ] {
        for preview in [true, false] {
            let request = ResetOffsetsRequest {
                preview,
                ..request.clone()
            };
            refused(call(&stage, request).await, code, why, part);
        }
    }
}
