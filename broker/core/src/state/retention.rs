//! Retention: the log begins later, and what still waits at its start stands in it anew. Since level 3.

use super::answer::{Applied, Done, Refused};
use super::carried::{chunk_of, gaps};
use super::range_set::RangeSet;
use super::snapshot::ShardKey;
use super::tables::{LogBounds, Topic};
use super::{CommandAt, Effects, State};
use crate::command::{Carry, Expire, Minimum, Place, Trim};
use crate::entry::{CARRIED, QueueEntry};
use crate::ids::{GroupQueueId, QueueId, QueueOffset, TopicId, TopicQueue};
use crate::limits;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A queue that is going to begin later, or to lose carried messages.
struct Cut {
    topic: Arc<Topic>,
    /// Where it begins then.
    first: QueueOffset,
    /// What is gone then and was not before.
    gone: RangeSet,
    /// The carried ones among it.
    dropped: Vec<QueueOffset>,
}

impl State {
    /// All that can be wrong is looked at before anything changes.
    pub(super) fn trim(&mut self, at: CommandAt, command: &Trim, effects: &mut impl Effects) -> Applied {
        let bounds = self.tables.bounds();
        let Trim {
            start, links_from, ..
        } = *command;
        let rises = start >= bounds.start && (start == bounds.start || start <= bounds.links_from);
        if !rises || links_from < start || links_from > at.physical {
            return Err(Refused::Bounds {
                asked: start,
                present: bounds.start,
                links_from: bounds.links_from,
            });
        }
        let dropped = {
            let carried = self.tables.carried.read();
            carried.standing(Default::default(), start).collect()
        };
        let cuts = self.cuts(&command.minimums, dropped)?;
        *self.tables.bounds.write() = LogBounds { start, links_from };
        Ok(Done::Trimmed(self.begin_behind(&cuts, effects)))
    }

    pub(super) fn expire(&mut self, command: &Expire, effects: &mut impl Effects) -> Applied {
        let mut dropped = command.dropped.clone();
        dropped.sort_unstable();
        dropped.dedup();
        dropped.retain(|(at, offset)| self.tables.carried(*at, *offset).is_some());
        let cuts = self.cuts(&command.minimums, dropped)?;
        Ok(Done::Expired(self.begin_behind(&cuts, effects)))
    }

    /// Queues begin behind what is gone; answers how many messages groups had not done.
    fn begin_behind(&mut self, cuts: &BTreeMap<TopicQueue, Cut>, effects: &mut impl Effects) -> u64 {
        let expired = self.pass_groups_by(cuts, effects);
        for (at, cut) in cuts {
            for offset in &cut.dropped {
                self.drop_carried(*at, *offset);
                effects.dropped(*at, *offset);
            }
            if let Some(first) = cut.topic.firsts.get(at.queue.0 as usize)
                && cut.first.0 > first.load(Ordering::Relaxed)
            {
                first.store(cut.first.0, Ordering::Release);
                if !cut.topic.dirty.swap(true, Ordering::Relaxed) {
                    self.dirty.note(ShardKey::Topic(cut.topic.id));
                }
                effects.trimmed(*at, cut.first);
            }
        }
        expired
    }

    /// What becomes of each queue that the command names, or that loses carried messages.
    fn cuts(
        &self,
        minimums: &[Minimum],
        dropped: Vec<(TopicQueue, QueueOffset)>,
    ) -> Result<BTreeMap<TopicQueue, Cut>, Refused> {
        let carried = self.tables.carried.read();
        let mut cuts = BTreeMap::new();
        for minimum in minimums {
            // A topic may have been deleted since the proposer looked.
            let Some(cut) = self.cut(minimum.at) else { continue };
            let cut: &mut Cut = cuts.entry(minimum.at).or_insert(cut);
            if Some(minimum.first) > cut.topic.tail(minimum.at.queue) {
                return Err(Refused::OutOfBounds("the queue's minimum offset"));
            }
            cut.first = cut.first.max(minimum.first);
        }
        for (at, offset) in dropped {
            let Some(cut) = self.cut(at) else { continue };
            cuts.entry(at).or_insert(cut).dropped.push(offset);
        }
        for (at, cut) in &mut cuts {
            let before = cut.topic.first(at.queue).unwrap_or_default();
            let kept = carried.of_queue(*at).map(|(offset, _)| offset.0);
            cut.gone = gaps(before.0, cut.first.0, kept);
            for offset in &cut.dropped {
                // The queue's own entry there is older still.
                if *offset >= cut.first {
                    return Err(Refused::OutOfBounds("the queue's minimum offset"));
                }
                cut.gone.insert(offset.0, offset.0 + 1);
            }
        }
        Ok(cuts)
    }

