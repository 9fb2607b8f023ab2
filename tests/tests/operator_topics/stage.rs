//! A namespace of its own with a broker outside of Kubernetes, the resources that name it, and an operator.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Namespace, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice_operator_api::{BrokerCluster, ConsumerGroup, Topic};
use sluice_proto::admin::{DescribeTopicRequest, TopicDescription, TopicSpec, UpdateTopicRequest};
use sluice_tests::admin::Admin;
use sluice_tests::kube::ApiServer;
use sluice_tests::kube::kubectl::Kubectl;
use sluice_tests::operator::Operator;
use sluice_tests::process::{Broker, Setup};
use sluice_tests::{binaries, wait};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Long enough for a busy machine.
pub const SOON: Duration = Duration::from_secs(60);
pub const CLUSTER: &str = "main";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub struct Stage {
    pub client: Client,
    pub namespace: String,
    pub broker: Broker,
    pub admin: Admin,
    kubeconfig: PathBuf,
    _token: TempDir,
}

/// The server that all tests share, with the definitions.
async fn server() -> &'static ApiServer {
    static DEFINED: OnceCell<()> = OnceCell::const_new();
    let server = ApiServer::shared().await.unwrap();
    let define = async || {
        let kubectl = Kubectl::of(server.kubeconfig());
        let folder = binaries::workspace().join("crds").display().to_string();
        kubectl
            .run(&["apply", "--server-side", "--filename", &folder])
            .unwrap();
        let established = [
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "crd",
            "--all",
        ];
        kubectl.run(&established).unwrap();
    };
    DEFINED.get_or_init(define).await;
    server
}

impl Stage {
    /// With a broker and a BrokerCluster for it.
    pub async fn new() -> Self {
        let stage = Self::without_cluster().await;
        stage.make_cluster().await;
        stage
    }

    pub async fn without_cluster() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = server().await;
        let client = server.client().await.unwrap();
        let namespace = format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut object = Namespace::default();
        object.metadata.name = Some(namespace.clone());
        let namespaces = Api::<Namespace>::all(client.clone());
        namespaces.create(&PostParams::default(), &object).await.unwrap();
        let token = tempfile::tempdir().unwrap();
        let file = token.path().join("token");
        std::fs::write(&file, TOKEN).unwrap();
        let setup = Setup::new().flag("--admin-token-file", &file.display().to_string());
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
        let address = format!("{}/{CLUSTER}={}", self.namespace, self.broker.admin_endpoint());
        let flags = [
            "--namespaces",
            &self.namespace,
            "--admin-addresses",
            &address,
            "--resync-seconds",
            "1",
            "--lease-namespace",
            &self.namespace,
            "--lease-duration-seconds",
            "4",
            "--lease-renew-within-seconds",
            "3",
            "--lease-retry-seconds",
            "1",
        ];
        Operator::start(&self.kubeconfig, &flags).unwrap()
    }

    /// An operator that leads.
    pub async fn leader(&self) -> Operator {
        let operator = self.operator();
        wait::until_true_async("the operator leads", SOON, || operator.leads())
            .await
            .unwrap();
        operator
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn make<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + DeserializeOwned + Serialize,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    pub async fn make_topic(&self, name: &str, fields: Value) -> Topic {
        self.make(resource("Topic", name, fields)).await
    }

    pub async fn make_group(&self, name: &str, fields: Value) -> ConsumerGroup {
        self.make(resource("ConsumerGroup", name, fields)).await
    }

    pub async fn patch<K>(&self, name: &str, patch: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + DeserializeOwned,
    {
        let patch = Patch::Merge(patch);
        self.api::<K>()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub async fn delete<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + DeserializeOwned,
    {
        self.api::<K>()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Until the resource is as the test wants it; tells how it is if it never gets there.
    pub async fn until<K>(&self, what: &str, name: &str, holds: impl Fn(&K) -> bool) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + DeserializeOwned,
    {
        let api = self.api::<K>();
        let probe = async || {
            let resource = api.get(name).await?;
            if holds(&resource) {
                return Ok(Some(resource));
            }
            anyhow::bail!("{resource:#?}")
        };
        wait::until_async(what, SOON, probe).await.unwrap()
    }

    pub async fn until_gone<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + DeserializeOwned,
    {
        let api = self.api::<K>();
        let probe = async || match api.get_opt(name).await? {
            None => Ok(Some(())),
            Some(resource) => anyhow::bail!("{resource:#?}"),
        };
        wait::until_async(&format!("{name} is gone"), SOON, probe)
            .await
            .unwrap();
    }

    /// The reasons of the events about a resource.
    pub async fn until_event(&self, name: &str, reason: &str) {
        let events = self.api::<Event>();
        let probe = async || {
            let events = events.list(&Default::default()).await?.items;
            let about = events
                .iter()
                .filter(|event| event.involved_object.name.as_deref() == Some(name));
            let reasons: Vec<_> = about.filter_map(|event| event.reason.as_deref()).collect();
            if reasons.contains(&reason) {
                return Ok(Some(()));
            }
            anyhow::bail!("only {reasons:?}")
        };
        wait::until_async(&format!("an event {reason} about {name}"), SOON, probe)
            .await
            .unwrap();
    }

    /// The broker's topic, if there is one.
    pub async fn topic(&self, name: &str) -> Option<TopicDescription> {
        let request = DescribeTopicRequest {
            name: name.to_owned(),
        };
        match self.admin.topics().describe_topic(request).await {
            Ok(answer) => Some(answer.into_inner()),
            Err(status) if status.code() == tonic::Code::NotFound => None,
            Err(status) => panic!("{status:?}"),
        }
    }

    /// Until the broker's topic is so.
    pub async fn until_topic(
        &self,
        what: &str,
        name: &str,
        holds: impl Fn(&TopicSpec) -> bool,
    ) -> TopicDescription {
        let probe = async || {
            let found = self.topic(name).await;
            let spec = found.as_ref().and_then(|found| found.topic.clone()?.spec);
            if spec.as_ref().is_some_and(&holds) {
                return Ok(found);
            }
            anyhow::bail!("{spec:?}")
        };
        wait::until_async(what, SOON, probe).await.unwrap()
    }

    /// As a person does, without an epoch.
    pub async fn set_topic(&self, name: &str, spec: TopicSpec) {
        let request = UpdateTopicRequest {
            name: name.to_owned(),
            spec: Some(spec),
            expected_generation: None,
            epoch: 0,
        };
        self.admin.topics().update_topic(request).await.unwrap();
    }
}

fn resource(kind: &str, name: &str, fields: Value) -> Value {
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

/// The status and the reason of a topic's condition, as in "True UpToDate".
pub fn condition(topic: &Topic, type_: &str) -> String {
    let conditions = topic.status.as_ref().map(|status| status.conditions.as_slice());
    of(conditions.unwrap_or_default(), type_)
}

/// The same of a consumer group's.
pub fn condition_of_group(group: &ConsumerGroup, type_: &str) -> String {
    let conditions = group.status.as_ref().map(|status| status.conditions.as_slice());
    of(conditions.unwrap_or_default(), type_)
}

fn of(conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition], type_: &str) -> String {
    let found = conditions.iter().find(|condition| condition.type_ == type_);
    found.map_or_else(String::new, |found| format!("{} {}", found.status, found.reason))
}

pub fn is_ready(topic: &Topic) -> bool {
    condition(topic, "Ready") == "True UpToDate"
}
