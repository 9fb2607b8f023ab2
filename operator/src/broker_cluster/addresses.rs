//! Where clients reach the listeners, and what brokers are told to put into routes.

use super::children::client_service_name;
use k8s_openapi::api::core::v1::{Pod, Service};
use sluice_operator_api::BrokerCluster;
use sluice_operator_api::broker_cluster::{ExposureType, Listener, ListenerStatus};

/// The address in routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advertised {
    /// Routes name the address that their client has used.
    AsUsed,
    /// HOST:PORT.
    Address(String),
    /// It has a port that Kubernetes has not chosen yet.
    NotYet,
}

/// What brokers are told to advertise. `service` gives the Service of a listener as it is.
pub fn advertised<'a>(
    cluster: &BrokerCluster,
    service: impl Fn(&Listener) -> Option<&'a Service>,
) -> Advertised {
    let outside = cluster.spec.listeners.iter().find_map(|listener| {
        let host = listener.exposure.advertised_host.as_ref()?;
        Some((listener, host))
    });
    match outside {
        None => Advertised::AsUsed,
        Some((listener, host)) => match outer_port(listener, service(listener)) {
            Some(port) => Advertised::Address(address(host, port)),
            None => Advertised::NotYet,
        },
    }
}

/// Where clients reach each listener; those of which it is not known yet are left out.
pub fn listeners<'a>(
    cluster: &BrokerCluster,
    service: impl Fn(&Listener) -> Option<&'a Service>,
    pods: &[Pod],
) -> Vec<ListenerStatus> {
    let listeners = cluster.spec.listeners.iter();
    listeners
        .filter_map(|listener| {
            let service = service(listener)?;
            let (host, port) = place(cluster, listener, service, pods)?;
            Some(ListenerStatus {
                name: listener.name.clone(),
                address: address(&host, port),
                host,
                port,
            })
        })
        .collect()
}

fn place(
    cluster: &BrokerCluster,
    listener: &Listener,
    service: &Service,
    pods: &[Pod],
) -> Option<(String, i32)> {
    if let Some(host) = &listener.exposure.advertised_host {
        return Some((host.clone(), outer_port(listener, Some(service))?));
    }
    match listener.exposure.type_ {
        ExposureType::ClusterIP => Some((client_service_name(cluster, listener), listener.port)),
        // Every node has the port; one with a broker answers with either traffic policy.
        ExposureType::NodePort => {
            let hosts = pods.iter().filter_map(|pod| pod.status.as_ref()?.host_ip.clone());
            Some((hosts.min()?, node_port(listener, Some(service))?))
        }
        ExposureType::LoadBalancer => {
            let balancer = service.status.as_ref()?.load_balancer.as_ref()?;
            let ingress = balancer.ingress.as_ref()?.first()?;
            let host = ingress.hostname.clone().or_else(|| ingress.ip.clone())?;
            Some((host, listener.port))
        }
    }
}

/// The port that belongs to an advertised host.
fn outer_port(listener: &Listener, service: Option<&Service>) -> Option<i32> {
    let exposure = &listener.exposure;
    match (exposure.advertised_port, exposure.type_) {
        (Some(port), _) => Some(port),
        (None, ExposureType::NodePort) => node_port(listener, service),
        (None, ExposureType::ClusterIP | ExposureType::LoadBalancer) => Some(listener.port),
    }
}

fn node_port(listener: &Listener, service: Option<&Service>) -> Option<i32> {
    let chosen = || service?.spec.as_ref()?.ports.as_ref()?.first()?.node_port;
    listener.exposure.node_port.or_else(chosen)
}

/// An IPv6 address has brackets in front of a port.
fn address(host: &str, port: i32) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker_cluster::testing::cluster;
    use serde_json::{Value, json};

    fn service(json: Value) -> Service {
        serde_json::from_value(json).unwrap()
    }

    fn listener(exposure: &str) -> BrokerCluster {
        cluster(&format!(
            r#"{{"listeners": [{{"name": "grpc", "port": 80, "exposure": {exposure}}}]}}"#
        ))
    }

    #[test]
    fn routes_have_the_address_outside_if_one_is_given() {
        let chosen = service(json!({"spec": {"ports": [{"port": 80, "nodePort": 31000}]}}));
        let at = |text: &str| Advertised::Address(text.to_owned());
        for (exposure, found, advertised_now) in [
            ("{}", None, Advertised::AsUsed),
            (r#"{"type": "LoadBalancer"}"#, None, Advertised::AsUsed),
            (
                r#"{"type": "LoadBalancer", "advertisedHost": "mq.example.org"}"#,
                None,
                at("mq.example.org:80"),
            ),
            (
                r#"{"advertisedHost": "mq.example.org", "advertisedPort": 443}"#,
                None,
                at("mq.example.org:443"),
            ),
            (
                r#"{"advertisedHost": "2001:db8::1"}"#,
                None,
                at("[2001:db8::1]:80"),
            ),
            (
                r#"{"type": "NodePort", "advertisedHost": "node"}"#,
                None,
                Advertised::NotYet,
            ),
            (
                r#"{"type": "NodePort", "advertisedHost": "node"}"#,
                Some(&chosen),
                at("node:31000"),
            ),
            (
                r#"{"type": "NodePort", "advertisedHost": "node", "nodePort": 30001}"#,
                None,
                at("node:30001"),
            ),
        ] {
            assert_eq!(
                advertised(&listener(exposure), |_| found),
                advertised_now,
                "{exposure}"
            );
        }
    }

    #[test]
    fn the_status_has_what_is_known_of_each_listener() {
        let node_port = service(json!({"spec": {"ports": [{"port": 80, "nodePort": 31000}]}}));
        let balanced = |ingress: Value| service(json!({"status": {"loadBalancer": {"ingress": [ingress]}}}));
        let pod: Pod = serde_json::from_value(json!({"status": {"hostIP": "192.0.2.9"}})).unwrap();
        for (exposure, found, pods, address) in [
            ("{}", service(json!({})), vec![], Some("main-grpc.shop.svc:80")),
            (
                r#"{"type": "NodePort"}"#,
                node_port.clone(),
                vec![pod],
                Some("192.0.2.9:31000"),
            ),
            (r#"{"type": "NodePort"}"#, node_port, vec![], None),
            (r#"{"type": "LoadBalancer"}"#, service(json!({})), vec![], None),
            (
                r#"{"type": "LoadBalancer"}"#,
                balanced(json!({"ip": "192.0.2.1"})),
                vec![],
                Some("192.0.2.1:80"),
            ),
            (
                r#"{"type": "LoadBalancer"}"#,
                balanced(json!({"hostname": "lb.example.org", "ip": "192.0.2.1"})),
                vec![],
                Some("lb.example.org:80"),
            ),
            (
                r#"{"advertisedHost": "mq.example.org"}"#,
                service(json!({})),
                vec![],
                Some("mq.example.org:80"),
            ),
        ] {
            let listeners = listeners(&listener(exposure), |_| Some(&found), &pods);
            let first = listeners.first().map(|listener| listener.address.as_str());
            assert_eq!(first, address, "{exposure}");
        }
    }
}
