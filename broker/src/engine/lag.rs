//! What groups have not done, queue by queue (B1): the one source of lag for the metrics and for the admin API.
//!
//! It is a function of state and queue entries alone, and so is there whether or not a group has clients. All queues
//! of a subscription count, also those that nobody writes to any more. Of a group with a static subscription only what its
//! tag expression takes counts as ready: see `matching`. How much one look reads for that is bounded, and what no look has
//! read yet counts as taken, which the lag says of itself. Entries may have to be read from files: not for a worker of the
//! runtime.

pub(super) mod matching;

use super::{Engine, EngineError};
use matching::{Matching, Unread};
use parking_lot::Mutex;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupId, PhysicalOffset, QueueId, QueueOffset, TimeMs, TopicId, TopicQueue};
use sluice_core::plan::TagFilter;
use sluice_core::state::{Group, Shard, Subscription, Topic};
use sluice_store::queue::QueueStore;
use std::collections::HashMap;
use std::sync::Arc;

/// What a group has not done of one queue, or of several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Messages ready to be delivered.
    pub ready: u64,
    /// Messages held by clients, or hidden until a retry.
    pub in_flight: u64,
    /// Since when the oldest message that is not done waits.
    pub since: Option<TimeMs>,
    /// Since when the oldest message that is ready waits.
    pub ready_since: Option<TimeMs>,
    /// Where in the log the first one that is ready stands: of those that retention has written again, and of the others.
    pub ready_at: Option<PhysicalOffset>,
    /// Messages of `ready` that the tag expression has not been asked about yet. They count as if it took all of them, and
    /// the times as if it took the first: where there are any, the numbers are upper bounds.
    pub uncounted: u64,
}

impl Lag {
    /// Messages that are not done.
    pub fn messages(&self) -> u64 {
        self.ready + self.in_flight
    }

    /// How old the oldest message is that is not done; 0 without one.
    pub fn age_ms(&self, now: TimeMs) -> u64 {
        age(self.since, now)
    }

    /// How old the oldest message is that is ready; 0 without one.
    pub fn ready_age_ms(&self, now: TimeMs) -> u64 {
        age(self.ready_since, now)
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        fn older<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            one.into_iter().chain(other).min()
        }
        Self {
            ready: self.ready + other.ready,
            in_flight: self.in_flight + other.in_flight,
            since: older(self.since, other.since),
            ready_since: older(self.ready_since, other.ready_since),
            ready_at: older(self.ready_at, other.ready_at),
            uncounted: self.uncounted + other.uncounted,
        }
    }
}

fn age(since: Option<TimeMs>, now: TimeMs) -> u64 {
    since.map_or(0, |since| now.saturating_sub(since))
}

/// What earlier looks have read, by subscription.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<HashMap<(GroupId, TopicId), SharedLook>>);

type SharedLook = Arc<Mutex<Look>>;

/// Subscriptions that are gone are forgotten when there are so many more than there are subscriptions.
const GONE_MAX: usize = 1024;

/// What an earlier look at a subscription has read: times of entries, which stay the same look after look where nobody
/// takes them, and how many of them match.
#[derive(Debug, Default)]
struct Look {
    expression: String,
    by_queue: Vec<Known>,
}

#[derive(Debug, Default)]
struct Known {
    oldest: Option<(QueueOffset, Waits)>,
    oldest_ready: Option<(QueueOffset, Waits)>,
    /// Of those that were not carried from below where the queue begins.
    oldest_own: Option<(QueueOffset, Waits)>,
    matching: Matching,
}

/// A message that waits.
#[derive(Clone, Copy, Debug)]
struct Waits {
    /// Since when.
    since: TimeMs,
    /// Where in the log.
    at: PhysicalOffset,
}

/// What a group has not done of one topic.
#[derive(Clone, Debug)]
pub struct TopicLag {
    /// The topic.
    pub topic: Arc<Topic>,
    /// The tag expression of the group's static subscription; `*` without one.
    pub expression: String,
    /// By queue.
    pub queues: Vec<Lag>,
}

impl TopicLag {
    /// All queues together.
    pub fn sum(&self) -> Lag {
        self.queues.iter().copied().fold(Lag::default(), Lag::and)
    }
}

impl Engine {
    /// What a group has not done of one topic, or of all that it reads, by topic name.
    pub fn lag(&self, group: &str, topic: Option<&str>) -> Result<Vec<TopicLag>, EngineError> {
        let reads = self.reads(group, topic)?;
        let group = self.group_named(group)?;
        let now = self.now();
        let lag = |(topic, held): (Arc<Topic>, Subscription)| TopicLag {
            queues: self.lag_by_queue(&group, &topic, &held, now),
            expression: group.spec.expression(&topic.spec.name).unwrap_or("*").to_owned(),
            topic,
        };
        Ok(reads.into_iter().map(lag).collect())
    }

    /// What a group has not done of a topic, by queue. May read files, and so block.
    pub fn lag_by_queue(&self, group: &Group, topic: &Topic, held: &Subscription, now: TimeMs) -> Vec<Lag> {
        self.lag_within(Unread::default(), group, topic, held, now)
    }

