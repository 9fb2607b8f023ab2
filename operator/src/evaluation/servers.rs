//! The Prometheus of each group, with the Secrets that it takes. Groups that say the same share what was read and the client,
//! and so do all whose server comes to be the same.

use crate::autoscale::{Missing, MissingKind};
use crate::clock::Clock;
use crate::prometheus::{Authorization, Client as Prometheus, Server, ServerInvalid, Tenant};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use kube::{Client, ResourceExt as _};
use parking_lot::Mutex;
use sluice_operator_api::consumer_group::Prometheus as Spec;
use sluice_operator_api::{ConfigMapKeyRef, ConsumerGroup, SecretKeyRef};
use std::collections::HashMap;
use std::time::Duration;

/// Secrets and ConfigMaps are read again after that.
const FRESH_FOR: Duration = Duration::from_secs(30);
/// What nobody has asked for so long is forgotten, with its connections.
const UNUSED_FOR: Duration = Duration::from_secs(600);
/// Where a Prometheus separates tenants, it finds whose series are asked for here.
const TENANT_HEADER: &str = "X-Scope-OrgID";

/// The clients.
pub struct Servers {
    client: Client,
    clock: Clock,
    /// Where the operator's own Prometheus is, for groups that name none.
    default_url: Option<String>,
    made: Mutex<Made>,
}

/// Each with when it was read or used last.
#[derive(Default)]
struct Made {
    /// By namespace and description.
    read: HashMap<(String, Spec), (Duration, Prometheus)>,
    clients: HashMap<Server, (Duration, Prometheus)>,
}

/// A Prometheus, and how old its samples may be.
#[derive(Clone, Debug)]
pub struct Source {
    /// Asks it.
    pub client: Prometheus,
    /// In seconds.
    pub max_age_seconds: u32,
}

impl Servers {
    /// None yet.
    pub fn new(client: Client, clock: Clock, default_url: Option<String>) -> Self {
        Self {
            client,
            clock,
            default_url,
            made: Mutex::default(),
        }
    }

    /// The group's Prometheus, or why there is none.
    pub async fn of(&self, group: &ConsumerGroup) -> Result<Source, Missing> {
        let spec = self.spec(group)?;
        let source = |client: &Prometheus| Source {
            client: client.clone(),
            max_age_seconds: u32::try_from(spec.max_sample_age_seconds).unwrap_or_default(),
        };
        let key = (group.namespace().unwrap_or_default(), spec.clone());
        let now = self.clock.since_start();
        if let Some((read, client)) = self.made.lock().read.get(&key)
            && now < *read + FRESH_FOR
        {
            return Ok(source(client));
        }
        let server = self.server(&key.0, &spec).await?;
        let mut made = self.made.lock();
        made.forget_unused(now);
        let client = made.client(server, now).map_err(|error| Missing {
            kind: MissingKind::NotConfigured,
            detail: error.to_string(),
        })?;
        made.read.insert(key, (now, client.clone()));
        Ok(source(&client))
    }

    fn spec(&self, group: &ConsumerGroup) -> Result<Spec, Missing> {
        let own = group
            .spec
            .autoscaling
            .as_ref()
            .and_then(|scaling| scaling.prometheus.clone());
        let default = || {
            let url = self.default_url.as_ref()?;
            serde_json::from_value(serde_json::json!({ "url": url })).ok()
        };
        own.or_else(default).ok_or_else(|| Missing {
            kind: MissingKind::NotConfigured,
            detail: "no Prometheus is given: set autoscaling.prometheus, or the operator's --prometheus-url"
                .to_owned(),
        })
    }

    async fn server(&self, namespace: &str, spec: &Spec) -> Result<Server, Missing> {
        let authorization = match (&spec.bearer_token_secret_ref, &spec.basic_auth) {
            (Some(token), _) => Some(Authorization::Bearer(self.secret(namespace, token).await?)),
            (None, Some(basic)) => Some(Authorization::Basic {
                username: self.secret(namespace, &basic.username_secret_ref).await?,
                password: self.secret(namespace, &basic.password_secret_ref).await?,
            }),
            (None, None) => None,
        };
        let ca_bundle = match &spec.ca_config_map_ref {
            Some(bundle) => Some(self.config(namespace, bundle).await?.into_bytes()),
            None => None,
        };
        Ok(Server {
            url: spec.base_url(namespace).unwrap_or_default(),
            authorization,
            tenant: spec.tenant.clone().map(|value| Tenant {
                header: TENANT_HEADER.to_owned(),
                value,
            }),
            ca_bundle,
            client_certificate: None,
            timeout: Duration::from_secs(u64::try_from(spec.timeout_seconds).unwrap_or(1).max(1)),
        })
    }

