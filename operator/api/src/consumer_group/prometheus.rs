//! Where the Prometheus of a group is and how it is asked.

use crate::{ConfigMapKeyRef, SecretKeyRef};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Prometheus, or what answers its HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.url) != has(self.serviceRef)").message("give url or serviceRef, and not both"),
    validation = Rule::new("!has(self.bearerTokenSecretRef) || !has(self.basicAuth)")
        .message("give bearerTokenSecretRef or basicAuth, and not both"),
)]
pub struct Prometheus {
    /// Its URL, such as `http://prometheus.monitoring:9090`; `/api/v1/query` is appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s?#]+$"))]
    pub url: Option<String>,
    /// The Service in front of it, in place of a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ref: Option<ServiceRef>,
    /// The token for `Authorization: Bearer`, from a Secret. A change of the Secret holds within a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_secret_ref: Option<SecretKeyRef>,
    /// User and password for `Authorization: Basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// The tenant, sent as `X-Scope-OrgID`, for Mimir, Cortex and their kin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 150), regex(pattern = r"^[!-~]+$"))]
    pub tenant: Option<String>,
    /// The certificates in PEM that the server's is checked against, from a ConfigMap; the system's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<ConfigMapKeyRef>,
    /// How long an answer may take, in seconds, 1 to 60; 5 unless given.
    #[serde(default = "timeout_seconds")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout_seconds: i32,
    /// How old a sample may be, in seconds, 5 to 3600; 120 unless given. Older ones count as missing. Of a query
    /// of your own the age is that of its result, which Prometheus makes anew each time: it itself leaves out samples that are
    /// older than its look-back, five minutes as a rule.
    #[serde(default = "max_sample_age_seconds")]
    #[schemars(range(min = 5, max = 3600))]
    pub max_sample_age_seconds: i32,
}

fn timeout_seconds() -> i32 {
    5
}

fn max_sample_age_seconds() -> i32 {
    120
}

/// A Service with a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Its namespace; the group's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub namespace: Option<String>,
    /// Its port, 1 to 65535; 9090 unless given.
    #[serde(default = "prometheus_port")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
    /// `http`, the default, or `https`.
    #[serde(default)]
    pub scheme: Scheme,
    /// What stands in front of `/api/v1/query`, such as `/prometheus`; nothing unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^/[^\s?#]*$"))]
    pub path: Option<String>,
}

fn prometheus_port() -> i32 {
    9090
}

/// How a Service is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum Scheme {
    /// In plaintext.
    #[default]
    #[serde(rename = "http")]
    Http,
    /// With TLS.
    #[serde(rename = "https")]
    Https,
}

/// User and password, from Secrets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// The user.
    pub username_secret_ref: SecretKeyRef,
    /// The password.
    pub password_secret_ref: SecretKeyRef,
}

impl Prometheus {
    /// Its URL without a slash at the end, for a group in this namespace.
    pub fn base_url(&self, namespace: &str) -> Option<String> {
        let url = match (&self.url, &self.service_ref) {
            (Some(url), _) => url.clone(),
            (None, Some(service)) => service.url(namespace),
            (None, None) => return None,
        };
        Some(url.trim_end_matches('/').to_owned())
    }
}

impl ServiceRef {
    fn url(&self, own_namespace: &str) -> String {
        let Self {
            name,
            namespace,
            port,
            scheme,
            path,
        } = self;
        let namespace = namespace.as_deref().unwrap_or(own_namespace);
        let path = path.as_deref().unwrap_or_default();
        let scheme = match scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{name}.{namespace}.svc:{port}{path}")
    }
}
