//! What groups have not done, queue by queue (B1): the one source of lag for the metrics and for the admin API.
//!
//! It is a function of state and queue entries alone, and so is there whether or not a group has clients. All queues
//! of a subscription count, also those that nobody writes to any more. Ages are those of entries, which may have to be
//! read from files: not for a worker of the runtime.

use sluice_core::ids::{QueueId, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{Subscription, Topic};
use sluice_store::queue::QueueStore;

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
        let older = |one: Option<TimeMs>, other: Option<TimeMs>| one.into_iter().chain(other).min();
        Self {
            ready: self.ready + other.ready,
            in_flight: self.in_flight + other.in_flight,
            since: older(self.since, other.since),
            ready_since: older(self.ready_since, other.ready_since),
        }
    }
}

fn age(since: Option<TimeMs>, now: TimeMs) -> u64 {
    since.map_or(0, |since| now.saturating_sub(since))
}

/// Times of entries that an earlier look has read: those of what nobody takes stay the same look after look. It belongs
/// to one subscription.
#[derive(Debug, Default)]
pub struct Ages {
    by_queue: Vec<[Option<(QueueOffset, TimeMs)>; 2]>,
}

/// The lag of a subscription to `topic`, by queue.
pub fn by_queue(
    queues: &QueueStore,
    topic: &Topic,
    subscription: &Subscription,
    now: TimeMs,
    ages: &mut Ages,
) -> Vec<Lag> {
    ages.by_queue.resize(subscription.shards.len(), [None, None]);
    let shards = subscription.shards.iter().zip(&mut ages.by_queue).zip(0..);
    shards
        .map(|((shard, [oldest, oldest_ready]), queue)| {
            let at = TopicQueue {
                topic: topic.id,
                queue: QueueId(queue),
            };
            let tail = topic.tail(at.queue).unwrap_or_default();
            let (lag, floor, first_ready) =
                shard.read(|held| (held.lag(tail, now), held.floor(), held.first_ready(tail, now)));
            let since = (floor < tail).then(|| waiting_since(queues, at, floor, oldest));
            let ready_since = match first_ready {
                Some(offset) if offset == floor => since,
                Some(offset) => Some(waiting_since(queues, at, offset, oldest_ready)),
                None => None,
            };
            Lag {
                ready: lag.ready,
                in_flight: lag.in_flight,
                since: since.flatten(),
                ready_since: ready_since.flatten(),
            }
        })
        .collect()
}

/// Since when the message at `offset` waits.
fn waiting_since(
    queues: &QueueStore,
    at: TopicQueue,
    offset: QueueOffset,
    known: &mut Option<(QueueOffset, TimeMs)>,
) -> Option<TimeMs> {
    if let Some((read, since)) = known
        && *read == offset
    {
        return Some(*since);
    }
    let mut one = Vec::with_capacity(1);
    // A file that cannot be read shows where messages are delivered; here it is an age that is not known.
    queues.read(at, offset, 1, &mut one).ok()?;
    let since = one.first()?.waiting_since_ms;
    *known = Some((offset, since));
    Some(since)
}
