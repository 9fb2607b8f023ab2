//! How fast replicas change.

use crate::Switch;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How fast replicas change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Behavior {
    /// How replicas rise.
    #[serde(default)]
    pub scale_up: ScaleUp,
    /// How replicas fall.
    #[serde(default)]
    pub scale_down: ScaleDown,
    /// How long nothing is changed after a change, in seconds, 0 to 3600; 30 unless given, for consumers need up to that long to
    /// share queues out anew, and the lag says nothing meanwhile.
    #[serde(default = "cooldown_seconds")]
    #[schemars(range(min = 0, max = 3600))]
    pub cooldown_seconds: i32,
    /// How long a group has nothing to do before its last replica goes, in seconds, 0 to 86400; 300 unless given. It matters only
    /// with `minReplicas: 0`.
    #[serde(default = "scale_to_zero_after_seconds")]
    #[schemars(range(min = 0, max = 86_400))]
    pub scale_to_zero_after_seconds: i32,
}

fn cooldown_seconds() -> i32 {
    30
}

fn scale_to_zero_after_seconds() -> i32 {
    300
}

impl Default for Behavior {
    fn default() -> Self {
        Self {
            scale_up: ScaleUp::default(),
            scale_down: ScaleDown::default(),
            cooldown_seconds: cooldown_seconds(),
            scale_to_zero_after_seconds: scale_to_zero_after_seconds(),
        }
    }
}

/// How replicas rise.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleUp {
    /// Replicas rise to the least that was wanted in this time, in seconds, 0 to 3600; 0, which is at once, unless given.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_window_seconds: i32,
    /// By how much they may rise in a time, up to 8; the one that allows most holds. Unless given: by 100 percent or 4 pods
    /// in 30 seconds.
    #[serde(default = "up_steps")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub step_policies: Vec<StepPolicy>,
    /// Replicas do not rise for a change that is smaller than this, in percent of them, 0 to 50; 10 unless given. At the cap and
    /// at `minReplicas` it does not count, so that both are always reached.
    #[serde(default = "tolerance_percent")]
    #[schemars(range(min = 0, max = 50))]
    pub tolerance_percent: i32,
}

/// How replicas fall.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleDown {
    /// Replicas fall to the most that was wanted in this time, in seconds, 0 to 3600; 300 unless given.
    #[serde(default = "down_window_seconds")]
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_window_seconds: i32,
    /// By how much they may fall in a time, up to 8; the one that allows most holds. Unless given: by 50 percent or 1 pod in 60
    /// seconds. Few large steps make consumers share queues out anew less often than many small ones.
    #[serde(default = "down_steps")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub step_policies: Vec<StepPolicy>,
    /// Replicas do not fall for a change that is smaller than this, in percent of them, 0 to 50; 10 unless given. At the cap and
    /// at `minReplicas` it does not count.
    #[serde(default = "tolerance_percent")]
    #[schemars(range(min = 0, max = 50))]
    pub tolerance_percent: i32,
    /// `Enabled`: pods whose consumers hold no message are marked before a step, so that they go first. Only Deployments and
    /// ReplicaSets heed that, and the operator must be allowed to annotate pods. `Disabled`, the default: any pod may go.
    #[serde(default = "Switch::disabled")]
    pub prefer_idle_pods: Switch,
}

fn tolerance_percent() -> i32 {
    10
}

fn down_window_seconds() -> i32 {
    300
}

fn up_steps() -> Vec<StepPolicy> {
    vec![
        StepPolicy::new(StepType::Percent, 100, 30),
        StepPolicy::new(StepType::Pods, 4, 30),
    ]
}

fn down_steps() -> Vec<StepPolicy> {
    vec![
        StepPolicy::new(StepType::Percent, 50, 60),
        StepPolicy::new(StepType::Pods, 1, 60),
    ]
}

impl Default for ScaleUp {
    fn default() -> Self {
        Self {
            stabilization_window_seconds: 0,
            step_policies: up_steps(),
            tolerance_percent: tolerance_percent(),
        }
    }
}

impl Default for ScaleDown {
    fn default() -> Self {
        Self {
            stabilization_window_seconds: down_window_seconds(),
            step_policies: down_steps(),
            tolerance_percent: tolerance_percent(),
            prefer_idle_pods: Switch::Disabled,
        }
    }
}

/// By how much replicas may change in a time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepPolicy {
    /// `Pods`: by `value` pods. `Percent`: by `value` percent of the replicas at the beginning of the period, rounded up.
    #[serde(rename = "type")]
    pub type_: StepType,
    /// By how much, 1 to 10000.
    #[schemars(range(min = 1, max = 10_000))]
    pub value: i32,
    /// In which time, in seconds, 1 to 1800.
    #[schemars(range(min = 1, max = 1800))]
    pub period_seconds: i32,
}

impl StepPolicy {
    /// By `value`, of this type, in so many seconds.
    pub fn new(type_: StepType, value: i32, period_seconds: i32) -> Self {
        Self {
            type_,
            value,
            period_seconds,
        }
    }
}

/// What the value of a step counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum StepType {
    /// Pods.
    Pods,
    /// Percent of the replicas.
    Percent,
}
