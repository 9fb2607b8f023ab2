//! The client of the API server, which counts its requests.

use crate::metrics::Metrics;
use anyhow::{Context as _, Result};
use http::{Method, Request};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use std::sync::Arc;
use tower::util::MapRequestLayer;

/// The resources that requests are counted by; further ones, which users name as targets, are one.
const RESOURCES: &[&str] = &[
    "brokerclusters",
    "configmaps",
    "consumergroups",
    "deployments",
    "events",
    "horizontalpodautoscalers",
    "leases",
    "networkpolicies",
    "persistentvolumeclaims",
    "poddisruptionbudgets",
    "podmonitors",
    "pods",
    "secrets",
    "services",
    "statefulsets",
    "topics",
];

/// The client that the environment describes: a kubeconfig file, or the pod's own account.
pub async fn connect(metrics: Arc<Metrics>) -> Result<Client> {
    // The provider is the process's; a second installation changes nothing.
    let _ = rustls::crypto::CryptoProvider::install_default(rustls::crypto::ring::default_provider());
    let config = Config::infer().await.context(
        "cannot find out how to reach the API server: set KUBECONFIG to a kubeconfig file, or run in a pod with a service account",
    )?;
    let counted = MapRequestLayer::new(move |request: Request<Body>| {
        let (verb, resource) = counted_as(request.method(), request.uri().path(), request.uri().query());
        metrics
            .kubernetes_requests
            .with_label_values(&[verb, &resource])
            .inc();
        request
    });
    let builder = ClientBuilder::try_from(config).context("cannot make a client of the API server")?;
    Ok(builder.with_layer(&counted).build())
}

/// The verb and the resource, with its subresource, as in a role's rules.
fn counted_as(method: &Method, path: &str, query: Option<&str>) -> (&'static str, String) {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    // /api/v1/…, /apis/GROUP/VERSION/…
    let skipped = if parts.next() == Some("apis") { 2 } else { 1 };
    let mut parts: Vec<_> = parts.skip(skipped).collect();
    if parts.len() > 2 && parts[0] == "namespaces" {
        parts.drain(..2);
    }
    let known = |name: &&str| RESOURCES.contains(name);
    let resource = parts.first().copied().filter(known).unwrap_or("other");
    let resource = match parts.get(2) {
        Some(&part @ ("status" | "scale")) => format!("{resource}/{part}"),
        _ => resource.to_owned(),
    };
    let watched = query.is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
    let verb = match *method {
        Method::GET if watched => "watch",
        Method::GET if parts.len() < 2 => "list",
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    };
    (verb, resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_as_roles_name_them() {
        for (method, path, query, verb, resource) in [
            (
                Method::GET,
                "/apis/sluice.dev/v1alpha1/topics",
                None,
                "list",
                "topics",
            ),
            (
                Method::GET,
                "/apis/sluice.dev/v1alpha1/namespaces/a/topics",
                Some("limit=500&watch=true"),
                "watch",
                "topics",
            ),
            (
                Method::PATCH,
                "/apis/sluice.dev/v1alpha1/namespaces/a/topics/orders/status",
                Some("fieldManager=x"),
                "patch",
                "topics/status",
            ),
            (
                Method::GET,
                "/api/v1/namespaces/a/secrets/token",
                None,
                "get",
                "secrets",
            ),
            (
                Method::PUT,
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/x",
                None,
                "update",
                "leases",
            ),
            (
                Method::POST,
                "/apis/events.k8s.io/v1/namespaces/a/events",
                None,
                "create",
                "events",
            ),
            (
                Method::GET,
                "/apis/example.org/v1/namespaces/a/workers/w/scale",
                None,
                "get",
                "other/scale",
            ),
            (Method::GET, "/version", None, "list", "other"),
        ] {
            assert_eq!(
                counted_as(&method, path, query),
                (verb, resource.to_owned()),
                "{method} {path}"
            );
        }
    }
}
