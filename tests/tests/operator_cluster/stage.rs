//! An API server with the resources, an operator that runs against it, and a namespace for each test.

use std::sync::Mutex;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind, ObjectMeta};
use kube::{Api, Client};
use serde_json::{Value, json};
use sluice_tests::kube::ApiServer;
use sluice_tests::kube::kubectl::Kubectl;
use sluice_tests::metrics::Sample;
use sluice_tests::operator::Operator;
use sluice_tests::{binaries, wait};
use tokio::sync::OnceCell;

pub const WITHIN: Duration = Duration::from_secs(30);

/// A namespace of its own, with everything that a test asks for.
pub struct Stage {
    client: Client,
    pub namespace: String,
}

impl Stage {
    /// A new namespace, with the operator running.
    pub async fn set(namespace: &str) -> Self {
        let client = running().await;
        let made = Namespace {
            metadata: ObjectMeta {
                name: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        Api::all(client.clone())
            .create(&PostParams::default(), &made)
            .await
            .unwrap();
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        let (group, version, plural) = match kind {
            "BrokerCluster" => ("sluice.dev", "v1alpha1", "brokerclusters"),
            "StatefulSet" => ("apps", "v1", "statefulsets"),
            "NetworkPolicy" => ("networking.k8s.io", "v1", "networkpolicies"),
            "PodDisruptionBudget" => ("policy", "v1", "poddisruptionbudgets"),
            "PersistentVolumeClaim" => ("", "v1", "persistentvolumeclaims"),
            "Service" => ("", "v1", "services"),
            "ConfigMap" => ("", "v1", "configmaps"),
            "Secret" => ("", "v1", "secrets"),
            other => panic!("{other} has no row here"),
        };
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Makes the cluster `main`, or changes it, with these fields besides the least.
    pub async fn apply(&self, fields: &Value) {
        let mut spec = json!({"version": "0.1.0", "storage": {"size": "1Gi"}});
        for (field, value) in fields.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let body = json!({
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "BrokerCluster",
            "metadata": {"name": "main"},
            "spec": spec,
        });
        let parameters = PatchParams::apply("a-person").force();
        self.api("BrokerCluster")
            .patch("main", &parameters, &Patch::Apply(body))
            .await
            .unwrap();
    }

    /// Changes an object as a person does.
    pub async fn patch(&self, kind: &str, name: &str, patch: &Value) {
        self.api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    }

    /// An object, if there is one.
    pub async fn find(&self, kind: &str, name: &str) -> Option<Value> {
        let found = self.api(kind).get_opt(name).await.unwrap();
        found.map(|object| serde_json::to_value(object).unwrap())
    }

    /// Waits until an object is there and as it is to be.
    pub async fn until(&self, kind: &str, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let what = format!("{kind} {name} in {} is as it is to be", self.namespace);
        let looked = wait::until_async(&what, WITHIN, async || {
            Ok(self.find(kind, name).await.filter(|found| holds(found)))
        });
        match looked.await {
            Ok(found) => found,
            Err(error) => panic!("{error:#}; it is {:?}", self.find(kind, name).await),
        }
    }

    /// Waits until an object is not there.
    pub async fn until_gone(&self, kind: &str, name: &str) {
        let what = format!("{kind} {name} is gone");
        let gone = wait::until_async(&what, WITHIN, async || {
            Ok(self.find(kind, name).await.is_none().then_some(()))
        });
        gone.await.unwrap();
    }

    /// Waits until a condition of the cluster has a status and a reason; gives its message.
    pub async fn condition(&self, type_: &str, wanted: &str) -> String {
        let cluster = self.until("BrokerCluster", "main", |cluster| {
            of_type(cluster, type_).0 == wanted
        });
        of_type(&cluster.await, type_).1
    }

    /// Waits until the operator has looked at every cluster a few times more: it takes them in turn.
    pub async fn looks(&self) {
        let clusters = Api::<DynamicObject>::all_with(self.client.clone(), &cluster_resource());
        let clusters = clusters.list(&Default::default()).await.unwrap().items.len();
        let until = reconciles() + f64::from(u32::try_from(clusters).unwrap()) * 4.0;
        let looked = wait::until_async("the operator looks again", WITHIN, async || {
            Ok((reconciles() >= until).then_some(()))
        });
        looked.await.unwrap();
    }
}

fn cluster_resource() -> ApiResource {
    let gvk = GroupVersionKind::gvk("sluice.dev", "v1alpha1", "BrokerCluster");
    ApiResource::from_gvk_with_plural(&gvk, "brokerclusters")
}

fn of_type(cluster: &Value, type_: &str) -> (String, String) {
    let conditions = cluster["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == type_));
    let text = |field: &str| {
        found
            .and_then(|condition| condition[field].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    (format!("{} {}", text("status"), text("reason")), text("message"))
}

/// The one that all tests share; it is killed with the process.
static OPERATOR: Mutex<Option<Operator>> = Mutex::new(None);

/// Starts the server and the operator once.
async fn running() -> Client {
    static STARTED: OnceCell<()> = OnceCell::const_new();
    let server = ApiServer::shared().await.unwrap();
    STARTED
        .get_or_init(async || {
            let kubectl = Kubectl::of(server.kubeconfig());
            kubectl.define(&[binaries::definitions()]).unwrap();
            let flags = ["--lease-namespace", "default", "--resync-seconds", "1"];
            let operator = Operator::start(server.kubeconfig(), &flags).unwrap();
            wait::until_true_async("the operator leads", WITHIN, || operator.leads())
                .await
                .unwrap();
            *OPERATOR.lock().unwrap() = Some(operator);
        })
        .await;
    server.client().await.unwrap()
}

/// How often the operator has looked at a cluster.
pub fn reconciles() -> f64 {
    sum(
        "sluice_operator_reconcile_runs_total",
        &[("kind", "BrokerCluster")],
    )
}

/// The sum of a metric's series that have these labels.
pub fn sum(name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |sample: &Sample, label: &(&str, &str)| {
        sample.labels.get(label.0).map(String::as_str) == Some(label.1)
    };
    let operator = OPERATOR.lock().unwrap();
    let operator = operator.as_ref().expect("the operator runs");
    operator
        .sum(name, |sample| labels.iter().all(|label| has(sample, label)))
        .unwrap()
}
