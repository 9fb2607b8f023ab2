//! What still waits in the part of the log that is to go: messages that are in flight or hidden until another attempt, dead
//! letters, and messages of topics that are kept longer. A message that is visible again and that nobody takes until its time
//! has come is as good as unread.

use super::RetentionError;
use super::decide::Settings;
use crate::queue::QueueStore;
use crate::store::Store;
use sluice_core::command::Place;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{Pending, Shard, Tables, Topic, dead_letter_topic};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries read at a time.
const CHUNK: usize = 1024;
/// Places that are looked for at a time: a bound on memory. What has more of them leaves in several steps.
const PLACES_MAX: usize = 200_000;

/// A record that waits: its bytes in the log, and where its message stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Bytes of the command with it.
    pub size: u32,
    /// Where the message waits.
    pub places: Vec<Place>,
}

/// The records that wait, by where they stand.
#[derive(Debug)]
pub struct Waiting {
    /// Complete below this.
    pub below: PhysicalOffset,
    /// Where the log begins. An entry that points before that has lost its record, which cannot be carried any more.
    start: PhysicalOffset,
    /// The records.
    pub records: BTreeMap<PhysicalOffset, Record>,
    places: usize,
}

impl Waiting {
    /// Looks for what waits below `below`, where queues ended as in `ends`. May block on the disk.
    pub fn look(
        store: &Store,
        settings: &Settings,
        below: PhysicalOffset,
        ends: &[(TopicQueue, QueueOffset)],
        now: TimeMs,
    ) -> Result<Self, RetentionError> {
        let mut waiting = Self {
            below,
            start: store.tables().bounds().start,
            records: BTreeMap::new(),
            places: 0,
        };
        let look = Look {
            tables: store.tables(),
            queues: store.queues(),
            settings,
            now,
        };
        look.carried(&mut waiting);
        let ends: BTreeMap<TopicQueue, QueueOffset> = ends.iter().copied().collect();
        for topic in look.tables.all_topics() {
            let shards = look.tables.subscribers_of(topic.id);
            let is_dead_letters = is_dead_letters(&topic);
            for queue in (0..topic.spec.queues).map(QueueId) {
                let at = TopicQueue {
                    topic: topic.id,
                    queue,
                };
                let end = ends.get(&at).copied().unwrap_or_default();
                if is_dead_letters {
                    // Linked later, too, may be what stands before.
                    look.whole(
                        &mut waiting,
                        &topic,
                        queue,
                        topic.tail(queue).unwrap_or_default(),
                        end,
                    )?;
                } else if settings.is_longer(topic.id) {
                    look.whole(&mut waiting, &topic, queue, end, end)?;
                }
                let shards = shards.iter();
                for shard in shards.filter_map(|(_, of)| of.shards.get(queue.0 as usize)) {
                    look.pending(&mut waiting, at, shard, end)?;
                }
            }
        }
        Ok(waiting)
    }

    /// How many of the places are not carried yet.
    pub fn new_places(&self, tables: &Tables) -> usize {
        let places = self.records.values().flat_map(|record| &record.places);
        let is_new = |place: &&Place| tables.carried(place.at, place.offset).is_none();
        places.filter(is_new).count()
    }

    /// Where each record stands, rising, and its bytes.
    pub fn sizes(&self) -> impl Iterator<Item = (PhysicalOffset, u64)> + '_ {
        self.records
            .iter()
            .map(|(at, record)| (*at, u64::from(record.size)))
    }

    fn add(&mut self, at: TopicQueue, offset: QueueOffset, entry: QueueEntry) {
        if entry.physical >= self.below || entry.physical < self.start {
            return;
        }
        let record = self.records.entry(entry.physical).or_default();
        let place = Place { at, offset, entry };
        if record
            .places
            .iter()
            .all(|other| (other.at, other.offset) != (at, offset))
        {
            record.size = entry.size;
            record.places.push(place);
            self.places += 1;
        }
        // Too many: the last ones are for another step.
        while self.places > PLACES_MAX
            && let Some((physical, record)) = self.records.pop_last()
        {
            self.places -= record.places.len();
            self.below = physical;
        }
    }
}

pub(super) fn is_dead_letters(topic: &Topic) -> bool {
    topic.spec.name.starts_with(&dead_letter_topic(""))
}

struct Look<'a> {
    tables: &'a Tables,
    queues: &'a QueueStore,
    settings: &'a Settings,
    now: TimeMs,
}

