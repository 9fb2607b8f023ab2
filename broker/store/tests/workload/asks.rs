//! What clients ask for: sends, deliveries and settlements.

use super::{Asked, Driver, QUEUES, Sent, TOPICS};
use sluice_core::command::{Change, DeadLetter, Deliver, NewMessage, Settle, SettleItem, Take};
use sluice_core::ids::{GroupId, GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::log::Batch;
use sluice_core::record::{NewRecord, property, put_property};

impl Driver {
    pub(super) fn send(&mut self, body_max: u64) -> (Asked, Batch) {
        let topic = TopicId(self.dice.roll(u64::from(TOPICS)) as u32);
        let present = self.opened.store.tables().topic_by_id(topic);
        let queues = present.map_or(QUEUES, |topic| topic.spec.queues);
        let queue = QueueId(self.dice.roll(u64::from(queues)) as u32);
        self.send_to(TopicQueue { topic, queue }, body_max)
    }

    pub(super) fn send_to(&mut self, at: TopicQueue, body_max: u64) -> (Asked, Batch) {
        self.sequence += 1;
        let mut body = format!("{}-{}-", self.sequence, self.dice.0).into_bytes();
        body.resize(body.len() + self.dice.roll(body_max) as usize, b'x');
        let mut properties = Vec::new();
        put_property(
            &mut properties,
            property::MESSAGE_ID,
            &format!("id-{}", self.sequence),
        );
        put_property(
            &mut properties,
            property::KEYS,
            &format!("key-{} common", self.sequence % 10),
        );
        let group = format!("group-{}", self.dice.roll(5));
        let host = "127.0.0.1:1".parse().unwrap();
        let record = NewRecord {
            topic: &format!("topic-{}", at.topic),
            queue: at.queue.0,
            body: &body,
            properties: &properties,
            born_ms: self.now,
            born_host: host,
            store_ms: self.now,
            store_host: host,
        };
        let message_group = (self.dice.roll(2) == 0).then_some(group.as_str());
        let tag = (self.dice.roll(3) == 0).then_some("tag");
        let command = NewMessage {
            topic: at.topic,
            tag,
            message_group,
            record,
        }
        .encode();
        (Asked::Sent(Sent { at, body }), [command].into_iter().collect())
    }

    pub(super) fn shard(&mut self) -> GroupQueueId {
        let topic = TopicId(self.dice.roll(u64::from(TOPICS)) as u32);
        let queue = QueueId(self.dice.roll(u64::from(QUEUES)) as u32);
        GroupQueueId {
            group: GroupId(self.dice.roll(2) as u32),
            at: TopicQueue { topic, queue },
        }
    }

    pub(super) fn deliver(&mut self) -> (Asked, Batch) {
        let id = self.shard();
        let tables = self.opened.store.tables();
        let (floor, standing) = tables.subscription(id.group, id.at.topic).unwrap().shards
            [id.at.queue.0 as usize]
            .read(|shard| (shard.floor(), shard.standing()));
        let first = floor.0 + self.dice.roll(4);
        let taken = (first..first + 1 + self.dice.roll(6))
            .map(|offset| Take {
                offset: QueueOffset(offset),
                group_hash: (offset % 3) as u32,
            })
            .collect();
        let client = format!("client-{}", self.dice.roll(3));
        let invisible_ms = 20 + self.dice.roll(500);
        let (attempt_id, auto_renew) = (self.dice.roll(4), self.dice.roll(2) == 0);
        let deliver = Deliver {
            id,
            client,
            attempt_id,
            auto_renew,
            resume: false,
            standing,
            invisible_ms,
            taken,
            skipped: Vec::new(),
        };
        (
            Asked::Delivered(id),
            [deliver.encode(self.now)].into_iter().collect(),
        )
    }

    /// Asks for a dead letter of one of the latest messages, whether it is held yet or not.
    pub(super) fn bury(&mut self) -> (Asked, Batch) {
        let latest = self.memory.held.len().min(64) as u64;
        if latest == 0 {
            return self.deliver();
        }
        let place = self.memory.held.len() - 1 - self.dice.roll(latest) as usize;
        let (id, offset, delivery) = self.memory.held[place];
        let mut entries = Vec::new();
        let queues = self.opened.store.queues();
        queues.read(id.at, offset, 1, &mut entries).unwrap();
        let Some(entry) = entries.first().copied() else {
            return self.deliver();
        };
        let dead = DeadLetter {
            id,
            offset,
            delivery: Some(delivery),
            entry,
        };
        (
            Asked::Buried(id, offset),
            [dead.encode(self.now)].into_iter().collect(),
        )
    }

    pub(super) fn settle(&mut self) -> (Asked, Batch) {
        // One of the latest: older ones have mostly run out.
        let latest = self.memory.held.len().min(16) as u64;
        if latest == 0 {
            return self.deliver();
        }
        let place = self.memory.held.len() - 1 - self.dice.roll(latest) as usize;
        let (id, offset, delivery) = self.memory.held.remove(place);
        let done = self.dice.roll(4) > 0;
        let change = if done {
            Change::Done
        } else {
            Change::VisibleIn(self.dice.roll(100))
        };
        let settle = Settle {
            id,
            change,
            items: vec![SettleItem { offset, delivery }],
        };
        let offsets = if done { vec![offset] } else { Vec::new() };
        (
            Asked::Settled(id, offsets),
            [settle.encode(self.now)].into_iter().collect(),
        )
    }
}
