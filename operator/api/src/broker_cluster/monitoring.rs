//! How the brokers are watched.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the brokers are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// The PodMonitor by which the Prometheus operator finds the brokers.
    #[serde(default)]
    pub pod_monitor: PodMonitor,
}

/// A PodMonitor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodMonitor {
    /// `Auto`, the default: one is made if the Kubernetes cluster knows PodMonitors. `Enabled`: one is made, and the condition Ready
    /// says so while that cannot be. `Disabled`: none is made.
    #[serde(default)]
    pub mode: PodMonitorMode,
    /// Its labels, up to 64, by which a Prometheus chooses it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// How often metrics are read, in seconds, 5 to 3600; 30 unless given.
    #[serde(default = "interval_seconds")]
    #[schemars(range(min = 5, max = 3600))]
    pub interval_seconds: i32,
}

fn interval_seconds() -> i32 {
    30
}

impl Default for PodMonitor {
    fn default() -> Self {
        Self {
            mode: PodMonitorMode::default(),
            labels: BTreeMap::new(),
            interval_seconds: interval_seconds(),
        }
    }
}

/// Whether a PodMonitor is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PodMonitorMode {
    /// If the Kubernetes cluster knows PodMonitors.
    #[default]
    Auto,
    /// It is.
    Enabled,
    /// It is not.
    Disabled,
}
