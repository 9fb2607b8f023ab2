//! References to other objects, and the words that several resources share.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A BrokerCluster in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRef {
    /// The name of a BrokerCluster in the same namespace. It need not exist yet: the condition Ready tells while it does not.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// A Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The name of a Secret in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One key of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The name of a Secret in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Which of its keys.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// One key of a ConfigMap in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyRef {
    /// The name of a ConfigMap in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Which of its keys.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Whether something is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Switch {
    /// It is.
    #[default]
    Enabled,
    /// It is not.
    Disabled,
}

impl Switch {
    /// Whether it is [`Switch::Enabled`].
    pub fn is_enabled(self) -> bool {
        self == Self::Enabled
    }

    pub(crate) fn disabled() -> Self {
        Self::Disabled
    }
}

/// What becomes of the broker's object when its resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It stays.
    #[default]
    Retain,
    /// It is deleted once nothing in it is left to do; the resource waits for that.
    DeleteIfEmpty,
    /// It is deleted with what is in it.
    Delete,
}
