//! Where the brokers' image is from.

use super::BrokerClusterSpec;
use crate::SecretRef;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the brokers' image is from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The image without tag and digest, such as `registry.example.org/sluice-broker`; the operator's default unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[a-z0-9][A-Za-z0-9._:/-]*$"))]
    pub repository: Option<String>,
    /// The tag, where it is not the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"))]
    pub tag: Option<String>,
    /// The digest, such as `sha256:…`: then no other image can come under the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 135),
        regex(pattern = r"^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$")
    )]
    pub digest: Option<String>,
    /// When it is pulled: `Always`, `IfNotPresent` or `Never`; what Kubernetes does for the tag unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    /// Secrets in the same namespace with which it is pulled, up to 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub pull_secrets: Vec<SecretRef>,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::schema::undescribed)]
pub enum PullPolicy {
    /// At each start.
    Always,
    /// If the node does not have it.
    IfNotPresent,
    /// Not at all.
    Never,
}

impl PullPolicy {
    /// As a Pod has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

impl BrokerClusterSpec {
    /// The whole name of the image, from this repository unless the resource names another.
    pub fn image_name(&self, default_repository: &str) -> String {
        let repository = self.image.repository.as_deref().unwrap_or(default_repository);
        let tag = self.image.tag.as_ref().unwrap_or(&self.version);
        match &self.image.digest {
            Some(digest) => format!("{repository}:{tag}@{digest}"),
            None => format!("{repository}:{tag}"),
        }
    }
}
