//! The ConfigMap with the brokers' configuration, which they follow.

use super::{Blueprint, Child, ChildKind};
use crate::broker_cluster::{metadata, names};
use k8s_openapi::api::core::v1::ConfigMap;

/// One file.
pub(super) fn config_map(blueprint: &Blueprint<'_>) -> Child {
    let file = (names::CONFIG_KEY.to_owned(), blueprint.configuration.file());
    let map = ConfigMap {
        metadata: metadata::of(blueprint.cluster, blueprint.cluster.config_map_name()),
        data: Some([file].into()),
        ..ConfigMap::default()
    };
    Child::new(ChildKind::ConfigMap, map)
}
