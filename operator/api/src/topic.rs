//! `Topic`: a topic of a broker cluster.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a topic is to be.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "sluice.dev", version = "v1alpha1", kind = "Topic", namespaced)]
#[serde(rename_all = "camelCase")]
pub struct TopicSpec {
    /// How many queues the topic has.
    pub queues: i32,
}
