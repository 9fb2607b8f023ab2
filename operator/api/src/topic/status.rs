//! What is known of a topic.

use crate::words::words;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What is known of a topic.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicStatus {
    /// The generation of the resource that the rest was found for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What holds of the topic: Ready, Synced, Conflicted, DriftCorrected, ReconciliationPaused.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(schema_with = "crate::schema::bare::<Vec<Condition>>")]
    pub conditions: Vec<Condition>,
    /// The topic's name on the brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_name: Option<String>,
    /// The brokers' number of the topic; one that is made anew has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<i64>,
    /// Counts the changes of the topic on the brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// How many queues it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<i32>,
    /// How many messages it has, done or not, when the topic was last looked at: after a change of the resource, and else every
    /// 120 s, the operator's `--resync-seconds`. What was sent since is not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<i64>,
    /// How many clients have announced that they send to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producers: Option<i32>,
    /// How many consumer groups read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_groups: Option<i32>,
    /// When the resource and the brokers were last made alike by a change of the brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::bare::<Time>")]
    pub last_change_time: Option<Time>,
}

words! {
    /// The types of a topic's conditions.
    pub enum ConditionType {
        /// The topic is on the brokers as the resource says.
        Ready,
        /// The last comparison with the brokers succeeded.
        Synced,
        /// An older Topic has the name.
        Conflicted,
        /// The topic was changed behind the resource's back, and put right.
        DriftCorrected,
        /// The annotation `sluice.dev/paused` stops the operator.
        ReconciliationPaused,
    }
}

words! {
    /// The reasons of a topic's conditions.
    pub enum Reason {
        /// Nothing is known yet.
        Pending,
        /// The topic was made.
        Created,
        /// The topic was there already and belongs to the resource now.
        Adopted,
        /// The topic is as the resource says.
        UpToDate,
        /// The topic was given what the resource says now.
        Updated,
        /// Somebody else had changed or deleted the topic, and it was put right.
        Reverted,
        /// Nothing had to be put right.
        NoDrift,
        /// There is no such BrokerCluster in the namespace.
        ClusterNotFound,
        /// The cluster has no broker that answers.
        ClusterNotReady,
        /// The broker does not answer.
        BrokerUnreachable,
        /// The broker refuses the operator's token.
        Unauthorized,
        /// The broker refuses what the resource asks for.
        Refused,
        /// Another operator has taken over.
        Fenced,
        /// An older Topic has the name.
        NameTaken,
        /// No other Topic has the name.
        NameFree,
        /// The topic has more queues than the resource says, and queues do not shrink.
        QueuesCannotShrink,
        /// The deletion waits until every message is done.
        NotEmpty,
        /// The topic is being deleted.
        Deleting,
        /// The annotation `sluice.dev/paused` stands on the resource.
        Paused,
        /// The annotation `sluice.dev/paused` does not stand on the resource.
        NotPaused,
        /// Something else went wrong.
        Failed,
    }
}
