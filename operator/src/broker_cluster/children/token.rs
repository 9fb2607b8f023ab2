//! The Secret with the admin token that the operator makes.

use super::{Child, ChildKind};
use crate::broker_cluster::rotation::Tokens;
use crate::broker_cluster::{metadata, names};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use sluice_operator_api::{BrokerCluster, labels};

/// With these tokens, a line each, in the order in which they are to be used.
pub fn secret(cluster: &BrokerCluster, tokens: &Tokens) -> Child {
    let mut metadata = metadata::of(cluster, names::admin_token_secret(&cluster.name_any()));
    let mut annotations = vec![(labels::TOKEN_MADE_AT, tokens.made_at.to_string())];
    if let Some((step, since)) = &tokens.step {
        annotations.push((labels::TOKEN_STEP, step.to_string()));
        annotations.push((labels::TOKEN_STEP_AT, since.to_string()));
    }
    let annotations = annotations
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    metadata.annotations = Some(annotations.collect());
    let file = format!("{}\n", tokens.lines.join("\n"));
    let secret = Secret {
        metadata,
        type_: Some("Opaque".to_owned()),
        data: Some([(names::ADMIN_TOKEN_KEY.to_owned(), ByteString(file.into_bytes()))].into()),
        ..Secret::default()
    };
    Child::new(ChildKind::Secret, secret)
}
