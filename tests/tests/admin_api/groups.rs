//! Consumer groups made, changed and deleted.

use std::time::Duration;

use sluice_proto::admin::*;
use sluice_proto::v2;
use sluice_proto::v2::settings::PubSub;
use sluice_tests::client::{Receive, Session, attempt, code, push_consumer_settings};
use tonic::{Code, Response, Status};

use crate::stage::{Stage, refused};

async fn create(stage: &Stage, name: &str, spec: GroupSpec) -> Result<Response<Group>, Status> {
    let request = CreateGroupRequest {
        name: name.to_owned(),
        spec: Some(spec),
        epoch: 0,
    };
    stage.admin.groups().create_group(request).await
}

async fn update(
    stage: &Stage,
    name: &str,
    spec: GroupSpec,
    expected_generation: Option<u64>,
) -> Result<Response<UpdateGroupResponse>, Status> {
    let request = UpdateGroupRequest {
        name: name.to_owned(),
        spec: Some(spec),
        expected_generation,
        epoch: 0,
    };
    stage.admin.groups().update_group(request).await
}

async fn delete(
    stage: &Stage,
    name: &str,
    only_if_empty: bool,
    expected_generation: Option<u64>,
) -> Result<Response<DeleteGroupResponse>, Status> {
    let request = DeleteGroupRequest {
        name: name.to_owned(),
        only_if_empty,
        expected_generation,
        epoch: 0,
    };
    stage.admin.groups().delete_group(request).await
}

async fn describe(stage: &Stage, name: &str) -> GroupDescription {
    let request = DescribeGroupRequest {
        name: name.to_owned(),
    };
    stage
        .admin
        .groups()
        .describe_group(request)
        .await
        .unwrap()
        .into_inner()
}

