//! What must still be there afterwards: of retention what waits, of a restart everything. [`check`](super::check) passes over what
//! has gone, whatever took it; this says what may not have.

use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupQueueId, QueueId, QueueOffset, TimeMs, TopicId, TopicQueue};
use sluice_core::state::{Pending, Topic, dead_letter_topic};
use sluice_store::Store;
use sluice_store::retention::Settings;
use std::collections::BTreeSet;

type Place = (TopicQueue, QueueOffset);

/// Messages that must stay where they are, and groups that must go on having them pending.
#[derive(Debug, Default)]
pub struct Stays {
    places: BTreeSet<Place>,
    pending: BTreeSet<(GroupQueueId, QueueOffset)>,
}

impl Stays {
    /// Everything that is there.
    pub fn all(store: &Store) -> Self {
        let mut stays = Self::default();
        for topic in store.tables().all_topics() {
            stays.places.extend(places(store, &topic));
        }
        for (id, offset, _) in pending(store) {
            stays.add(id, offset);
        }
        stays
    }

    /// What a run of retention must leave: what is pending, and hidden or younger than what is kept; and dead letters and messages
    /// of topics that are kept longer, if they are younger. An entry that cannot be read does not say how old it is, and a record
    /// before the log's start is lost already: whoever repaired the log has given it up, or an earlier run.
    pub fn waiting(store: &Store, settings: &Settings, now: TimeMs) -> Self {
        let (known, start) = (store.tables().bounds().start, store.log().start());
        // Then the files before the start have gone with the entries, and state does not know yet.
        let is_behind = known < start;
        let start = start.max(known);
        let mut stays = Self::default();
        for (id, offset, pending) in pending(store) {
            let entry = entry(store, (id.at, offset));
            let is_lost = entry.map_or(is_behind, |entry| entry.physical < start);
            let is_young = entry.is_some_and(|entry| is_young(settings, id.at.topic, &entry, now));
            if !is_lost && (pending.visible_at > now || is_young) {
                stays.add(id, offset);
            }
        }
        for topic in store.tables().all_topics() {
            let own = settings.own.get(&topic.id);
            let is_dead_letters = topic.spec.name.starts_with(&dead_letter_topic(""));
            let is_longer = keep_ms(settings, topic.id) > settings.keep_ms.unwrap_or(u64::MAX);
            // A bound of its own takes what nobody has pending.
            if (is_dead_letters || is_longer) && own.is_none_or(|own| own.keep_bytes.is_none()) {
                let waits = |place: &Place| {
                    let entry = entry(store, *place);
                    let entry = entry.filter(|entry| entry.physical >= start);
                    entry.is_some_and(|entry| is_young(settings, topic.id, &entry, now))
                };
                stays.places.extend(places(store, &topic).filter(waits));
            }
        }
        stays
    }

    fn add(&mut self, id: GroupQueueId, offset: QueueOffset) {
        self.places.insert((id.at, offset));
        self.pending.insert((id, offset));
    }

    /// How many messages these are, and how many times a group has one pending.
    pub fn counts(&self) -> (usize, usize) {
        (self.places.len(), self.pending.len())
    }

    /// Those that have gone, or that a group does not have pending any more.
    pub fn missing(&self, store: &Store) -> BTreeSet<Place> {
        let tables = store.tables();
        let has_gone = |(at, offset): &Place| tables.gone(*at).contains(offset.0);
        let waits = |id: GroupQueueId, offset| {
            let shards = tables.subscription(id.group, id.at.topic).unwrap().shards;
            shards[id.at.queue.0 as usize].read(|held| held.pending(offset).is_some())
        };
        let gone = self.places.iter().copied().filter(has_gone);
        let pending = self.pending.iter().copied();
        let done = pending.filter(|(id, offset)| !waits(*id, *offset));
        gone.chain(done.map(|(id, offset)| (id.at, offset))).collect()
    }

    /// All of them are still there; what stands there is what [`check`](super::check) compares.
    pub fn check(&self, store: &Store) {
        let missing = self.missing(store);
        assert!(
            missing.is_empty(),
            "{} of {:?} are gone: {:?}",
            missing.len(),
            self.counts(),
            missing.iter().take(10).collect::<Vec<_>>()
        );
    }
}

/// What groups have in flight, or what waits for another attempt.
fn pending(store: &Store) -> Vec<(GroupQueueId, QueueOffset, Pending)> {
    let mut found = Vec::new();
    for ((group, topic), subscription) in store.tables().all_subscriptions() {
        for (queue, shard) in (0..).map(QueueId).zip(subscription.shards.iter()) {
            let at = TopicQueue { topic, queue };
            let id = GroupQueueId { group, at };
            shard.read(|held| found.extend(held.all_pending().map(|(offset, held)| (id, offset, *held))));
        }
    }
    found
}

/// Where messages of a topic stand that have not gone.
fn places<'a>(store: &'a Store, topic: &'a Topic) -> impl Iterator<Item = Place> + 'a {
    (0..topic.spec.queues).map(QueueId).flat_map(move |queue| {
        let at = TopicQueue {
            topic: topic.id,
            queue,
        };
        let (tail, gone) = (topic.tail(queue).unwrap(), store.tables().gone(at));
        let left = (0..tail.0).filter(move |offset| !gone.contains(*offset));
        left.map(move |offset| (at, QueueOffset(offset)))
    })
}

fn keep_ms(settings: &Settings, topic: TopicId) -> u64 {
    let own = settings.own.get(&topic).and_then(|own| own.keep_ms);
    own.or(settings.keep_ms).unwrap_or(u64::MAX)
}

fn is_young(settings: &Settings, topic: TopicId, entry: &QueueEntry, now: TimeMs) -> bool {
    entry.put_ms.saturating_add(keep_ms(settings, topic)) > now
}

fn entry(store: &Store, (at, offset): Place) -> Option<QueueEntry> {
    let mut entries = Vec::new();
    let read = store.queues().read(at, offset, 1, &mut entries);
    read.ok().and_then(|_| entries.pop())
}
