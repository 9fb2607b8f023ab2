//! A changed group reaches its clients while they run (B7).

use std::time::Duration;

use sluice_proto::admin::{
    Backoff, CustomizedBackoff, DeleteGroupRequest, GroupSpec, UpdateGroupRequest, backoff,
};
use sluice_proto::v2;
use sluice_proto::v2::retry_policy::Strategy;
use sluice_proto::v2::settings::PubSub;
use sluice_tests::client::{Receive, Session, duration};

use crate::stage::Stage;

fn subscription(settings: &v2::Settings) -> &v2::Subscription {
    match &settings.pub_sub {
        Some(PubSub::Subscription(subscription)) => subscription,
        other => panic!("{other:?}"),
    }
}

/// Attempts, batch, long poll, and the steps of the back-off.
fn told(
    session: &Session,
) -> (
    i32,
    i32,
    Option<prost_types::Duration>,
    Vec<prost_types::Duration>,
) {
    let settings = &session.settings;
    let policy = settings.backoff_policy.clone().unwrap();
    let Some(Strategy::CustomizedBackoff(steps)) = policy.strategy else {
        panic!("{policy:?}")
    };
    let subscription = subscription(settings);
    (
        policy.max_attempts,
        subscription.receive_batch_size(),
        subscription.long_polling_timeout,
        steps.next,
    )
}

fn changed() -> GroupSpec {
    let steps = CustomizedBackoff {
        steps_ms: vec![1500, 60_000],
    };
    GroupSpec {
        max_attempts: 3,
        receive_batch: 4,
        long_poll_ms: 5000,
        invisible_ms: 90_000,
        backoff: Some(Backoff {
            strategy: Some(backoff::Strategy::Customized(steps)),
        }),
        ..GroupSpec::default()
    }
}

async fn update(stage: &Stage, group: &str, spec: GroupSpec) -> u32 {
    let request = UpdateGroupRequest {
        name: group.to_owned(),
        spec: Some(spec),
        ..UpdateGroupRequest::default()
    };
    let updated = stage.admin.groups().update_group(request).await;
    updated.unwrap().into_inner().clients_told
}

#[tokio::test]
async fn a_changed_group_tells_its_connected_clients_and_no_others() {
    let stage = Stage::new();
    let (_one, mut first) = stage.push_consumer("workers").await;
    let (_two, mut second) = stage.push_consumer("workers").await;
    let (_three, other) = stage.push_consumer("others").await;
    let (_four, gone) = stage.push_consumer("workers").await;
    drop(gone);
    let before = told(&other);
    assert_eq!(told(&first).0, 5);

    let told_now = update(&stage, "workers", changed()).await;

    // The broker may not have noticed yet that the fourth is gone.
    assert!((2..=3).contains(&told_now), "{told_now}");
    for session in [&mut first, &mut second] {
        session.pushed().await.unwrap();
        let steps = [1500, 60_000].map(|ms| duration(Duration::from_millis(ms)));
        let poll = Some(duration(Duration::from_secs(5)));
        assert_eq!(told(session), (3, 4, poll, steps.to_vec()));
    }
    assert_eq!(told(&other), before);
    assert_eq!(
        update(&stage, "workers", changed()).await,
        0,
        "nothing has changed"
    );
    assert_eq!(update(&stage, "new", changed()).await, 0, "it has no clients");
}

#[tokio::test]
async fn what_a_client_announces_later_is_answered_by_the_group_as_it_is_then() {
    let stage = Stage::new();
    let (client, mut session) = stage.push_consumer("workers").await;
    update(&stage, "workers", changed()).await;
    session.pushed().await.unwrap();
    let settings = sluice_tests::client::push_consumer_settings(&client, "workers", &[("orders", "*")]);
    session.resend(settings).await.unwrap();
    assert_eq!(told(&session).0, 3);
    let request = DeleteGroupRequest {
        name: "workers".to_owned(),
        ..DeleteGroupRequest::default()
    };
    stage.admin.groups().delete_group(request).await.unwrap();
    session.pushed().await.unwrap();
    assert_eq!(told(&session).0, 17, "as it would be made on first use");
}

#[tokio::test]
async fn the_broker_keeps_to_the_groups_settings_whatever_a_client_asks_for() {
    let stage = Stage::new();
    let (client, _session) = stage.push_consumer("workers").await;
    update(&stage, "workers", changed()).await;
    stage.send(&client, 10).await;
    let pushed = Receive {
        auto_renew: true,
        ..Receive::new("workers", "orders")
    };
    let received = client.receive(&pushed).await.unwrap().messages;
    assert!(received.len() <= 4, "{} messages", received.len());
    let system = received[0].system_properties.as_ref().unwrap();
    assert_eq!(system.invisible_duration, Some(duration(Duration::from_secs(90))));
    let fetched = client.receive(&Receive::new("workers", "orders")).await.unwrap();
    assert!(fetched.messages.len() > 4, "who fetches says how many");
}
