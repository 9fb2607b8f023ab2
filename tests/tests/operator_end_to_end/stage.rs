//! The node with everything on it, and a namespace for each test.

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice_tests::kube::Cluster;
use sluice_tests::kube::kubectl::Kubectl;
use sluice_tests::wait;
use tokio::sync::OnceCell;

use crate::{images, monitoring, release};

/// Long enough for a pod on a busy machine.
pub const SOON: Duration = Duration::from_secs(90);
/// Between two looks: an answer of the API server costs what pods need too.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A namespace of the node.
pub struct Stage {
    pub cluster: &'static Cluster,
    pub client: Client,
    pub kubectl: Kubectl,
    pub namespace: String,
    _told: ToldOnFailure,
}

/// Prints how things stand when a test fails.
struct ToldOnFailure {
    kubectl: Kubectl,
    namespace: String,
}

/// The node, with the images, the release and Prometheus.
async fn furnished() -> &'static Cluster {
    static FURNISHED: OnceCell<()> = OnceCell::const_new();
    let cluster = Cluster::shared().await.unwrap();
    FURNISHED
        .get_or_init(async || {
            images::load(cluster);
            cluster.arm(Path::new(env!("CARGO_BIN_EXE_kube-probe"))).unwrap();
            let kubectl = cluster.kubectl();
            let _told = ToldOnFailure {
                kubectl: kubectl.clone(),
                namespace: monitoring::NAMESPACE.to_owned(),
            };
            cluster.define_kinds_of_prometheus().unwrap();
            monitoring::start(cluster);
            make_namespace(cluster, release::NAMESPACE);
            let of_alerts = json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": release::ALERTS, "namespace": release::NAMESPACE},
                "stringData": {"token": "token-of-the-alertmanager"},
            });
            kubectl.apply(&of_alerts).unwrap();
            release::apply(cluster, "install", &[]);
        })
        .await;
    cluster
}

/// A namespace that takes only pods which are Restricted.
fn make_namespace(cluster: &Cluster, name: &str) {
    let restricted = [("pod-security.kubernetes.io/enforce", "restricted")];
    cluster.make_namespace(name, &restricted).unwrap();
}

impl Stage {
    /// A new namespace.
    pub async fn new(namespace: &str) -> Self {
        let stage = Self::of(namespace).await;
        make_namespace(stage.cluster, namespace);
        stage
    }

    /// A namespace that is there already.
    pub async fn of(namespace: &str) -> Self {
        let cluster = furnished().await;
        let kubectl = cluster.kubectl();
        Self {
            cluster,
            client: cluster.client().await.unwrap(),
            namespace: namespace.to_owned(),
            _told: ToldOnFailure {
                kubectl: kubectl.clone(),
                namespace: namespace.to_owned(),
            },
            kubectl,
        }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies an object in the namespace, as a person does.
    pub fn apply(&self, mut object: Value) {
        object["metadata"]["namespace"] = json!(self.namespace);
        self.kubectl.apply(&object).unwrap();
    }

    /// Changes an object as a person does.
    pub async fn patch<K>(&self, name: &str, patch: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>();
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Runs kubectl in the namespace.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl
            .run(&[&["--namespace", &self.namespace], arguments].concat())
    }

    /// Until the resource is as the test wants it; tells how it is if it never gets there.
    pub async fn until<K>(&self, what: &str, name: &str, within: Duration, holds: impl Fn(&K) -> bool) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>();
        let probe = async || {
            let resource = api.get(name).await?;
            if holds(&resource) {
                return Ok(Some(resource));
            }
            anyhow::bail!("{resource:#?}")
        };
        until(what, within, probe).await.unwrap()
    }

    /// Runs the command line that is in the brokers' image, in the pod of a cluster.
    pub fn sluicectl(&self, cluster: &str, arguments: &[&str]) -> Result<String> {
        let pod = format!("{cluster}-0");
        let command = [
            "exec",
            &*pod,
            "--container=broker",
            "--",
            "/usr/local/bin/sluicectl",
            "--token-file=/etc/sluice/admin/token",
        ];
        self.run(&[&command, arguments].concat())
    }
}

impl Drop for ToldOnFailure {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let selector = format!("app.kubernetes.io/instance={}", release::NAME);
        for arguments in [
            &["get", "pods", "--all-namespaces", "--output=wide"][..],
            &[
                "get",
                "events",
                "--namespace",
                &self.namespace,
                "--sort-by=.lastTimestamp",
            ],
            &["describe", "mq", "--namespace", &self.namespace],
            &[
                "logs",
                "--namespace",
                release::NAMESPACE,
                "--selector",
                &selector,
                "--tail=150",
                "--prefix",
            ],
        ] {
            let said = self.kubectl.run(arguments);
            eprintln!(
                "--- kubectl {}\n{}",
                arguments.join(" "),
                said.unwrap_or_else(|error| format!("{error:#}"))
            );
        }
    }
}

/// As [`wait::until_async`], but looking less often.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    wait::until_async(what, within, async || {
        let outcome = probe().await;
        if !matches!(outcome, Ok(Some(_))) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        outcome
    })
    .await
}

/// The status and the reason of a condition, as in "True UpToDate".
pub fn condition(conditions: &[Condition], type_: &str) -> String {
    let found = conditions.iter().find(|condition| condition.type_ == type_);
    found.map_or_else(String::new, |found| format!("{} {}", found.status, found.reason))
}
