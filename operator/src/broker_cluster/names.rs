//! What the objects of a cluster are called: everybody who makes them or looks for them agrees on it here.

/// The port of the admin API in the pods and of its Service.
pub const ADMIN_PORT: u16 = 8082;

/// The key of the Secret in which the admin token is.
pub const ADMIN_TOKEN_KEY: &str = "token";

/// The Service of the admin API.
pub fn admin_service(cluster: &str) -> String {
    format!("{cluster}-admin")
}

/// The Secret with the admin token, where the operator makes it.
pub fn admin_token_secret(cluster: &str) -> String {
    format!("{cluster}-admin-token")
}

/// Where the admin API is inside of the Kubernetes cluster.
pub fn admin_address(cluster: &str, namespace: &str) -> String {
    format!("{}.{namespace}.svc:{ADMIN_PORT}", admin_service(cluster))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_the_service_in_its_namespace() {
        assert_eq!(admin_address("orders", "shop"), "orders-admin.shop.svc:8082");
    }
}
