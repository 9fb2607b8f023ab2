//! What holds scaling back.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What holds scaling back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.prometheus) == (self.type == 'Prometheus')")
        .message("prometheus belongs to a guard of type Prometheus, and is needed there"),
    validation = Rule::new("!has(self.throughputRegression) || self.type == 'ThroughputRegression'")
        .message("throughputRegression belongs to a guard of type ThroughputRegression"),
    validation = Rule::new("has(self.deadLetterRate) == (self.type == 'DeadLetterRate')")
        .message("deadLetterRate belongs to a guard of type DeadLetterRate, and is needed there"),
    validation = Rule::new("!has(self.pendingPods) || self.type == 'PendingPods'")
        .message("pendingPods belongs to a guard of type PendingPods"),
    validation = Rule::new("!has(self.action) || self.action != 'RevertLastStep' || self.type == 'ThroughputRegression'")
        .message("the action RevertLastStep belongs to a guard of type ThroughputRegression"),
    validation = Rule::new("!has(self.forSeconds) || self.forSeconds == 0 || self.type != 'ThroughputRegression'")
        .message("forSeconds does not belong to a guard of type ThroughputRegression, which has throughputRegression.windowSeconds"),
)]
pub struct Guard {
    /// Its name, in conditions, events and metrics.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// `Prometheus`: a query crosses a threshold, such as the load of a database that consumers write to.
    /// `ThroughputRegression`: after a step up the group gets less done than before. `DeadLetterRate`: messages run out of
    /// attempts. `PendingPods`: pods of the workload cannot be scheduled.
    #[serde(rename = "type")]
    pub type_: GuardType,
    /// What is done while it is active. `HoldScaleUp`: replicas do not rise. `StepDown`: they fall by the steps of
    /// `behavior.scaleDown`, to `minReplicas` and at least 1. `Suspend`: they stay as they are. `RevertLastStep`: they go back to
    /// what they were before the last step up, and do not rise for a while. Unless given, it is what suits the type: HoldScaleUp
    /// for Prometheus and PendingPods, RevertLastStep for ThroughputRegression, Suspend for DeadLetterRate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<GuardAction>,
    /// How long what it watches must hold before it is active, in seconds, 0 to 3600; 0 unless given. A guard of type
    /// ThroughputRegression has `throughputRegression.windowSeconds` instead.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3600))]
    pub for_seconds: i32,
    /// The query and its threshold, for the type Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusGuard>,
    /// What counts as less, for the type ThroughputRegression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput_regression: Option<ThroughputRegressionGuard>,
    /// Which rate is too high, for the type DeadLetterRate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_rate: Option<DeadLetterRateGuard>,
    /// How long a pod may wait, for the type PendingPods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_pods: Option<PendingPodsGuard>,
}

impl Guard {
    /// What is done while it is active.
    pub fn action(&self) -> GuardAction {
        self.action.unwrap_or(match self.type_ {
            GuardType::Prometheus | GuardType::PendingPods => GuardAction::HoldScaleUp,
            GuardType::ThroughputRegression => GuardAction::RevertLastStep,
            GuardType::DeadLetterRate => GuardAction::Suspend,
        })
    }
}

/// What a guard watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum GuardType {
    /// A query.
    Prometheus,
    /// What the group gets done.
    ThroughputRegression,
    /// Messages that run out of attempts.
    DeadLetterRate,
    /// Pods that cannot be scheduled.
    PendingPods,
}

/// What an active guard does, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::schema::undescribed)]
pub enum GuardAction {
    /// Replicas do not rise.
    HoldScaleUp,
    /// They fall.
    StepDown,
    /// They go back to what they were before the last step up.
    RevertLastStep,
    /// They stay.
    Suspend,
}

/// A query with a threshold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.above) || has(self.below)").message("give above, below, or both"))]
pub struct PrometheusGuard {
    /// PromQL with one number as its result. If it has none, no replica is added, whatever the guard's action, and
    /// MetricsAvailable says so.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
    /// The guard is active while the result is more than this decimal number, such as `"85"` or `"0.8"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^-?[0-9]{1,15}(\.[0-9]{1,9})?$"))]
    pub above: Option<String>,
    /// The guard is active while the result is less than this decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^-?[0-9]{1,15}(\.[0-9]{1,9})?$"))]
    pub below: Option<String>,
}

impl PrometheusGuard {
    /// Whether a result lies beyond a threshold.
    pub fn is_crossed_by(&self, result: f64) -> bool {
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<f64>().ok());
        number(&self.above).is_some_and(|above| result > above)
            || number(&self.below).is_some_and(|below| result < below)
    }
}

/// What counts as a regression.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThroughputRegressionGuard {
    /// How long after a step the group is watched, in seconds, 30 to 3600; 180 unless given.
    #[serde(default = "regression_window_seconds")]
    #[schemars(range(min = 30, max = 3600))]
    pub window_seconds: i32,
    /// By how much less it must get done than before the step, in percent, 1 to 100; 10 unless given.
    #[serde(default = "drop_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub drop_percent: i32,
}

fn regression_window_seconds() -> i32 {
    180
}

fn drop_percent() -> i32 {
    10
}

impl Default for ThroughputRegressionGuard {
    fn default() -> Self {
        Self {
            window_seconds: regression_window_seconds(),
            drop_percent: drop_percent(),
        }
    }
}

/// Which rate of dead letters is too high.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterRateGuard {
    /// Messages a minute that go to the group's dead-letter topic, 1 to 2147483647: the guard is active at this rate and above.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub per_minute: i32,
}

/// How long a pod may wait.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingPodsGuard {
    /// How long a pod of the workload is not scheduled before the guard is active, in seconds, 0 to 3600; 60 unless given.
    #[serde(default = "pending_after_seconds")]
    #[schemars(range(min = 0, max = 3600))]
    pub after_seconds: i32,
}

fn pending_after_seconds() -> i32 {
    60
}

impl Default for PendingPodsGuard {
    fn default() -> Self {
        Self {
            after_seconds: pending_after_seconds(),
        }
    }
}
