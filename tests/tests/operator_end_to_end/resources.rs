//! Resources that tests make beside the examples.

use serde_json::{Value, json};
use sluice_operator_api::{BrokerCluster, ConsumerGroup, Topic};

use crate::stage::{SOON, Stage, condition};

const API: &str = "sluice.dev/v1alpha1";

impl Stage {
    /// A cluster with the defaults.
    pub fn make_cluster(&self, name: &str) {
        self.apply(json!({
            "apiVersion": API,
            "kind": "BrokerCluster",
            "metadata": {"name": name},
            "spec": {"version": env!("CARGO_PKG_VERSION"), "storage": {"size": "1Gi"}},
        }));
    }

    /// A topic of a cluster.
    pub fn make_topic(&self, cluster: &str, name: &str, queues: u32) {
        self.apply(json!({
            "apiVersion": API,
            "kind": "Topic",
            "metadata": {"name": name},
            "spec": {"clusterRef": {"name": cluster}, "queues": queues},
        }));
    }

    /// A group that reads a topic, scaled if it is said how.
    pub fn make_group(&self, cluster: &str, name: &str, topic: &str, autoscaling: &Value) {
        let mut spec = json!({"clusterRef": {"name": cluster}, "subscriptions": [{"topic": topic}]});
        if !autoscaling.is_null() {
            spec["autoscaling"] = autoscaling.clone();
        }
        self.apply(json!({
            "apiVersion": API,
            "kind": "ConsumerGroup",
            "metadata": {"name": name},
            "spec": spec,
        }));
    }

    /// Until a cluster is ready, and is what its resource says.
    pub async fn cluster_ready(&self, name: &str) -> BrokerCluster {
        let holds = |cluster: &BrokerCluster| {
            let status = cluster.status.clone().unwrap_or_default();
            condition(&status.conditions, "Ready") == "True AllBrokersReady"
                && status.observed_generation == cluster.metadata.generation
        };
        self.until("the cluster is ready", name, SOON, holds).await
    }

    /// Until a topic is as its resource says.
    pub async fn topic_ready(&self, name: &str) -> Topic {
        let holds = |topic: &Topic| {
            let status = topic.status.clone().unwrap_or_default();
            condition(&status.conditions, "Ready") == "True UpToDate"
                && status.observed_generation == topic.metadata.generation
        };
        self.until("the topic is ready", name, SOON, holds).await
    }

    /// Until a group is as its resource says.
    pub async fn group_ready(&self, name: &str) -> ConsumerGroup {
        let holds = |group: &ConsumerGroup| {
            let status = group.status.clone().unwrap_or_default();
            condition(&status.conditions, "Ready") == "True UpToDate"
                && status.observed_generation == group.metadata.generation
        };
        self.until("the group is ready", name, SOON, holds).await
    }
}
