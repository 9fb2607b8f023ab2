//! The Prometheus of each group, with the Secrets that it takes. A client is kept while what it was made from stays the same.

use crate::autoscale::{Missing, MissingKind};
use crate::clock::Clock;
use crate::prometheus::{Authorization, Client as Prometheus, Server, Tenant};
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
/// Where a Prometheus separates tenants, it finds whose series are asked for here.
const TENANT_HEADER: &str = "X-Scope-OrgID";

/// The clients.
pub struct Servers {
    client: Client,
    clock: Clock,
    /// Where the operator's own Prometheus is, for groups that name none.
    default_url: Option<String>,
    made: Mutex<HashMap<(String, String), Made>>,
}

struct Made {
    spec: Spec,
    read: Duration,
    server: Server,
    client: Prometheus,
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
        let namespace = group.namespace().unwrap_or_default();
        let key = (namespace.clone(), group.name_any());
        let now = self.clock.since_start();
        if let Some(made) = self.made.lock().get(&key)
            && made.spec == spec
            && now < made.read + FRESH_FOR
        {
            return Ok(source(&made.client));
        }
        let server = self.server(&namespace, &spec).await?;
        let mut made = self.made.lock();
        if let Some(made) = made.get_mut(&key)
            && made.server == server
        {
            // Its connections stay.
            (made.read, made.spec) = (now, spec.clone());
            return Ok(source(&made.client));
        }
        let client = server.client().map_err(|error| Missing {
            kind: MissingKind::NotConfigured,
            detail: error.to_string(),
        })?;
        let found = source(&client);
        let read = now;
        made.insert(
            key,
            Made {
                spec,
                read,
                server,
                client,
            },
        );
        Ok(found)
    }

    /// The group is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.made.lock().remove(&(namespace.to_owned(), name.to_owned()));
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
