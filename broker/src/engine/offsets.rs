//! Offsets of one queue, as clients that keep their own place ask for them and leave them with their group.

use super::{Engine, EngineError};
use sluice_core::command::{SetFloor, Target};
use sluice_core::ids::{GroupQueueId, QueueId, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{Done, Topic};

impl Engine {
    /// The offset of a queue's first message and the one behind its last, if there is such a queue.
    pub fn ends(&self, topic: &Topic, queue: QueueId) -> Result<(QueueOffset, QueueOffset), EngineError> {
        if queue.0 >= topic.spec.queues {
            return Err(EngineError::NoQueue {
                topic: topic.spec.name.clone(),
                queues: topic.spec.queues,
                queue: queue.0,
            });
        }
        Ok(self.bounds(topic, queue))
    }

    /// The offset, if the queue has it, or ends there.
    pub(super) fn within(
        &self,
        topic: &Topic,
        queue: QueueId,
        offset: i64,
    ) -> Result<QueueOffset, EngineError> {
        let (min, max) = self.ends(topic, queue)?;
        let asked = u64::try_from(offset).ok().map(QueueOffset);
        asked
            .filter(|offset| (min..=max).contains(offset))
            .ok_or_else(|| EngineError::OffsetOutside {
                topic: topic.spec.name.clone(),
                queue: queue.0,
                offset,
                min: min.0,
                max: max.0,
            })
    }

    /// The offset of a queue's first message that came at `time` or later; behind the last one where none did.
    pub async fn first_since(
        &self,
        topic: &Topic,
        queue: QueueId,
        time: TimeMs,
    ) -> Result<QueueOffset, EngineError> {
        self.ends(topic, queue)?;
        let found = self.offsets_at(topic, vec![queue], time).await?;
        found.first().copied().ok_or(EngineError::Unknown)
    }

    /// Where a group stands in a queue: all below is done.
    pub fn offset_of(&self, group: &str, topic: &Topic, queue: QueueId) -> Result<QueueOffset, EngineError> {
        self.ends(topic, queue)?;
        let tables = self.tables();
        let held = tables.group(group);
        let held = held.and_then(|group| tables.subscription(group.id, topic.id));
        let shard = held.as_ref().and_then(|held| held.shards.get(queue.0 as usize));
        let floor = shard.map(|shard| shard.read(|held| held.floor()));
        floor.ok_or_else(|| EngineError::NoOffset {
            group: group.to_owned(),
            topic: topic.spec.name.clone(),
        })
    }

    /// Moves a group to an offset of a queue. A group or subscription that is not there is made, as a receive would do.
    /// Clients repeat this every few seconds, moved or not: who stands there already costs the log nothing.
    pub async fn commit_offset(
        &self,
        group: &str,
        topic: &Topic,
        queue: QueueId,
        offset: i64,
    ) -> Result<(), EngineError> {
        let offset = self.within(topic, queue, offset)?;
        let group = self.group(group).await?;
        let held = self.subscription(&group, topic).await;
        let held = held.map_err(|error| error.named(&group, topic))?;
        let shard = held.shards.get(queue.0 as usize);
        if shard.is_some_and(|shard| shard.read(|held| held.floor()) == offset) {
            return Ok(());
        }
        let topic_queue = TopicQueue {
            topic: topic.id,
            queue,
        };
        let command = SetFloor {
            id: GroupQueueId {
                group: group.id,
                at: topic_queue,
            },
            target: Target::Offset(offset),
            epoch: 0,
        };
        match self.propose_one(command.encode(self.now())).await? {
            Ok(Done::Moved(_)) => Ok(()),
            Ok(_) => Err(EngineError::Unknown),
            Err(refused) => Err(EngineError::from(refused).named(&group, topic)),
        }
    }
}
