//! What a reconciliation goes by: everything that there is of a cluster, as values.

use super::children::ChildKind;
use super::configuration::Running;
use super::drift::Landed;
use super::validate::is_ours;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service};
use kube::ResourceExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sluice_operator_api::BrokerCluster;
use sluice_operator_api::broker_cluster::{Listener, SecretKeyStatus};
use sluice_proto::admin::BrokerStatus;
use std::collections::{BTreeMap, HashMap};

/// What there is of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Objects of the kinds that clusters have: the cluster's, and those whose names it needs.
    pub live: BTreeMap<(ChildKind, String), Value>,
    /// What came of our last writes, by the objects' uids.
    pub landed: HashMap<String, Landed>,
    /// The brokers' pods.
    pub pods: Vec<Pod>,
    /// The claims of their volumes.
    pub claims: Vec<PersistentVolumeClaim>,
    /// The Secrets that the resource names, those that are there.
    pub given: BTreeMap<String, Secret>,
    /// Whether the API server knows PodMonitors.
    pub pod_monitors: bool,
    /// What the broker says.
    pub broker: Broker,
}

/// What a broker says.
#[derive(Clone, Debug, Default)]
pub enum Broker {
    /// No pod is ready: nobody was asked.
    #[default]
    NotAsked,
    /// It did not answer, for this reason.
    Silent(String),
    /// How it is and how it is configured.
    Answers(Box<BrokerStatus>, Running),
}

impl Broker {
    /// Its configuration, if it answers.
    pub fn running(&self) -> Option<&Running> {
        match self {
            Self::Answers(_, running) => Some(running),
            Self::NotAsked | Self::Silent(_) => None,
        }
    }

    /// How it is, if it answers.
    pub fn status(&self) -> Option<&BrokerStatus> {
        match self {
            Self::Answers(status, _) => Some(status),
            Self::NotAsked | Self::Silent(_) => None,
        }
    }
}

impl Observed {
    /// An object of a kind and a name, as its type.
    pub fn find<T: DeserializeOwned>(&self, kind: ChildKind, name: &str) -> Option<T> {
        let live = self.live.get(&(kind, name.to_owned()))?;
        serde_json::from_value(live.clone()).ok()
    }

    /// Whether an object of this name is there, and the cluster's.
    pub fn has_own(&self, cluster: &BrokerCluster, kind: ChildKind, name: &str) -> bool {
        let live = self.live.get(&(kind, name.to_owned()));
        live.is_some_and(|live| is_ours(cluster, live))
    }

    /// The Services of the listeners, by the listeners' names. Somebody else's tells nothing of where clients reach the cluster.
    pub fn listener_services(&self, cluster: &BrokerCluster) -> BTreeMap<String, Service> {
        let find = |listener: &Listener| {
            let name = cluster.service_name(listener);
            if !self.has_own(cluster, ChildKind::Service, &name) {
                return None;
            }
            Some((listener.name.clone(), self.find(ChildKind::Service, &name)?))
        };
        cluster.spec.listeners.iter().filter_map(find).collect()
    }

    /// What the Secret of the certificate says under a key.
    pub fn tls(&self, cluster: &BrokerCluster, key: &str) -> Option<&[u8]> {
        let secret = self.given.get(&cluster.spec.tls.as_ref()?.secret_ref.name)?;
        Some(&secret.data.as_ref()?.get(key)?.0)
    }

    /// The file of admin tokens that brokers are given.
    pub fn token_file(&self, cluster: &BrokerCluster) -> Option<Vec<u8>> {
        let place = token_place(cluster);
        let made = || self.find::<Secret>(ChildKind::Secret, &place.name);
        let secret = match &cluster.spec.admin.token_secret_ref {
            Some(_) => self.given.get(&place.name).cloned(),
            None => made(),
        };
        Some(secret?.data?.remove(&place.key)?.0)
    }
}

/// The Secret with the admin token, and its key.
pub fn token_place(cluster: &BrokerCluster) -> SecretKeyStatus {
    match &cluster.spec.admin.token_secret_ref {
        Some(given) => SecretKeyStatus {
            name: given.name.clone(),
            key: given.key.clone(),
        },
        None => SecretKeyStatus {
            name: super::names::admin_token_secret(&cluster.name_any()),
            key: super::names::ADMIN_TOKEN_KEY.to_owned(),
        },
    }
}

/// What it comes to that the broker does not know the token which the operator shows, in words for who has the resource.
pub fn token_unknown(cluster: &BrokerCluster) -> String {
    let place = token_place(cluster);
    let (cluster_name, secret, key) = (cluster.name_any(), place.name, place.key);
    match &cluster.spec.admin.token_secret_ref {
        None => format!(
            "the brokers of '{cluster_name}' do not know the admin token in the Secret '{secret}' yet: the operator makes it itself, and after a new one, as when the Secret was deleted, the brokers take it up without a restart, within about two minutes; nothing is to be done"
        ),
        Some(_) => format!(
            "the brokers of '{cluster_name}' do not know the admin token in the Secret '{secret}': after a change of the Secret they take it up within about two minutes; otherwise see that its key '{key}' begins with a token of theirs"
        ),
    }
}

/// The names of the Secrets that the resource names.
pub fn given_secrets(cluster: &BrokerCluster) -> Vec<&str> {
    let tls = cluster.spec.tls.iter().map(|tls| tls.secret_ref.name.as_str());
    let token = cluster
        .spec
        .admin
        .token_secret_ref
        .iter()
        .map(|token| token.name.as_str());
    tls.chain(token).collect()
}

/// Whether a pod is ready.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    pod.metadata.deletion_timestamp.is_none() && ready.any(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker_cluster::testing::cluster;

    #[test]
    fn a_token_that_is_not_known_yet_is_told_by_whose_it_is() {
        let given = r#"{"admin": {"tokenSecretRef": {"name": "mine", "key": "t"}}}"#;
        for (spec, says, not) in [
            ("{}", ["'main-admin'", "makes it itself"], "'t'"),
            (given, ["'mine'", "'t'"], "makes it itself"),
        ] {
            let message = token_unknown(&cluster(spec));
            assert!(says.iter().all(|part| message.contains(part)), "{message}");
            assert!(
                message.contains("two minutes") && !message.contains(not),
                "{message}"
            );
            assert!(!message.contains("--admin-token-file"), "{message}");
        }
    }
}
