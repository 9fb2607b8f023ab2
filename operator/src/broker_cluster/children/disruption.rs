//! The PodDisruptionBudget.

use super::{Child, ChildKind};
use crate::broker_cluster::metadata;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use sluice_operator_api::BrokerCluster;

/// If there is to be one. A pod that does not work may always be evicted: that can only help.
pub(super) fn budget(cluster: &BrokerCluster) -> Option<Child> {
    let wanted = &cluster.spec.pod_disruption_budget;
    wanted.mode.is_enabled().then(|| {
        let budget = PodDisruptionBudget {
            metadata: metadata::of(cluster, cluster.stateful_set_name()),
            spec: Some(PodDisruptionBudgetSpec {
                max_unavailable: Some(IntOrString::Int(wanted.max_unavailable)),
                selector: Some(metadata::selector(cluster)),
                unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
                ..PodDisruptionBudgetSpec::default()
            }),
            status: None,
        };
        Child::new(ChildKind::PodDisruptionBudget, budget)
    })
}
