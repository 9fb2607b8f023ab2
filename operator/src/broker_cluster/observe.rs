//! Looking at everything that there is of a cluster.
//!
//! Objects are listed by the cluster's label, so that those of listeners that are gone are found too, and asked for by name where
//! none of that name is the cluster's: it may be somebody else's. Secrets are only asked for by name: nobody has to be allowed to
//! list them.

use super::children::ChildKind;
use super::configuration::Running;
use super::observed::{Broker, Observed, given_secrets, is_ready, token_place, token_unknown};
use super::{metadata, names, rotation};
use crate::broker::{BrokerError, ClusterKey, Endpoint};
use crate::context::Context;
use crate::error::ReconcileError;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, ListParams, TypeMeta};
use kube::core::ApiResource;
use parking_lot::Mutex;
use serde_json::Value;
use sluice_operator_api::{BrokerCluster, labels};
use std::time::Duration;

/// Whether the API server knows PodMonitors is asked again after this.
const KINDS_FRESH_FOR: Duration = Duration::from_secs(60);
const MONITORING: &str = "monitoring.coreos.com/v1";

/// What kinds the API server knew when it was last asked.
#[derive(Debug, Default)]
pub struct Kinds(Mutex<Option<(Duration, bool)>>);

impl Kinds {
    /// Whether it knows PodMonitors.
    async fn pod_monitors(&self, context: &Context) -> Result<bool, ReconcileError> {
        let now = context.clock.since_start();
        if let Some((asked, known)) = *self.0.lock()
            && now < asked + KINDS_FRESH_FOR
        {
            return Ok(known);
        }
        let known = match context.client.list_api_group_resources(MONITORING).await {
            Ok(list) => list
                .resources
                .iter()
                .any(|resource| resource.name == "podmonitors"),
            Err(kube::Error::Api(status)) if status.code == 404 => false,
            Err(error) => return Err(error.into()),
        };
        *self.0.lock() = Some((now, known));
        Ok(known)
    }
}

/// Looks at everything.
pub async fn observe(
    cluster: &BrokerCluster,
    context: &Context,
    kinds: &Kinds,
) -> Result<Observed, ReconcileError> {
    let namespace = cluster.namespace().unwrap_or_default();
    let mut observed = Observed {
        pod_monitors: kinds.pod_monitors(context).await?,
        ..Observed::default()
    };
    for kind in ChildKind::ALL {
        if kind != ChildKind::PodMonitor || observed.pod_monitors {
            look_for(cluster, context, &namespace, kind, &mut observed).await?;
        }
    }
    let selector = metadata::selector_labels(cluster);
    let selector: Vec<_> = selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let of_pods = ListParams::default().labels(&selector.join(","));
    observed.pods = list::<Pod>(context, &namespace, &of_pods).await?;
    observed.claims = list::<PersistentVolumeClaim>(context, &namespace, &of_pods).await?;
    let secrets = Api::<Secret>::namespaced(context.client.clone(), &namespace);
    for name in given_secrets(cluster) {
        if let Some(secret) = secrets.get_opt(name).await? {
            observed.given.insert(name.to_owned(), secret);
        }
    }
    observed.broker = ask(cluster, context, &namespace, &observed).await;
    Ok(observed)
}

/// Objects of a kind.
async fn look_for(
    cluster: &BrokerCluster,
    context: &Context,
    namespace: &str,
    kind: ChildKind,
    observed: &mut Observed,
) -> Result<(), ReconcileError> {
    let resource = kind.resource();
    let api = Api::<DynamicObject>::namespaced_with(context.client.clone(), namespace, &resource);
    if kind != ChildKind::Secret {
        let ours = format!("{}={}", labels::CLUSTER, cluster.name_any());
        let listed = match api.list(&ListParams::default().labels(&ours)).await {
            // A kind that the operator may not use is as good as one that there is not.
            Err(kube::Error::Api(status)) if kind == ChildKind::PodMonitor && status.code == 403 => {
                observed.pod_monitors = false;
                return Ok(());
            }
            listed => listed?,
        };
        for object in listed {
            observed
                .live
                .insert((kind, object.name_any()), as_value(object, &resource));
        }
    }
    for name in needed(cluster, kind) {
        let key = (kind, name);
        if !observed.live.contains_key(&key)
            && let Some(object) = api.get_opt(&key.1).await?
        {
            observed.live.insert(key, as_value(object, &resource));
        }
    }
    Ok(())
}

