//! The Secret that tells applications where the brokers are, in the form of servicebinding.io.

use super::{Blueprint, Child, ChildKind, client_service_name};
use crate::broker_cluster::metadata;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use std::collections::BTreeMap;

/// What kind of service it is: the protocol that clients speak.
const TYPE: &str = "rocketmq";
const PROVIDER: &str = "sluice";

/// It has the address of the first listener inside of the Kubernetes cluster: that is where what mounts it runs.
pub(super) fn secret(blueprint: &Blueprint<'_>) -> Child {
    let cluster = blueprint.cluster;
    let mut entries = BTreeMap::from([("type", TYPE.to_owned()), ("provider", PROVIDER.to_owned())]);
    if let Some(listener) = cluster.spec.listeners.first() {
        let host = client_service_name(cluster, listener);
        entries.insert("endpoints", format!("{host}:{}", listener.port));
        entries.insert("port", listener.port.to_string());
        entries.insert("host", host);
    }
    if let Some(ca) = &blueprint.ca {
        entries.insert("certificates", ca.clone());
    }
    let entries = entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes())));
    let secret = Secret {
        metadata: metadata::of(cluster, cluster.binding_secret_name()),
        type_: Some(format!("servicebinding.io/{TYPE}")),
        data: Some(entries.collect()),
        ..Secret::default()
    };
    Child::new(ChildKind::Secret, secret)
}
