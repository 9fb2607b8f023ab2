//! The custom resources of `sluice.dev/v1alpha1`.
//!
//! What is documented here on a field is the manual that `kubectl explain` prints: it says what the field does, in which unit,
//! what holds without it, within which bounds, and what happens when it changes.

pub mod broker_cluster;
pub mod conditions;
pub mod consumer_group;
mod definitions;
#[cfg(test)]
mod examples;
pub mod labels;
mod reference;
mod schema;
#[cfg(test)]
mod testing;
pub mod topic;
mod words;

pub use broker_cluster::{BrokerCluster, BrokerClusterSpec, BrokerClusterStatus};
pub use consumer_group::{ConsumerGroup, ConsumerGroupSpec, ConsumerGroupStatus};
pub use definitions::definitions;
pub use reference::{ClusterRef, ConfigMapKeyRef, DeletionPolicy, SecretKeyRef, SecretRef, Switch};
pub use topic::{Topic, TopicSpec, TopicStatus};
pub use words::{Described, Word};

/// The group of the resources.
pub const GROUP: &str = "sluice.dev";
/// Their one version.
pub const VERSION: &str = "v1alpha1";
