//! Where groups stand, and moving them (F6, B5): always with a preview, which is what apply would do.

use super::{Engine, EngineError};
use sluice_core::command::{SetFloor, Target};
use sluice_core::ids::{GroupQueueId, QueueId, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{Done, FloorMove, Group, Subscription, Topic};
use std::sync::Arc;

/// Commands of one proposal: they go into one frame, and others wait for it.
const AT_A_TIME: usize = 256;

/// Where a group is put in the queues of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// To the first message.
    Earliest,
    /// Behind the last message.
    Latest,
    /// To this offset, within what there is.
    Offset(QueueOffset),
    /// To the first message that came then or later.
    Time(TimeMs),
    /// Forward, so that only this many of the newest messages of each queue are left; never back.
    Newest(u64),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Reset<'a> {
    /// The group's name.
    pub group: &'a str,
    /// The topic's name.
    pub topic: &'a str,
    /// Where to.
    pub to: ResetTo,
    /// Only in these queues; none is all.
    pub queues: Vec<QueueId>,
    /// The epoch of the writer's fence; 0 for a writer that has none.
    pub epoch: u64,
}

/// What a reset does, or has done, in one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueReset {
    /// The queue.
    pub queue: QueueId,
    /// The offset of its first message.
    pub min: QueueOffset,
    /// The offset behind its last message.
    pub max: QueueOffset,
    /// What happens to the group there.
    pub moved: FloorMove,
}

/// Where a group stands in one queue.
#[derive(Clone, Debug)]
pub struct QueueOffsets {
    /// The topic.
    pub topic: Arc<Topic>,
    /// The queue.
    pub queue: QueueId,
    /// The offset of its first message.
    pub min: QueueOffset,
    /// The offset behind its last message.
    pub max: QueueOffset,
    /// Everything below is done.
    pub floor: QueueOffset,
    /// Messages from there on that are done.
    pub done_above: u64,
    /// Messages held by clients, or hidden until a retry.
    pub in_flight: u64,
}

/// A group at a topic, with the queues that are meant.
struct Meant {
    group: Arc<Group>,
    topic: Arc<Topic>,
    subscription: Subscription,
    queues: Vec<QueueId>,
}

impl Engine {
    /// What [`Self::reset_offsets`] would do at this moment.
    pub async fn preview_reset(&self, reset: &Reset<'_>) -> Result<Vec<QueueReset>, EngineError> {
        let meant = self.meant(reset)?;
        let targets = self.targets(&meant, reset.to).await?;
        let now = self.now();
        let preview = |(queue, target): (&QueueId, &Target)| {
            let (min, max) = self.bounds(&meant.topic, *queue);
            let shard = meant.subscription.shards.get(queue.0 as usize);
            let gone = self.tables().gone(TopicQueue {
                topic: meant.topic.id,
                queue: *queue,
            });
            let moved = shard.map(|shard| shard.read(|held| held.floor_move(*target, max, &gone, now)));
            QueueReset {
                queue: *queue,
                min,
                max,
                moved: moved.unwrap_or_default(),
            }
        };
        Ok(meant.queues.iter().zip(&targets).map(preview).collect())
    }

    /// Moves a group in a topic; answers what that did, by queue. A topic of more than 256 queues is not moved at once: an
    /// error midway says what was done before.
    pub async fn reset_offsets(&self, reset: &Reset<'_>) -> Result<Vec<QueueReset>, EngineError> {
        let meant = self.meant(reset)?;
        let targets = self.targets(&meant, reset.to).await?;
        let all: Vec<(QueueId, Target)> = meant.queues.iter().copied().zip(targets).collect();
        let mut done = Vec::with_capacity(all.len());
        for some in all.chunks(AT_A_TIME) {
            match self.move_some(&meant, some, reset.epoch, &mut done).await {
                Ok(()) => {}
                Err(cause) if done.is_empty() => return Err(cause),
                Err(cause) => {
                    let (of, cause) = (all.len(), Box::new(cause));
                    return Err(EngineError::ResetMidway { done, of, cause });
                }
            }
        }
        Ok(done)
    }

    /// Moves the group in queues that go into one frame, and adds to `done` what that did.
    async fn move_some(
        &self,
        meant: &Meant,
        some: &[(QueueId, Target)],
        epoch: u64,
        done: &mut Vec<QueueReset>,
    ) -> Result<(), EngineError> {
        let now = self.now();
        let command = |(queue, target): &(QueueId, Target)| {
            let (id, target) = (meant.id(*queue), *target);
            SetFloor { id, target, epoch }.encode(now)
        };
        let answers = self.propose(some.iter().map(command).collect()).await?;
        for ((queue, _), answer) in some.iter().zip(answers) {
            let Done::Moved(moved) = answer? else {
                return Err(EngineError::Unknown);
            };
            let (min, max) = self.bounds(&meant.topic, *queue);
            done.push(QueueReset {
                queue: *queue,
                min,
                max,
                moved: *moved,
            });
        }
        Ok(())
    }

