//! The Services: one without an address, for the pods' names; one for operators; and one for each listener.

use super::{Child, ChildKind};
use crate::broker_cluster::{metadata, names};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use sluice_operator_api::BrokerCluster;
use sluice_operator_api::broker_cluster::{ExposureType, Listener};

/// All of them.
pub(super) fn all(cluster: &BrokerCluster) -> Vec<Child> {
    let listeners = cluster.spec.listeners.iter();
    let mut services = vec![headless(cluster), admin(cluster)];
    services.extend(listeners.map(|listener| client(cluster, listener)));
    services
}

/// Where clients inside of the Kubernetes cluster find a listener.
pub fn client_service_name(cluster: &BrokerCluster, listener: &Listener) -> String {
    let namespace = cluster.metadata.namespace.as_deref().unwrap_or_default();
    format!("{}.{namespace}.svc", cluster.service_name(listener))
}

/// Pods have their names before they are ready: brokers find each other by them.
fn headless(cluster: &BrokerCluster) -> Child {
    let spec = ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        publish_not_ready_addresses: Some(true),
        ports: Some(vec![
            port(
                names::CLIENT_PORT_NAME,
                i32::from(names::CLIENT_PORT),
                names::CLIENT_PORT_NAME,
            ),
            port(
                names::ADMIN_PORT_NAME,
                i32::from(names::ADMIN_PORT),
                names::ADMIN_PORT_NAME,
            ),
            port(
                names::HTTP_PORT_NAME,
                i32::from(names::HTTP_PORT),
                names::HTTP_PORT_NAME,
            ),
        ]),
        ..base(cluster)
    };
    child(cluster, cluster.headless_service_name(), spec)
}

fn admin(cluster: &BrokerCluster) -> Child {
    let name = names::admin_service(cluster.metadata.name.as_deref().unwrap_or_default());
    let spec = ServiceSpec {
        type_: Some(ExposureType::ClusterIP.as_str().to_owned()),
        ports: Some(vec![port(
            names::ADMIN_PORT_NAME,
            i32::from(names::ADMIN_PORT),
            names::ADMIN_PORT_NAME,
        )]),
        ..base(cluster)
    };
    child(cluster, name, spec)
}

fn client(cluster: &BrokerCluster, listener: &Listener) -> Child {
    let exposure = &listener.exposure;
    let balanced = exposure.type_ == ExposureType::LoadBalancer;
    let spec = ServiceSpec {
        type_: Some(exposure.type_.as_str().to_owned()),
        ports: Some(vec![ServicePort {
            node_port: exposure.node_port,
            ..port(&listener.name, listener.port, names::CLIENT_PORT_NAME)
        }]),
        external_traffic_policy: exposure
            .external_traffic_policy
            .map(|policy| policy.as_str().to_owned()),
        load_balancer_class: exposure.load_balancer_class.clone().filter(|_| balanced),
        load_balancer_source_ranges: exposure.load_balancer_source_ranges.clone().filter(|_| balanced),
        ..base(cluster)
    };
    let mut service = Service {
        metadata: metadata::of(cluster, cluster.service_name(listener)),
        spec: Some(spec),
        status: None,
    };
    if !exposure.annotations.is_empty() {
        service.metadata.annotations = Some(exposure.annotations.clone());
    }
    Child::new(ChildKind::Service, service)
}

fn base(cluster: &BrokerCluster) -> ServiceSpec {
    ServiceSpec {
        selector: Some(metadata::selector_labels(cluster)),
        ..ServiceSpec::default()
    }
}

fn port(name: &str, port: i32, target: &str) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::String(target.to_owned())),
        ..ServicePort::default()
    }
}

fn child(cluster: &BrokerCluster, name: String, spec: ServiceSpec) -> Child {
    let service = Service {
        metadata: metadata::of(cluster, name),
        spec: Some(spec),
        status: None,
    };
    Child::new(ChildKind::Service, service)
}
