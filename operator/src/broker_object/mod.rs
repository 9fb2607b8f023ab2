//! What topics and consumer groups have in common: a resource that stands for an object of a broker, by its name.
//!
//! A reconciliation observes, plans, applies and writes the status. Of the resources that give one name in one cluster the
//! oldest has the object, and only that one changes or deletes it.

mod apply;
mod clusters;
mod controller;
mod observe;
pub mod plan;
pub mod status;

pub use clusters::Clusters;
pub use controller::run;
pub use plan::{ClusterState, Present, State};

use crate::broker::{BrokerAdmin, BrokerError};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_operator_api::DeletionPolicy;
use std::fmt::Debug;

/// A kind of resource that stands for an object of a broker.
pub trait BrokerObject:
    kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// The resource's kind.
    const KIND: &'static str;
    /// What the object is called in sentences: "topic".
    const NOUN: &'static str;
    /// What goes with an object that somebody else deletes: "its messages are gone".
    const LOST: &'static str;
    /// What the object can be told to be.
    type Spec: Clone + Debug + PartialEq + Send + Sync;
    /// What the broker tells of it.
    type Description: Clone + Debug + Send + Sync;
    /// What is told of the resource.
    type Status: Clone + Debug + PartialEq + Serialize + Send + Sync;

    /// The name of the BrokerCluster.
    fn cluster(&self) -> &str;

    /// The object's name.
    fn object_name(&self) -> String;

    /// What becomes of the object when the resource is deleted.
    fn deletion_policy(&self) -> DeletionPolicy;

    /// What the object is to be, or why it can be nothing of the kind.
    fn wanted(&self) -> Result<Self::Spec, String>;

    /// What to make of an object that is there: its whole specification, or nothing if it is as wanted.
    fn difference(wanted: &Self::Spec, present: &Self::Spec) -> Option<Self::Spec>;

    /// The object, as far as planning goes.
    fn present(description: &Self::Description) -> Present<Self::Spec>;

    /// The number of the object that the resource had when it was last looked at.
    fn known_id(&self) -> Option<u32>;

    /// The status as it stands.
    fn status(&self) -> Option<&Self::Status>;

    /// Whether the object was as wanted when this generation of the resource was last compared with it.
    fn was_in_sync(&self) -> bool;

    /// The status that follows from what was found.
    fn next_status(&self, found: &Found<Self>, now: &Time) -> Self::Status;

    /// The part of the status that is written from here.
    fn written(&self, status: &Self::Status) -> Self::Status {
        status.clone()
    }

    /// Asks for the object.
    fn describe(
        admin: &impl BrokerAdmin,
        name: &str,
    ) -> impl Future<Output = Result<Option<Self::Description>, BrokerError>> + Send;

    /// Makes it.
    fn create(
        admin: &impl BrokerAdmin,
        name: &str,
        spec: Self::Spec,
    ) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// Changes it.
    fn update(
        admin: &impl BrokerAdmin,
        name: &str,
        spec: Self::Spec,
        generation: u64,
    ) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// Deletes it, and says how many messages were not done.
    fn delete(
        admin: &impl BrokerAdmin,
        name: &str,
        only_if_empty: bool,
        generation: u64,
    ) -> impl Future<Output = Result<u64, BrokerError>> + Send;
}

/// What a reconciliation has come to.
#[derive(Clone, Debug)]
pub struct Found<K: BrokerObject> {
    /// How the resource stands.
    pub state: State,
    /// The object as it is now, if it could be looked at.
    pub description: Option<K::Description>,
}