fn whole() -> GroupSpec {
    let exponential = ExponentialBackoff {
        initial_ms: 1000,
        max_ms: 60_000,
        multiplier_milli: 1500,
    };
    GroupSpec {
        fifo: true,
        max_attempts: 3,
        backoff: Some(Backoff {
            strategy: Some(backoff::Strategy::Exponential(exponential)),
        }),
        start_from: Some(StartFrom {
            position: Some(start_from::Position::Latest(true)),
        }),
        receive_batch: 5,
        long_poll_ms: 7000,
        invisible_ms: 15_000,
        subscriptions: vec![StaticSubscription {
            topic: "orders".to_owned(),
            expression: "red || green".to_owned(),
        }],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_made_as_asked_and_only_once_and_survives_kill() {
    let mut stage = Stage::new();
    let made = create(&stage, "billing", whole()).await.unwrap().into_inner();
    assert_eq!((made.name.as_str(), made.generation), ("billing", 1));
    assert_eq!(made.spec, Some(whole()));
    refused(
        create(&stage, "billing", whole()).await,
        Code::AlreadyExists,
        "GROUP_EXISTS",
        "consumer group 'billing' already",
    );
    let plain = create(&stage, "mailing", GroupSpec::default())
        .await
        .unwrap()
        .into_inner();
    let spec = plain.spec.unwrap();
    assert_eq!(
        (spec.fifo, spec.max_attempts, spec.receive_batch),
        (false, 17, 32)
    );
    assert_eq!((spec.long_poll_ms, spec.invisible_ms), (20_000, 60_000));
    delete(&stage, "mailing", true, Some(1)).await.unwrap();

    stage.kill_and_start().await;
    assert_eq!(describe(&stage, "billing").await.group, Some(made));
    let all = stage
        .admin
        .groups()
        .list_groups(ListGroupsRequest::default())
        .await;
    assert_eq!(all.unwrap().into_inner().groups.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_group_can_be_is_refused_and_named() {
    let stage = Stage::new();
    let attempts = GroupSpec {
        max_attempts: 1001,
        ..Default::default()
    };
    for (name, spec, why, part) in [
        ("", GroupSpec::default(), "GROUP_NAME_INVALID", "missing"),
        ("a b", GroupSpec::default(), "GROUP_NAME_INVALID", "'a b'"),
        (
            "%DLQ%billing",
            GroupSpec::default(),
            "GROUP_NAME_INVALID",
            "a group's dead-letter topic",
        ),
        (
            "%RETRY%billing",
            GroupSpec::default(),
            "GROUP_NAME_INVALID",
            "tried again in the topic",
        ),
        (
            "TBW102",
            GroupSpec::default(),
            "GROUP_NAME_INVALID",
            "RocketMQ's own topics",
        ),
        ("billing", attempts, "SPEC_INVALID", "max_attempts is 1001"),
    ] {
        refused(
            create(&stage, name, spec.clone()).await,
            Code::InvalidArgument,
            why,
            part,
        );
        refused(
            update(&stage, name, spec, None).await,
            Code::InvalidArgument,
            why,
            part,
        );
    }
    refused(
        delete(&stage, "billing", false, None).await,
        Code::NotFound,
        "GROUP_NOT_FOUND",
        "'billing'",
    );
    let nothing = UpdateGroupRequest {
        name: "billing".to_owned(),
        ..Default::default()
    };
    refused(
        stage.admin.groups().update_group(nothing).await,
        Code::InvalidArgument,
        "SPEC_INVALID",
        "specification is missing",
    );
}

/// B7.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_told_to_connected_clients_at_once() {
    let stage = Stage::new();
    let settings = push_consumer_settings(&stage.client, "billing", &[("orders", "*")]);
    let mut session = Session::open(&stage.client, settings).await.unwrap();
    let put = update(&stage, "billing", whole(), Some(0))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((put.created, put.clients_told), (true, 1));
    let pushed = session.pushed().await.unwrap();
    let Some(PubSub::Subscription(subscription)) = &pushed.pub_sub else {
        panic!("{pushed:?}")
    };
    assert_eq!(
        (subscription.fifo, subscription.receive_batch_size),
        (Some(true), Some(5))
    );
    assert_eq!(pushed.backoff_policy.as_ref().unwrap().max_attempts, 3);

    let changed = GroupSpec {
        receive_batch: 9,
        ..whole()
    };
    let put = update(&stage, "billing", changed.clone(), Some(1))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((put.created, put.changed, put.clients_told), (false, true, 1));
    let pushed = session.pushed().await.unwrap();
    let Some(PubSub::Subscription(subscription)) = &pushed.pub_sub else {
        panic!("{pushed:?}")
    };
    assert_eq!(subscription.receive_batch_size, Some(9));
    let same = update(&stage, "billing", changed, None)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (same.changed, same.clients_told, same.group.unwrap().generation),
        (false, 0, 2)
    );

    delete(&stage, "billing", false, None).await.unwrap();
    let pushed = session.pushed().await.unwrap();
    assert_eq!(
        pushed.backoff_policy.as_ref().unwrap().max_attempts,
        17,
        "as made on first use"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_writer_changes_nothing_and_order_changes_only_when_nothing_is_under_way() {
    let stage = Stage::new();
    stage.send("orders", 2).await;
    let held = stage.receive("billing", "orders", 1).await;
    let fifo = || GroupSpec {
        fifo: true,
        ..Default::default()
    };
    refused(
        update(&stage, "billing", fifo(), None).await,
        Code::FailedPrecondition,
        "GROUP_IN_USE",
        "consumer group 'billing': 1 messages",
    );
    stage.client.ack_ok("billing", "orders", &held).await.unwrap();
    update(&stage, "billing", fifo(), Some(1)).await.unwrap();
    refused(
        update(&stage, "billing", GroupSpec::default(), Some(1)).await,
        Code::Aborted,
        "GENERATION_STALE",
        "consumer group 'billing': its generation is 2, not 1",
    );
    refused(
        delete(&stage, "billing", false, Some(1)).await,
        Code::Aborted,
        "GENERATION_STALE",
        "'billing'",
    );
    assert!(
        describe(&stage, "billing")
            .await
            .group
            .unwrap()
            .spec
            .unwrap()
            .fifo
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fewer_attempts_send_a_message_to_the_dead_letters_sooner() {
    let stage = Stage::new();
    stage.send("orders", 1).await;
    let held = stage.receive("billing", "orders", 1).await;
    let once = GroupSpec {
        max_attempts: 1,
        ..Default::default()
    };
    update(&stage, "billing", once, None).await.unwrap();
    let back = stage
        .client
        .change_invisible("billing", "orders", &held[0], Duration::ZERO)
        .await;
    assert_eq!(code(back.unwrap().status.as_ref()), Some(v2::Code::Ok));
    let nothing = stage
        .client
        .receive(&Receive::new("billing", "orders"))
        .await
        .unwrap();
    assert_eq!(nothing.messages.len(), 0);
    assert_eq!(describe(&stage, "billing").await.dead_letters, 1);
    assert_eq!(attempt(&held[0]), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_with_its_place_and_only_if_it_has_nothing_to_do() {
    let stage = Stage::new();
    stage.send("orders", 3).await;
    stage.consume("billing", "orders", 1).await;
    refused(
        delete(&stage, "billing", true, None).await,
        Code::FailedPrecondition,
        "GROUP_NOT_EMPTY",
        "consumer group 'billing': it is not empty: 2 messages",
    );
    let gone = delete(&stage, "billing", false, None).await.unwrap().into_inner();
    assert_eq!(gone.undone_messages, 2);
    stage.consume("billing", "orders", 3).await;
    delete(&stage, "billing", true, None).await.unwrap();
}
