//! Writers that fence each other off.

use sluice_proto::admin::reset_offsets_request::Target;
use sluice_proto::admin::*;
use sluice_tests::admin::Admin;
use tonic::Code;

use crate::stage::{Stage, refused};

async fn fence(admin: &Admin, holder: &str) -> u64 {
    let request = FenceRequest {
        holder: holder.to_owned(),
    };
    admin.broker().fence(request).await.unwrap().into_inner().epoch
}

/// Every call that changes something, with this epoch: which are refused as stale.
async fn all_writes(admin: &Admin, epoch: u64, number: u32) -> Vec<Result<(), tonic::Status>> {
    let (mut topics, mut groups) = (admin.topics(), admin.groups());
    let name = format!("made-{number}");
    let create_topic = CreateTopicRequest {
        name: name.clone(),
        epoch,
        ..Default::default()
    };
    let update_topic = UpdateTopicRequest {
        name: name.clone(),
        spec: Some(TopicSpec {
            queues: 5,
            ..Default::default()
        }),
        epoch,
        ..Default::default()
    };
    let create_group = CreateGroupRequest {
        name: name.clone(),
        epoch,
        ..Default::default()
    };
    let update_group = UpdateGroupRequest {
        name: name.clone(),
        spec: Some(GroupSpec::default()),
        epoch,
        ..Default::default()
    };
    let reset = ResetOffsetsRequest {
        group: "readers".to_owned(),
        topic: "orders".to_owned(),
        target: Some(Target::Latest(true)),
        epoch,
        ..Default::default()
    };
    let set = SetConfigRequest {
        changes: vec![ConfigChange {
            key: "queueMetrics".to_owned(),
            value: Some("true".to_owned()),
        }],
        epoch,
    };
    let delete_topic = DeleteTopicRequest {
        name: name.clone(),
        epoch,
        ..Default::default()
    };
    let delete_group = DeleteGroupRequest {
        name,
        epoch,
        ..Default::default()
    };
    vec![
        topics.create_topic(create_topic).await.map(drop),
        topics.update_topic(update_topic).await.map(drop),
        groups.create_group(create_group).await.map(drop),
        groups.update_group(update_group).await.map(drop),
        groups.reset_offsets(reset).await.map(drop),
        admin.broker().set_config(set).await.map(drop),
        topics.delete_topic(delete_topic).await.map(drop),
        groups.delete_group(delete_group).await.map(drop),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_was_fenced_off_changes_nothing_also_after_kill() {
    let mut stage = Stage::new();
    stage.send("orders", 1).await;
    stage.consume("readers", "orders", 1).await;
    let first = fence(&stage.admin, "operator-a").await;
    for answer in all_writes(&stage.admin, first, 1).await {
        answer.unwrap();
    }
    let second = fence(&stage.admin, "operator-b").await;
    assert_eq!((first, second), (1, 2));

    stage.kill_and_start().await;
    let status = stage
        .admin
        .broker()
        .get_status(GetStatusRequest {})
        .await
        .unwrap();
    let status = status.into_inner();
    assert_eq!(
        (status.fence_epoch, status.fence_holder.as_str()),
        (2, "operator-b")
    );
    // What deletes and updates can be refused for is looked at after the fence only where there is something.
    for (number, epoch) in [(2, second), (3, 0)] {
        for answer in all_writes(&stage.admin, epoch, number).await {
            answer.unwrap();
        }
    }
    let made = CreateTopicRequest {
        name: "made-4".to_owned(),
        ..Default::default()
    };
    stage.admin.topics().create_topic(made).await.unwrap();
    let made = CreateGroupRequest {
        name: "made-4".to_owned(),
        ..Default::default()
    };
    stage.admin.groups().create_group(made).await.unwrap();
    for answer in all_writes(&stage.admin, first, 4).await {
        let answer = answer.map(tonic::Response::new);
        refused(
            answer,
            Code::FailedPrecondition,
            "EPOCH_STALE",
            "which is 2 of the writer 'operator-b'",
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_needs_a_name() {
    let stage = Stage::new();
    for holder in [String::new(), "x".repeat(256)] {
        let answer = stage.admin.broker().fence(FenceRequest { holder }).await;
        refused(answer, Code::InvalidArgument, "REQUEST_INVALID", "1 to 255");
    }
    assert_eq!(
        fence(&stage.admin, "operator").await,
        1,
        "what was refused used up no epoch"
    );
}
