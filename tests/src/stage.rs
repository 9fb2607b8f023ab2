//! A namespace of a real API server with a broker outside of Kubernetes, the resources that name it, and an operator. What fails
//! here fails the test that asked for it.
#![expect(
    clippy::unwrap_used,
    reason = "only tests call it, and each with nothing to do about a failure"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice_operator_api::{BrokerCluster, ConsumerGroup, Topic};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::admin::Admin;
use crate::kube::ApiServer;
use crate::kube::kubectl::Kubectl;
use crate::operator::{Operator, SHORT_LEASE};
use crate::process::{Broker, Setup};
use crate::{binaries, wait};

/// Long enough for a busy machine.
pub const SOON: Duration = Duration::from_secs(60);
/// The BrokerCluster that resources name, and what the broker calls itself.
pub const CLUSTER: &str = "main";
/// What the admin API asks for.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// The namespace, and what is in it.
pub struct Stage {
    /// With all rights.
    pub client: Client,
    /// The namespace's name.
    pub namespace: String,
    /// The broker, a process of its own: the operator is told its address.
    pub broker: Broker,
    /// The admin API, as a person calls it.
    pub admin: Admin,
    kubeconfig: PathBuf,
    _token: TempDir,
}

/// A kind of resource in a namespace.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + DeserializeOwned
    + Serialize
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize
{
}

/// The server that all tests share, with the definitions.
async fn shared() -> &'static ApiServer {
    static DEFINED: OnceCell<()> = OnceCell::const_new();
    let server = ApiServer::shared().await.unwrap();
    DEFINED.get_or_init(async || define(server)).await;
    server
}

/// Has a server know the resources.
pub fn define(server: &ApiServer) {
    let kubectl = Kubectl::of(server.kubeconfig());
    kubectl.define(&[binaries::definitions()]).unwrap();
}

impl Stage {
    /// With a broker and a BrokerCluster for it.
    pub async fn new() -> Self {
        let stage = Self::without_cluster().await;
        stage.make_cluster().await;
        stage
    }

    /// With a broker that no resource tells of.
    pub async fn without_cluster() -> Self {
        Self::on(shared().await).await
    }

