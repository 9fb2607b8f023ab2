//! The BrokerClusters of a scope: which there are, how their admin API is reached, and that one of them has changed.

use super::plan::ClusterState;
use crate::broker::{BrokerError, ClusterKey, Endpoint, Remote};
use crate::broker_cluster::names;
use crate::context::Context;
use crate::error::ReconcileError;
use crate::settings::Scope;
use crate::shutdown::Shutdown;
use crate::watching::watched;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::Api;
use kube::runtime::reflector::{self, ObjectRef, Store};
use parking_lot::Mutex;
use sluice_operator_api::BrokerCluster;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// Secrets are read again after that, so that an exchanged token is known before the old one is void.
const SECRETS_FRESH_FOR: Duration = Duration::from_secs(60);
/// Clusters that have changed and whose topics and groups have not been told yet; beyond that all are looked at.
const CHANGES_MAX: usize = 256;

/// A namespace and a name.
type Name = (String, String);

/// The clusters.
pub struct Clusters {
    context: Arc<Context>,
    store: Store<BrokerCluster>,
    /// How clusters are reached, and when that was read.
    endpoints: Mutex<HashMap<ClusterKey, (Duration, Endpoint)>>,
    changes: broadcast::Sender<Name>,
}

/// What a topic's or group's reconciliation depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Relevant {
    uid: Option<String>,
    deleting: bool,
    token_secret: String,
    tls_secret: Option<String>,
    ready: Option<String>,
}

impl Clusters {
    /// Watches them until the process stops. Returns once it is known which there are.
    pub async fn watch(context: Arc<Context>, scope: &Scope, shutdown: &Shutdown) -> Arc<Self> {
        let api = scope.api(context.client.clone());
        let (store, writer) = reflector::store();
        let clusters = Arc::new(Self {
            context,
            store,
            endpoints: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES_MAX),
        });
        let stream = watched(api, writer, |_| {});
        let (watching, stop) = (Arc::clone(&clusters), shutdown.beginning());
        tokio::spawn(async move {
            let mut known = HashMap::new();
            let mut stream = std::pin::pin!(stream.take_until(stop));
            while let Some(event) = stream.next().await {
                match event {
                    Ok(_) => watching.compare(&mut known),
                    Err(error) => tracing::warn!(
                        error = %crate::broker::causes(&error),
                        "cannot watch BrokerClusters; see whether the definitions of the resources are installed"
                    ),
                }
            }
        });
        tokio::select! {
            _ = clusters.store.wait_until_ready() => {}
            () = shutdown.begun() => {}
        }
        clusters
    }

    /// Tells of the clusters that have changed since the last comparison.
    fn compare(&self, known: &mut HashMap<Name, Relevant>) {
        let current: HashMap<Name, Relevant> = self
            .store
            .state()
            .iter()
            .map(|cluster| (name_of(cluster), relevant(cluster)))
            .collect();
        let changed = current
            .iter()
            .filter(|(name, now)| known.get(*name) != Some(*now));
        let gone = known.keys().filter(|name| !current.contains_key(*name));
        let changed: HashSet<_> = changed.map(|(name, _)| name).chain(gone).cloned().collect();
        *known = current;
        for name in changed {
            self.doubt(&name.0, &name.1);
            // Nobody may listen yet.
            let _ = self.changes.send(name);
        }
    }

    /// The resources of a store whose cluster has changed, as it changes.
    pub fn changed<K: super::BrokerObject>(
        &self,
        store: Store<K>,
    ) -> impl futures::Stream<Item = ObjectRef<K>> + Send + use<K> {
        let changes = self.changes.subscribe();
        let changes = futures::stream::unfold(changes, |mut changes| async move {
            match changes.recv().await {
                Ok(name) => Some((Some(name), changes)),
                // Too many at a time to tell which.
                Err(broadcast::error::RecvError::Lagged(_)) => Some((None, changes)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        });
        changes.flat_map(move |changed| {
            let concerned = store.state().into_iter().filter(|resource| {
                changed.as_ref().is_none_or(|(namespace, name)| {
                    resource.namespace().as_ref() == Some(namespace) && resource.cluster() == name
                })
            });
            let concerned: Vec<_> = concerned
                .map(|resource| ObjectRef::from_obj(&*resource))
                .collect();
            futures::stream::iter(concerned)
        })
    }

    /// How a cluster stands, and its broker if it may be asked.
    pub async fn find(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<(ClusterState, Option<Arc<Remote>>), ReconcileError> {
        let Some(cluster) = self.store.get(&ObjectRef::new(name).within(namespace)) else {
            self.context.brokers.forget(namespace, name);
            return Ok((ClusterState::Missing, None));
        };
        if cluster.metadata.deletion_timestamp.is_some() {
            return Ok((ClusterState::Deleting, None));
        }
        let key = ClusterKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: cluster.uid().unwrap_or_default(),
        };
        let endpoint = match self.endpoint(&key, &cluster).await? {
            Ok(endpoint) => endpoint,
            Err(why) => return Ok((ClusterState::NotReady(why), None)),
        };
        match self.context.brokers.connect(&key, &endpoint) {
            Ok(remote) => Ok((ClusterState::Ready, Some(remote))),
            Err(BrokerError::Invalid(why)) => Ok((ClusterState::NotReady(why), None)),
            Err(error) => Err(error.into()),
        }
    }

    /// What it comes to that the cluster's broker does not know the operator's token.
    pub fn token_unknown(&self, namespace: &str, name: &str) -> Option<String> {
        let cluster = self.store.get(&ObjectRef::new(name).within(namespace))?;
        Some(crate::broker_cluster::token_unknown(&cluster))
    }

    /// Reads the cluster's Secrets again before it is asked next: the broker does not know the token.
    pub fn doubt(&self, namespace: &str, name: &str) {
        self.endpoints
            .lock()
            .retain(|key, _| key.namespace != namespace || key.name != name);
    }

    /// How the admin API is reached, or why that cannot be said.
    async fn endpoint(
        &self,
        key: &ClusterKey,
        cluster: &BrokerCluster,
    ) -> Result<Result<Endpoint, String>, ReconcileError> {
        let now = self.context.clock.since_start();
        if let Some((read, endpoint)) = self.endpoints.lock().get(key)
            && now < *read + SECRETS_FRESH_FOR
        {
            return Ok(Ok(endpoint.clone()));
        }
        let secrets = Api::<Secret>::namespaced(self.context.client.clone(), &key.namespace);
        let (secret, field) = token_place(cluster);
        let token = match secrets.get_opt(&secret).await? {
            None => {
                return Ok(Err(format!(
                    "the Secret '{secret}' with its admin token is not there yet"
                )));
            }
            Some(found) => first_line(&found, &field),
        };
        let Some(token) = token else {
            return Ok(Err(format!(
                "the Secret '{secret}' has no admin token in its key '{field}'"
            )));
        };
        let certificate = match &cluster.spec.tls {
            None => None,
            Some(tls) => {
                let name = &tls.secret_ref.name;
                let found = secrets.get_opt(name).await?;
                let certificate = found.and_then(|secret| Some(secret.data?.get("tls.crt")?.0.clone()));
                if certificate.is_none() {
                    // Rather not at all than with a token that anybody on the way can read.
                    return Ok(Err(format!(
                        "the Secret '{name}' with the brokers' certificate is not there yet, or has no key 'tls.crt'"
                    )));
                }
                certificate
            }
        };
        let address = self
            .context
            .admin_addresses
            .get(&format!("{}/{}", key.namespace, key.name))
            .cloned()
            .unwrap_or_else(|| names::admin_address(&key.name, &key.namespace));
        let endpoint = Endpoint {
            address,
            certificate,
            token: Some(token),
        };
        let mut endpoints = self.endpoints.lock();
        // Of clusters that are gone.
        endpoints.retain(|_, (read, _)| now < *read + SECRETS_FRESH_FOR);
        endpoints.insert(key.clone(), (now, endpoint.clone()));
        Ok(Ok(endpoint))
    }
}

fn name_of(cluster: &BrokerCluster) -> Name {
    (cluster.namespace().unwrap_or_default(), cluster.name_any())
}

fn relevant(cluster: &BrokerCluster) -> Relevant {
    let ready = cluster.status.as_ref().and_then(|status| {
        let ready = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == "Ready");
        ready.map(|ready| ready.status.clone())
    });
    Relevant {
        uid: cluster.uid(),
        deleting: cluster.metadata.deletion_timestamp.is_some(),
        token_secret: token_place(cluster).0,
        tls_secret: cluster.spec.tls.as_ref().map(|tls| tls.secret_ref.name.clone()),
        ready,
    }
}

