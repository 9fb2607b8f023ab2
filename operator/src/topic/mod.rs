//! Topics: what is theirs in a reconciliation. The rest they share with consumer groups.

mod status;
mod validate;

use crate::broker::{BrokerAdmin, BrokerError};
use crate::broker_object::{BrokerObject, Found, Present};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sluice_operator_api::{DeletionPolicy, Topic, TopicStatus};
use sluice_proto::admin::TopicDescription;
use validate::Wanted;

impl BrokerObject for Topic {
    const KIND: &'static str = "Topic";
    const NOUN: &'static str = "topic";
    const LOST: &'static str = "its messages are gone";
    type Spec = Wanted;
    type Description = TopicDescription;
    type Status = TopicStatus;

    fn cluster(&self) -> &str {
        &self.spec.cluster_ref.name
    }

    fn object_name(&self) -> String {
        self.topic_name()
    }

    fn deletion_policy(&self) -> DeletionPolicy {
        self.spec.deletion_policy
    }

    fn wanted(&self) -> Result<Wanted, String> {
        validate::wanted(&self.spec)
    }

    fn difference(wanted: &Wanted, present: &Wanted) -> Option<Wanted> {
        validate::difference(wanted, present)
    }

    fn present(description: &TopicDescription) -> Present<Wanted> {
        let topic = description.topic.clone().unwrap_or_default();
        Present {
            id: topic.id,
            generation: topic.generation,
            spec: topic.spec.unwrap_or_default().into(),
        }
    }

    fn known_id(&self) -> Option<u32> {
        let id = self.status.as_ref()?.topic_id?;
        u32::try_from(id).ok()
    }

    fn status(&self) -> Option<&TopicStatus> {
        self.status.as_ref()
    }

    fn was_in_sync(&self) -> bool {
        let conditions = self.status.as_ref().map(|status| &status.conditions);
        conditions.is_some_and(|conditions| status::was_in_sync(conditions, self.metadata.generation))
    }

    fn next_status(&self, found: &Found<Self>, now: &Time) -> TopicStatus {
        status::next(self, found, now)
    }

    async fn describe(admin: &impl BrokerAdmin, name: &str) -> Result<Option<TopicDescription>, BrokerError> {
        admin.topic(name).await
    }

    async fn create(admin: &impl BrokerAdmin, name: &str, spec: Wanted) -> Result<(), BrokerError> {
        admin.create_topic(name, spec.into()).await
    }

    async fn update(
        admin: &impl BrokerAdmin,
        name: &str,
        spec: Wanted,
        generation: u64,
    ) -> Result<(), BrokerError> {
        admin.update_topic(name, spec.into(), generation).await
    }

    async fn delete(
        admin: &impl BrokerAdmin,
        name: &str,
        only_if_empty: bool,
        generation: u64,
    ) -> Result<u64, BrokerError> {
        admin.delete_topic(name, only_if_empty, generation).await
    }
}

#[cfg(test)]
mod tests;
