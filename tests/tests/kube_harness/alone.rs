//! An API server without anything that acts on its objects.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::json;
use sluice_tests::kube::kubectl::Kubectl;
use sluice_tests::kube::{ApiServer, of_prometheus_operator};
use sluice_tests::wait;

const WITHIN: Duration = Duration::from_secs(10);

fn config_map(name: &str, value: &str) -> ConfigMap {
    ConfigMap {
        metadata: kube::core::ObjectMeta {
            name: Some(name.to_owned()),
            ..Default::default()
        },
        data: Some(BTreeMap::from([("key".to_owned(), value.to_owned())])),
        ..Default::default()
    }
}

fn config_maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, "default")
}

#[tokio::test]
async fn objects_are_made_and_their_changes_are_watched() {
    let server = ApiServer::shared().await.unwrap();
    let objects = config_maps(server.client().await.unwrap());
    let version = objects
        .list(&Default::default())
        .await
        .unwrap()
        .metadata
        .resource_version;
    let watched = WatchParams::default().fields("metadata.name=watched");
    let events = objects.watch(&watched, &version.unwrap()).await.unwrap();

    objects
        .create(&PostParams::default(), &config_map("watched", "one"))
        .await
        .unwrap();
    let change = Patch::Merge(json!({"data": {"key": "two"}}));
    objects
        .patch("watched", &PatchParams::default(), &change)
        .await
        .unwrap();
    objects.delete("watched", &Default::default()).await.unwrap();

    let seen = wait::within("three events", WITHIN, async {
        let events: Vec<_> = events.take(3).try_collect().await?;
        Ok(events)
    });
    let seen: Vec<_> = seen
        .await
        .unwrap()
        .into_iter()
        .map(|event| match event {
            WatchEvent::Added(object) => ("added", object.data.unwrap()["key"].clone()),
            WatchEvent::Modified(object) => ("modified", object.data.unwrap()["key"].clone()),
            WatchEvent::Deleted(object) => ("deleted", object.data.unwrap()["key"].clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [("added", "one"), ("modified", "two"), ("deleted", "two")];
    assert_eq!(seen, expected.map(|(kind, value)| (kind, value.to_owned())));
}

#[tokio::test]
async fn two_servers_at_one_time_know_nothing_of_each_other() {
    let (one, other) = (
        ApiServer::start().await.unwrap(),
        ApiServer::start().await.unwrap(),
    );
    let ones = config_maps(one.client().await.unwrap());
    let others = config_maps(other.client().await.unwrap());

    ones.create(&PostParams::default(), &config_map("mine", "one"))
        .await
        .unwrap();

    assert!(others.get_opt("mine").await.unwrap().is_none());
    // Nor is one taken for the other by whoever has its certificate.
    let of_other = std::fs::read_to_string(other.kubeconfig()).unwrap();
    let server_of = |text: &str| {
        text.lines()
            .find(|line| line.contains("server: "))
            .unwrap()
            .to_owned()
    };
    let of_one = std::fs::read_to_string(one.kubeconfig()).unwrap();
    let mixed = of_other.replace(&server_of(&of_other), &server_of(&of_one));
    let file = other.folder().join("mixed");
    std::fs::write(&file, mixed).unwrap();
    let error = Kubectl::of(&file).run(&["get", "namespaces"]).unwrap_err();
    assert!(format!("{error:#}").contains("certificate"), "{error:#}");

    let (folder, processes) = (one.folder().to_owned(), one.processes());
    drop(one);
    assert!(!folder.exists());
    for process in processes {
        assert!(
            !std::path::Path::new(&format!("/proc/{process}")).exists(),
            "{process} lives"
        );
    }
    others
        .create(&PostParams::default(), &config_map("theirs", "two"))
        .await
        .unwrap();
}

#[tokio::test]
async fn definitions_of_the_prometheus_operator_are_served() {
    let server = ApiServer::shared().await.unwrap();
    let kubectl = Kubectl::of(server.kubeconfig());
    kubectl.define(&of_prometheus_operator().unwrap()).unwrap();
    let kinds = kubectl.run(&[
        "api-resources",
        "--api-group=monitoring.coreos.com",
        "--output=name",
    ]);
    let kinds = kinds.unwrap();
    let mut kinds: Vec<_> = kinds.lines().collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        ["podmonitors", "prometheusrules", "servicemonitors"]
            .map(|kind| format!("{kind}.monitoring.coreos.com"))
    );
}

#[tokio::test]
async fn kubectl_is_of_the_servers_version() {
    let server = ApiServer::shared().await.unwrap();
    let versions = Kubectl::of(server.kubeconfig()).json(&["version"]).unwrap();
    let version = |side: &str| versions[side]["gitVersion"].as_str().unwrap().to_owned();
    assert!(version("serverVersion").starts_with("v1.34."), "{versions}");
    assert_eq!(version("clientVersion"), version("serverVersion"));
}
