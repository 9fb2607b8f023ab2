//! An API server that knows the resources of `crds/`, and manifests to begin from.

use std::collections::BTreeSet;
use std::path::PathBuf;

use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use sluice_tests::binaries;
use sluice_tests::kube::ApiServer;
use sluice_tests::kube::kubectl::Kubectl;
use tokio::sync::OnceCell;

pub const KINDS: [Kind; 3] = [Kind::BrokerCluster, Kind::ConsumerGroup, Kind::Topic];

/// A kind of `sluice.dev/v1alpha1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    BrokerCluster,
    ConsumerGroup,
    Topic,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::BrokerCluster => "BrokerCluster",
            Self::ConsumerGroup => "ConsumerGroup",
            Self::Topic => "Topic",
        }
    }

    /// As in addresses and file names.
    pub fn plural(self) -> String {
        format!("{}s", self.name().to_lowercase())
    }

    /// The smallest resource that is taken.
    fn smallest(self) -> Value {
        match self {
            Self::BrokerCluster => json!({"version": "0.1.0", "storage": {"size": "1Gi"}}),
            Self::ConsumerGroup | Self::Topic => json!({"clusterRef": {"name": "main"}}),
        }
    }
}

/// The server that all tests share, with the definitions.
pub async fn server() -> &'static ApiServer {
    static DEFINED: OnceCell<()> = OnceCell::const_new();
    let server = ApiServer::shared().await.unwrap();
    DEFINED
        .get_or_init(async || {
            let kubectl = Kubectl::of(server.kubeconfig());
            kubectl.define(&[binaries::definitions()]).unwrap();
        })
        .await;
    server
}

pub async fn client() -> Client {
    server().await.client().await.unwrap()
}

pub async fn kubectl() -> Kubectl {
    Kubectl::of(server().await.kubeconfig())
}

/// The file of a kind in `crds/`.
pub fn definition(kind: Kind) -> PathBuf {
    binaries::workspace()
        .join("crds")
        .join(format!("{}.yaml", kind.plural()))
}

/// A kind's definition, as its file has it.
pub fn definition_of(kind: Kind) -> Value {
    let text = std::fs::read_to_string(definition(kind)).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

pub fn api(client: &Client, kind: Kind) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("sluice.dev", "v1alpha1", kind.name());
    let resource = ApiResource::from_gvk_with_plural(&gvk, &kind.plural());
    Api::namespaced_with(client.clone(), "default", &resource)
}

/// The smallest resource of a kind, with these fields of its spec besides or instead.
pub fn manifest(kind: Kind, name: &str, fields: &Value) -> DynamicObject {
    let mut spec = kind.smallest();
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": kind.name(),
        "metadata": {"name": name},
        "spec": spec,
    }))
    .unwrap()
}

/// Checked, and not kept.
pub fn trial() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

/// The message of an answer that refuses.
pub fn refusal<T: std::fmt::Debug>(answer: kube::Result<T>, what: &str) -> String {
    match answer {
        Err(kube::Error::Api(status)) => status.message,
        other => panic!("{what}: {other:?}"),
    }
}

/// The messages of all rules in a kind's definition that are checked when a resource is made, or when one is changed.
pub fn messages_of_rules(kind: Kind, of_changes: bool) -> BTreeSet<String> {
    let mut messages = BTreeSet::new();
    collect(&definition_of(kind), of_changes, &mut messages);
    messages
}

fn collect(schema: &Value, of_changes: bool, messages: &mut BTreeSet<String>) {
    if let Some(rules) = schema["x-kubernetes-validations"].as_array() {
        for rule in rules {
            let is_of_changes = rule["rule"].as_str().unwrap().contains("oldSelf");
            if is_of_changes == of_changes {
                messages.insert(rule["message"].as_str().expect("a rule has a message").to_owned());
            }
        }
    }
    match schema {
        Value::Object(fields) => fields
            .values()
            .for_each(|field| collect(field, of_changes, messages)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, of_changes, messages)),
        _ => {}
    }
}
