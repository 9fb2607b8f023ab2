//! What the objects of a cluster are called: everybody who makes them or looks for them agrees on it here.

/// The port of the admin API in the pods and of its Service.
pub const ADMIN_PORT: u16 = 8082;
/// The port for clients in the pods.
pub const CLIENT_PORT: u16 = 8081;
/// The port of health and metrics in the pods.
pub const HTTP_PORT: u16 = 5557;

/// The names of these ports, by which Services and probes choose them.
pub const ADMIN_PORT_NAME: &str = "admin";
/// See [`ADMIN_PORT_NAME`].
pub const CLIENT_PORT_NAME: &str = "grpc";
/// See [`ADMIN_PORT_NAME`].
pub const HTTP_PORT_NAME: &str = "http";

/// The key of the Secret in which the admin token is.
pub const ADMIN_TOKEN_KEY: &str = "token";
/// The key of the ConfigMap in which the brokers' configuration is.
pub const CONFIG_KEY: &str = "broker.yaml";
/// The container that is the broker.
pub const CONTAINER: &str = "broker";
/// The template of the brokers' volumes: the beginning of their claims' names.
pub const VOLUME: &str = "data";
/// The broker's name in routes, and its folder: that of the only shard.
pub const BROKER_NAME: &str = "broker-0";

/// The Service of the admin API.
pub fn admin_service(cluster: &str) -> String {
    format!("{cluster}-admin")
}

/// The Secret with the admin token, where the operator makes it.
pub fn admin_token_secret(cluster: &str) -> String {
    format!("{cluster}-admin")
}

/// Where the admin API is inside of the Kubernetes cluster.
pub fn admin_address(cluster: &str, namespace: &str) -> String {
    format!("{}.{namespace}.svc:{ADMIN_PORT}", admin_service(cluster))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_operator_api::BrokerCluster;

    #[test]
    fn an_address_names_the_service_in_its_namespace() {
        assert_eq!(admin_address("orders", "shop"), "orders-admin.shop.svc:8082");
    }

    #[test]
    fn the_secret_has_the_name_that_the_resource_gives_it() {
        let mut cluster: BrokerCluster = crate::broker_cluster::testing::cluster("{}");
        cluster.metadata.name = Some("orders".to_owned());
        assert_eq!(cluster.admin_secret_name(), admin_token_secret("orders"));
    }
}
