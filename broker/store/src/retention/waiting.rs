//! What still waits in the part of the log that is to go: messages that are in flight or hidden until another attempt, dead
//! letters, and messages of topics that are kept longer. A message that is visible again and that nobody takes until its time
//! has come is as good as unread.

use super::RetentionError;
use super::settings::Settings;
use crate::queue::QueueStore;
use crate::store::Store;
use sluice_core::command::Place;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{CarriedAt, Pending, Shard, Tables, Topic, dead_letter_topic};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// Entries read at a time, and carried messages looked at under one lock.
const CHUNK: usize = 1024;

/// A record that waits: its bytes in the log, and where its message stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Bytes of the command with it.
    pub size: u32,
    /// Where the message waits.
    pub places: Vec<Place>,
}

/// What waits, by where its records stand. Places that are carried already are bounded by how many may be, and others by the
/// room that these leave: some 100 bytes each.
#[derive(Debug)]
pub struct Waiting {
    /// Complete below this: lower than was asked for where more places wait than may stand carried.
    pub below: PhysicalOffset,
    /// Where the log begins. An entry that points before that has lost its record, which cannot be carried any more.
    start: PhysicalOffset,
    places: BTreeMap<CarriedAt, Found>,
    /// Places that are not carried yet.
    new: usize,
    /// Places that may become so.
    room: usize,
    /// Carried messages that need not be kept any more.
    passed: BTreeSet<CarriedAt>,
}

#[derive(Debug)]
struct Found {
    entry: QueueEntry,
    is_new: bool,
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
        let look = Look::new(store, settings, now);
        let mut waiting = Self {
            below,
            start: look.tables.bounds().start,
            places: BTreeMap::new(),
            new: 0,
            room: settings.carried_max().saturating_sub(look.tables.carried_len()),
            passed: BTreeSet::new(),
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

    /// The records, by where they stand.
    pub fn records(&self) -> impl Iterator<Item = (PhysicalOffset, Record)> + '_ {
        let mut places = self.places.iter().peekable();
        std::iter::from_fn(move || {
            let ((physical, ..), found) = *places.peek()?;
            let mut record = Record {
                size: found.entry.size,
                places: Vec::new(),
            };
            while let Some(((_, at, offset), found)) = places.next_if(|((other, ..), _)| other == physical) {
                record.places.push(Place {
                    at: *at,
                    offset: *offset,
                    entry: found.entry,
                });
            }
            Some((*physical, record))
        })
    }

    /// Where each record stands, rising, and its bytes.
    pub fn sizes(&self) -> impl Iterator<Item = (PhysicalOffset, u64)> + '_ {
        self.records().map(|(at, record)| (at, u64::from(record.size)))
    }

    /// How many carried messages stand there of which this look has not decided whether they wait. There is none unless something
    /// is wrong here, and with any the log must not go: state drops whatever stands where it was.
    pub fn undecided(&self, tables: &Tables) -> usize {
        let is_there = |(at, ..): &CarriedAt| *at >= self.start;
        let decided = |place: &CarriedAt| self.places.contains_key(place) || self.passed.contains(place);
        carried_below(tables, self.below)
            .filter(|place| is_there(place) && !decided(place))
            .count()
    }

    fn add(&mut self, tables: &Tables, at: TopicQueue, offset: QueueOffset, entry: QueueEntry) {
        let place = (entry.physical, at, offset);
        if entry.physical >= self.below || entry.physical < self.start || self.places.contains_key(&place) {
            return;
        }
        let is_new = tables.carried(at, offset).is_none();
        self.new += usize::from(is_new);
        self.places.insert(place, Found { entry, is_new });
        // Too many: the last ones are for when others have gone.
        while self.new > self.room
            && let Some(((physical, ..), _)) = self.places.last_key_value()
        {
            self.below = *physical;
            let least = (self.below, TopicQueue::default(), QueueOffset(0));
            let rest = self.places.split_off(&least);
            self.new -= rest.values().filter(|found| found.is_new).count();
        }
    }
}