impl Look<'_> {
    /// Those that were carried before.
    fn carried(&self, waiting: &mut Waiting) {
        let start = self.tables.bounds().start;
        let standing = self
            .tables
            .carried_standing(PhysicalOffset(0), waiting.below, PLACES_MAX + 1);
        debug_assert!(start <= waiting.below);
        for (at, offset) in standing {
            let topic = self.tables.topic_by_id(at.topic);
            let entry = self.tables.carried(at, offset);
            if let Some((topic, entry)) = topic.zip(entry)
                && self.still_waits(&topic, at, offset, &entry)
            {
                waiting.add(at, offset, entry);
            }
        }
    }

    fn still_waits(&self, topic: &Topic, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) -> bool {
        let has_time = is_dead_letters(topic) || self.settings.is_longer(at.topic);
        has_time && self.settings.keeps(at.topic, entry.put_ms, self.now)
            || self.tables.subscribers_of(at.topic).iter().any(|(_, held)| {
                let shard = held.shards.get(at.queue.0 as usize);
                let pending = shard.and_then(|shard| shard.read(|queue| queue.pending(offset).copied()));
                pending.is_some_and(|pending| self.waits(&pending, at, entry))
            })
    }

    fn waits(&self, pending: &Pending, at: TopicQueue, entry: &QueueEntry) -> bool {
        pending.visible_at > self.now || self.settings.keeps(at.topic, entry.put_ms, self.now)
    }

    /// Those of a queue whose time has not come, up to `to`; from `end` on all, for the queue cannot begin behind them.
    fn whole(
        &self,
        waiting: &mut Waiting,
        topic: &Topic,
        queue: QueueId,
        to: QueueOffset,
        end: QueueOffset,
    ) -> Result<(), RetentionError> {
        let at = TopicQueue {
            topic: topic.id,
            queue,
        };
        let mut entries = Vec::with_capacity(CHUNK);
        let mut next = topic.first(queue).unwrap_or_default();
        while next < to {
            let most = CHUNK.min((to.0 - next.0) as usize);
            self.read(at, next, most, &mut entries)?;
            if entries.is_empty() {
                break;
            }
            for entry in &entries {
                if next >= end || self.settings.keeps(topic.id, entry.put_ms, self.now) {
                    waiting.add(at, next, *entry);
                }
                next.0 += 1;
            }
        }
        Ok(())
    }

    /// Those that a group has pending, of those before `end`.
    fn pending(
        &self,
        waiting: &mut Waiting,
        at: TopicQueue,
        shard: &Arc<Shard>,
        end: QueueOffset,
    ) -> Result<(), RetentionError> {
        let pending: Vec<(QueueOffset, Pending)> = {
            let view = shard.view();
            let all = view.all_pending().map(|(offset, pending)| (offset, *pending));
            all.take_while(|(offset, _)| *offset < end).collect()
        };
        let (mut entries, mut rest) = (Vec::with_capacity(CHUNK), &pending[..]);
        while let Some((first, _)) = rest.first() {
            // Groups may hold millions, mostly side by side: one read is for all that stand in its stretch.
            let (near, far) =
                rest.split_at(rest.partition_point(|(offset, _)| offset.0 - first.0 < CHUNK as u64));
            rest = far;
            let stretch = near.last().map_or(0, |(last, _)| last.0 - first.0 + 1);
            self.read(at, *first, stretch as usize, &mut entries)?;
            for (offset, pending) in near {
                let entry = match entries.get((offset.0 - first.0) as usize) {
                    Some(entry) => Some(*entry),
                    // The stretch begins below the queue's first offset.
                    None => self.read_one(at, *offset)?,
                };
                if let Some(entry) = entry.filter(|entry| self.waits(pending, at, entry)) {
                    waiting.add(at, *offset, entry);
                }
            }
        }
        Ok(())
    }

    fn read_one(&self, at: TopicQueue, offset: QueueOffset) -> Result<Option<QueueEntry>, RetentionError> {
        let mut entries = Vec::with_capacity(1);
        self.read(at, offset, 1, &mut entries)?;
        Ok(entries.pop())
    }

    /// The entries from `from` on, at most `most` of them.
    fn read(
        &self,
        at: TopicQueue,
        from: QueueOffset,
        most: usize,
        entries: &mut Vec<QueueEntry>,
    ) -> Result<(), RetentionError> {
        entries.clear();
        let read = self.queues.read(at, from, most, entries);
        read.map(drop).map_err(RetentionError::Entries)
    }
}
