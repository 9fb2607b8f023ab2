//! What administrators do with topics and groups: put and delete them, and fence each other off.

use super::{Engine, EngineError};
use crate::service::validate;
use sluice_core::command::{
    DeleteGroup, DeleteTopic, Fence, GroupSpec, PutGroup, PutTopic, StaticSubscription, Terms, TopicSpec,
};
use sluice_core::limits;
use sluice_core::plan::TagFilter;
use sluice_core::state::{Done, Group, Put, Refused, Topic};
use sluice_core::system_names;
use std::sync::Arc;

/// A topic as it was asked for.
#[derive(Clone, Debug)]
pub struct TopicPut {
    /// The topic.
    pub topic: Arc<Topic>,
    /// What that took.
    pub how: Put,
}

/// A group as it was asked for.
#[derive(Clone, Debug)]
pub struct GroupPut {
    /// The group.
    pub group: Arc<Group>,
    /// What that took.
    pub how: Put,
}

/// Only if there is none.
const ABSENT: Terms = Terms {
    expected_generation: Some(0),
    epoch: 0,
};

impl Engine {
    /// Gives a topic this specification; makes it if it is absent. Groups that read it in any case are subscribed.
    pub async fn put_topic(&self, command: PutTopic) -> Result<TopicPut, EngineError> {
        let name = &command.spec.name;
        validate::administered_topic_name(name).map_err(|error| EngineError::Invalid(error.to_string()))?;
        let (id, how) = match self.propose_one(command.encode(self.now())).await?? {
            Done::TopicPut { topic, how, .. } => (topic, how),
            _ => return Err(EngineError::Unknown),
        };
        let topic = self.tables().topic_by_id(id);
        let topic = topic.ok_or_else(|| EngineError::TopicDeleted(name.clone()))?;
        if how == Put::Created {
            self.subscribe_to(&topic).await;
        }
        Ok(TopicPut { topic, how })
    }

    /// Gives a consumer group this specification; makes it if it is absent. It is subscribed to what it reads in any case;
    /// a topic that it reads no longer in any case keeps its place in it.
    pub async fn put_group(&self, mut command: PutGroup) -> Result<GroupPut, EngineError> {
        let spec = &mut command.spec;
        validate::group_name(&spec.name).map_err(|error| EngineError::Invalid(error.to_string()))?;
        let name = spec.name.clone();
        // One that is there was made before this was refused, and can be changed.
        if let Some(why) = system_names::no_group_of_administrators(&name)
            && self.tables().group(&name).is_none()
        {
            return Err(EngineError::NoGroupName { name, why });
        }
        spec.subscriptions.iter_mut().try_for_each(check)?;
        let (id, how) = match self.propose_one(command.encode(self.now())).await?? {
            Done::GroupPut { group, how, .. } => (group, how),
            _ => return Err(EngineError::Unknown),
        };
        let group = self.tables().group_by_id(id);
        let group = group.ok_or(EngineError::GroupDeleted(name))?;
        self.subscribe_group(&group).await;
        Ok(GroupPut { group, how })
    }

    /// Makes the topic, or answers the one there is.
    pub async fn make_topic(&self, spec: TopicSpec) -> Result<Arc<Topic>, EngineError> {
        // It costs no command, which a full disk would refuse.
        if let Some(topic) = self.tables().topic(&spec.name) {
            return Ok(topic);
        }
        let put = PutTopic {
            spec,
            keep_queues: false,
            terms: ABSENT,
        };
        match self.put_topic(put).await {
            Ok(made) => Ok(made.topic),
            Err(EngineError::Refused(Refused::TopicExists(id))) => {
                self.tables().topic_by_id(id).ok_or(EngineError::Unknown)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the consumer group, or answers the one there is.
    pub async fn make_group(&self, spec: GroupSpec) -> Result<Arc<Group>, EngineError> {
        if let Some(group) = self.tables().group(&spec.name) {
            return Ok(group);
        }
        let put = PutGroup { spec, terms: ABSENT };
        match self.put_group(put).await {
            Ok(made) => Ok(made.group),
            Err(EngineError::Refused(Refused::GroupExists(id))) => {
                self.tables().group_by_id(id).ok_or(EngineError::Unknown)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes a topic; answers how many messages were not done.
    pub async fn delete_topic(
        &self,
        name: &str,
        only_if_empty: bool,
        terms: Terms,
    ) -> Result<u64, EngineError> {
        let topic = self.topic_named(name)?.id;
        let command = DeleteTopic {
            topic,
            only_if_empty,
            terms,
        };
        match self.propose_one(command.encode(self.now())).await?? {
            Done::TopicDeleted(undone) => Ok(undone),
            _ => Err(EngineError::Unknown),
        }
    }

    /// Deletes a consumer group; answers how many messages it had not done.
    pub async fn delete_group(
        &self,
        name: &str,
        only_if_empty: bool,
        terms: Terms,
    ) -> Result<u64, EngineError> {
        let group = self.group_named(name)?.id;
        let command = DeleteGroup {
            group,
            only_if_empty,
            terms,
        };
        match self.propose_one(command.encode(self.now())).await?? {
            Done::GroupDeleted(undone) => Ok(undone),
            _ => Err(EngineError::Unknown),
        }
    }

    /// Gives the next epoch to `holder`: writes with an older one are refused from then on.
    pub async fn fence(&self, holder: &str) -> Result<u64, EngineError> {
        if holder.is_empty() || holder.len() > limits::HOLDER_BYTES_MAX {
            return Err(EngineError::Invalid(format!(
                "the holder's name has {} bytes: write 1 to {}",
                holder.len(),
                limits::HOLDER_BYTES_MAX
            )));
        }
        let holder = holder.to_owned();
        match self.propose_one(Fence { holder }.encode(self.now())).await?? {
            Done::Fenced(epoch) => Ok(epoch),
            _ => Err(EngineError::Unknown),
        }
    }

    /// The topic of this name, which is not made here.
    pub fn topic_named(&self, name: &str) -> Result<Arc<Topic>, EngineError> {
        let topic = self.tables().topic(name);
        topic.ok_or_else(|| match validate::is_group_topic(name) {
            true => EngineError::GroupTopicNotFound(name.to_owned()),
            false => EngineError::NoTopic(name.to_owned()),
        })
    }

    /// The consumer group of this name, which is not made here.
    pub fn group_named(&self, name: &str) -> Result<Arc<Group>, EngineError> {
        let group = self.tables().group(name);
        group.ok_or_else(|| EngineError::NoGroup(name.to_owned()))
    }
}

/// Checks a static subscription, and writes what takes everything in one way.
fn check(subscription: &mut StaticSubscription) -> Result<(), EngineError> {
    let StaticSubscription { topic, expression } = subscription;
    validate::readable_topic_name(topic).map_err(|error| EngineError::Invalid(error.to_string()))?;
    let filter = TagFilter::parse(expression)
        .map_err(|error| EngineError::Invalid(format!("the static subscription to '{topic}': {error}")))?;
    if filter.takes_all() {
        "*".clone_into(expression);
    }
    Ok(())
}