    async fn secret(&self, namespace: &str, place: &SecretKeyRef) -> Result<String, Missing> {
        let SecretKeyRef { name, key } = place;
        let secrets = Api::<Secret>::namespaced(self.client.clone(), namespace);
        let found = secrets
            .get_opt(name)
            .await
            .map_err(|error| unread("Secret", name, &error))?;
        let value = found.and_then(|secret| secret.data?.remove(key));
        let value = value.ok_or_else(|| absent("Secret", name, key))?;
        // A line feed at the end comes from a file, and is no part of it.
        let text = String::from_utf8(value.0).map_err(|_| absent("Secret", name, key))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    async fn config(&self, namespace: &str, place: &ConfigMapKeyRef) -> Result<String, Missing> {
        let ConfigMapKeyRef { name, key } = place;
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), namespace);
        let found = maps
            .get_opt(name)
            .await
            .map_err(|error| unread("ConfigMap", name, &error))?;
        let value = found.and_then(|map| map.data?.remove(key));
        value.ok_or_else(|| absent("ConfigMap", name, key))
    }
}

impl Made {
    /// The server's client, with its connections.
    fn client(&mut self, server: Server, now: Duration) -> Result<Prometheus, ServerInvalid> {
        if let Some((used, client)) = self.clients.get_mut(&server) {
            *used = now;
            return Ok(client.clone());
        }
        let client = server.client()?;
        self.clients.insert(server, (now, client.clone()));
        Ok(client)
    }

    fn forget_unused(&mut self, now: Duration) {
        self.read.retain(|_, (read, _)| now < *read + UNUSED_FOR);
        self.clients.retain(|_, (used, _)| now < *used + UNUSED_FOR);
    }
}

fn absent(kind: &str, name: &str, key: &str) -> Missing {
    Missing {
        kind: MissingKind::ReferenceNotFound,
        detail: format!(
            "there is no {kind} {name} with text under the key {key}, which autoscaling.prometheus names"
        ),
    }
}

fn unread(kind: &str, name: &str, error: &kube::Error) -> Missing {
    Missing {
        kind: MissingKind::ReferenceNotFound,
        detail: format!("cannot read the {kind} {name}, which autoscaling.prometheus names: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Response};
    use kube::client::Body;
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn group(namespace: &str, name: &str, secret: &str) -> ConsumerGroup {
        let yaml = format!(
            "{{apiVersion: sluice.dev/v1alpha1, kind: ConsumerGroup, metadata: {{name: {name}, namespace: {namespace}}}, \
             spec: {{clusterRef: {{name: main}}, autoscaling: {{maxReplicas: 4, scaleTargetRef: {{name: {name}}}, \
             prometheus: {{url: 'http://prometheus:9090', bearerTokenSecretRef: {{name: {secret}, key: token}}}}}}}}}}"
        );
        serde_yaml::from_str(&yaml).unwrap()
    }

    #[tokio::test]
    async fn groups_that_name_one_server_share_its_client_and_what_was_read_for_it() {
        let read = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&read);
        let service = tower::service_fn(move |request: Request<Body>| {
            counting.fetch_add(1, Ordering::Relaxed);
            let token = if request.uri().path().ends_with("/theirs") {
                "b3RoZXI="
            } else {
                "czNjcmV0"
            };
            let secret = serde_json::json!({"kind": "Secret", "apiVersion": "v1", "data": {"token": token}});
            let answer = Response::new(http_body_util::Full::new(bytes::Bytes::from(secret.to_string())));
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        let servers = Servers::new(Client::new(service, "shop"), Clock::start(), None);
        for (namespace, name, secret, clients, reads) in [
            ("shop", "billing", "ours", 1, 1),
            ("shop", "orders", "ours", 1, 1),
            ("other", "billing", "ours", 1, 2),
            ("shop", "mails", "theirs", 2, 3),
            ("shop", "billing", "ours", 2, 3),
        ] {
            servers.of(&group(namespace, name, secret)).await.unwrap();
            let made = servers.made.lock().clients.len();
            let case = format!("{namespace}/{name}, {secret}");
            assert_eq!((made, read.load(Ordering::Relaxed)), (clients, reads), "{case}");
        }
        let mut made = servers.made.lock();
        made.forget_unused(UNUSED_FOR * 2);
        assert!(made.read.is_empty() && made.clients.is_empty());
    }
}
