//! Who may connect to the brokers' pods.

use crate::Switch;
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Who may connect to the brokers' pods.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// `Enabled`, the default: the operator makes a NetworkPolicy. `Disabled`: it makes none.
    #[serde(default)]
    pub mode: Switch,
    /// From where clients may connect, up to 32 peers as in a NetworkPolicy; from everywhere unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        schema_with = "crate::schema::bare::<Vec<NetworkPolicyPeer>>",
        length(max = 32)
    )]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub clients_from: Vec<NetworkPolicyPeer>,
    /// From where besides the operator the admin API may be called, up to 32 peers; from nowhere unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        schema_with = "crate::schema::bare::<Vec<NetworkPolicyPeer>>",
        length(max = 32)
    )]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub admin_from: Vec<NetworkPolicyPeer>,
    /// From where metrics may be read, up to 32 peers; from everywhere unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        schema_with = "crate::schema::bare::<Vec<NetworkPolicyPeer>>",
        length(max = 32)
    )]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub metrics_from: Vec<NetworkPolicyPeer>,
}
