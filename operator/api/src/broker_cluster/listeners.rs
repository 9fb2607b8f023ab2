//! How clients reach the brokers.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How clients reach the brokers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Its name, up to 15 small letters, digits and hyphens: the end of the Service's name.
    #[schemars(length(min = 1, max = 15), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("!(self in ['brokers', 'admin', 'config', 'binding'])")
        .message("a listener cannot have this name: the operator has an object of that name itself"))]
    pub name: String,
    /// What is spoken: `GrpcV2`, the protocol of RocketMQ 5's clients.
    #[serde(default)]
    pub protocol: Protocol,
    /// The Service's port, 1 to 65535; 8081 unless given.
    #[serde(default = "grpc_port")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
    /// How it is reached from outside of the Kubernetes cluster; not at all unless given.
    #[serde(default)]
    pub exposure: Exposure,
}

fn grpc_port() -> i32 {
    8081
}

pub(super) fn one_inside() -> Vec<Listener> {
    vec![Listener {
        name: "grpc".to_owned(),
        protocol: Protocol::default(),
        port: grpc_port(),
        exposure: Exposure::default(),
    }]
}

/// What is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Protocol {
    /// The gRPC protocol of RocketMQ 5.
    #[default]
    GrpcV2,
}

/// How a listener is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.nodePort) || self.type == 'NodePort' || self.type == 'LoadBalancer'")
        .message("nodePort belongs to the types NodePort and LoadBalancer"),
    validation = Rule::new("!has(self.loadBalancerClass) || self.type == 'LoadBalancer'")
        .message("loadBalancerClass belongs to the type LoadBalancer"),
    validation = Rule::new("!has(self.loadBalancerSourceRanges) || self.type == 'LoadBalancer'")
        .message("loadBalancerSourceRanges belongs to the type LoadBalancer"),
    validation = Rule::new("!has(self.externalTrafficPolicy) || self.type == 'NodePort' || self.type == 'LoadBalancer'")
        .message("externalTrafficPolicy belongs to the types NodePort and LoadBalancer"),
    validation = Rule::new("!has(self.advertisedPort) || has(self.advertisedHost)")
        .message("advertisedPort needs advertisedHost"),
)]
pub struct Exposure {
    /// The Service's type: `ClusterIP`, the default, `NodePort` or `LoadBalancer`.
    #[serde(default, rename = "type")]
    pub type_: ExposureType,
    /// The host name or address in the routes that brokers give to clients. Unless given a route names the address that its
    /// client used, which is right wherever clients are sent on to one broker under it. A change restarts the brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$")
    )]
    pub advertised_host: Option<String>,
    /// The port in routes, 1 to 65535; the Service's, or its node port with the type NodePort, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub advertised_port: Option<i32>,
    /// The port on the nodes, 1 to 65535; one that Kubernetes chooses unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub node_port: Option<i32>,
    /// The class of the load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub load_balancer_class: Option<String>,
    /// From which addresses the load balancer takes connections, up to 64 ranges such as `192.0.2.0/24`; from all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub load_balancer_source_ranges: Option<Vec<String>>,
    /// `Cluster` or `Local`; with `Local` brokers see the clients' own addresses, and only nodes with a broker answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,
    /// Annotations of the Service, up to 64, for what makes load balancers and names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::annotations")]
    pub annotations: BTreeMap<String, String>,
}

/// The type of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ExposureType {
    /// Inside the Kubernetes cluster.
    #[default]
    ClusterIP,
    /// On a port of every node.
    NodePort,
    /// By a load balancer.
    LoadBalancer,
}

impl ExposureType {
    /// As a Service has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// Where connections from outside may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::schema::undescribed)]
pub enum TrafficPolicy {
    /// To a broker on any node.
    Cluster,
    /// To a broker on the node that they reach.
    Local,
}

impl TrafficPolicy {
    /// As a Service has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        }
    }
}
