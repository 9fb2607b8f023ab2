//! What the brokers' pods have besides.

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, PodSecurityContext, Toleration, TopologySpreadConstraint, Volume, VolumeMount,
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the brokers' pods have besides.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels and annotations of the pods. Those of the operator stay.
    #[serde(default)]
    pub metadata: ObjectLabels,
    /// Labels that a node must have, up to 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::labels")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate, up to 32, as in a Pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::bare::<Vec<Toleration>>", length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub tolerations: Vec<Toleration>,
    /// Which nodes and neighbours the pods prefer or need, as in a Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::bare::<Affinity>")]
    pub affinity: Option<Affinity>,
    /// How the pods are spread, up to 8, as in a Pod. Unless given: over zones and nodes, where that is possible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        schema_with = "crate::schema::bare::<Vec<TopologySpreadConstraint>>",
        length(max = 8)
    )]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// The pods' PriorityClass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// The pods' ServiceAccount; the namespace's default unless given. Its token is never mounted: brokers do not call Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: Option<String>,
    /// The pods' RuntimeClass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub runtime_class_name: Option<String>,
    /// Fields of the pods' security context that differ from the operator's, as in a Pod. Those make a pod that the Restricted
    /// level of Pod Security takes, with the user and group 65532.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::bare::<PodSecurityContext>")]
    pub security_context: Option<PodSecurityContext>,
    /// Further variables of the broker's environment, up to 64, as in a Pod. The configuration is in `spec.config`: variables that
    /// begin with `SLUICE_` cannot be given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::env", length(max = 64))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("self.all(v, !v.name.startsWith('SLUICE_'))")
            .message("variables that begin with SLUICE_ are the broker's configuration: use spec.config"),
    )]
    pub env: Vec<EnvVar>,
    /// Further volumes of the pods, up to 32, as in a Pod, from a `configMap`, `csi`, `downwardAPI`, `emptyDir`, `hostPath`, `image`,
    /// `nfs`, `persistentVolumeClaim`, `projected` or `secret`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::volumes", length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub volumes: Vec<Volume>,
    /// Where the broker's container has them, up to 32, as in a Pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::bare::<Vec<VolumeMount>>", length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["mountPath".into()]))]
    pub volume_mounts: Vec<VolumeMount>,
}

/// Labels and annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectLabels {
    /// Labels, up to 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations, up to 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::annotations")]
    pub annotations: BTreeMap<String, String>,
}
