//! The NetworkPolicy: clients and metrics from where the resource says, the admin API from the operator and where it says.

use super::{Blueprint, Child, ChildKind};
use crate::broker_cluster::{metadata, names};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use sluice_operator_api::labels;

/// Every namespace has it, with its own name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// What the operator's pods have as [`labels::APP_COMPONENT`].
const OPERATOR_COMPONENT: &str = "operator";

/// If there is to be one.
pub(super) fn network_policy(blueprint: &Blueprint<'_>) -> Option<Child> {
    let cluster = blueprint.cluster;
    let wanted = &cluster.spec.network_policy;
    wanted.mode.is_enabled().then(|| {
        let mut admins = vec![operator(blueprint.operator_namespace)];
        admins.extend(wanted.admin_from.iter().cloned());
        let policy = NetworkPolicy {
            metadata: metadata::of(cluster, cluster.stateful_set_name()),
            spec: Some(NetworkPolicySpec {
                pod_selector: Some(metadata::selector(cluster)),
                policy_types: Some(vec!["Ingress".to_owned()]),
                ingress: Some(vec![
                    rule(names::CLIENT_PORT, &wanted.clients_from),
                    rule(names::ADMIN_PORT, &admins),
                    rule(names::HTTP_PORT, &wanted.metrics_from),
                ]),
                egress: None,
            }),
        };
        Child::new(ChildKind::NetworkPolicy, policy)
    })
}

/// Without peers: from everywhere.
fn rule(port: u16, peers: &[NetworkPolicyPeer]) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from: (!peers.is_empty()).then(|| peers.to_vec()),
        ports: Some(vec![NetworkPolicyPort {
            port: Some(IntOrString::Int(i32::from(port))),
            protocol: Some("TCP".to_owned()),
            end_port: None,
        }]),
    }
}

fn operator(namespace: &str) -> NetworkPolicyPeer {
    let with = |label: &str, value: &str| LabelSelector {
        match_labels: Some([(label.to_owned(), value.to_owned())].into()),
        ..LabelSelector::default()
    };
    NetworkPolicyPeer {
        namespace_selector: Some(with(NAMESPACE_NAME, namespace)),
        pod_selector: Some(with(labels::APP_COMPONENT, OPERATOR_COMPONENT)),
        ip_block: None,
    }
}
