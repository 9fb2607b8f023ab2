//! What the metadata of all objects of a cluster has in common.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::{Resource as _, ResourceExt as _};
use sluice_operator_api::{BrokerCluster, labels};
use std::collections::BTreeMap;

/// By these a cluster's pods are chosen. They cannot change: StatefulSets are bound to them.
pub fn selector_labels(cluster: &BrokerCluster) -> BTreeMap<String, String> {
    owned([
        (labels::APP_NAME, labels::APP_NAME_VALUE),
        (labels::APP_INSTANCE, &cluster.name_any()),
        (labels::APP_COMPONENT, labels::APP_COMPONENT_BROKER),
    ])
}

/// The same as a selector.
pub fn selector(cluster: &BrokerCluster) -> LabelSelector {
    LabelSelector {
        match_labels: Some(selector_labels(cluster)),
        ..LabelSelector::default()
    }
}

/// The labels of every object.
pub fn all_labels(cluster: &BrokerCluster) -> BTreeMap<String, String> {
    let mut all = selector_labels(cluster);
    all.extend(owned([
        (labels::APP_MANAGED_BY, labels::APP_MANAGED_BY_VALUE),
        (labels::CLUSTER, &cluster.name_any()),
    ]));
    all
}

/// The metadata of an object that belongs to the cluster and goes with it.
pub fn of(cluster: &BrokerCluster, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: cluster.namespace(),
        labels: Some(all_labels(cluster)),
        owner_references: Some(vec![owner(cluster, true)]),
        ..ObjectMeta::default()
    }
}

/// The cluster as an owner; as the one that controls the object, if so said.
pub fn owner(cluster: &BrokerCluster, controls: bool) -> OwnerReference {
    OwnerReference {
        api_version: BrokerCluster::api_version(&()).into_owned(),
        kind: BrokerCluster::kind(&()).into_owned(),
        name: cluster.name_any(),
        uid: cluster.uid().unwrap_or_default(),
        controller: controls.then_some(true),
        block_owner_deletion: None,
    }
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker_cluster::testing::cluster;

    #[test]
    fn an_object_is_the_clusters_by_its_owner_and_by_its_labels() {
        let cluster = cluster("{}");
        let metadata = of(&cluster, "main-config".to_owned());
        let labels = metadata.labels.unwrap();
        assert!(
            selector_labels(&cluster)
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
        );
        assert_eq!(labels["sluice.dev/cluster"], "main");
        let owner = &metadata.owner_references.unwrap()[0];
        assert_eq!(
            (owner.uid.as_str(), owner.controller),
            ("uid-of-main", Some(true))
        );
    }
}
