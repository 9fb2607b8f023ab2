//! What is known of a cluster.

use crate::SecretRef;
use crate::words::words;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What is known of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerClusterStatus {
    /// The generation of the resource that the rest was found for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What holds of the cluster: Ready, Progressing, ConfigurationApplied, StorageResizing, ReconciliationPaused.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(schema_with = "crate::schema::bare::<Vec<Condition>>")]
    pub conditions: Vec<Condition>,
    /// The version that all brokers run; absent while they run several, or none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The brokers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub brokers: Vec<BrokerStatus>,
    /// Where clients connect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub listeners: Vec<ListenerStatus>,
    /// The volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageStatus>,
    /// Keys of the configuration that hold after a restart that has not been yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_restart_keys: Vec<String>,
    /// What tells applications where the brokers are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// The Secret with the admin API's token, and its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_token_secret_ref: Option<SecretKeyStatus>,
    /// When the operator exchanges the token next; absent if it is not the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::bare::<Time>")]
    pub next_token_rotation_time: Option<Time>,
}

/// A broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerStatus {
    /// Its pod.
    pub name: String,
    /// Whether it is ready.
    pub ready: bool,
    /// The version that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How much of its volume is used, in bytes, to the next 16 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_used_bytes: Option<i64>,
    /// How much its volume holds, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_capacity_bytes: Option<i64>,
    /// Why it is not ready, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// Where clients connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// The listener's name.
    pub name: String,
    /// The host name or address.
    pub host: String,
    /// The port.
    pub port: i32,
    /// Both, as clients are given them.
    pub address: String,
}

/// The volumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageStatus {
    /// The size that the smallest of them is to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// The size that the smallest of them has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
}

/// What tells applications where the brokers are, in the form of servicebinding.io.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// A Secret with `type`, `provider`, `host`, `port` and `endpoints`.
    pub secret_ref: SecretRef,
}

/// A key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyStatus {
    /// The Secret.
    pub name: String,
    /// Its key.
    pub key: String,
}

words! {
    /// The types of a cluster's conditions.
    pub enum ConditionType {
        /// All brokers are ready, and are what the resource says.
        Ready,
        /// Something is on its way: a start, a restart, an upgrade.
        Progressing,
        /// The brokers have the configuration that the resource says.
        ConfigurationApplied,
        /// Volumes are being expanded.
        StorageResizing,
        /// The annotation `sluice.dev/paused` stops the operator.
        ReconciliationPaused,
    }
}

words! {
    /// The reasons of a cluster's conditions.
    pub enum Reason {
        /// Nothing is known yet.
        Pending,
        /// All brokers are ready.
        AllBrokersReady,
        /// A broker is not ready.
        BrokerNotReady,
        /// A broker is ready and does not answer the operator.
        BrokerUnreachable,
        /// The pods have not been made yet.
        Starting,
        /// The brokers are restarted one after another.
        Rolling,
        /// Nothing is on its way.
        Stable,
        /// The brokers have the configuration.
        Applied,
        /// Some keys wait for a restart.
        RestartPending,
        /// A key is not known, is the operator's own, or does not take its value.
        ConfigurationInvalid,
        /// Fields of the resource do not go together.
        SpecInvalid,
        /// A Secret or a key of it is not there.
        SecretNotFound,
        /// A Secret is not what it has to be.
        SecretInvalid,
        /// An object of that name belongs to somebody else.
        NameTaken,
        /// Kubernetes refuses an object that the operator makes.
        ObjectRefused,
        /// The Kubernetes cluster knows no PodMonitors.
        PodMonitorUnknown,
        /// Volumes grow.
        Resizing,
        /// The storage class does not allow volumes to grow.
        ResizeNotAllowed,
        /// Volumes have the size that the resource says.
        SizeReached,
        /// The cluster is being deleted.
        Deleting,
        /// The annotation `sluice.dev/paused` stands on the resource.
        Paused,
        /// The annotation `sluice.dev/paused` does not stand on the resource.
        NotPaused,
        /// Something else went wrong.
        Failed,
    }
}
