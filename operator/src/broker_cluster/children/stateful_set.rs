//! The StatefulSet that the brokers run in.

use super::{Blueprint, Child, ChildKind, pod};
use crate::broker_cluster::{metadata, names};
use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sluice_operator_api::BrokerCluster;

/// Old templates that are kept, for people who look back.
const HISTORY: i32 = 3;

/// How many brokers a cluster has.
pub fn replicas(cluster: &BrokerCluster) -> i32 {
    cluster.spec.shards.saturating_mul(cluster.spec.replicas)
}

/// The StatefulSet.
pub(super) fn stateful_set(blueprint: &Blueprint<'_>) -> Child {
    let cluster = blueprint.cluster;
    let retained = "Retain".to_owned();
    let set = StatefulSet {
        metadata: metadata::of(cluster, cluster.stateful_set_name()),
        spec: Some(StatefulSetSpec {
            replicas: Some(replicas(cluster)),
            service_name: Some(cluster.headless_service_name()),
            selector: metadata::selector(cluster),
            template: pod::template(blueprint),
            volume_claim_templates: Some(vec![volume(blueprint)]),
            // With the other policy a pod that never became ready keeps its mended successor away.
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: None,
            }),
            // Whoever deletes a StatefulSet by hand, as we do when volumes grow, deletes no messages: volumes that are to go with
            // the cluster belong to its resource.
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some(retained.clone()),
                when_scaled: Some(retained),
            }),
            revision_history_limit: Some(HISTORY),
            ..StatefulSetSpec::default()
        }),
        status: None,
    };
    Child::new(ChildKind::StatefulSet, set)
}

fn volume(blueprint: &Blueprint<'_>) -> PersistentVolumeClaim {
    let size = Quantity(blueprint.volume_size.to_owned());
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(names::VOLUME.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: blueprint.cluster.spec.storage.class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), size)].into()),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}
