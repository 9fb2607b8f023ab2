//! How many replicas a group's consumers are given.

use super::{Behavior, Guard, Prometheus};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the workload that consumes is scaled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.minReplicas <= self.maxReplicas").message("minReplicas is more than maxReplicas"),
    validation = Rule::new("!has(self.onMetricsMissing) || !has(self.onMetricsMissing.fallbackReplicas) || self.onMetricsMissing.fallbackReplicas <= self.maxReplicas")
        .message("onMetricsMissing.fallbackReplicas is more than maxReplicas"),
)]
pub struct Autoscaling {
    /// `Active`, the default: replicas are written. `Recommend`: they are computed and shown in the status, and nothing is
    /// written. `Disabled`: nothing is computed. A change holds from the next evaluation on; replicas stay as they are then.
    #[serde(default)]
    pub mode: Mode,
    /// The workload whose replicas are written, in the same namespace. It is written only through its `scale` subresource.
    pub scale_target_ref: ScaleTargetRef,
    /// The fewest replicas, 0 to 10000; 1 unless given. With 0 the workload is scaled to nothing after a time without work
    /// (`behavior.scaleToZeroAfterSeconds`), and back once `lag.activationMessages` wait.
    #[serde(default = "min_replicas")]
    #[schemars(range(min = 0, max = 10_000))]
    pub min_replicas: i32,
    /// The most replicas, 1 to 10000. The cap can be lower.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_replicas: i32,
    /// What bounds the replicas besides `maxReplicas`.
    #[serde(default)]
    pub cap: Cap,
    /// By which lag replicas are computed, and where that is read.
    #[serde(default)]
    pub lag: Lag,
    /// The Prometheus that lag and guards are read from. Unless given it is the one that the operator is configured with; without
    /// either the condition MetricsAvailable says so, and replicas are held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// How fast replicas change.
    #[serde(default)]
    pub behavior: Behavior,
    /// What is done while the lag cannot be told.
    #[serde(default)]
    pub on_metrics_missing: OnMetricsMissing,
    /// What holds scaling back, up to 16, each with a name. If several are active the strictest action is taken: Suspend, then
    /// RevertLastStep, then StepDown, then HoldScaleUp.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub guards: Vec<Guard>,
}

fn min_replicas() -> i32 {
    1
}

/// What autoscaling does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Mode {
    /// It writes replicas.
    #[default]
    Active,
    /// It computes and shows them.
    Recommend,
    /// Nothing.
    Disabled,
}

/// A workload with a `scale` subresource.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleTargetRef {
    /// Its API version; `apps/v1` unless given.
    #[serde(default = "apps_v1")]
    #[schemars(length(min = 1, max = 316), regex(pattern = r"^([a-z0-9.-]+/)?[a-z0-9]+$"))]
    pub api_version: String,
    /// Its kind; `Deployment` unless given. Anything with a `scale` subresource can be scaled, if the operator may write that.
    #[serde(default = "deployment")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Z][A-Za-z0-9]*$"))]
    pub kind: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

fn apps_v1() -> String {
    "apps/v1".to_owned()
}

fn deployment() -> String {
    "Deployment".to_owned()
}

/// What bounds the replicas.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.evenDistribution) || self.evenDistribution == 'Disabled' || self.policy == 'QueueCount'")
    .message("evenDistribution belongs to the policy QueueCount"))]
pub struct Cap {
    /// `QueueCount`, the default: as many consumers as the group's topics have queues. `QueuesWithLag`: as many as have something
    /// to do, so that one hot queue does not start many consumers; where the lag is read from Prometheus, the single queues are read
    /// from the brokers' series (`queueMetrics`), and without these from the brokers. While neither tells, replicas are held and
    /// MetricsAvailable says so. `None`: no bound but `maxReplicas`, for groups whose consumers share queues.
    #[serde(default)]
    pub policy: CapPolicy,
    /// `Preferred`: replicas are rounded up to a number that divides the queues evenly, where there is one within the cap; with the
    /// policy `QueueCount` only. `Disabled`, the default: they are not.
    #[serde(default)]
    pub even_distribution: EvenDistribution,
    /// How many consumers of the group run in a pod, 1 to 1000; 1 unless given. The cap in replicas is that in consumers divided
    /// by this, rounded up.
    #[serde(default = "consumers_per_pod")]
    #[schemars(range(min = 1, max = 1000))]
    pub consumers_per_pod: i32,
}

