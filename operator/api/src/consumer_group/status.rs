//! What is known of a consumer group, and how it was scaled.

use super::GuardAction;
use crate::words::words;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What is known of a consumer group.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerGroupStatus {
    /// The generation of the resource that the rest was found for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What holds of the group: Ready, Synced, Conflicted, DriftCorrected, ReconciliationPaused, and with autoscaling
    /// MetricsAvailable, ScalingActive, ScalingLimited, GuardActive, ReplicasContended, FallbackActive, ScalingPaused.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(schema_with = "crate::schema::bare::<Vec<Condition>>")]
    pub conditions: Vec<Condition>,
    /// The group's name on the brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// The brokers' number of the group; one that is made anew has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<i64>,
    /// Counts the changes of the group on the brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// How many clients have announced themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<i32>,
    /// Messages in its dead-letter topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<i64>,
    /// When the resource and the brokers were last made alike by a change of the brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::bare::<Time>")]
    pub last_change_time: Option<Time>,
    /// What the group has not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<LagStatus>,
    /// How many replicas its workload has, and is to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<ReplicaStatus>,
    /// The last change of replicas that autoscaling has made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scale: Option<ScaleChange>,
    /// The last decisions that differ from the one before, the newest first, up to 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub last_decisions: Vec<Decision>,
    /// The guards and whether they are active.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub guards: Vec<GuardStatus>,
    /// What a further evaluation needs to know of earlier ones, so that it does not start anew with the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<ScalingHistory>,
}

/// The most decisions that a status keeps.
pub const LAST_DECISIONS_MAX: usize = 10;

/// What a group has not done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LagStatus {
    /// Messages that are not done: `ready` and `inflight`.
    #[serde(default)]
    pub messages: i64,
    /// Messages that wait to be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<i64>,
    /// Messages that are delivered and not acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inflight: Option<i64>,
    /// The age of the oldest message that is not done, in seconds; absent where the lag is read by a query of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<i64>,
    /// Queues with messages that are not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues_with_lag: Option<i32>,
    /// Queues that do not move, and are left out of what replicas are computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck_queues: Option<i32>,
}

/// How many replicas a workload has, and is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaStatus {
    /// What the workload has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<i32>,
    /// What it is to have now, after windows, steps and guards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<i32>,
    /// What the lag asks for, before any bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended: Option<i32>,
    /// The most that it may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<i32>,
    /// What the cap is from: MaxReplicas, QueueCount or QueuesWithLag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_reason: Option<String>,
}

/// A change of replicas.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleChange {
    /// When.
    #[schemars(schema_with = "crate::schema::bare::<Time>")]
    pub time: Time,
    /// The replicas before.
    pub from: i32,
    /// The replicas after.
    pub to: i32,
    /// Why.
    pub reason: String,
}

/// What was decided, and why.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When it was decided first.
    #[schemars(schema_with = "crate::schema::bare::<Time>")]
    pub time: Time,
    /// The replicas that there were.
    pub from: i32,
    /// The replicas that were decided on.
    pub to: i32,
    /// What the lag asked for, before any bound; absent if the lag could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended: Option<i32>,
    /// Why.
    pub reason: String,
    /// What kept it from what the lag asked for; absent if nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_by: Option<String>,
    /// The lag in messages that it was decided from; absent if it could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// A guard as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardStatus {
    /// Its name.
    pub name: String,
    /// Whether it is active.
    pub active: bool,
    /// What it does while it is active.
    pub action: GuardAction,
    /// Since when what it watches holds, whether or not it has for long enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::bare::<Time>")]
    pub since: Option<Time>,
    /// What it has found, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// What a further evaluation needs to know of earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingHistory {
    /// Changes of replicas, the oldest first: for the steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub steps: Vec<ScalingStep>,
    /// The replicas that were written last, unless somebody else has changed them since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<i32>,
    /// When somebody else put the replicas back, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::bare::<Vec<Time>>")]
    pub reverted: Vec<Time>,
    /// The generation of the resource by then: with another one, what was put back before counts no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverted_generation: Option<i64>,
    /// The beginning of the annotation `sluice.dev/force-sync` by then, unless an alert has set it: a new value does the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reverted_force_sync: Option<String>,
    /// How many queues the group's topics had when that was known last: the bound of a fallback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<i32>,
    /// Since when the group has nothing to do; absent while it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::bare::<Time>")]
    pub idle_since: Option<Time>,
    /// Since when the lag cannot be told; absent while it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::bare::<Time>")]
    pub missing_since: Option<Time>,
    /// Queues in which nothing gets done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub standstills: Vec<Standstill>,
    /// Until when replicas do not rise because a step was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::bare::<Time>")]
    pub back_off_until: Option<Time>,
    /// How often in a row a step was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_offs: Option<i32>,
}

