//! What administrators do: put and delete topics and groups, move groups, fence each other off. Since level 2.

use super::answer::{Applied, Done, Put, Refused};
use super::group_queue::GroupQueue;
use super::make::{group_in_bounds, topic_in_bounds};
use super::shard::Shard;
use super::snapshot::ShardKey;
use super::tables::{Group, Subscription, Topic};
use super::{Changed, Effects, State};
use crate::command::{DeleteGroup, DeleteTopic, Fence, PutGroup, PutTopic, SetFloor, Terms};
use crate::ids::{GroupId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use crate::limits;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl State {
    pub(super) fn put_topic(&mut self, command: PutTopic, effects: &mut impl Effects) -> Applied {
        let PutTopic {
            mut spec,
            keep_queues,
            terms,
        } = command;
        self.check_epoch(terms.epoch)?;
        topic_in_bounds(&spec, limits::TOPIC_NAME_MAX)?;
        let Some(topic) = self.tables.topic(&spec.name) else {
            check_generation(terms, 0)?;
            let topic = self.add_topic(spec, limits::TOPICS_MAX)?;
            return Ok(topic_put(&topic, Put::Created));
        };
        if terms.expected_generation == Some(0) {
            return Err(Refused::TopicExists(topic.id));
        }
        check_generation(terms, topic.generation)?;
        if keep_queues {
            spec.queues = topic.spec.queues;
        }
        if spec.queues < topic.spec.queues {
            let (present, asked) = (topic.spec.queues, spec.queues);
            return Err(Refused::QueuesShrink { present, asked });
        }
        if spec == topic.spec {
            return Ok(topic_put(&topic, Put::Unchanged));
        }
        self.grow_subscriptions(&topic, spec.queues)?;
        let changed = Arc::new(topic.changed(spec));
        self.tables.topics.write().insert(Arc::clone(&changed));
        self.dirty.note(ShardKey::Topic(topic.id));
        effects.changed(Changed::Topic(topic.id));
        Ok(topic_put(&changed, Put::Changed))
    }

    /// Every group that reads the topic gets its place in the new queues, at their first message.
    fn grow_subscriptions(&mut self, topic: &Topic, queues: u32) -> Result<(), Refused> {
        let mut subscriptions = self.tables.subscriptions.write();
        let of_topic = subscriptions.of_topic(topic.id);
        let more = (queues - topic.spec.queues) as usize * of_topic.len();
        if subscriptions.queues + more > limits::SUBSCRIBED_QUEUES_MAX {
            return Err(Refused::Full("subscribed queues", limits::SUBSCRIBED_QUEUES_MAX));
        }
        for (group, before) in of_topic {
            let fifo = self
                .tables
                .group_by_id(group)
                .is_some_and(|group| group.spec.fifo);
            let new = (topic.spec.queues..queues).map(|queue| {
                let shard = Shard::new(GroupQueue::new(fifo, QueueOffset(0)));
                let at = TopicQueue {
                    topic: topic.id,
                    queue: QueueId(queue),
                };
                self.dirty.shards.add(GroupQueueId { group, at }, &shard);
                shard
            });
            let shards = before.shards.iter().cloned().chain(new).collect();
            subscriptions.insert((group, topic.id), Subscription { shards });
        }
        Ok(())
    }

    pub(super) fn put_group(&mut self, command: PutGroup, effects: &mut impl Effects) -> Applied {
        let PutGroup { spec, terms } = command;
        self.check_epoch(terms.epoch)?;
        group_in_bounds(&spec)?;
        let Some(group) = self.tables.group(&spec.name) else {
            check_generation(terms, 0)?;
            let group = self.add_group(spec)?;
            let (generation, how) = (1, Put::Created);
            return Ok(Done::GroupPut {
                group,
                generation,
                how,
            });
        };
        if terms.expected_generation == Some(0) {
            return Err(Refused::GroupExists(group.id));
        }
        check_generation(terms, group.generation)?;
        let mut put = Done::GroupPut {
            group: group.id,
            generation: group.generation,
            how: Put::Unchanged,
        };
        if spec != group.spec {
            if spec.fifo != group.spec.fifo {
                self.change_order(group.id, spec.fifo)?;
            }
            let (id, generation) = (group.id, group.generation + 1);
            let changed = Arc::new(Group { id, spec, generation });
            self.tables.groups.write().insert(Arc::clone(&changed));
            self.dirty.note_group(&changed);
            self.subscribe_statically(&changed.spec, id);
            effects.changed(Changed::Group(id));
            put = Done::GroupPut {
                group: id,
                generation,
                how: Put::Changed,
            };
        }
        Ok(put)
    }

    /// Makes a group FIFO, or not, if none of its messages is pending.
    fn change_order(&mut self, group: GroupId, fifo: bool) -> Result<(), Refused> {
        let subscriptions = self.tables.subscriptions_of(group);
        let shards = || {
            subscriptions
                .iter()
                .flat_map(|(_, of_topic)| of_topic.shards.iter())
        };
        let pending: usize = shards().map(|shard| shard.read(GroupQueue::pending_len)).sum();
        if pending > 0 {
            return Err(Refused::InUse(pending as u64));
        }
        for id in ids_of(group, &subscriptions) {
            self.with_shard(id, |shard, _| shard.set_fifo(fifo))?;
        }
        Ok(())
    }

    pub(super) fn delete_topic(&mut self, command: &DeleteTopic, effects: &mut impl Effects) -> Applied {
        self.check_epoch(command.terms.epoch)?;
        let topic = self
            .tables
            .topic_by_id(command.topic)
            .ok_or(Refused::NoTopic(command.topic))?;
        check_generation(command.terms, topic.generation)?;
        let subscribers = self.tables.subscribers_of(topic.id);
        let undone = match subscribers.as_slice() {
            [] => topic.messages() + self.carried_below(&topic),
            all => all.iter().map(|(_, of_group)| undone(&topic, of_group)).sum(),
        };
        if command.only_if_empty && undone > 0 {
            return Err(Refused::NotEmpty(undone));
        }
        for (group, subscription) in subscribers {
            self.unsubscribe(group, topic.id, &subscription);
        }
        self.tables.topics.write().remove(&topic);
        self.gone(ShardKey::Topic(topic.id));
        let carried = self.tables.carried.write().remove_topic(topic.id);
        for (at, chunk) in carried {
            self.gone(ShardKey::Carried(at, chunk));
        }
        effects.changed(Changed::TopicGone(topic.id));
        Ok(Done::TopicDeleted(undone))
    }

    pub(super) fn delete_group(&mut self, command: &DeleteGroup, effects: &mut impl Effects) -> Applied {
        self.check_epoch(command.terms.epoch)?;
        let group = self
            .tables
            .group_by_id(command.group)
            .ok_or(Refused::NoGroup(command.group))?;
        check_generation(command.terms, group.generation)?;
        let subscriptions = self.tables.subscriptions_of(group.id);
        let undone = subscriptions
            .iter()
            .filter_map(|(topic, held)| Some(undone(&*self.tables.topic_by_id(*topic)?, held)))
            .sum();
        if command.only_if_empty && undone > 0 {
            return Err(Refused::NotEmpty(undone));
        }
        for (topic, subscription) in subscriptions {
            self.unsubscribe(group.id, topic, &subscription);
        }
        self.tables.groups.write().remove(&group);
        self.gone(ShardKey::Group(group.id));
        effects.changed(Changed::GroupGone(group.id));
        Ok(Done::GroupDeleted(undone))
    }

    fn unsubscribe(&mut self, group: GroupId, topic: TopicId, subscription: &Subscription) {
        self.tables.subscriptions.write().remove((group, topic));
        for id in ids(group, topic, subscription) {
            self.gone(ShardKey::GroupQueue(id));
        }
    }

    pub(super) fn gone(&mut self, key: ShardKey) {
        self.dirty.forget(key);
        self.removed.insert(key);
    }

    pub(super) fn set_floor(&mut self, command: &SetFloor, effects: &mut impl Effects) -> Applied {
        self.check_epoch(command.epoch)?;
        let id = command.id;
        let topic = self
            .tables
            .topic_by_id(id.at.topic)
            .ok_or(Refused::NoTopic(id.at.topic))?;
        let tail = topic
            .tail(id.at.queue)
            .ok_or(Refused::NoQueue(id.at.topic, id.at.queue))?;
        let gone = self.tables.gone(id.at);
        let moved = self.with_shard(id, |shard, now| shard.set_floor(command.target, tail, &gone, now))?;
        effects.moved(id);
        effects.ready(id, self.now);
        Ok(Done::Moved(Box::new(moved)))
    }

    pub(super) fn fence(&mut self, command: Fence) -> Applied {
        let mut fenced = self.tables.fenced.write();
        fenced.epoch += 1;
        fenced.holder = command.holder;
        Ok(Done::Fenced(fenced.epoch))
    }

    fn check_epoch(&self, epoch: u64) -> Result<(), Refused> {
        let fenced = self.tables.fenced.read();
        if epoch == 0 || epoch == fenced.epoch {
            return Ok(());
        }
        Err(Refused::Epoch {
            epoch,
            present: fenced.epoch,
            holder: fenced.holder.clone(),
        })
    }
}

fn check_generation(terms: Terms, present: u64) -> Result<(), Refused> {
    match terms.expected_generation {
        Some(expected) if expected != present => Err(Refused::Generation { expected, present }),
        _ => Ok(()),
    }
}

fn topic_put(topic: &Topic, how: Put) -> Done {
    Done::TopicPut {
        topic: topic.id,
        generation: topic.generation,
        how,
    }
}

/// Messages of the topic that a group has not done.
fn undone(topic: &Topic, of_group: &Subscription) -> u64 {
    let tails = topic
        .tails
        .iter()
        .map(|tail| QueueOffset(tail.load(Ordering::Relaxed)));
    let shards = of_group.shards.iter().zip(tails);
    shards
        .map(|(shard, tail)| shard.read(|queue| queue.undone(tail)))
        .sum()
}

fn ids(group: GroupId, topic: TopicId, subscription: &Subscription) -> Vec<GroupQueueId> {
    let queues = (0..subscription.shards.len() as u32).map(QueueId);
    let id = |queue| GroupQueueId {
        group,
        at: TopicQueue { topic, queue },
    };
    queues.map(id).collect()
}

fn ids_of(group: GroupId, subscriptions: &[(TopicId, Subscription)]) -> Vec<GroupQueueId> {
    let all = subscriptions.iter();
    all.flat_map(|(topic, subscription)| ids(group, *topic, subscription))
        .collect()
}
