//! Applying one command.

use super::answer::{Applied, Delivered, Done, Refused};
use super::group_queue::GroupQueue;
use super::snapshot::ShardKey;
use super::tables::{Group, Shard, Subscription, Topic, dead_letter_topic};
use super::{CommandAt, Effects, LEVEL, State};
use crate::command::{
    Append, Change, Command, CreateGroup, CreateTopic, DeadLetter, Deliver, Release, Settle, StartFrom,
    Subscribe, Types, Unanswered,
};
use crate::entry::{LINKED, QueueEntry};
use crate::ids::{DeliveryId, GroupId, GroupQueueId, QueueOffset, TimeMs, TopicId, TopicQueue};
use crate::limits;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A command's length and checksum as one number: what it says, for the digest.
fn header_of(bytes: &[u8]) -> u64 {
    bytes
        .first_chunk()
        .map_or(0, |header| u64::from_le_bytes(*header))
}

impl State {
    /// Applies the command that `bytes` are; its checksum has been checked. Never panics and never fails: a command that
    /// does not fit is answered.
    pub fn apply(&mut self, at: CommandAt, bytes: &[u8], effects: &mut impl Effects) -> Applied {
        let answer = Command::decode(bytes)
            .map_err(Refused::from)
            .and_then(|(time, command)| {
                self.advance(time);
                self.dispatch(at, bytes.len() as u32, command, effects)
            });
        self.mix(at.physical.0);
        self.mix(header_of(bytes));
        self.mix(self.now);
        self.mix(match &answer {
            Ok(done) => done.code(),
            Err(refused) => crate::hash::mix(u64::MAX, refused.code()),
        });
        answer
    }

    fn advance(&mut self, time: TimeMs) {
        if time > self.now {
            self.now = time;
            self.tables.now.store(time, Ordering::Release);
        }
    }

    fn dispatch(
        &mut self,
        at: CommandAt,
        size: u32,
        command: Command<'_>,
        effects: &mut impl Effects,
    ) -> Applied {
        match command {
            Command::Append(append) => self.append(at, size, &append, effects),
            Command::Deliver(deliver) => self.deliver(at, &deliver, effects),
            Command::Settle(settle) => self.settle(at, &settle, effects),
            Command::Release(release) => self.release(&release, effects),
            Command::DeadLetter(dead) => self.dead_letter(&dead, effects),
            Command::Unanswered(unanswered) => self.unanswered(&unanswered, effects),
            Command::CreateTopic(spec) => self.create_topic(spec, limits::TOPIC_NAME_MAX, limits::TOPICS_MAX),
            Command::CreateGroup(spec) => self.create_group(spec),
            Command::Subscribe(subscribe) => self.subscribe(&subscribe),
            Command::Level(level) => self.raise_level(level),
            Command::Membership(membership) => {
                self.membership = membership;
                Ok(Done::Membership)
            }
        }
    }

    fn raise_level(&mut self, asked: u32) -> Applied {
        if asked != self.level + 1 || asked > LEVEL {
            return Err(Refused::Level {
                asked,
                present: self.level,
            });
        }
        self.level = asked;
        Ok(Done::Level(asked))
    }

    fn create_topic(&mut self, spec: CreateTopic, name_max: usize, topics_max: usize) -> Applied {
        if spec.name.is_empty() || spec.name.len() > name_max {
            return Err(Refused::OutOfBounds("the topic's name"));
        }
        if spec.queues == 0 || spec.queues > limits::QUEUES_MAX {
            return Err(Refused::OutOfBounds("the topic's number of queues"));
        }
        let mut topics = self.tables.topics.write();
        if let Some(topic) = topics.by_name.get(&spec.name) {
            return Err(Refused::TopicExists(topic.id));
        }
        if topics.by_id.len() >= topics_max {
            return Err(Refused::Full("topics", topics_max));
        }
        let id = TopicId(topics.next);
        topics.next += 1;
        topics.insert(Arc::new(Topic::new(id, spec)));
        self.dirty.insert(ShardKey::Topic(id));
        Ok(Done::Topic(id))
    }

    fn create_group(&mut self, spec: CreateGroup) -> Applied {
        if spec.name.is_empty() || spec.name.len() > limits::GROUP_NAME_MAX {
            return Err(Refused::OutOfBounds("the group's name"));
        }
        if spec.max_attempts == 0 || spec.max_attempts > limits::ATTEMPTS_MAX {
            return Err(Refused::OutOfBounds("the group's number of attempts"));
        }
        let mut groups = self.tables.groups.write();
        if let Some(group) = groups.by_name.get(&spec.name) {
            return Err(Refused::GroupExists(group.id));
        }
        if groups.by_id.len() >= limits::GROUPS_MAX {
            return Err(Refused::Full("consumer groups", limits::GROUPS_MAX));
        }
        let id = GroupId(groups.next);
        groups.next += 1;
        groups.insert(Arc::new(Group { id, spec }));
        self.dirty.insert(ShardKey::Group(id));
        Ok(Done::Group(id))
    }

