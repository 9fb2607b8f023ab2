//! Applying one command.

use super::answer::{Applied, Delivered, Done, Refused};
use super::group_queue::GroupQueue;
use super::snapshot::ShardKey;
use super::tables::Topic;
use super::{CommandAt, Effects, LEVEL, State};
use crate::codec::Malformed;
use crate::command::{Append, Change, Command, DeadLetter, Deliver, Release, Settle, Unanswered};
use crate::entry::{CARRIED, LINKED, QueueEntry};
use crate::ids::{DeliveryId, GroupQueueId, QueueOffset, TimeMs, TopicQueue};
use crate::limits;
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
        let answer = self.decode(bytes).and_then(|(time, command)| {
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

    /// A kind that the log's level does not know is one that nobody knows, whatever the build.
    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<(TimeMs, Command<'a>), Refused> {
        if Command::kind(bytes)?.level() > self.level {
            return Err(Malformed::Range("command kind").into());
        }
        let (time, command) = Command::decode(bytes)?;
        match &command {
            Command::PutTopic(put)
                if self.level < 3 && (put.spec.retention_hours > 0 || put.spec.retention_bytes > 0) =>
            {
                Err(Malformed::Range("topic flags").into())
            }
            _ => Ok((time, command)),
        }
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
            Command::CreateTopic(spec) => self.create_topic(spec.into()),
            Command::CreateGroup(spec) => self.create_group(spec.into()),
            Command::Subscribe(subscribe) => self.subscribe(&subscribe),
            Command::Level(level) => self.raise_level(level),
            Command::Membership(membership) => {
                self.membership = membership;
                Ok(Done::Membership)
            }
            Command::PutTopic(put) => self.put_topic(put, effects),
            Command::DeleteTopic(delete) => self.delete_topic(&delete, effects),
            Command::PutGroup(put) => self.put_group(put, effects),
            Command::DeleteGroup(delete) => self.delete_group(&delete, effects),
            Command::SubscribeAt(subscribe) => self.subscribe_at(&subscribe),
            Command::SetFloor(floor) => self.set_floor(&floor, effects),
            Command::Fence(fence) => self.fence(fence),
            Command::Trim(trim) => self.trim(at, &trim, effects),
            Command::Carry(carry) => self.carry(at, size, &carry, effects),
            Command::Expire(expire) => self.expire(&expire, effects),
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
        self.tables.level.store(asked, Ordering::Release);
        Ok(Done::Level(asked))
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
        if topic.spec.closed {
            return Err(Refused::Closed(topic.id));
        }
        if !topic.spec.types.take(append.kind) {
            return Err(Refused::KindNotTaken(topic.id));
        }
        let entry = append.entry(at.physical, size, self.now);
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
            self.dirty.note(ShardKey::Topic(topic.id));
        }
        Ok(offset)
    }

    /// Changes one shard, and takes note that it changed.
    pub(super) fn with_shard<T>(
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
        let now = self.now;
        Ok(self.dirty.shards.change(id, shard, |queue| change(queue, now)))
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
        let checks_standing = self.level >= 2;
        let taken = self.with_shard(command.id, |shard, now| {
            if checks_standing && command.standing != shard.standing() {
                return Vec::new();
            }
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
        // Below level 3 there is no such bound.
        if command.entry.physical < self.tables.bounds().links_from {
            return Err(Refused::Leaving(command.entry.physical));
        }
        let topic = self.dead_letter_topic_of(&group)?;
        let entry = QueueEntry {
            put_ms: self.now,
            waiting_since_ms: self.now,
            attempt: 0,
            // The link itself was not carried, whatever it leads to.
            flags: command.entry.flags & !CARRIED | LINKED,
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
}
