//! `Topic`: a topic of a broker cluster.

mod status;

pub use status::{ConditionType, Reason, TopicStatus};

use crate::{ClusterRef, DeletionPolicy};
use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a topic is to be.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "Topic",
    plural = "topics",
    namespaced,
    shortname = "mqt",
    category = "mq",
    status = "TopicStatus",
    derive = "PartialEq",
    selectable = ".spec.clusterRef.name",
    doc = "A topic of a BrokerCluster. The operator makes it on the brokers, adopts one that is there, grows it, closes and opens it, and puts right what is changed behind its back.",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterRef.name"),
    printcolumn(name = "Topic", type_ = "string", json_path = ".status.topicName"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.messageType"),
    printcolumn(name = "Queues", type_ = "integer", json_path = ".status.queues"),
    printcolumn(name = "Messages", type_ = "integer", json_path = ".status.messages"),
    printcolumn(name = "Producers", type_ = "string", json_path = ".spec.producers", priority = 1),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("has(self.spec.topicName) || self.metadata.name.matches('^[A-Za-z0-9_%|-]{1,127}$')")
        .message("the resource's name cannot be a topic's: give spec.topicName of up to 127 letters, digits and any of % | _ -"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.topicName) == has(oldSelf.topicName)")
        .message("topicName cannot be added or taken away: make another Topic"),
    validation = Rule::new("!has(oldSelf.queues) || has(self.queues) && self.queues >= oldSelf.queues")
        .message("queues may grow and not shrink: a topic keeps every queue that it has"),
)]
pub struct TopicSpec {
    /// The cluster that has the topic. It cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("clusterRef cannot be changed: make another Topic"))]
    pub cluster_ref: ClusterRef,
    /// The topic's name on the brokers, up to 127 letters, digits and any of `%`, `|`, `_`, `-`; the resource's own name unless
    /// given. It cannot be changed. If several Topics of a cluster give one name the oldest of them has it, and the condition
    /// Conflicted of the others names that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 127), regex(pattern = r"^[A-Za-z0-9_%|-]+$"))]
    #[x_kube(
        validation = Rule::new("self == oldSelf").message("topicName cannot be changed: make another Topic"),
        validation = Rule::new("!self.startsWith('%DLQ%') && !self.startsWith('%RETRY%') && !self.lowerAscii().startsWith('rmq_sys_')")
            .message("topicName is one of the system's: topics that begin with %DLQ%, %RETRY% or rmq_sys_ are the brokers' own"),
    )]
    pub topic_name: Option<String>,
    /// Which messages the topic takes: `Normal` in no order, `Fifo` with a message group and in order within it, `Mixed` both.
    /// `Normal` unless given. It cannot be changed, for consumers rely on it. A topic that is adopted is given this type.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("messageType cannot be changed: make another Topic, and move to it"))]
    pub message_type: MessageType,
    /// How many queues the topic has, 1 to 4096. It may grow and not shrink. Unless given it is 4 for a topic that is made, and
    /// what it has for one that is adopted. A group's consumers can share out no more than this many parts, so that it bounds
    /// autoscaling too. Where it grows the messages of a message group may go on in another queue: what was sent before and
    /// after can overtake each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub queues: Option<i32>,
    /// Whether messages can be sent to the topic: `Open`, the default, or `Closed`, so that sends are refused while consumers go
    /// on. It can be changed at any time.
    #[serde(default)]
    pub producers: Access,
    /// For how many hours messages are kept, consumed or not, 0 to 876000, which may be fewer or more than the brokers'
    /// `retentionHours`; 0 is as long as the brokers keep all. Unless given it stays as it is on the brokers, where `sluicectl`
    /// can set it. It can be changed at any time; what is gone does not come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 876_000))]
    pub retention_hours: Option<i32>,
    /// How many bytes of messages are kept at most, such as `10Gi`, `1Mi` to `1Pi`: the oldest go first, consumed or not. `"0"` is
    /// any number. Unless given it stays as it is on the brokers, where `sluicectl` can set it. It can be changed at any time;
    /// what is gone does not come back.
    // The rules look at what can be read as a size alone, so that each mistake is told once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9]{1,15}([.][0-9]{1,9})?([KMGTPE]i|[kMGTPE])?$')")
            .message("retentionBytes is a number, perhaps with a fraction, and one of Ki, Mi, Gi, Ti, Pi, Ei, k, M, G, T, P and E, such as 10Gi"),
        validation = Rule::new("!self.matches('^[0-9]{1,15}([.][0-9]{1,9})?([KMGTPE]i|[kMGTPE])?$') || quantity(self).compareTo(quantity('0')) == 0 || quantity(self).compareTo(quantity('1Mi')) >= 0 && quantity(self).compareTo(quantity('1Pi')) <= 0")
            .message("retentionBytes is 1Mi to 1Pi, or 0 for any number"))]
    pub retention_bytes: Option<String>,
    /// What becomes of the topic when this resource is deleted. `Retain`, the default: it stays with its messages.
    /// `DeleteIfEmpty`: it is deleted once every group that reads it has done every message, and the resource waits for that.
    /// `Delete`: it is deleted with its messages. If the cluster is gone, the resource goes whatever this says.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Which messages a topic takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum MessageType {
    /// No order.
    #[default]
    Normal,
    /// Order within a message group.
    Fifo,
    /// Both.
    Mixed,
}

/// Whether messages can be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Access {
    /// They can.
    #[default]
    Open,
    /// Sends are refused.
    Closed,
}

impl Topic {
    /// The topic's name on the brokers.
    pub fn topic_name(&self) -> String {
        self.spec.topic_name.clone().unwrap_or_else(|| self.name_any())
    }
}

#[cfg(test)]
mod tests;