/// All carried messages whose records stand before a place, in the log's order. Others come and go meanwhile.
fn carried_below(tables: &Tables, below: PhysicalOffset) -> impl Iterator<Item = CarriedAt> + '_ {
    let mut last = None;
    let some = std::iter::from_fn(move || {
        let some = tables.carried_behind(last, below, CHUNK);
        last = Some(*some.last()?);
        Some(some)
    });
    some.flatten()
}

pub(super) fn is_dead_letters(topic: &Topic) -> bool {
    topic.spec.name.starts_with(&dead_letter_topic(""))
}

/// What is looked at, and by what is asked for.
pub(super) struct Look<'a> {
    pub(super) tables: &'a Tables,
    pub(super) settings: &'a Settings,
    pub(super) now: TimeMs,
    queues: &'a QueueStore,
}

impl<'a> Look<'a> {
    pub(super) fn new(store: &'a Store, settings: &'a Settings, now: TimeMs) -> Self {
        Self {
            tables: store.tables(),
            settings,
            now,
            queues: store.queues(),
        }
    }

    /// Those that were carried before.
    fn carried(&self, waiting: &mut Waiting) {
        debug_assert!(waiting.start <= waiting.below);
        for place @ (_, at, offset) in carried_below(self.tables, waiting.below) {
            let topic = self.tables.topic_by_id(at.topic);
            let entry = self.tables.carried(at, offset);
            if let Some((topic, entry)) = topic.zip(entry) {
                if self.still_waits(&topic, at, offset, &entry) {
                    waiting.add(self.tables, at, offset, entry);
                } else {
                    waiting.passed.insert(place);
                }
            }
        }
    }

    fn still_waits(&self, topic: &Topic, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) -> bool {
        let has_time = is_dead_letters(topic) || self.settings.is_longer(at.topic);
        has_time && self.settings.keeps(at.topic, entry.put_ms, self.now)
            || self.tables.subscribers_of(at.topic).iter().any(|(_, held)| {
                let shard = held.shards.get(at.queue.0 as usize);
                let pending = shard.and_then(|shard| shard.read(|queue| queue.pending(offset).copied()));
                pending.is_some_and(|pending| self.waits(pending.visible_at, at, entry))
            })
    }

    /// Whether a message that a group has pending, hidden until then, is not to go.
    pub(super) fn waits(&self, visible_at: TimeMs, at: TopicQueue, entry: &QueueEntry) -> bool {
        visible_at > self.now || self.settings.keeps(at.topic, entry.put_ms, self.now)
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
                // Not the end of what waits there, unless the topic is gone.
                return self.lacks(at, next);
            }
            for entry in &entries {
                if next >= end || self.settings.keeps(topic.id, entry.put_ms, self.now) {
                    waiting.add(self.tables, at, next, *entry);
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
            if self.read(at, *first, stretch as usize, &mut entries).is_err() {
                // What is damaged may be a neighbour that nobody waits for.
                entries.clear();
            }
            for (offset, pending) in near {
                let entry = match entries.get((offset.0 - first.0) as usize) {
                    Some(entry) => Some(*entry),
                    // The stretch begins below the queue's first offset, or holds an entry that cannot be read.
                    None => self.read_one(at, *offset)?,
                };
                let Some(entry) = entry else {
                    self.lacks(at, *offset)?;
                    continue;
                };
                if self.waits(pending.visible_at, at, &entry) {
                    waiting.add(self.tables, at, *offset, entry);
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

    /// Nothing is read of what the queue has: an error, for whether it waits nobody knows; unless it has gone meanwhile.
    pub(super) fn lacks(&self, at: TopicQueue, offset: QueueOffset) -> Result<(), RetentionError> {
        let topic = self.tables.topic_by_id(at.topic);
        let first = topic.and_then(|topic| topic.first(at.queue));
        if first.is_none_or(|first| offset < first) {
            return Ok(());
        }
        let lacking = format!(
            "queue {} of topic {} has no entry at offset {offset}",
            at.queue, at.topic
        );
        let source = io::Error::new(io::ErrorKind::UnexpectedEof, lacking);
        Err(RetentionError::Entries(source))
    }

    /// The entries from `from` on, at most `most` of them.
    pub(super) fn read(
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
