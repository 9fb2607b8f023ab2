//! The definitions of resources that are not ours, and that clusters often have.

use std::path::PathBuf;

use anyhow::Result;

use super::programs;

/// The files that define PodMonitor, PrometheusRule and ServiceMonitor, as the Prometheus operator brings them.
///
/// # Errors
/// When they are not there and cannot be fetched.
pub fn of_prometheus_operator() -> Result<Vec<PathBuf>> {
    ["podmonitors", "prometheusrules", "servicemonitors"]
        .iter()
        .map(|kind| programs::path(&format!("monitoring.coreos.com_{kind}.yaml")))
        .collect()
}
