//! Topics, groups and subscriptions: found, or made through the log.

use super::{Engine, EngineError};
use crate::service::validate::is_group_topic;
use sluice_core::command::{CreateGroup, CreateTopic, Types};
use sluice_core::limits;
use sluice_core::state::{Done, Group, Refused, Topic};
use sluice_core::system_names;
use std::sync::Arc;

impl Engine {
    /// The topic of this name; made on first use where that is allowed, or where it was to be there.
    pub async fn topic(&self, name: &str) -> Result<Arc<Topic>, EngineError> {
        if let Some(topic) = self.tables().topic(name) {
            return Ok(topic);
        }
        self.may_have_topic(name)?;
        if let Some(spec) = self.promised.topic(name) {
            return Box::pin(self.make_topic(spec)).await;
        }
        let spec = CreateTopic {
            name: name.to_owned(),
            queues: limits::QUEUES_DEFAULT,
            types: Types::ALL,
        };
        // Rare, and not part of what each call carries along.
        Box::pin(self.create_topic(spec)).await
    }

    /// That the topic is there, or would be made on first use; for who makes something else before it.
    pub fn may_have_topic(&self, name: &str) -> Result<(), EngineError> {
        if self.tables().topic(name).is_some() {
            return Ok(());
        }
        if is_group_topic(name) {
            return Err(EngineError::GroupTopicNotFound(name.to_owned()));
        }
        if self.promised.topic(name).is_none() && !self.options.live.values().auto_create_topics {
            return Err(EngineError::TopicNotMade(name.to_owned()));
        }
        Ok(())
    }

    /// Makes the topic, or answers the one there is.
    pub async fn create_topic(&self, spec: CreateTopic) -> Result<Arc<Topic>, EngineError> {
        let (id, made) = match self.propose_one(spec.encode(self.now())).await? {
            Ok(Done::Topic(id)) => (id, true),
            Err(Refused::TopicExists(id)) => (id, false),
            Ok(_) => return Err(EngineError::Unknown),
            Err(refused) => return Err(refused.into()),
        };
        let topic = self.tables().topic_by_id(id);
        let topic = topic.ok_or_else(|| EngineError::TopicDeleted(spec.name.clone()))?;
        if made {
            self.subscribe_to(&topic).await;
        }
        Ok(topic)
    }

    /// The consumer group of this name; made on first use.
    pub async fn group(&self, name: &str) -> Result<Arc<Group>, EngineError> {
        if let Some(group) = self.tables().group(name) {
            return Ok(group);
        }
        if let Some(why) = system_names::no_group(name) {
            let name = name.to_owned();
            return Err(EngineError::NoGroupName { name, why });
        }
        match self.promised.group(name) {
            Some(spec) => Box::pin(self.make_group(spec)).await,
            None => Box::pin(self.create_group(CreateGroup::on_first_use(name))).await,
        }
    }

    /// Makes the consumer group, or answers the one there is.
    pub async fn create_group(&self, spec: CreateGroup) -> Result<Arc<Group>, EngineError> {
        let id = match self.propose_one(spec.encode(self.now())).await? {
            Ok(Done::Group(id)) | Err(Refused::GroupExists(id)) => id,
            Ok(_) => return Err(EngineError::Unknown),
            Err(refused) => return Err(refused.into()),
        };
        let group = self.tables().group_by_id(id);
        group.ok_or(EngineError::GroupDeleted(spec.name))
    }
}
