//! The brokers' volumes.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The volume of each broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.className) == has(oldSelf.className)")
    .message("storage.className cannot be changed: make another cluster"))]
pub struct Storage {
    /// How large the volume is, such as `100Gi`, and at least `64Mi`. Messages stay for
    /// `retentionHours`, 72 unless `config` says otherwise, so that it needs room for what is sent in that time. It may grow and not shrink:
    /// volumes are expanded in place where their storage class allows it, and the condition StorageResizing tells how that goes.
    // A broker fills 24 MiB of its log with zeros ahead of what is sent, and keeps a reserve of 16 MiB: less than the least has
    // no room for a message. The rules look at what can be read as a size alone, so that each mistake is told once.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9]{1,15}([.][0-9]{1,9})?([KMGTPE]i|[kMGTPE])?$')")
            .message("storage.size is a number, perhaps with a fraction, and one of Ki, Mi, Gi, Ti, Pi, Ei, k, M, G, T, P and E, such as 100Gi"),
        validation = Rule::new("!self.matches('^[0-9]{1,15}([.][0-9]{1,9})?([KMGTPE]i|[kMGTPE])?$') || quantity(self).compareTo(quantity('64Mi')) >= 0")
            .message("storage.size is at least 64Mi: a broker has its log, filled some way ahead, and a reserve for a full disk in it"),
        validation = Rule::new("!self.matches('^[0-9]{1,15}([.][0-9]{1,9})?([KMGTPE]i|[kMGTPE])?$') || quantity(self).compareTo(quantity(oldSelf)) >= 0")
            .message("storage.size may grow and not shrink: volumes cannot be made smaller"))]
    pub size: String,
    /// The storage class; the default class of the Kubernetes cluster unless given. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("storage.className cannot be changed: make another cluster"))]
    pub class_name: Option<String>,
}

/// What becomes of what a cluster has when it is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDeletionPolicy {
    /// What becomes of the volumes. `Retain`, the default: they stay with all messages, and a cluster of the same name takes them
    /// up again. `Delete`: they are deleted with all messages.
    #[serde(default)]
    pub volumes: VolumePolicy,
}

/// What becomes of volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum VolumePolicy {
    /// They stay.
    #[default]
    Retain,
    /// They are deleted.
    Delete,
}
