//! `BrokerCluster`: brokers, their storage, and how clients reach them.

mod admin;
mod config;
mod image;
mod listeners;
mod monitoring;
mod network;
mod pod;
mod status;
mod storage;

pub use admin::Admin;
pub use config::{ConfigProblem, ConfigValue, RESERVED_KEYS};
pub use image::{Image, PullPolicy};
pub use listeners::{Exposure, ExposureType, Listener, Protocol, TrafficPolicy};
pub use monitoring::{Monitoring, PodMonitor, PodMonitorMode};
pub use network::NetworkPolicy;
pub use pod::{ObjectLabels, PodTemplate};
pub use status::{
    Binding, BrokerClusterStatus, BrokerStatus, ConditionType, ListenerStatus, Reason, SecretKeyStatus,
    StorageStatus,
};
pub use storage::{ClusterDeletionPolicy, Storage, VolumePolicy};

use crate::{SecretRef, Switch};
use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::{CustomResource, KubeSchema, ResourceExt};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a broker cluster is to be.
#[derive(CustomResource, Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "BrokerCluster",
    plural = "brokerclusters",
    namespaced,
    shortname = "bc",
    category = "mq",
    status = "BrokerClusterStatus",
    derive = "PartialEq",
    doc = "A cluster of Sluice brokers: the pods, their volumes, their configuration, and the addresses for clients inside and outside of Kubernetes.",
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Address", type_ = "string", json_path = ".status.listeners[0].address"),
    printcolumn(name = "Storage", type_ = "string", json_path = ".status.storage.capacity"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, priority = 1),
    printcolumn(name = "Progressing", type_ = "string", json_path = r#".status.conditions[?(@.type=="Progressing")].status"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("a cluster's name is the beginning of its Services' names: give up to 40 small letters, digits and hyphens, beginning with a letter"),
)]
#[serde(rename_all = "camelCase")]
pub struct BrokerClusterSpec {
    /// Which version of Sluice the brokers run, such as `0.1.0`; the image's tag unless `image.tag` says otherwise. An upgrade of the
    /// operator never changes it. A change restarts the brokers, one after another.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"))]
    pub version: String,
    /// Where the brokers' image is from. A change restarts them.
    #[serde(default)]
    pub image: Image,
    /// Over how many shards topics are spread. 1, which is all that this release has.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self == 1").message("shards can only be 1: this release has no clusters of several shards yet"))]
    pub shards: i32,
    /// How many brokers hold a shard's messages. 1, which is all that this release has.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 9))]
    #[x_kube(validation = Rule::new("self == 1").message("replicas can only be 1: this release has no replication yet"))]
    pub replicas: i32,
    /// The volume of each broker.
    pub storage: Storage,
    /// What a broker's container requests and may use, as in a Pod. A change restarts the brokers.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::bare::<ResourceRequirements>")]
    pub resources: ResourceRequirements,
    /// The brokers' configuration: keys as in their manual, such as `autoCreateTopics: false`, with a text, a whole number or
    /// a boolean, up to 64. Keys that are live change at once; others wait for a restart, which the operator does. Until
    /// then, status.pendingRestartKeys has them. Keys that the operator sets itself (addresses, folders, certificates, tokens)
    /// cannot be given: the condition ConfigurationApplied names them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::map_of_anything", extend("maxProperties" = 64))]
    pub config: BTreeMap<String, ConfigValue>,
    /// How clients reach the brokers: each entry is a Service, up to 4. One inside the cluster, `grpc`, unless given.
    #[serde(default = "listeners::one_inside")]
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("self.filter(l, has(l.exposure) && has(l.exposure.advertisedHost)).size() <= 1")
            .message("routes have one address for all clients: give advertisedHost for one listener only"),
    )]
    pub listeners: Vec<Listener>,
    /// A Secret of the type `kubernetes.io/tls` whose certificate the brokers show to clients. When it changes they take the new
    /// one without a restart. Unless given they make a certificate themselves, which encrypts and proves nothing. Clients may
    /// use plaintext in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Who may administer the brokers.
    #[serde(default)]
    pub admin: Admin,
    /// Whether evictions are bounded.
    #[serde(default)]
    pub pod_disruption_budget: PodDisruptionBudget,
    /// Who may connect to the brokers' pods.
    #[serde(default)]
    pub network_policy: NetworkPolicy,
    /// How the brokers are watched.
    #[serde(default)]
    pub monitoring: Monitoring,
    /// What the brokers' pods have besides. A change restarts them.
    #[serde(default)]
    pub pod_template: PodTemplate,
    /// How long a broker has to end before it is killed, in seconds, 15 to 3600; 60 unless given. It needs a few: after a kill its
    /// next start takes longer, and nothing is lost.
    #[serde(default = "termination_grace_period_seconds")]
    #[schemars(range(min = 15, max = 3600))]
    pub termination_grace_period_seconds: i32,
    /// What becomes of what the cluster has when this resource is deleted.
    #[serde(default)]
    pub deletion_policy: ClusterDeletionPolicy,
}

fn one() -> i32 {
    1
}

fn termination_grace_period_seconds() -> i32 {
    60
}

/// The certificate for clients.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// A Secret of the type `kubernetes.io/tls` in the same namespace, with `tls.crt` and `tls.key`.
    pub secret_ref: SecretRef,
}

/// Whether evictions are bounded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodDisruptionBudget {
    /// `Enabled`, the default, or `Disabled`.
    #[serde(default)]
    pub mode: Switch,
    /// How many brokers may be evicted at a time, 0 or 1; 1 unless given. With 0 a node with a broker can only be drained after
    /// this is changed, or the pod is deleted by hand.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1))]
    pub max_unavailable: i32,
}

impl Default for PodDisruptionBudget {
    fn default() -> Self {
        Self {
            mode: Switch::Enabled,
            max_unavailable: one(),
        }
    }
}

impl BrokerCluster {
    /// The StatefulSet, and the beginning of its pods' names.
    pub fn stateful_set_name(&self) -> String {
        self.name_any()
    }

    /// The Service without an address of its own, which gives pods their names.
    pub fn headless_service_name(&self) -> String {
        format!("{}-brokers", self.name_any())
    }

    /// The Service of a listener.
    pub fn service_name(&self, listener: &Listener) -> String {
        format!("{}-{}", self.name_any(), listener.name)
    }

    /// The ConfigMap with the brokers' configuration.
    pub fn config_map_name(&self) -> String {
        format!("{}-config", self.name_any())
    }

    /// The Secret with the admin token, unless the resource names another.
    pub fn admin_secret_name(&self) -> String {
        format!("{}-admin", self.name_any())
    }

    /// The Secret that tells applications where the brokers are.
    pub fn binding_secret_name(&self) -> String {
        format!("{}-binding", self.name_any())
    }
}

#[cfg(test)]
mod tests;
