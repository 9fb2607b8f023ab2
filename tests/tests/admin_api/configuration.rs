//! The configuration, looked at and changed while the broker runs.

use sluice_proto::admin::*;
use sluice_proto::v2;
use sluice_tests::client::code;
use sluice_tests::process::Setup;
use tonic::{Code, Response, Status};

use crate::stage::{Stage, refused};

async fn get(stage: &Stage, keys: &[&str]) -> Result<Vec<ConfigEntry>, Status> {
    let request = GetConfigRequest {
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    let got = stage.admin.broker().get_config(request).await?;
    Ok(got.into_inner().entries)
}

async fn set(stage: &Stage, changes: &[(&str, Option<&str>)]) -> Result<Response<SetConfigResponse>, Status> {
    let changes = changes.iter().map(|(key, value)| ConfigChange {
        key: (*key).to_owned(),
        value: value.map(str::to_owned),
    });
    let request = SetConfigRequest {
        changes: changes.collect(),
        epoch: 0,
    };
    stage.admin.broker().set_config(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_is_told_with_its_value_and_where_that_is_from() {
    let stage = Stage::of(
        Setup::new()
            .flag("--checkpoint-seconds", "7")
            .environment("SLUICE_QUEUE_METRICS", "true"),
    );
    let all = get(&stage, &[]).await.unwrap();
    assert!(all.len() > 15, "{all:?}");
    assert!(all.iter().all(|entry| !entry.description.is_empty()));
    for (key, value, source, live) in [
        ("checkpointSeconds", "7", "flag", true),
        ("queueMetrics", "true", "environment", true),
        ("autoCreateTopics", "true", "default", true),
        ("flush", "sync", "default", false),
        ("advertise", "", "default", false),
    ] {
        let one = get(&stage, &[key]).await.unwrap();
        assert_eq!(one.len(), 1);
        assert!(all.contains(&one[0]), "{one:?}");
        let entry = &one[0];
        assert_eq!(
            (
                entry.key.as_str(),
                entry.value.as_str(),
                entry.source.as_str(),
                entry.live
            ),
            (key, value, source, live)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_acts_at_once_lasts_until_it_is_taken_back_and_not_beyond_the_process() {
    let mut stage = Stage::new();
    let makes = async |stage: &Stage, topic: &str| {
        let route = stage.client.query_route(topic).await.unwrap();
        code(route.status.as_ref()) == Some(v2::Code::Ok)
    };
    let changed = set(&stage, &[("autoCreateTopics", Some("false"))])
        .await
        .unwrap()
        .into_inner();
    let entry = &changed.entries[0];
    assert_eq!((entry.value.as_str(), entry.source.as_str()), ("false", "live"));
    assert!(!makes(&stage, "one").await);
    let back = set(&stage, &[("autoCreateTopics", None)])
        .await
        .unwrap()
        .into_inner();
    assert_eq!(back.entries[0].source, "default");
    assert!(makes(&stage, "two").await);

    set(&stage, &[("autoCreateTopics", Some("false"))]).await.unwrap();
    stage.kill_and_start().await;
    assert!(makes(&stage, "three").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_made_whole_or_not_at_all() {
    let stage = Stage::new();
    for (key, value, code, why, part) in [
        (
            "noSuchKey",
            Some("1"),
            Code::NotFound,
            "CONFIG_KEY_NOT_FOUND",
            "noSuchKey",
        ),
        (
            "queueMetric",
            None,
            Code::NotFound,
            "CONFIG_KEY_NOT_FOUND",
            "did you mean 'queueMetrics'",
        ),
        (
            "flush",
            Some("async"),
            Code::FailedPrecondition,
            "CONFIG_KEY_FIXED",
            "restart",
        ),
        (
            "checkpointSeconds",
            Some("0"),
            Code::InvalidArgument,
            "CONFIG_VALUE_INVALID",
            "checkpointSeconds",
        ),
        (
            "log",
            Some("bogus"),
            Code::InvalidArgument,
            "CONFIG_VALUE_INVALID",
            "log",
        ),
    ] {
        let answer = set(&stage, &[("queueMetrics", Some("true")), (key, value)]).await;
        refused(answer, code, why, part);
        assert_eq!(get(&stage, &["queueMetrics"]).await.unwrap()[0].value, "false");
    }
    refused(
        set(&stage, &[]).await,
        Code::InvalidArgument,
        "REQUEST_INVALID",
        "1 to 64",
    );
    let unknown = get(&stage, &["noSuchKey"]).await.map(Response::new);
    refused(unknown, Code::NotFound, "CONFIG_KEY_NOT_FOUND", "noSuchKey");
}
