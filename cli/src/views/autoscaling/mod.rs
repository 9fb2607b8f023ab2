//! How a group's consumers are scaled: what is decided, from what, and what holds it back.

mod text;

use crate::units::rfc3339;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde::Serialize;
use sluice_operator_api::ConsumerGroup;
use sluice_operator_api::consumer_group::{
    ConditionType, Decision as Decided, GuardAction, LagStatus, Mode, ReplicaStatus, ScaleChange,
};

/// What a ConsumerGroup's status says of its scaling.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The group's name on the brokers.
    pub group: String,
    /// The ConsumerGroup.
    pub resource: String,
    /// Its namespace.
    pub namespace: String,
    /// Its BrokerCluster.
    pub cluster: String,
    /// What autoscaling does; null without autoscaling.
    pub mode: Option<Mode>,
    /// What is scaled; null without autoscaling.
    pub target: Option<Target>,
    /// How many there are and are to be; null before the first decision.
    pub replicas: Option<Replicas>,
    /// What is not done; null while it cannot be told.
    pub lag: Option<Lag>,
    /// The last change that autoscaling has made; null before the first.
    pub last_scale: Option<Change>,
    /// All guards.
    pub guards: Vec<Guard>,
    /// All conditions of the group.
    pub conditions: Vec<Condition>,
    /// The last decisions that differ from the one before, the newest first.
    pub decisions: Vec<Decision>,
    /// When it was asked for, in milliseconds since the epoch.
    #[serde(skip)]
    asked_ms: u64,
}

/// A workload.
#[derive(Debug, Serialize)]
pub struct Target {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// Numbers of replicas; null where one is not known.
#[derive(Debug, Serialize)]
pub struct Replicas {
    /// What the workload has.
    pub current: Option<i32>,
    /// What it is to have now.
    pub desired: Option<i32>,
    /// What the lag asks for.
    pub recommended: Option<i32>,
    /// The most that it may have.
    pub cap: Option<i32>,
    /// What the cap is from.
    pub cap_reason: Option<String>,
}

/// What the group has not done; null where one is not known.
#[derive(Debug, Serialize)]
pub struct Lag {
    /// Messages that are not done.
    pub messages: i64,
    /// Messages that wait.
    pub ready: Option<i64>,
    /// Messages that clients hold.
    pub inflight: Option<i64>,
    /// Age of the oldest of them.
    pub age_seconds: Option<i64>,
    /// Queues with lag.
    pub queues_with_lag: Option<i32>,
    /// Queues that do not move, and are left out.
    pub stuck_queues: i32,
}

/// A change of replicas.
#[derive(Debug, Serialize)]
pub struct Change {
    /// When.
    pub time: String,
    /// Before.
    pub from: i32,
    /// After.
    pub to: i32,
    /// Why.
    pub reason: String,
    #[serde(skip)]
    time_ms: u64,
}

/// A guard.
#[derive(Debug, Serialize)]
pub struct Guard {
    /// Its name.
    pub name: String,
    /// Whether it holds scaling back.
    pub active: bool,
    /// What it does while it is active.
    pub action: GuardAction,
    /// What it has found; empty if nothing.
    pub message: String,
}

/// A condition.
#[derive(Debug, Serialize)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
    /// Why, in a word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// Since when.
    pub since: String,
}

/// A decision.
#[derive(Debug, Serialize)]
pub struct Decision {
    /// When it was made first.
    pub time: String,
    /// The replicas that there were.
    pub from: i32,
    /// The replicas that were decided on.
    pub to: i32,
    /// What the lag asked for; null if it could not be told.
    pub recommended: Option<i32>,
    /// Why, in a word.
    pub reason: String,
    /// What kept it from what the lag asked for; null if nothing.
    pub limited_by: Option<String>,
    /// The lag in messages; null if it could not be told.
    pub lag: Option<i64>,
    /// Why, for people.
    pub message: String,
    #[serde(skip)]
    time_ms: u64,
}

impl Explanation {
    /// What the resource says, asked for at this time.
    pub fn new(group: &ConsumerGroup, asked_ms: u64) -> Self {
        let status = group.status.clone().unwrap_or_default();
        let scaling = group.spec.autoscaling.as_ref();
        let conditions = status.conditions.iter().map(|condition| Condition {
            type_: condition.type_.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            since: rfc3339(milliseconds(&condition.last_transition_time)),
        });
        let guards = status.guards.iter().map(|guard| Guard {
            name: guard.name.clone(),
            active: guard.active,
            action: guard.action,
            message: guard.message.clone(),
        });
        Self {
            group: group.group_name(),
            resource: group.name_any(),
            namespace: group.namespace().unwrap_or_default(),
            cluster: group.spec.cluster_ref.name.clone(),
            mode: scaling.map(|scaling| scaling.mode),
            target: scaling.map(|scaling| Target {
                kind: scaling.scale_target_ref.kind.clone(),
                name: scaling.scale_target_ref.name.clone(),
            }),
            replicas: status.replicas.map(Replicas::from),
            lag: status.lag.map(Lag::from),
            last_scale: status.last_scale.map(Change::from),
            guards: guards.collect(),
            conditions: conditions.collect(),
            decisions: status.last_decisions.into_iter().map(Decision::from).collect(),
            asked_ms,
        }
    }
}

impl From<ReplicaStatus> for Replicas {
    fn from(status: ReplicaStatus) -> Self {
        Self {
            current: status.current,
            desired: status.desired,
            recommended: status.recommended,
            cap: status.cap,
            cap_reason: status.cap_reason,
        }
    }
}

impl From<LagStatus> for Lag {
    fn from(status: LagStatus) -> Self {
        Self {
            messages: status.messages,
            ready: status.ready,
            inflight: status.inflight,
            age_seconds: status.age_seconds,
            queues_with_lag: status.queues_with_lag,
            stuck_queues: status.stuck_queues.unwrap_or_default(),
        }
    }
}

impl From<ScaleChange> for Change {
    fn from(change: ScaleChange) -> Self {
        let time_ms = milliseconds(&change.time);
        Self {
            time: rfc3339(time_ms),
            from: change.from,
            to: change.to,
            reason: change.reason,
            time_ms,
        }
    }
}

impl From<Decided> for Decision {
    fn from(decision: Decided) -> Self {
        let time_ms = milliseconds(&decision.time);
        Self {
            time: rfc3339(time_ms),
            from: decision.from,
            to: decision.to,
            recommended: decision.recommended,
            reason: decision.reason,
            limited_by: decision.limited_by,
            lag: decision.lag,
            message: decision.message,
            time_ms,
        }
    }
}

impl Condition {
    /// Whether it stands otherwise than it does where nothing is in the way.
    fn is_notable(&self) -> bool {
        let is_good = [
            ConditionType::Ready,
            ConditionType::Synced,
            ConditionType::MetricsAvailable,
            ConditionType::ScalingActive,
        ];
        let wanted = match is_good.iter().any(|type_| type_.as_str() == self.type_) {
            true => "True",
            false => "False",
        };
        // That drift was corrected says nothing of scaling, and what keeps bounds from being looked at is in a condition of its own.
        let is_beside = self.type_ == ConditionType::DriftCorrected.as_str()
            || (self.type_ == ConditionType::ScalingLimited.as_str() && self.status == "Unknown");
        self.status != wanted && !is_beside
    }
}

fn milliseconds(time: &Time) -> u64 {
    u64::try_from(time.0.as_millisecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
