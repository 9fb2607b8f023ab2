//! What groups read: from their first receive on, or by their static subscriptions in any case.

use super::{Engine, EngineError, records};
use sluice_core::command::{EncodedCommand, StartFrom, Subscribe, SubscribeAt};
use sluice_core::ids::{QueueId, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{Group, Subscription, Topic};
use std::sync::Arc;

impl Engine {
    /// What the group holds of the topic; its first receive fixes where it starts.
    pub(super) async fn subscription(
        &self,
        group: &Group,
        topic: &Topic,
    ) -> Result<Subscription, EngineError> {
        if let Some(subscription) = self.tables().subscription(group.id, topic.id) {
            return Ok(subscription);
        }
        let command = self.subscribing(group, topic).await?;
        self.propose_one(command).await??;
        // None where it was deleted in the meantime.
        let subscription = self.tables().subscription(group.id, topic.id);
        subscription.ok_or_else(|| match self.tables().topic_by_id(topic.id) {
            None => EngineError::TopicDeleted(topic.spec.name.clone()),
            Some(_) => EngineError::GroupDeleted(group.spec.name.clone()),
        })
    }

    async fn subscribing(&self, group: &Group, topic: &Topic) -> Result<EncodedCommand, EngineError> {
        let (group, start_from, topic) = (group.id, group.spec.start_from, topic);
        if let StartFrom::Time(time) = start_from {
            let queues = (0..topic.spec.queues).map(QueueId);
            let floors = self.offsets_at(topic, queues.collect(), time).await?;
            let topic = topic.id;
            let command = SubscribeAt { group, topic, floors };
            return Ok(command.encode(self.now()));
        }
        let topic = topic.id;
        Ok(Subscribe { group, topic }.encode(self.now()))
    }

    /// By queue, the first offset whose message came at `time` or later; behind the last one where none did.
    pub(super) async fn offsets_at(
        &self,
        topic: &Topic,
        queues: Vec<QueueId>,
        time: TimeMs,
    ) -> Result<Vec<QueueOffset>, EngineError> {
        let (store, topic) = (self.store.clone(), topic.id);
        records::where_it_may_block(false, move || {
            let find = |queue| {
                let found = store.queues().find_by_time(TopicQueue { topic, queue }, time);
                found.map_err(|error| EngineError::Read(error.to_string()))
            };
            queues.into_iter().map(find).collect()
        })
        .await?
    }

    /// Makes sure of the groups that read the new topic in any case: apply has subscribed them, as far as there was room. What
    /// there was no room for is told, and tried again at the next start.
    pub(super) async fn subscribe_to(&self, topic: &Topic) {
        for group in self.tables().all_groups() {
            if group.spec.expression(&topic.spec.name).is_some() {
                self.subscribe_or_warn(&group, topic).await;
            }
        }
    }

    /// Subscribes the group to the topics that it reads in any case, as far as they exist and apply has not done so: a group
    /// that starts at a time. What fails is told, and done at the next start.
    pub(super) async fn subscribe_group(&self, group: &Group) {
        for subscription in &group.spec.subscriptions {
            if let Some(topic) = self.tables().topic(&subscription.topic) {
                self.subscribe_or_warn(group, &topic).await;
            }
        }
    }

    /// Subscribes every group to what it reads in any case: what a broker that went down, or had no room, has left
    /// undone.
    pub async fn subscribe_all(&self) {
        let groups: Vec<Arc<Group>> = self.tables().all_groups();
        for group in groups {
            self.subscribe_group(&group).await;
        }
    }

    async fn subscribe_or_warn(&self, group: &Group, topic: &Topic) {
        if let Err(error) = self.subscription(group, topic).await {
            tracing::warn!(
                group = group.spec.name,
                topic = topic.spec.name,
                %error,
                "the group does not read the topic yet, as its static subscription asks for"
            );
        }
    }
}
