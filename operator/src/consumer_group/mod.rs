//! Consumer groups: what is theirs in a reconciliation of their settings. The rest they share with topics.

mod status;
mod validate;

use crate::broker::{BrokerAdmin, BrokerError};
use crate::broker_object::{self, BrokerObject, Found, Present};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sluice_operator_api::{ConsumerGroup, ConsumerGroupStatus, DeletionPolicy};
use sluice_proto::admin::{GroupDescription, GroupSpec};

impl BrokerObject for ConsumerGroup {
    const KIND: &'static str = "ConsumerGroup";
    const NOUN: &'static str = "consumer group";
    const LOST: &'static str =
        "where it stood is not known any more, so that it begins where spec.startFrom says";
    type Spec = GroupSpec;
    type Description = GroupDescription;
    type Status = ConsumerGroupStatus;

    fn cluster(&self) -> &str {
        &self.spec.cluster_ref.name
    }

    fn object_name(&self) -> String {
        self.group_name()
    }

    fn deletion_policy(&self) -> DeletionPolicy {
        self.spec.deletion_policy
    }

    fn wanted(&self) -> Result<GroupSpec, String> {
        validate::wanted(&self.spec)
    }

    fn difference(wanted: &GroupSpec, present: &GroupSpec) -> Option<GroupSpec> {
        validate::difference(wanted, present)
    }

    fn present(description: &GroupDescription) -> Present<GroupSpec> {
        let group = description.group.clone().unwrap_or_default();
        Present {
            id: group.id,
            generation: group.generation,
            spec: group.spec.unwrap_or_default(),
        }
    }

    fn known_id(&self) -> Option<u32> {
        let id = self.status.as_ref()?.group_id?;
        u32::try_from(id).ok()
    }

    fn status(&self) -> Option<&ConsumerGroupStatus> {
        self.status.as_ref()
    }

    fn was_in_sync(&self) -> bool {
        let conditions = self.status.as_ref().map(|status| &status.conditions);
        conditions.is_some_and(|conditions| {
            broker_object::status::was_in_sync(conditions, self.metadata.generation)
        })
    }

    fn next_status(&self, found: &Found<Self>, now: &Time) -> ConsumerGroupStatus {
        status::next(self, found, now)
    }

    fn written(&self, status: &ConsumerGroupStatus) -> ConsumerGroupStatus {
        status::of_settings(self, status)
    }

    async fn describe(admin: &impl BrokerAdmin, name: &str) -> Result<Option<GroupDescription>, BrokerError> {
        admin.group(name).await
    }

    async fn create(admin: &impl BrokerAdmin, name: &str, spec: GroupSpec) -> Result<(), BrokerError> {
        admin.create_group(name, spec).await
    }

    async fn update(
        admin: &impl BrokerAdmin,
        name: &str,
        spec: GroupSpec,
        generation: u64,
    ) -> Result<(), BrokerError> {
        let told = admin.update_group(name, spec, generation).await?;
        tracing::info!(
            group = name,
            told,
            "connected clients were told of the group's new settings"
        );
        Ok(())
    }

    async fn delete(
        admin: &impl BrokerAdmin,
        name: &str,
        only_if_empty: bool,
        generation: u64,
    ) -> Result<u64, BrokerError> {
        admin.delete_group(name, only_if_empty, generation).await
    }
}

#[cfg(test)]
mod tests;