    fn subscribe(&mut self, command: &Subscribe) -> Applied {
        let group = self
            .tables
            .group_by_id(command.group)
            .ok_or(Refused::NoGroup(command.group))?;
        let topic = self
            .tables
            .topic_by_id(command.topic)
            .ok_or(Refused::NoTopic(command.topic))?;
        let key = (group.id, topic.id);
        let mut subscriptions = self.tables.subscriptions.write();
        if subscriptions.by_id.contains_key(&key) {
            return Ok(Done::Subscribed);
        }
        if subscriptions.queues + topic.tails.len() > limits::SUBSCRIBED_QUEUES_MAX {
            return Err(Refused::Full("subscribed queues", limits::SUBSCRIBED_QUEUES_MAX));
        }
        let shard = |tail: &std::sync::atomic::AtomicU64| {
            let floor = match group.spec.start_from {
                StartFrom::Earliest => 0,
                StartFrom::Latest => tail.load(Ordering::Acquire),
            };
            Shard::new(GroupQueue::new(group.spec.fifo, QueueOffset(floor)))
        };
        let shards: Arc<[Arc<Shard>]> = topic.tails.iter().map(shard).collect();
        for queue in 0..topic.spec.queues {
            let at = TopicQueue {
                topic: topic.id,
                queue: crate::ids::QueueId(queue),
            };
            self.dirty
                .insert(ShardKey::GroupQueue(GroupQueueId { group: group.id, at }));
        }
        subscriptions.insert(key, Subscription { shards });
        Ok(Done::Subscribed)
    }

    fn append(
        &mut self,
        at: CommandAt,
        size: u32,
        append: &Append<'_>,
        effects: &mut impl Effects,
    ) -> Applied {
        let topic = self
            .tables
            .topic_by_id(append.at.topic)
            .ok_or(Refused::NoTopic(append.at.topic))?;
        if !topic.spec.types.take(append.kind) {
            return Err(Refused::KindNotTaken(topic.id));
        }
        let entry = QueueEntry {
            physical: at.physical,
            put_ms: self.now,
            waiting_since_ms: self.now,
            tag_hash: append.tag_hash,
            group_hash: append.group_hash,
            size,
            attempt: 0,
            flags: append.flags,
        };
        self.push_entry(&topic, append.at, &entry, effects)
            .map(Done::Appended)
    }

    /// Gives `entry` the next offset of its queue.
    fn push_entry(
        &mut self,
        topic: &Topic,
        at: TopicQueue,
        entry: &QueueEntry,
        effects: &mut impl Effects,
    ) -> Result<QueueOffset, Refused> {
        let tail = topic
            .tails
            .get(at.queue.0 as usize)
            .ok_or(Refused::NoQueue(at.topic, at.queue))?;
        let offset = QueueOffset(tail.load(Ordering::Relaxed));
        effects.entry(at, offset, entry);
        // After the entry is there: a reader that sees the tail finds the entry.
        tail.store(offset.0 + 1, Ordering::Release);
        if !topic.dirty.swap(true, Ordering::Relaxed) {
            self.dirty.insert(ShardKey::Topic(topic.id));
        }
        Ok(offset)
    }

    /// Changes one shard, and takes note that it changed.
    fn with_shard<T>(
        &mut self,
        id: GroupQueueId,
        change: impl FnOnce(&mut GroupQueue, TimeMs) -> T,
    ) -> Result<T, Refused> {
        let subscription = self
            .tables
            .subscription(id.group, id.at.topic)
            .ok_or(Refused::NotSubscribed(id.group, id.at.topic))?;
        let shard = subscription
            .shards
            .get(id.at.queue.0 as usize)
            .ok_or(Refused::NoQueue(id.at.topic, id.at.queue))?;
        let answer = change(Arc::make_mut(&mut shard.queue.lock()), self.now);
        if !shard.dirty.swap(true, Ordering::Relaxed) {
            self.dirty.insert(ShardKey::GroupQueue(id));
        }
        Ok(answer)
    }

    fn deliver(&mut self, at: CommandAt, command: &Deliver, effects: &mut impl Effects) -> Applied {
        let topic = self
            .tables
            .topic_by_id(command.id.at.topic)
            .ok_or(Refused::NoTopic(command.id.at.topic))?;
        let tail = topic
            .tail(command.id.at.queue)
            .ok_or(Refused::NoQueue(command.id.at.topic, command.id.at.queue))?;
        let delivery = DeliveryId::new(at.index, at.place);
        let taken = self.with_shard(command.id, |shard, now| {
            shard.deliver(command, delivery, now, tail)
        })?;
        if !taken.is_empty() {
            effects.ready(command.id, self.now.saturating_add(command.invisible_ms));
        }
        Ok(Done::Delivered(Delivered { delivery, taken }))
    }

