//! A cluster that is changed while its broker runs, shared by the tests of such changes: each takes it as it finds it.

use std::time::Instant;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::{Value, json};
use sluice_operator_api::BrokerCluster;
use sluice_tests::metrics::{self, Sample};
use tokio::sync::OnceCell;

use crate::stage::Stage;

/// The namespace and its cluster.
pub const NAME: &str = "living";

/// The namespace with the cluster, which is ready.
pub async fn set() -> Stage {
    static SET: OnceCell<()> = OnceCell::const_new();
    SET.get_or_init(async || Stage::new(NAME).await.make_cluster(NAME))
        .await;
    let stage = Stage::of(NAME).await;
    stage.cluster_ready(NAME).await;
    stage
}

/// The name of its broker's pod.
pub fn pod() -> String {
    format!("{NAME}-0")
}

/// What stays the same as long as the broker does: the pod's uid, and how often its container was started again.
pub async fn life(stage: &Stage) -> (String, i32) {
    let pod = stage.api::<Pod>().get(&pod()).await.unwrap();
    let containers = pod.status.and_then(|status| status.container_statuses);
    let container = containers.unwrap_or_default().into_iter().next();
    (
        pod.metadata.uid.unwrap(),
        container.expect("its container has a status").restart_count,
    )
}

/// A key of the configuration as the running broker has it: its value, and where that is from.
pub fn setting(stage: &Stage, key: &str) -> anyhow::Result<(String, String)> {
    let told = stage.sluicectl(NAME, &["config", "get", key, "-o", "json"])?;
    let told: Value = serde_json::from_str(&told)?;
    let text = |field: &str| anyhow::Ok(told[0][field].as_str().context("no text")?.to_owned());
    Ok((text("value")?, text("source")?))
}

/// What the broker says under `/metrics`.
pub async fn samples(stage: &Stage) -> anyhow::Result<Vec<Sample>> {
    let path = format!("/api/v1/namespaces/{NAME}/pods/{}:5557/proxy/metrics", pod());
    let request = http::Request::get(path).body(Vec::new())?;
    metrics::parse(&stage.client.request_text(request).await?)
}

/// Has the kubelet look at the pod, and at the files that it has of Secrets and ConfigMaps: as it does by itself every minute or so,
/// and whenever a pod changes.
pub async fn look_at_files(stage: &Stage) {
    let annotation = json!({"tests/looked-at": format!("{:?}", Instant::now())});
    let patch = json!({"metadata": {"annotations": annotation}});
    stage.patch::<Pod>(&pod(), patch).await;
}

/// Has the operator look at the cluster.
pub async fn look_at_cluster(stage: &Stage) {
    let annotation = json!({"sluice.dev/force-sync": format!("{:?}", Instant::now())});
    let patch = json!({"metadata": {"annotations": annotation}});
    stage.patch::<BrokerCluster>(NAME, patch).await;
}

/// An object's metadata.uid.
pub async fn uid<K>(stage: &Stage, name: &str) -> String
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let api: Api<K> = stage.api();
    api.get(name).await.unwrap().meta().uid.clone().unwrap()
}