    /// The same on another server than all the others, which knows the resources.
    pub async fn on(server: &ApiServer) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let client = server.client().await.unwrap();
        let namespace = format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut object = Namespace::default();
        object.metadata.name = Some(namespace.clone());
        let namespaces = Api::<Namespace>::all(client.clone());
        namespaces.create(&PostParams::default(), &object).await.unwrap();
        let token = tempfile::tempdir().unwrap();
        let file = token.path().join("token");
        std::fs::write(&file, TOKEN).unwrap();
        let setup = Setup::new()
            .flag("--admin-token-file", &file.display().to_string())
            .flag("--cluster-name", CLUSTER);
        let broker = setup.start().unwrap();
        let admin = Admin::new(&broker.admin_endpoint())
            .unwrap()
            .token(TOKEN)
            .unwrap();
        Self {
            client,
            namespace,
            broker,
            admin,
            kubeconfig: server.kubeconfig().to_owned(),
            _token: token,
        }
    }

    /// Makes the BrokerCluster, with the broker's token in a Secret.
    pub async fn make_cluster(&self) {
        let secret = json!({
            "metadata": {"name": format!("{CLUSTER}-admin-token")},
            "stringData": {"token": TOKEN},
        });
        self.make::<Secret>(secret).await;
        let cluster = json!({
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "BrokerCluster",
            "metadata": {"name": CLUSTER},
            "spec": {
                "version": "0.1.0",
                "storage": {"size": "1Gi"},
                "admin": {"tokenSecretRef": {"name": format!("{CLUSTER}-admin-token"), "key": "token"}},
            },
        });
        self.make::<BrokerCluster>(cluster).await;
    }

    /// An operator with short times that watches this namespace.
    pub fn operator(&self) -> Operator {
        self.operator_with(&self.kubeconfig, &["--resync-seconds", "1"])
    }

    /// The same with these flags more, under the account of another kubeconfig.
    pub fn operator_with(&self, kubeconfig: &Path, further: &[&str]) -> Operator {
        let address = self.admin_address();
        let flags = [
            "--namespaces",
            &self.namespace,
            "--admin-addresses",
            &address,
            "--lease-namespace",
            &self.namespace,
        ];
        Operator::start(kubeconfig, &[&flags, &SHORT_LEASE, further].concat()).unwrap()
    }

    /// Where an operator finds the broker, for `--admin-addresses`.
    #[must_use]
    pub fn admin_address(&self) -> String {
        format!("{}/{CLUSTER}={}", self.namespace, self.broker.admin_endpoint())
    }

    /// The kubeconfig with all rights.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// An operator that leads.
    pub async fn leader(&self) -> Operator {
        until_leading(self.operator()).await
    }

    /// The same with these flags more.
    pub async fn leader_with(&self, further: &[&str]) -> Operator {
        until_leading(self.operator_with(&self.kubeconfig, further)).await
    }

    /// The resources of a kind in the namespace.
    pub fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes an object.
    pub async fn make<K: Kind>(&self, object: Value) -> K {
        let object: K = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    /// Makes a Topic with these fields in its spec.
    pub async fn make_topic(&self, name: &str, fields: Value) -> Topic {
        self.make(resource("Topic", name, fields)).await
    }

    /// Makes a ConsumerGroup with these fields in its spec.
    pub async fn make_group(&self, name: &str, fields: Value) -> ConsumerGroup {
        self.make(resource("ConsumerGroup", name, fields)).await
    }

    /// Changes an object as a person does.
    pub async fn patch<K: Kind>(&self, name: &str, patch: Value) {
        let patch = Patch::Merge(patch);
        self.api::<K>()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Asks for an object to be deleted.
    pub async fn delete<K: Kind>(&self, name: &str) {
        self.api::<K>()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Until the resource is as the test wants it; tells how it is if it never gets there.
    pub async fn until<K: Kind>(&self, what: &str, name: &str, holds: impl Fn(&K) -> bool) -> K {
        let api = self.api::<K>();
        let probe = async || {
            let resource = api.get(name).await?;
            if holds(&resource) {
                return Ok(Some(resource));
            }
            anyhow::bail!(shown(resource))
        };
        wait::until_async(what, SOON, probe).await.unwrap()
    }

    /// Until there is no such object.
    pub async fn until_gone<K: Kind>(&self, name: &str) {
        let api = self.api::<K>();
        let probe = async || match api.get_opt(name).await? {
            None => Ok(Some(())),
            Some(resource) => anyhow::bail!(shown(resource)),
        };
        wait::until_async(&format!("{name} is gone"), SOON, probe)
            .await
            .unwrap();
    }

    /// Until there is an event about a resource.
    pub async fn until_event(&self, name: &str, reason: &str) {
        self.until_told(name, reason, |event| event.reason.as_deref() == Some(reason))
            .await;
    }

    /// Until an event about the resource begins with these words.
    pub async fn until_event_says(&self, name: &str, words: &str) {
        let says = |event: &Event| {
            let message = event.message.as_deref();
            message.is_some_and(|message| message.starts_with(words))
        };
        self.until_told(name, words, says).await;
    }

    async fn until_told(&self, name: &str, what: &str, is_it: impl Fn(&Event) -> bool) {
        let events = self.api::<Event>();
        let probe = async || {
            let events = events.list(&Default::default()).await?.items;
            let is_about = |event: &&Event| event.involved_object.name.as_deref() == Some(name);
            let about: Vec<_> = events.iter().filter(is_about).collect();
            if about.iter().any(|event| is_it(event)) {
                return Ok(Some(()));
            }
            let told: Vec<_> = about
                .iter()
                .map(|event| (&event.reason, &event.message))
                .collect();
            anyhow::bail!("only {told:?}")
        };
        wait::until_async(&format!("an event about {name}: {what}"), SOON, probe)
            .await
            .unwrap();
    }
}

/// As people look at it.
fn shown<K: Kind>(mut resource: K) -> String {
    resource.meta_mut().managed_fields = None;
    serde_yaml::to_string(&resource).unwrap()
}

/// Waits until it leads.
async fn until_leading(operator: Operator) -> Operator {
    wait::until_true_async("the operator leads", SOON, || operator.leads())
        .await
        .unwrap();
    operator
}

/// A resource of the cluster, with these fields in its spec.
#[must_use]
pub fn resource(kind: &str, name: &str, fields: Value) -> Value {
    let mut spec = json!({"clusterRef": {"name": CLUSTER}});
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// Something with a scale, of this kind, with so many replicas, whose pods nobody starts.
#[must_use]
pub fn workload(kind: &str, name: &str, replicas: i32) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "serviceName": (kind == "StatefulSet").then_some(name),
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "consumer", "image": "consumer"}]},
            },
        },
    })
}

/// The status and the reason of a condition, as in "True UpToDate"; empty where there is none.
#[must_use]
pub fn condition_in(conditions: &[Condition], type_: &str) -> String {
    let found = conditions.iter().find(|condition| condition.type_ == type_);
    found.map_or_else(String::new, |found| format!("{} {}", found.status, found.reason))
}

/// The same of a topic's.
#[must_use]
pub fn condition(topic: &Topic, type_: &str) -> String {
    let conditions = topic.status.as_ref().map(|status| status.conditions.as_slice());
    condition_in(conditions.unwrap_or_default(), type_)
}

/// The same of a consumer group's.
#[must_use]
pub fn condition_of_group(group: &ConsumerGroup, type_: &str) -> String {
    let conditions = group.status.as_ref().map(|status| status.conditions.as_slice());
    condition_in(conditions.unwrap_or_default(), type_)
}

/// Whether the broker's topic is as the resource says.
#[must_use]
pub fn is_ready(topic: &Topic) -> bool {
    condition(topic, "Ready") == "True UpToDate"
}