fn consumers_per_pod() -> i32 {
    1
}

impl Default for Cap {
    fn default() -> Self {
        Self {
            policy: CapPolicy::default(),
            even_distribution: EvenDistribution::default(),
            consumers_per_pod: consumers_per_pod(),
        }
    }
}

/// What the cap is counted from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum CapPolicy {
    /// The queues of the group's topics.
    #[default]
    QueueCount,
    /// Those of them that have lag.
    QueuesWithLag,
    /// Nothing.
    None,
}

/// Whether replicas are to divide the queues evenly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum EvenDistribution {
    /// They need not.
    #[default]
    Disabled,
    /// Where it is possible within the cap.
    Preferred,
}

/// By which lag replicas are computed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.query) || self.source == 'Prometheus'")
        .message("query belongs to the source Prometheus"),
    validation = Rule::new("!has(self.excludeStuckQueuesAfterSeconds) || self.source == 'Broker'")
        .message("excludeStuckQueuesAfterSeconds belongs to the source Broker: Prometheus does not tell what is done"),
)]
pub struct Lag {
    /// Where lag is read: `Prometheus`, the default, or `Broker`, the brokers' admin API, which needs nothing else.
    #[serde(default)]
    pub source: LagSource,
    /// PromQL with one number as its result: the messages that wait for the group. Unless given it is
    /// the brokers' own metric of the group, over all its topics, each broker counted once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub query: Option<String>,
    /// How many waiting messages one replica is to have, 1 to 2147483647; 1000 unless given. Wanted replicas are the lag divided
    /// by this, rounded up.
    #[serde(default = "messages_per_replica")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub messages_per_replica: i32,
    /// From how many waiting messages on a workload without replicas is started, 1 to 2147483647; 1 unless given.
    #[serde(default = "activation_messages")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub activation_messages: i32,
    /// Leave queues out whose first message has not moved for this long while others go on, in seconds, 60 to 86400: more
    /// consumers do not help a message that always fails. They still count as work, so that nothing is scaled to zero because of
    /// them. None are left out unless this is given. It belongs to the source `Broker`: Prometheus does not tell what is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 86_400))]
    pub exclude_stuck_queues_after_seconds: Option<i32>,
}

fn messages_per_replica() -> i32 {
    1000
}

fn activation_messages() -> i32 {
    1
}

impl Default for Lag {
    fn default() -> Self {
        Self {
            source: LagSource::default(),
            query: None,
            messages_per_replica: messages_per_replica(),
            activation_messages: activation_messages(),
            exclude_stuck_queues_after_seconds: None,
        }
    }
}

/// Where lag is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum LagSource {
    /// From Prometheus.
    #[default]
    Prometheus,
    /// From the brokers' admin API.
    Broker,
}

/// What is done while the lag cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.fallbackReplicas) == (self.action == 'Fallback')")
    .message("fallbackReplicas belongs to the action Fallback, and is needed there"))]
pub struct OnMetricsMissing {
    /// `Hold`, the default: replicas stay as they are. `Fallback`: after `afterSeconds` they become `fallbackReplicas`.
    #[serde(default)]
    pub action: MissingAction,
    /// How long the lag cannot be told before the fallback, in seconds, 30 to 86400; 180 unless given.
    #[serde(default = "missing_after_seconds")]
    #[schemars(range(min = 30, max = 86_400))]
    pub after_seconds: i32,
    /// The replicas of the fallback, 0 to 10000. It adds none beyond the cap by the number of queues that was known last, and none at
    /// all while that has never been known, unless `cap.policy` is `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub fallback_replicas: Option<i32>,
    /// `KeepIfHigher`, the default: more replicas than `fallbackReplicas` stay. `Exact`: they fall to it.
    #[serde(default)]
    pub fallback_policy: FallbackPolicy,
}

fn missing_after_seconds() -> i32 {
    180
}

impl Default for OnMetricsMissing {
    fn default() -> Self {
        Self {
            action: MissingAction::default(),
            after_seconds: missing_after_seconds(),
            fallback_replicas: None,
            fallback_policy: FallbackPolicy::default(),
        }
    }
}

/// What is done while the lag cannot be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum MissingAction {
    /// Replicas stay.
    #[default]
    Hold,
    /// They become the fallback's.
    Fallback,
}

/// What the fallback does to replicas that are more already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum FallbackPolicy {
    /// They stay.
    #[default]
    KeepIfHigher,
    /// They fall.
    Exact,
}
