//! The custom resources of `sluice.dev/v1alpha1`.
//!
//! What is documented here on a field of a spec is the manual that `kubectl explain` prints.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

mod topic;

pub use topic::{Topic, TopicSpec};

/// The definitions of all resources, in alphabetical order.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![Topic::crd()]
}