    /// Where a group stands in the queues of one topic, or of all that it reads: by topic name and queue.
    pub fn offsets(&self, group: &str, topic: Option<&str>) -> Result<Vec<QueueOffsets>, EngineError> {
        let now = self.now();
        let mut offsets = Vec::new();
        for (topic, subscription) in self.reads(group, topic)? {
            for (queue, shard) in (0..).map(QueueId).zip(subscription.shards.iter()) {
                let (min, max) = self.bounds(&topic, queue);
                offsets.push(shard.read(|held| QueueOffsets {
                    topic: Arc::clone(&topic),
                    queue,
                    min,
                    max,
                    floor: held.floor(),
                    done_above: held.settled().len(),
                    in_flight: held.lag(max, now).in_flight,
                }));
            }
        }
        Ok(offsets)
    }

    /// The topics that a group reads, by name, with what it holds of them; only `topic` if one is given.
    pub fn reads(
        &self,
        group: &str,
        topic: Option<&str>,
    ) -> Result<Vec<(Arc<Topic>, Subscription)>, EngineError> {
        let group = self.group_named(group)?;
        if let Some(name) = topic {
            let topic = self.topic_named(name)?;
            let held = self.tables().subscription(group.id, topic.id);
            let held = held.ok_or_else(|| not_reading(&group, &topic))?;
            return Ok(vec![(topic, held)]);
        }
        let all = self.tables().subscriptions_of(group.id).into_iter();
        let mut topics: Vec<_> = all
            .filter_map(|(topic, held)| Some((self.tables().topic_by_id(topic)?, held)))
            .collect();
        topics.sort_unstable_by(|(one, _), (other, _)| one.spec.name.cmp(&other.spec.name));
        Ok(topics)
    }

    /// The offset of a queue's first message, and the one behind its last.
    pub fn bounds(&self, topic: &Topic, queue: QueueId) -> (QueueOffset, QueueOffset) {
        let at = TopicQueue {
            topic: topic.id,
            queue,
        };
        let first = self.store.queues().span(at).first;
        (first, topic.tail(queue).unwrap_or_default())
    }

    fn meant(&self, reset: &Reset<'_>) -> Result<Meant, EngineError> {
        let group = self.group_named(reset.group)?;
        let topic = self.topic_named(reset.topic)?;
        let held = self.tables().subscription(group.id, topic.id);
        let subscription = held.ok_or_else(|| not_reading(&group, &topic))?;
        let count = topic.spec.queues;
        let mut queues = reset.queues.clone();
        if let Some(queue) = queues.iter().find(|queue| queue.0 >= count) {
            return Err(EngineError::NoQueue {
                topic: topic.spec.name.clone(),
                queues: count,
                queue: queue.0,
            });
        }
        if queues.is_empty() {
            queues = (0..count).map(QueueId).collect();
        }
        queues.sort_unstable();
        queues.dedup();
        Ok(Meant {
            group,
            topic,
            subscription,
            queues,
        })
    }

    /// What apply is told, by queue: it reads no entries and so cannot look for a time.
    async fn targets(&self, meant: &Meant, to: ResetTo) -> Result<Vec<Target>, EngineError> {
        let target = match to {
            ResetTo::Time(time) => {
                let found = self.offsets_at(&meant.topic, meant.queues.clone(), time);
                return Ok(found.await?.into_iter().map(Target::Offset).collect());
            }
            ResetTo::Earliest => Target::Offset(QueueOffset(0)),
            ResetTo::Offset(offset) => Target::Offset(offset),
            ResetTo::Latest => Target::Latest,
            ResetTo::Newest(count) => Target::Newest(count),
        };
        let within = |queue: &QueueId| match target {
            Target::Offset(offset) => Target::Offset(offset.max(self.bounds(&meant.topic, *queue).0)),
            other => other,
        };
        Ok(meant.queues.iter().map(within).collect())
    }
}

impl Meant {
    fn id(&self, queue: QueueId) -> GroupQueueId {
        let topic = self.topic.id;
        GroupQueueId {
            group: self.group.id,
            at: TopicQueue { topic, queue },
        }
    }
}

/// What moving in these queues comes to, in words.
pub(super) fn sums(done: &[QueueReset]) -> String {
    let sum = |of: fn(&FloorMove) -> u64| done.iter().map(|done| of(&done.moved)).sum::<u64>();
    format!(
        "{} messages are skipped, {} come again, {} deliveries are void",
        sum(|moved| moved.skipped),
        sum(|moved| moved.repeated),
        sum(|moved| moved.voided)
    )
}

fn not_reading(group: &Group, topic: &Topic) -> EngineError {
    EngineError::NotReading {
        group: group.spec.name.clone(),
        topic: topic.spec.name.clone(),
    }
}
