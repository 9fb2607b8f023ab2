//! What a reconciliation goes by: everything that there is of a cluster, as values.

use super::children::ChildKind;
use super::configuration::Running;
use super::drift::Landed;
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

    /// The Services of the listeners, by the listeners' names.
    pub fn listener_services(&self, cluster: &BrokerCluster) -> BTreeMap<String, Service> {
        let find = |listener: &Listener| {
            let service = self.find(ChildKind::Service, &cluster.service_name(listener))?;
            Some((listener.name.clone(), service))
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