/// A change of replicas, with what is to be learnt from it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingStep {
    /// When.
    #[schemars(schema_with = "crate::schema::bare::<Time>")]
    pub time: Time,
    /// The replicas before.
    pub from: i32,
    /// The replicas after.
    pub to: i32,
    /// Why.
    pub reason: String,
    /// Messages that the group got done a minute before it, where a guard looks at that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_before: Option<i64>,
    /// Whether a guard has looked at what came of it.
    #[serde(default)]
    pub judged: bool,
}

/// A queue in which nothing gets done.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standstill {
    /// Which one, such as `orders/3`.
    pub queue: String,
    /// How many of its messages are done.
    pub done: i64,
    /// Since when no further one is.
    #[schemars(schema_with = "crate::schema::bare::<Time>")]
    pub since: Time,
}

words! {
    /// The types of a consumer group's conditions.
    pub enum ConditionType {
        /// The group is on the brokers as the resource says.
        Ready,
        /// The last comparison with the brokers succeeded.
        Synced,
        /// An older ConsumerGroup has the name, or something else scales the workload.
        Conflicted,
        /// The group was changed behind the resource's back, and put right.
        DriftCorrected,
        /// The annotation `sluice.dev/paused` stops the operator.
        ReconciliationPaused,
        /// The lag and what guards watch can be told.
        MetricsAvailable,
        /// Replicas are written as the lag asks for.
        ScalingActive,
        /// The lag asks for another number of replicas than a bound allows; Unknown while nothing is asked for.
        ScalingLimited,
        /// A guard holds scaling back.
        GuardActive,
        /// Something else writes the workload's replicas again and again.
        ReplicasContended,
        /// The lag cannot be told, and replicas are the fallback's.
        FallbackActive,
        /// An annotation stops scaling, in one direction or both.
        ScalingPaused,
    }
}

