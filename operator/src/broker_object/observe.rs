//! What a plan is made from: the resource, its rivals, its cluster, and the object.

use super::plan::{ClusterState, Facts, Observed, Seen};
use super::{BrokerObject, Clusters};
use crate::broker::{BrokerError, Remote};
use crate::error::ReconcileError;
use kube::ResourceExt as _;
use sluice_operator_api::labels;
use std::sync::Arc;

/// All of it.
pub struct Observation<K: BrokerObject> {
    /// What the resource says.
    pub facts: Facts,
    /// What was found.
    pub observed: Observed<K::Spec>,
    /// The object, if it is there.
    pub description: Option<K::Description>,
    /// The broker, where it may be asked.
    pub admin: Option<Arc<Remote>>,
}

/// What the resource itself says.
pub fn facts<K: BrokerObject>(resource: &K) -> Facts {
    Facts {
        noun: K::NOUN,
        lost: K::LOST,
        object: resource.object_name(),
        cluster: resource.cluster().to_owned(),
        deleting: resource.meta().deletion_timestamp.is_some(),
        finalized: resource.finalizers().iter().any(|name| name == labels::FINALIZER),
        paused: resource
            .annotations()
            .get(labels::PAUSED)
            .is_some_and(|value| value == "true"),
        policy: resource.deletion_policy(),
        known_id: resource.known_id(),
        was_in_sync: resource.was_in_sync(),
    }
}

/// Looks at everything. The broker is asked only where its answer can matter.
pub async fn observe<K: BrokerObject>(
    resource: &K,
    others: &[Arc<K>],
    clusters: &Clusters,
) -> Result<Observation<K>, ReconcileError> {
    let facts = facts(resource);
    let (owner, heir) = rivals(resource, others);
    let namespace = resource.namespace().unwrap_or_default();
    let (cluster, admin) = clusters.find(&namespace, &facts.cluster).await?;
    let idle = if facts.deleting {
        !facts.finalized
    } else {
        facts.paused
    };
    let mut observation = Observation {
        observed: Observed {
            owner,
            heir,
            cluster,
            object: Seen::Unasked,
        },
        facts,
        description: None,
        admin,
    };
    if idle || observation.observed.owner.is_some() || observation.observed.cluster != ClusterState::Ready {
        return Ok(observation);
    }
    observation.look().await;
    if let Seen::Failed(BrokerError::Unauthenticated(said)) = &mut observation.observed.object {
        clusters.doubt(&namespace, &observation.facts.cluster);
        if let Some(words) = clusters.token_unknown(&namespace, &observation.facts.cluster) {
            *said = words;
        }
    }
    Ok(observation)
}

impl<K: BrokerObject> Observation<K> {
    /// Asks the broker for the object.
    pub async fn look(&mut self) {
        let Some(admin) = &self.admin else {
            return;
        };
        self.description = None;
        self.observed.object = match K::describe(&**admin, &self.facts.object).await {
            Ok(None) => Seen::Absent,
            Err(error) => Seen::Failed(error),
            Ok(Some(description)) => {
                let present = K::present(&description);
                self.description = Some(description);
                Seen::Present(present)
            }
        };
    }
}

/// The older resource that has the name, and the one that would have it if this one were gone.
fn rivals<K: BrokerObject>(resource: &K, others: &[Arc<K>]) -> (Option<String>, Option<String>) {
    let (cluster, name) = (resource.cluster(), resource.object_name());
    let age = |resource: &K| {
        let made = resource.creation_timestamp().map(|time| time.0);
        (made, resource.name_any())
    };
    let same = others.iter().filter(|other| {
        other.meta().uid != resource.meta().uid
            && other.meta().namespace == resource.meta().namespace
            && other.cluster() == cluster
            && other.object_name() == name
    });
    let (older, younger): (Vec<_>, Vec<_>) = same.partition(|other| age(other) < age(resource));
    let oldest = |rivals: Vec<&Arc<K>>| {
        let oldest = rivals.into_iter().min_by_key(|other| age(other));
        oldest.map(|other| other.name_any())
    };
    let lasting = younger
        .into_iter()
        .filter(|other| other.meta().deletion_timestamp.is_none())
        .collect();
    (oldest(older), oldest(lasting))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_operator_api::Topic;

    fn topic(name: &str, topic: Option<&str>, cluster: &str, second: i64, deleting: bool) -> Arc<Topic> {
        let time = |second| {
            k8s_openapi::jiff::Timestamp::from_second(second)
                .unwrap()
                .to_string()
        };
        let mut value = serde_json::json!({
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "Topic",
            "metadata": {
                "name": name,
                "namespace": "shop",
                "uid": name,
                "creationTimestamp": time(second),
            },
            "spec": { "clusterRef": { "name": cluster } },
        });
        if let Some(topic) = topic {
            value["spec"]["topicName"] = topic.into();
        }
        if deleting {
            value["metadata"]["deletionTimestamp"] = time(second + 1).into();
        }
        Arc::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn the_oldest_resource_has_the_name_and_the_next_lasting_one_inherits_it() {
        let oldest = topic("b", Some("orders"), "main", 10, false);
        let second = topic("orders", None, "main", 20, false);
        let twin = topic("z", Some("orders"), "main", 20, false);
        let going = topic("a", Some("orders"), "main", 15, true);
        let elsewhere = topic("c", Some("orders"), "other", 1, false);
        let other = topic("d", None, "main", 1, false);
        let all = [
            oldest.clone(),
            second.clone(),
            twin.clone(),
            going.clone(),
            elsewhere.clone(),
            other,
        ];
        let text = |name: &str| Some(name.to_owned());
        for (resource, owner, heir) in [
            (&oldest, None, text("orders")),
            (&going, text("b"), text("orders")),
            (&second, text("b"), text("z")),
            (&twin, text("b"), None),
            (&elsewhere, None, None),
        ] {
            assert_eq!(
                rivals(&**resource, &all),
                (owner, heir),
                "{}",
                resource.name_any()
            );
        }
    }
}
