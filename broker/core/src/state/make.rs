//! Making topics, groups and subscriptions.

use super::State;
use super::answer::{Applied, Done, Refused};
use super::group_queue::GroupQueue;
use super::shard::Shard;
use super::snapshot::ShardKey;
use super::tables::{Group, Subscription, Topic, dead_letter_topic};
use crate::command::{GroupSpec, StartFrom, Subscribe, SubscribeAt, TopicSpec, Types};
use crate::ids::{GroupId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use crate::limits;
use std::sync::Arc;

impl State {
    pub(super) fn create_topic(&mut self, spec: TopicSpec) -> Applied {
        topic_in_bounds(&spec, limits::TOPIC_NAME_MAX)?;
        if let Some(topic) = self.tables.topic(&spec.name) {
            return Err(Refused::TopicExists(topic.id));
        }
        self.add_topic(spec, limits::TOPICS_MAX)
            .map(|topic| Done::Topic(topic.id))
    }

    /// Adds a topic whose name and bounds have been looked at. Groups that read it in any case have their place in it before
    /// its first message comes.
    pub(super) fn add_topic(&mut self, spec: TopicSpec, topics_max: usize) -> Result<Arc<Topic>, Refused> {
        let mut topics = self.tables.topics.write();
        if topics.by_id.len() >= topics_max {
            return Err(Refused::Full("topics", topics_max));
        }
        let id = TopicId(topics.next);
        topics.next += 1;
        let topic = Arc::new(Topic::new(id, spec));
        topics.insert(Arc::clone(&topic));
        drop(topics);
        self.dirty.note(ShardKey::Topic(id));
        for group in self.tables.all_groups() {
            if group.spec.expression(&topic.spec.name).is_some() {
                self.subscribe_if_there_is_room(group.id, id);
            }
        }
        Ok(topic)
    }

    /// Gives a group its place in the topics that it reads in any case, as far as they exist. Where it starts at a time,
    /// the proposer looks the places up: apply reads no files.
    pub(super) fn subscribe_statically(&mut self, group: &GroupSpec, id: GroupId) {
        if matches!(group.start_from, StartFrom::Time(_)) {
            return;
        }
        for subscription in &group.subscriptions {
            if let Some(topic) = self.tables.topic(&subscription.topic) {
                self.subscribe_if_there_is_room(id, topic.id);
            }
        }
    }

    /// Where there is none, the proposer asks again, and tells what is missing.
    fn subscribe_if_there_is_room(&mut self, group: GroupId, topic: TopicId) {
        // Only that it is full can stand against it.
        let _ = self.subscribe(&Subscribe { group, topic });
    }

    pub(super) fn create_group(&mut self, spec: GroupSpec) -> Applied {
        group_in_bounds(&spec)?;
        if let Some(group) = self.tables.group(&spec.name) {
            return Err(Refused::GroupExists(group.id));
        }
        self.add_group(spec).map(Done::Group)
    }

    /// Adds a group whose name and bounds have been looked at.
    pub(super) fn add_group(&mut self, spec: GroupSpec) -> Result<GroupId, Refused> {
        let mut groups = self.tables.groups.write();
        if groups.by_id.len() >= limits::GROUPS_MAX {
            return Err(Refused::Full("consumer groups", limits::GROUPS_MAX));
        }
        let id = GroupId(groups.next);
        groups.next += 1;
        let generation = 1;
        let group = Arc::new(Group { id, spec, generation });
        groups.insert(Arc::clone(&group));
        drop(groups);
        self.dirty.note_group(&group);
        self.subscribe_statically(&group.spec, id);
        Ok(id)
    }

    pub(super) fn subscribe(&mut self, command: &Subscribe) -> Applied {
        self.subscribe_with(command.group, command.topic, |group, _, tail| {
            match group.spec.start_from {
                StartFrom::Earliest | StartFrom::Time(_) => QueueOffset(0),
                StartFrom::Latest => tail,
            }
        })
    }

    pub(super) fn subscribe_at(&mut self, command: &SubscribeAt) -> Applied {
        self.subscribe_with(command.group, command.topic, |_, queue, tail| {
            let floor = command.floors.get(queue.0 as usize);
            floor.map_or(QueueOffset(0), |floor| tail.min(*floor))
        })
    }

    fn subscribe_with(
        &mut self,
        group: GroupId,
        topic: TopicId,
        floor: impl Fn(&Group, QueueId, QueueOffset) -> QueueOffset,
    ) -> Applied {
        let group = self.tables.group_by_id(group).ok_or(Refused::NoGroup(group))?;
        let topic = self.tables.topic_by_id(topic).ok_or(Refused::NoTopic(topic))?;
        let key = (group.id, topic.id);
        let mut subscriptions = self.tables.subscriptions.write();
        if subscriptions.by_id.contains_key(&key) {
            return Ok(Done::Subscribed);
        }
        if subscriptions.queues + topic.tails.len() > limits::SUBSCRIBED_QUEUES_MAX {
            return Err(Refused::Full("subscribed queues", limits::SUBSCRIBED_QUEUES_MAX));
        }
        let mut shards = Vec::with_capacity(topic.tails.len());
        for queue in (0..topic.spec.queues).map(QueueId) {
            let tail = topic.tail(queue).unwrap_or_default();
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            let mut held = GroupQueue::new(group.spec.fifo, floor(&group, queue, tail));
            held.begin_behind(&self.tables.gone(at));
            let shard = Shard::new(held);
            let id = GroupQueueId { group: group.id, at };
            self.dirty.shards.add(id, &shard);
            shards.push(shard);
        }
        let shards = shards.into();
        subscriptions.insert(key, Subscription { shards });
        Ok(Done::Subscribed)
    }

    /// The group's dead-letter topic, made on first use.
    pub(super) fn dead_letter_topic_of(&mut self, group: &Group) -> Result<Arc<Topic>, Refused> {
        let name = dead_letter_topic(&group.spec.name);
        if let Some(topic) = self.tables.topic(&name) {
            return Ok(topic);
        }
        let spec = TopicSpec {
            name,
            queues: 1,
            types: Types::ALL,
            closed: false,
            retention_hours: 0,
            retention_bytes: 0,
        };
        topic_in_bounds(&spec, limits::SYSTEM_TOPIC_NAME_MAX)?;
        // Beyond the limit too, or a message that nobody can handle would be delivered for ever.
        self.add_topic(spec, usize::MAX)
    }
}

pub(super) fn topic_in_bounds(spec: &TopicSpec, name_max: usize) -> Result<(), Refused> {
    if spec.name.is_empty() || spec.name.len() > name_max {
        return Err(Refused::OutOfBounds("the topic's name"));
    }
    if spec.queues == 0 || spec.queues > limits::QUEUES_MAX {
        return Err(Refused::OutOfBounds("the topic's number of queues"));
    }
    if spec.retention_hours > limits::RETENTION_HOURS_MAX
        || spec.retention_bytes > limits::RETENTION_BYTES_MAX
    {
        return Err(Refused::OutOfBounds("the topic's retention"));
    }
    Ok(())
}

pub(super) fn group_in_bounds(spec: &GroupSpec) -> Result<(), Refused> {
    if spec.name.is_empty() || spec.name.len() > limits::GROUP_NAME_MAX {
        return Err(Refused::OutOfBounds("the group's name"));
    }
    if spec.max_attempts == 0 || spec.max_attempts > limits::ATTEMPTS_MAX {
        return Err(Refused::OutOfBounds("the group's number of attempts"));
    }
    if !(1..=limits::RECEIVE_MAX).contains(&usize::from(spec.receive_batch)) {
        return Err(Refused::OutOfBounds("the group's receive batch"));
    }
    if !(limits::LONG_POLL_MS_MIN..=limits::LONG_POLL_MS_MAX).contains(&spec.long_poll_ms) {
        return Err(Refused::OutOfBounds("the group's long poll"));
    }
    if !(limits::INVISIBLE_MS_MIN..=limits::INVISIBLE_MS_MAX).contains(&spec.invisible_ms) {
        return Err(Refused::OutOfBounds("the group's invisible duration"));
    }
    let topics = || spec.subscriptions.iter().map(|subscription| &subscription.topic);
    let twice = topics()
        .enumerate()
        .any(|(at, topic)| topics().take(at).any(|other| other == topic));
    let fit = spec.subscriptions.iter().all(|subscription| {
        (1..=limits::TOPIC_NAME_MAX).contains(&subscription.topic.len())
            && (1..=limits::EXPRESSION_BYTES_MAX).contains(&subscription.expression.len())
    });
    if twice || !fit || spec.subscriptions.len() > limits::SUBSCRIPTIONS_MAX {
        return Err(Refused::OutOfBounds("the group's static subscriptions"));
    }
    Ok(())
}
