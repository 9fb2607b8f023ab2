//! `ConsumerGroup`: a consumer group of a broker cluster, and how its consumers are scaled.

mod autoscaling;
mod behavior;
mod delivery;
mod guards;
mod prometheus;
mod status;

pub use autoscaling::{
    Autoscaling, Cap, CapPolicy, EvenDistribution, FallbackPolicy, Lag, LagSource, MissingAction, Mode,
    OnMetricsMissing, ScaleTargetRef,
};
pub use behavior::{Behavior, ScaleDown, ScaleUp, StepPolicy, StepType};
pub use delivery::{
    Backoff, BackoffType, DeliveryOrder, Filter, FilterType, Retry, StartFrom, StartPosition, Subscription,
    Tuning,
};
pub use guards::{
    DeadLetterRateGuard, Guard, GuardAction, GuardType, PendingPodsGuard, PrometheusGuard,
    ThroughputRegressionGuard,
};
pub use prometheus::{BasicAuth, Prometheus, Scheme, ServiceRef};
pub use status::{
    ConditionType, ConsumerGroupStatus, Decision, GuardStatus, LAST_DECISIONS_MAX, LagStatus, Reason,
    ReplicaStatus, ScaleChange, ScalingHistory, ScalingReason, ScalingStep, Standstill, UnknownReason,
};

use crate::{ClusterRef, DeletionPolicy, conditions};
use kube::{CustomResource, KubeSchema, ResourceExt};
use serde::{Deserialize, Serialize};

/// What a consumer group is to be.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "ConsumerGroup",
    plural = "consumergroups",
    namespaced,
    shortname = "cg",
    category = "mq",
    status = "ConsumerGroupStatus",
    derive = "PartialEq",
    selectable = ".spec.clusterRef.name",
    doc = "A consumer group of a BrokerCluster. The operator makes it on the brokers, keeps its settings, pushes changes to connected clients, and scales the workload of its consumers by what they have not done.",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterRef.name"),
    printcolumn(name = "Group", type_ = "string", json_path = ".status.groupName"),
    printcolumn(name = "Lag", type_ = "integer", json_path = ".status.lag.messages"),
    printcolumn(name = "LagAge", type_ = "integer", json_path = ".status.lag.ageSeconds", priority = 1),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.autoscaling.mode", priority = 1),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.replicas.current"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.replicas.desired"),
    printcolumn(name = "Cap", type_ = "integer", json_path = ".status.replicas.cap"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("has(self.spec.groupName) || self.metadata.name.matches('^[A-Za-z0-9_%|-]{1,120}$')")
        .message("the resource's name cannot be a consumer group's: give spec.groupName of up to 120 letters, digits and any of % | _ -"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.groupName) == has(oldSelf.groupName)")
    .message("groupName cannot be added or taken away: make another ConsumerGroup"))]
pub struct ConsumerGroupSpec {
    /// The cluster that has the group. It cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("clusterRef cannot be changed: make another ConsumerGroup"))]
    pub cluster_ref: ClusterRef,
    /// The group's name on the brokers, up to 120 letters, digits and any of `%`, `|`, `_`, `-`; the resource's own name unless
    /// given. It cannot be changed. If several ConsumerGroups of a cluster give one name the oldest of them has it, and the
    /// condition Conflicted of the others names that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 120), regex(pattern = r"^[A-Za-z0-9_%|-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("groupName cannot be changed: make another ConsumerGroup"))]
    pub group_name: Option<String>,
    /// Topics that the group reads whether or not it has clients, up to 64, one entry a topic. Its lag is known from them while
    /// no consumer runs: scaling up from no replicas needs them. Clients can read further topics, whose lag and queues count as well
    /// while they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["topic".into()]))]
    pub subscriptions: Vec<Subscription>,
    /// `Concurrent`, the default: messages in no order. `Fifo`: each message group in order, its later messages wait for its earlier
    /// ones. The brokers take a change only while nothing of the group is in flight or waits for a retry; until then the condition
    /// Ready says so.
    #[serde(default)]
    pub delivery_order: DeliveryOrder,
    /// Where the group begins in a topic that it has never read; at the earliest message unless given. A change holds for topics
    /// that it has not begun to read.
    #[serde(default)]
    pub start_from: StartFrom,
    /// How often a message is tried, and how long it waits between.
    #[serde(default)]
    pub retry: Retry,
    /// How consumers receive. Changes reach connected clients at once.
    #[serde(default)]
    pub tuning: Tuning,
    /// What becomes of the group when this resource is deleted. `Retain`, the default: it stays with its place in every topic.
    /// `DeleteIfEmpty`: it is deleted once it has nothing left to do, and the resource waits for that. `Delete`: it is deleted at
    /// once. Its dead-letter topic stays in any case. If the cluster is gone, the resource goes whatever this says. Replicas are
    /// left as they are.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// How the workload that consumes is scaled; it is not unless this is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
}

impl ConsumerGroup {
    /// The group's name on the brokers.
    pub fn group_name(&self) -> String {
        self.spec.group_name.clone().unwrap_or_else(|| self.name_any())
    }

    /// Whether an older ConsumerGroup has the name, by what the status says: then this one scales nothing.
    pub fn is_name_taken(&self) -> bool {
        let conditions = self.status.as_ref().map(|status| &status.conditions[..]);
        conditions::find(conditions.unwrap_or_default(), ConditionType::Conflicted)
            .is_some_and(|condition| condition.reason == Reason::NameTaken.as_str())
    }
}

#[cfg(test)]
mod tests;
