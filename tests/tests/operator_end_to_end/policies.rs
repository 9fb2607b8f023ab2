//! Whom the NetworkPolicies let in, of the pods that there are: read as Kubernetes' documentation says they are meant, since nothing on
//! the node enforces them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use crate::shop::{self, CLUSTER};
use crate::stage::Stage;
use crate::{monitoring, release};

/// A pod, and the labels of its namespace.
struct Placed {
    pod: Pod,
    around: BTreeMap<String, String>,
}

async fn placed(stage: &Stage, namespace: &str, labels: &str) -> Placed {
    let pods = Api::<Pod>::namespaced(stage.client.clone(), namespace);
    let pods = pods.list(&ListParams::default().labels(labels)).await.unwrap();
    let around = Api::<Namespace>::all(stage.client.clone()).get(namespace).await;
    Placed {
        pod: pods.items.into_iter().next().expect("there is such a pod"),
        around: around.unwrap().labels().clone(),
    }
}

fn selects(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> bool {
    let Some(selector) = selector else { return true };
    assert!(selector.match_expressions.is_none(), "{selector:?}");
    let wanted = selector.match_labels.iter().flatten();
    wanted
        .into_iter()
        .all(|(label, value)| labels.get(label) == Some(value))
}

fn is_peer(peer: &NetworkPolicyPeer, to: &Placed, from: &Placed) -> bool {
    let around = match &peer.namespace_selector {
        Some(selector) => selects(Some(selector), &from.around),
        None => to.pod.namespace() == from.pod.namespace(),
    };
    peer.ip_block.is_none() && around && selects(peer.pod_selector.as_ref(), from.pod.labels())
}

fn is_open(rule: &NetworkPolicyIngressRule, to: &Placed, port: i32) -> bool {
    let containers = to.pod.spec.iter().flat_map(|spec| &spec.containers);
    let ports: Vec<_> = containers
        .flat_map(|container| container.ports.iter().flatten())
        .collect();
    let is_it = |wanted: &IntOrString| match wanted {
        IntOrString::Int(number) => *number == port,
        IntOrString::String(name) => ports
            .iter()
            .any(|known| known.name.as_ref() == Some(name) && known.container_port == port),
    };
    let named = rule.ports.as_deref().unwrap_or_default();
    named.is_empty() || named.iter().any(|open| open.port.as_ref().is_none_or(is_it))
}

/// Whether the policies of a pod's namespace let another pod connect to a port of it.
async fn admit(stage: &Stage, to: &Placed, port: i32, from: &Placed) -> bool {
    let policies = Api::<NetworkPolicy>::namespaced(stage.client.clone(), &to.pod.namespace().unwrap());
    let policies = policies.list(&ListParams::default()).await.unwrap().items;
    let specs = policies.iter().filter_map(|policy| policy.spec.as_ref());
    let of_pod: Vec<_> = specs
        .filter(|spec| selects(spec.pod_selector.as_ref(), to.pod.labels()))
        .collect();
    assert!(!of_pod.is_empty(), "{} has no policy", to.pod.name_any());
    let mut rules = of_pod.iter().flat_map(|spec| spec.ingress.iter().flatten());
    rules.any(|rule| {
        let peers = rule.from.as_deref().unwrap_or_default();
        let is_from = peers.is_empty() || peers.iter().any(|peer| is_peer(peer, to, from));
        is_from && is_open(rule, to, port)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policies_let_prometheus_in_at_metrics_and_nobody_but_the_operator_at_the_admin_api() {
    let shop = shop::open().await;
    shop.cluster_ready(CLUSTER).await;
    let of_broker = format!("app.kubernetes.io/component=broker,app.kubernetes.io/instance={CLUSTER}");
    let broker = placed(&shop, &shop.namespace, &of_broker).await;
    let operator = placed(&shop, release::NAMESPACE, "app.kubernetes.io/component=operator").await;
    let of_prometheus = format!("app={}", monitoring::NAME);
    let prometheus = placed(&shop, monitoring::NAMESPACE, &of_prometheus).await;
    for (what, to, port, from, admitted) in [
        (
            "Prometheus at a broker's metrics",
            &broker,
            5557,
            &prometheus,
            true,
        ),
        (
            "Prometheus at the operator's metrics",
            &operator,
            8080,
            &prometheus,
            true,
        ),
        (
            "an Alertmanager at the operator",
            &operator,
            8090,
            &prometheus,
            true,
        ),
        ("clients at a broker", &broker, 8081, &prometheus, true),
        ("the operator at the admin API", &broker, 8082, &operator, true),
        ("others at the admin API", &broker, 8082, &prometheus, false),
        ("another broker at the admin API", &broker, 8082, &broker, false),
        ("others at any other port", &operator, 9999, &prometheus, false),
    ] {
        assert_eq!(admit(&shop, to, port, from).await, admitted, "{what}");
    }
}