words! {
    /// The reasons of a consumer group's conditions.
    pub enum Reason {
        /// Nothing is known yet.
        Pending,
        /// The group was made.
        Created,
        /// The group was there already and belongs to the resource now.
        Adopted,
        /// The group is as the resource says.
        UpToDate,
        /// The group was given what the resource says now.
        Updated,
        /// Somebody else had changed or deleted the group, and it was put right.
        Reverted,
        /// Nothing had to be put right.
        NoDrift,
        /// There is no such BrokerCluster in the namespace.
        ClusterNotFound,
        /// The cluster has no broker that answers.
        ClusterNotReady,
        /// The broker does not answer.
        BrokerUnreachable,
        /// The broker refuses the operator's token.
        Unauthorized,
        /// The broker refuses what the resource asks for.
        Refused,
        /// Another operator has taken over.
        Fenced,
        /// The delivery order changes once nothing is in flight or waits for a retry.
        GroupInUse,
        /// The resource asks for something that cannot be.
        InvalidSpec,
        /// An older ConsumerGroup has the name.
        NameTaken,
        /// No other ConsumerGroup has the name.
        NameFree,
        /// The deletion waits until every message is done.
        NotEmpty,
        /// The group is being deleted.
        Deleting,
        /// An annotation pauses it.
        Paused,
        /// No annotation pauses it.
        NotPaused,
        /// The lag can be told.
        MetricsRead,
        /// No Prometheus is given, neither in the resource nor to the operator.
        PrometheusNotConfigured,
        /// Prometheus does not answer.
        PrometheusUnreachable,
        /// Prometheus refuses the query.
        QueryRefused,
        /// The query has no result.
        ResultEmpty,
        /// The query's result is not one number.
        ResultNotANumber,
        /// The query has several results.
        ResultAmbiguous,
        /// The newest sample is too old.
        SampleStale,
        /// What a guard watches cannot be told.
        GuardUnknown,
        /// A Secret or ConfigMap, or a key of it, is not there.
        ReferenceNotFound,
        /// The workload does not exist.
        TargetNotFound,
        /// The workload cannot be scaled, or not by the operator.
        TargetNotScalable,
        /// Replicas are written.
        Scaling,
        /// The mode is Recommend: replicas are shown and not written.
        RecommendOnly,
        /// The mode is Disabled.
        Disabled,
        /// The workload's pods are being exchanged for others.
        RollingOut,
        /// No bound keeps replicas from what is asked for.
        NotLimited,
        /// The bound is `minReplicas`.
        MinReplicas,
        /// The bound is `maxReplicas`.
        MaxReplicas,
        /// The bound is the number of queues.
        QueueCount,
        /// The bound is the number of queues with lag.
        QueuesWithLag,
        /// The bound is a stabilization window.
        StabilizationWindow,
        /// The bound is a step policy.
        StepPolicy,
        /// The bound is the cooldown after a change.
        Cooldown,
        /// The bound is a guard.
        Guard,
        /// No guard is active.
        NoGuardActive,
        /// A HorizontalPodAutoscaler or ScaledObject scales the workload too.
        OtherAutoscaler,
        /// Another ConsumerGroup scales the workload.
        OtherGroup,
        /// Nothing else scales the workload.
        NoOtherAutoscaler,
        /// Replicas were put back several times.
        ReplicasReverted,
        /// Nothing else writes replicas.
        NotContended,
        /// The fallback holds.
        Fallback,
        /// The fallback does not hold.
        NoFallback,
        /// Something else went wrong.
        Failed,
    }
}

words! {
    /// Why a number of replicas was decided on, and what limited it.
    pub enum ScalingReason {
        /// The lag asks for it.
        Lag,
        /// The group has had nothing to do for long enough.
        Idle,
        /// Messages wait for a workload without replicas.
        Activation,
        /// Replicas are within the tolerance of what the lag asks for.
        Tolerance,
        /// `minReplicas`
        MinReplicas,
        /// `maxReplicas`
        MaxReplicas,
        /// The number of queues.
        QueueCount,
        /// The number of queues with lag.
        QueuesWithLag,
        /// Queues divide evenly by it.
        EvenDistribution,
        /// A stabilization window.
        StabilizationWindow,
        /// A step policy.
        StepPolicy,
        /// The cooldown after a change.
        Cooldown,
        /// A guard.
        Guard,
        /// A step was taken back.
        Reverted,
        /// The lag cannot be told.
        MetricsMissing,
        /// The fallback, because the lag cannot be told.
        Fallback,
        /// Pods wait for a node.
        PendingPods,
        /// The workload's pods are being exchanged for others.
        RollingOut,
        /// An annotation.
        Paused,
        /// The mode.
        Disabled,
        /// Something else scales the workload.
        Conflict,
    }
}

/// Reads a reason as it stands in a status.
impl std::str::FromStr for ScalingReason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        let reason = Self::ALL.iter().find(|reason| reason.as_str() == text);
        reason.copied().ok_or_else(|| UnknownReason(text.to_owned()))
    }
}

/// A text that is no [`ScalingReason`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownReason(String);

impl std::fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}' is no reason of a scaling decision", self.0)
    }
}

impl std::error::Error for UnknownReason {}