/// The names of a kind that the cluster needs, or may have needed where they cannot be listed.
fn needed(cluster: &BrokerCluster, kind: ChildKind) -> Vec<String> {
    let name = cluster.name_any();
    match kind {
        ChildKind::Service => {
            let listeners = cluster.spec.listeners.iter();
            let mut services: Vec<_> = listeners.map(|listener| cluster.service_name(listener)).collect();
            services.extend([cluster.headless_service_name(), names::admin_service(&name)]);
            services
        }
        ChildKind::Secret => vec![names::admin_token_secret(&name), cluster.binding_secret_name()],
        ChildKind::ConfigMap => vec![cluster.config_map_name()],
        ChildKind::NetworkPolicy
        | ChildKind::PodDisruptionBudget
        | ChildKind::PodMonitor
        | ChildKind::StatefulSet => vec![cluster.stateful_set_name()],
    }
}

/// Elements of lists come without their kind.
pub fn as_value(mut object: DynamicObject, resource: &ApiResource) -> Value {
    object.types = Some(TypeMeta {
        api_version: resource.api_version.clone(),
        kind: resource.kind.clone(),
    });
    object.metadata.managed_fields = None;
    serde_json::to_value(object).expect("what came as JSON can be written as JSON")
}

async fn list<K>(
    context: &Context,
    namespace: &str,
    parameters: &ListParams,
) -> Result<Vec<K>, ReconcileError>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api = Api::<K>::namespaced(context.client.clone(), namespace);
    Ok(api.list(parameters).await?.items)
}

/// How to reach the admin API; none without a token, or without the certificate that the brokers are given.
pub fn endpoint(cluster: &BrokerCluster, context: &Context, observed: &Observed) -> Option<Endpoint> {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let token = rotation::first(&observed.token_file(cluster)?)?;
    let certificate = observed.tls(cluster, "tls.crt").map(<[u8]>::to_vec);
    // Rather not at all than with a token that anybody on the way can read.
    if cluster.spec.tls.is_some() && certificate.is_none() {
        return None;
    }
    let elsewhere = context.admin_addresses.get(&format!("{namespace}/{name}"));
    Some(Endpoint {
        address: elsewhere
            .cloned()
            .unwrap_or_else(|| names::admin_address(&name, &namespace)),
        certificate,
        token: Some(token),
    })
}

/// By this connections are kept.
pub fn key(cluster: &BrokerCluster) -> ClusterKey {
    ClusterKey {
        namespace: cluster.namespace().unwrap_or_default(),
        name: cluster.name_any(),
        uid: cluster.uid().unwrap_or_default(),
    }
}

/// Asks the broker, if a pod is ready.
async fn ask(cluster: &BrokerCluster, context: &Context, namespace: &str, observed: &Observed) -> Broker {
    if !observed.pods.iter().any(is_ready) {
        return Broker::NotAsked;
    }
    let Some(endpoint) = endpoint(cluster, context, observed) else {
        let secret = token_place(cluster).name;
        let tls = cluster.spec.tls.as_ref();
        let certificate = tls.map(|tls| format!(", or '{}' no certificate", tls.secret_ref.name));
        return Broker::Silent(format!(
            "the Secret '{secret}' in {namespace} has no admin token{}",
            certificate.unwrap_or_default()
        ));
    };
    let asked = async {
        let remote = context.brokers.connect(&key(cluster), &endpoint)?;
        let status = remote.status().await?;
        let entries = remote.config(Vec::new()).await?;
        let unknown = cluster.spec.config.keys();
        let unknown = unknown
            .filter(|key| !entries.iter().any(|entry| entry.key == **key))
            .cloned();
        let unknown: Vec<_> = unknown.collect();
        let refusal = match unknown.is_empty() {
            true => None,
            false => remote.config(unknown).await.err().map(|error| error.to_string()),
        };
        Ok::<_, BrokerError>(Broker::Answers(Box::new(status), Running { entries, refusal }))
    };
    asked.await.unwrap_or_else(|error| match error {
        BrokerError::Unauthenticated(_) => Broker::Silent(token_unknown(cluster)),
        error => Broker::Silent(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker_cluster::children;
    use crate::broker_cluster::testing::cluster;

    #[test]
    fn every_service_that_is_made_is_looked_for_by_its_name() {
        let cluster = cluster(r#"{"listeners": [{"name": "inside"}, {"name": "outside"}]}"#);
        let mut made: Vec<_> = children::services(&cluster)
            .into_iter()
            .map(|child| child.name)
            .collect();
        let mut needed = needed(&cluster, ChildKind::Service);
        made.sort();
        needed.sort();
        assert_eq!(needed, made);
    }
}
