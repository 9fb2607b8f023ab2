//! The PodMonitor by which the Prometheus operator finds the brokers.

use super::{Blueprint, Child, ChildKind};
use crate::broker_cluster::{metadata, names};
use serde_json::json;
use sluice_operator_api::broker_cluster::PodMonitorMode;

/// See [`KIND`].
pub(super) const GROUP: &str = "monitoring.coreos.com";
/// See [`KIND`].
pub(super) const VERSION: &str = "v1";
/// Not one of Kubernetes' own kinds.
pub(super) const KIND: &str = "PodMonitor";

/// If there is to be one and there can be one.
pub(super) fn pod_monitor(blueprint: &Blueprint<'_>) -> Option<Child> {
    let cluster = blueprint.cluster;
    let wanted = &cluster.spec.monitoring.pod_monitor;
    if wanted.mode == PodMonitorMode::Disabled || !blueprint.pod_monitors {
        return None;
    }
    let mut metadata = metadata::of(cluster, cluster.stateful_set_name());
    let labels = metadata.labels.get_or_insert_default();
    for (label, value) in &wanted.labels {
        labels.entry(label.clone()).or_insert_with(|| value.clone());
    }
    let monitor = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": KIND,
        "metadata": metadata,
        "spec": {
            "selector": metadata::selector(cluster),
            "podMetricsEndpoints": [{
                "port": names::HTTP_PORT_NAME,
                "path": "/metrics",
                "interval": format!("{}s", wanted.interval_seconds),
                // By which rules and dashboards find brokers, whoever configured the scrape.
                "relabelings": [{"action": "replace", "targetLabel": "job", "replacement": "sluice"}],
            }],
        },
    });
    Some(Child::new(ChildKind::PodMonitor, monitor))
}
