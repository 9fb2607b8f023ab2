//! The objects that a cluster is made of, each built from values alone, a file each.

mod binding;
mod config_map;
mod disruption;
mod network_policy;
mod pod;
mod pod_monitor;
mod pod_security;
mod services;
mod stateful_set;
#[cfg(test)]
mod tests;
mod token;

pub use pod::{ADMIN_FOLDER, TLS_FOLDER, reserved_volumes};
pub use services::client_service_name;
pub use stateful_set::replicas;
pub use token::secret as token_secret;

use super::configuration::Configuration;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::{ApiResource, GroupVersionKind};
use serde::Serialize;
use serde_json::Value;
use sluice_operator_api::BrokerCluster;
use sluice_operator_api::broker_cluster::SecretKeyStatus;
use std::fmt;

/// A kind of object that clusters have, in the order in which they are written: pods come last, when all that they need is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildKind {
    /// Addresses.
    Service,
    /// The token, and what tells applications of the brokers.
    Secret,
    /// The configuration.
    ConfigMap,
    /// Who may connect.
    NetworkPolicy,
    /// How many may be evicted.
    PodDisruptionBudget,
    /// How Prometheus finds the brokers.
    PodMonitor,
    /// The pods.
    StatefulSet,
}

impl ChildKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Service,
        Self::Secret,
        Self::ConfigMap,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::PodMonitor,
        Self::StatefulSet,
    ];

    /// How the API server knows it.
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Service => ApiResource::erase::<Service>(&()),
            Self::Secret => ApiResource::erase::<Secret>(&()),
            Self::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            Self::NetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
            Self::PodDisruptionBudget => ApiResource::erase::<PodDisruptionBudget>(&()),
            Self::PodMonitor => {
                let kind = GroupVersionKind::gvk(pod_monitor::GROUP, pod_monitor::VERSION, pod_monitor::KIND);
                ApiResource::from_gvk_with_plural(&kind, "podmonitors")
            }
            Self::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        }
    }
}

impl fmt::Display for ChildKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// An object as it is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its kind.
    pub kind: ChildKind,
    /// Its name.
    pub name: String,
    /// All fields that are ours.
    pub body: Value,
}

impl Child {
    /// Of an object that has a name.
    pub fn new(kind: ChildKind, object: impl Serialize) -> Self {
        let body = serde_json::to_value(object).expect("Kubernetes' types can always be written as JSON");
        let name = body.pointer("/metadata/name").and_then(Value::as_str);
        Self {
            kind,
            name: name.unwrap_or_default().to_owned(),
            body,
        }
    }
}

/// What the builders go by besides the resource itself.
#[derive(Clone, Debug)]
pub struct Blueprint<'a> {
    /// The resource.
    pub cluster: &'a BrokerCluster,
    /// Where the brokers' image is from unless the resource says otherwise.
    pub image_repository: &'a str,
    /// Where the operator's pods are.
    pub operator_namespace: &'a str,
    /// The brokers' configuration.
    pub configuration: &'a Configuration,
    /// The Secret with the admin token.
    pub token: SecretKeyStatus,
    /// The certificate of who has signed the brokers' one, in PEM, if that is known.
    pub ca: Option<String>,
    /// What new volumes are to hold.
    pub volume_size: &'a str,
    /// Whether the API server knows PodMonitors.
    pub pod_monitors: bool,
}

/// All objects but the Secret with the token, which depends on what is in it.
pub fn children(blueprint: &Blueprint<'_>) -> Vec<Child> {
    let mut children = services(blueprint.cluster);
    children.push(binding::secret(blueprint));
    children.push(config_map::config_map(blueprint));
    children.extend(network_policy::network_policy(blueprint));
    children.extend(disruption::budget(blueprint.cluster));
    children.extend(pod_monitor::pod_monitor(blueprint));
    children.push(stateful_set::stateful_set(blueprint));
    children
}

/// The Services: they need nothing but the resource, and other objects need what becomes of them.
pub fn services(cluster: &BrokerCluster) -> Vec<Child> {
    services::all(cluster)
}