/// The Secret with the token, and its key.
fn token_place(cluster: &BrokerCluster) -> (String, String) {
    if let Some(given) = &cluster.spec.admin.token_secret_ref {
        return (given.name.clone(), given.key.clone());
    }
    let made = cluster
        .status
        .as_ref()
        .and_then(|status| status.admin_token_secret_ref.as_ref());
    made.map_or_else(
        || {
            let secret = names::admin_token_secret(&cluster.name_any());
            (secret, names::ADMIN_TOKEN_KEY.to_owned())
        },
        |made| (made.name.clone(), made.key.clone()),
    )
}

/// The first of the tokens in a Secret: where there are two, the second is the one that goes.
fn first_line(secret: &Secret, key: &str) -> Option<String> {
    let value = secret.data.as_ref()?.get(key)?;
    let text = std::str::from_utf8(&value.0).ok()?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    #[test]
    fn the_first_token_of_a_secret_counts() {
        for (text, token) in [
            ("abc", Some("abc")),
            ("new\nold\n", Some("new")),
            ("\n new \n", Some("new")),
            ("", None),
            ("\n", None),
        ] {
            let secret = Secret {
                data: Some([("token".to_owned(), ByteString(text.into()))].into()),
                ..Secret::default()
            };
            assert_eq!(first_line(&secret, "token").as_deref(), token, "{text:?}");
            assert_eq!(first_line(&secret, "other"), None);
        }
        assert_eq!(first_line(&Secret::default(), "token"), None);
    }
}