    /// The same, with a bound on what it reads.
    pub(super) fn lag_within(
        &self,
        mut unread: Unread,
        group: &Group,
        topic: &Topic,
        held: &Subscription,
        now: TimeMs,
    ) -> Vec<Lag> {
        let look = self.look_at(group.id, topic.id);
        let mut look = look.lock();
        let expression = group.spec.expression(&topic.spec.name).unwrap_or("*");
        if look.expression != expression {
            *look = Look {
                expression: expression.to_owned(),
                by_queue: Vec::new(),
            };
        }
        // One that cannot be read, which nobody lets in, takes all.
        let filter = TagFilter::parse(expression).unwrap_or_default();
        look.by_queue.resize_with(held.shards.len(), Known::default);
        let log_start = self.tables().bounds().start;
        let shards = held.shards.iter().zip(&mut look.by_queue).zip(0..);
        shards
            .map(|((shard, known), queue)| {
                let queue = Queue {
                    queues: self.store.queues(),
                    at: TopicQueue {
                        topic: topic.id,
                        queue: QueueId(queue),
                    },
                    first: topic.first(QueueId(queue)).unwrap_or_default(),
                    tail: topic.tail(QueueId(queue)).unwrap_or_default(),
                    log_start,
                };
                match filter.takes_all() {
                    true => queue.lag(shard, known, now),
                    false => queue.matching_lag(shard, known, now, &filter, &mut unread),
                }
            })
            .collect()
    }

    /// How many subscriptions were looked at and are not forgotten.
    #[cfg(test)]
    pub(super) fn looks_len(&self) -> usize {
        self.looks.0.lock().len()
    }

    fn look_at(&self, group: GroupId, topic: TopicId) -> SharedLook {
        let mut looks = self.looks.0.lock();
        let tables = self.tables();
        if looks.len() >= tables.subscriptions_len() + GONE_MAX {
            looks.retain(|(group, topic), _| tables.subscription(*group, *topic).is_some());
        }
        Arc::clone(looks.entry((group, topic)).or_default())
    }
}

/// One queue, to look at.
struct Queue<'a> {
    queues: &'a QueueStore,
    at: TopicQueue,
    /// Below it stands only what was carried.
    first: QueueOffset,
    tail: QueueOffset,
    log_start: PhysicalOffset,
}

impl Queue<'_> {
    fn lag(&self, shard: &Shard, known: &mut Known, now: TimeMs) -> Lag {
        let tail = self.tail;
        let (lag, floor, first_ready) =
            shard.read(|held| (held.lag(tail, now), held.floor(), held.first_ready(tail, now)));
        let oldest = (floor < tail).then(|| self.waits(floor, &mut known.oldest));
        let ready = match first_ready {
            Some(offset) if offset == floor => oldest,
            Some(offset) => Some(self.waits(offset, &mut known.oldest_ready)),
            None => None,
        };
        let (oldest, ready) = (oldest.flatten(), ready.flatten());
        Lag {
            ready: lag.ready,
            in_flight: lag.in_flight,
            since: oldest.map(|waits| waits.since),
            ready_since: ready.map(|waits| waits.since),
            ready_at: self.first_in_the_log(shard, &mut known.oldest_own, ready, now),
            uncounted: 0,
        }
    }

    /// Of what is ready only what `filter` may take counts; what is held was taken.
    fn matching_lag(
        &self,
        shard: &Shard,
        known: &mut Known,
        now: TimeMs,
        filter: &TagFilter,
        unread: &mut Unread,
    ) -> Lag {
        let tail = self.tail;
        let (lag, floor, ready, first_held) = shard.read(|held| {
            (
                held.lag(tail, now),
                held.floor(),
                held.ready_ranges(tail, now),
                held.first_held(now),
            )
        });
        let ready = known.matching.count(self, floor, &ready, filter, unread);
        let held = first_held.and_then(|offset| self.waits(offset, &mut known.oldest));
        let held_since = held.map(|waits| waits.since);
        let ready_since = ready.first.map(|waits| waits.since);
        Lag {
            ready: ready.count,
            in_flight: lag.in_flight,
            since: held_since.into_iter().chain(ready_since).min(),
            ready_since,
            ready_at: self.first_in_the_log(shard, &mut known.oldest_own, ready.first, now),
            uncounted: ready.uncounted,
        }
    }

    /// Where the first one stands that is ready. What was carried is older than the queue's own, and stands behind much of it: then
    /// the first of these counts too, whatever the tag expression says of it.
    fn first_in_the_log(
        &self,
        shard: &Shard,
        known: &mut Option<(QueueOffset, Waits)>,
        ready: Option<Waits>,
        now: TimeMs,
    ) -> Option<PhysicalOffset> {
        let ready = ready?;
        let (any, own) = shard.read(|held| {
            let own = held.first_ready_from(self.first, self.tail, now);
            (held.first_ready(self.tail, now), own)
        });
        let is_carried = any.is_some_and(|offset| offset < self.first);
        let own = own
            .filter(|_| is_carried)
            .and_then(|offset| self.waits(offset, known));
        own.map(|own| own.at).into_iter().chain([ready.at]).min()
    }

    /// Since when the message at `offset` waits, and where.
    fn waits(&self, offset: QueueOffset, known: &mut Option<(QueueOffset, Waits)>) -> Option<Waits> {
        // One that retention has written again stands somewhere else.
        if let Some((read, waits)) = known
            && *read == offset
            && offset >= self.first
            && waits.at >= self.log_start
        {
            return Some(*waits);
        }
        let mut one = Vec::with_capacity(1);
        // A file that cannot be read shows where messages are delivered; here it is an age that is not known.
        self.queues.read(self.at, offset, 1, &mut one).ok()?;
        let waits = Waits::of(one.first()?);
        *known = Some((offset, waits));
        Some(waits)
    }
}

impl Waits {
    fn of(entry: &QueueEntry) -> Self {
        Self {
            since: entry.waiting_since_ms,
            at: entry.physical,
        }
    }
}