    fn settle(&mut self, at: CommandAt, command: &Settle, effects: &mut impl Effects) -> Applied {
        let delivery = DeliveryId::new(at.index, at.place);
        let mut unlocked = Vec::new();
        let (accepted, may_unblock) = self.with_shard(command.id, |shard, now| {
            if shard.is_fifo() && command.change == Change::Done {
                let held = command
                    .items
                    .iter()
                    .filter(|item| shard.is_held(item.offset, item.delivery, now));
                unlocked.extend(
                    held.filter_map(|item| shard.pending(item.offset))
                        .map(|pending| pending.group_hash),
                );
            }
            // What waited for its message group, or for room among those in flight, may go now.
            let may_unblock = shard.is_fifo() || shard.pending_len() > limits::IN_FLIGHT_MAX / 2;
            let accepted = shard
                .settle(&command.items, command.change, delivery, now)
                .collect();
            (accepted, may_unblock)
        })?;
        unlocked
            .into_iter()
            .for_each(|group_hash| effects.unlocked(command.id, group_hash));
        match command.change {
            Change::Done if may_unblock => effects.ready(command.id, self.now),
            Change::Done => {}
            Change::VisibleIn(ms) | Change::HandBack(ms) => {
                effects.ready(command.id, self.now.saturating_add(ms))
            }
        }
        Ok(Done::Settled { delivery, accepted })
    }

    fn release(&mut self, command: &Release, effects: &mut impl Effects) -> Applied {
        let visible_at = self.now.saturating_add(command.visible_in_ms);
        let count = self.with_shard(command.id, |shard, now| {
            shard.release(&command.client, now, visible_at)
        })?;
        effects.ready(command.id, visible_at);
        Ok(Done::Released(count))
    }

    fn unanswered(&mut self, command: &Unanswered, effects: &mut impl Effects) -> Applied {
        let visible_at = self.now.saturating_add(command.visible_in_ms);
        let count = self.with_shard(command.id, |shard, now| {
            shard.bound_renewed(command.hidden_until_min, now, visible_at)
        })?;
        effects.ready(command.id, visible_at);
        Ok(Done::Released(count))
    }

    fn dead_letter(&mut self, command: &DeadLetter, effects: &mut impl Effects) -> Applied {
        let group = self
            .tables
            .group_by_id(command.id.group)
            .ok_or(Refused::NoGroup(command.id.group))?;
        let max_attempts = group.spec.max_attempts;
        let fits = self.with_shard(command.id, |shard, now| match command.delivery {
            Some(delivery) => shard.is_held(command.offset, delivery, now),
            None => shard.is_exhausted(command.offset, max_attempts, now),
        })?;
        if !fits {
            return Err(Refused::NotHeld);
        }
        let topic = self.dead_letter_topic_of(&group)?;
        let entry = QueueEntry {
            put_ms: self.now,
            waiting_since_ms: self.now,
            attempt: 0,
            flags: command.entry.flags | LINKED,
            ..command.entry
        };
        let at = TopicQueue {
            topic: topic.id,
            queue: crate::ids::QueueId(0),
        };
        let offset = self.push_entry(&topic, at, &entry, effects)?;
        let unlocked = self.with_shard(command.id, |shard, _| {
            let group_hash = shard.pending(command.offset).map(|pending| pending.group_hash);
            shard.finish(command.offset.0);
            shard.raise_floor();
            group_hash.filter(|_| shard.is_fifo())
        })?;
        unlocked
            .into_iter()
            .for_each(|group_hash| effects.unlocked(command.id, group_hash));
        effects.ready(command.id, self.now);
        Ok(Done::DeadLettered {
            topic: topic.id,
            offset,
        })
    }

    /// The group's dead-letter topic, made on first use.
    fn dead_letter_topic_of(&mut self, group: &Group) -> Result<Arc<Topic>, Refused> {
        let name = dead_letter_topic(&group.spec.name);
        let present = self.tables.topic(&name);
        if let Some(topic) = present {
            return Ok(topic);
        }
        let spec = CreateTopic {
            name: name.clone(),
            queues: 1,
            types: Types::ALL,
        };
        // Beyond the limit too, or a message that nobody can handle would be delivered for ever.
        self.create_topic(spec, limits::SYSTEM_TOPIC_NAME_MAX, usize::MAX)?;
        self.tables
            .topic(&name)
            .ok_or(Refused::NoTopic(TopicId(u32::MAX)))
    }
}
