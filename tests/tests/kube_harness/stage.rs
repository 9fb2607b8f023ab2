//! A cluster with the image of the probe in it, and a namespace for each test.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use sluice_tests::kube::Cluster;
use sluice_tests::kube::cluster::MARK;
use sluice_tests::wait;
use tokio::sync::OnceCell;

pub const IMAGE: &str = "localhost/kube-probe:1";
pub const WITHIN: Duration = Duration::from_secs(60);

/// The cluster that all tests share.
pub async fn cluster() -> &'static Cluster {
    static LOADED: OnceCell<()> = OnceCell::const_new();
    let cluster = Cluster::shared().await.unwrap();
    LOADED
        .get_or_init(async || {
            let probe = Path::new(env!("CARGO_BIN_EXE_kube-probe"));
            cluster.load_executable(IMAGE, probe).unwrap();
        })
        .await;
    cluster
}

/// A new namespace in which pods can run; its end takes them along.
pub async fn namespace(client: &Client, name: &str) -> String {
    let namespace = serde_json::from_value(json!({
        "metadata": {"generateName": format!("{name}-"), "labels": {MARK: "true"}},
    }));
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let made = namespaces
        .create(&PostParams::default(), &namespace.unwrap())
        .await
        .unwrap();
    let name = made.metadata.name.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &name);
    wait::until_async("the namespace's account", WITHIN, async || {
        Ok(accounts.get_opt("default").await?)
    })
    .await
    .unwrap();
    name
}

/// A pod that does this once.
pub fn pod(name: &str, arguments: &[&str]) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "probe", "image": IMAGE, "imagePullPolicy": "Never", "args": arguments}],
        },
    }))
    .unwrap()
}

/// Waits until a pod has ended; gives how, and what it wrote.
pub async fn outcome(pods: &Api<Pod>, name: &str) -> (String, String) {
    let what = format!("the pod {name} ends");
    let phase = wait::until_async(&what, WITHIN, async || {
        let status = pods.get(name).await?.status.unwrap_or_default();
        let phase = status.phase.clone().unwrap_or_default();
        anyhow::ensure!(phase == "Succeeded" || phase == "Failed", "it is {status:?}");
        Ok(Some(phase))
    });
    let phase = phase.await.unwrap();
    (phase, pods.logs(name, &Default::default()).await.unwrap())
}