    fn cut(&self, at: TopicQueue) -> Option<Cut> {
        let topic = self.tables.topic_by_id(at.topic)?;
        let first = topic.first(at.queue)?;
        Some(Cut {
            topic,
            first,
            gone: RangeSet::default(),
            dropped: Vec::new(),
        })
    }

    /// Moves every group past what is gone; answers how many messages they had not done.
    fn pass_groups_by(&mut self, cuts: &BTreeMap<TopicQueue, Cut>, effects: &mut impl Effects) -> u64 {
        let whole = |topic: TopicId| {
            let queue = |n| TopicQueue {
                topic,
                queue: QueueId(n),
            };
            queue(0)..=queue(u32::MAX)
        };
        let mut expired = 0;
        for ((group, topic), _) in self.tables.all_subscriptions() {
            for (at, cut) in cuts.range(whole(topic)).filter(|(_, cut)| !cut.gone.is_empty()) {
                let id = GroupQueueId { group, at: *at };
                // It has its place in every queue of the topic.
                let Ok(passed) = self.with_shard(id, |shard, _| shard.pass_by(&cut.gone)) else {
                    continue;
                };
                expired += passed.expired;
                for group_hash in passed.unlocked {
                    effects.unlocked(id, group_hash);
                }
                if passed.expired > 0 {
                    effects.ready(id, self.now);
                }
            }
        }
        expired
    }

    pub(super) fn carry(
        &mut self,
        at: CommandAt,
        size: u32,
        command: &Carry<'_>,
        effects: &mut impl Effects,
    ) -> Applied {
        let places: Vec<Place> = command
            .places
            .iter()
            .filter(|place| self.stands(place, command))
            .copied()
            .collect();
        if self.tables.carried_len() + places.len() > limits::CARRIED_MAX {
            return Err(Refused::Full("carried messages", limits::CARRIED_MAX));
        }
        for place in &places {
            let entry = QueueEntry {
                physical: at.physical,
                size,
                flags: place.entry.flags | CARRIED,
                ..place.entry
            };
            effects.carried(place.at, place.offset, &entry);
            let chunk = self.tables.carried.write().insert(place.at, place.offset, entry);
            if let Some(chunk) = chunk {
                let key = ShardKey::Carried(place.at, chunk);
                self.removed.remove(&key);
                self.dirty.note(key);
            }
        }
        Ok(Done::Carried(places.len() as u64))
    }

    /// Whether the message still stands at the place as the proposer has seen it.
    fn stands(&self, place: &Place, command: &Carry<'_>) -> bool {
        let Some(topic) = self.tables.topic_by_id(place.at.topic) else {
            return false;
        };
        let bounds = topic.first(place.at.queue).zip(topic.tail(place.at.queue));
        let Some((first, tail)) = bounds else { return false };
        let is_there = match self.tables.carried(place.at, place.offset) {
            Some(entry) => entry.physical == command.old,
            None => place.offset >= first && place.offset < tail,
        };
        is_there && place.entry.physical == command.old && chunk_of(place.offset).is_some()
    }

    fn drop_carried(&mut self, at: TopicQueue, offset: QueueOffset) {
        let removed = self.tables.carried.write().remove(at, offset);
        if let Some((chunk, is_gone)) = removed {
            let key = ShardKey::Carried(at, chunk);
            if is_gone {
                self.gone(key);
            } else {
                self.dirty.note(key);
            }
        }
    }

    /// Carried messages below where the topic's queues begin.
    pub(super) fn carried_below(&self, topic: &Topic) -> u64 {
        let carried = self.tables.carried.read();
        let of_queue = |queue| {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            let first = topic.first(queue).unwrap_or_default();
            let below = carried.of_queue(at).take_while(|(offset, _)| *offset < first);
            below.count() as u64
        };
        (0..topic.spec.queues).map(QueueId).map(of_queue).sum()
    }
}
