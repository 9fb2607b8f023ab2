//! Pulls that wait for the next message of a queue.
//!
//! Pulls take nothing from each other: a message wakes all that wait at its queue, and none that wait elsewhere. While none
//! waits, the applier pays for a look at one number a round.

use parking_lot::Mutex;
use sluice_core::ids::{QueueId, QueueOffset, TopicId};
use sluice_core::state::Topic;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The queues at which pulls wait.
pub(super) struct Arrivals {
    by_topic: Mutex<HashMap<TopicId, HashMap<QueueId, Place>>>,
    /// Pulls at all of them.
    waiting: AtomicUsize,
    wakeups: AtomicU64,
    runtime: Handle,
}

/// One queue at which pulls wait.
struct Place {
    topic: Arc<Topic>,
    arrived: Arc<Notify>,
    pulls: usize,
    /// The queue's end, as far as they have been woken for it.
    told: QueueOffset,
}

impl Arrivals {
    /// No pull waits.
    pub(super) fn new(runtime: Handle) -> Self {
        Self {
            by_topic: Mutex::default(),
            waiting: AtomicUsize::new(0),
            wakeups: AtomicU64::new(0),
            runtime,
        }
    }

    /// How often pulls were woken.
    pub(super) fn wakeups(&self) -> u64 {
        self.wakeups.load(Ordering::Relaxed)
    }

    /// How many pulls wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Nobody begins or ends to wait until this is dropped.
    #[cfg(test)]
    pub(super) fn hold(&self) -> impl Drop + '_ {
        self.by_topic.lock()
    }

    /// How many queues pulls wait at.
    #[cfg(test)]
    pub(super) fn queues(&self) -> usize {
        self.by_topic.lock().values().map(HashMap::len).sum()
    }

    /// Joins those that wait at the queue. The caller looks for messages once more *after* [`Waiting::arrived`]: what came
    /// before that finds nobody to wake.
    pub(super) fn park(self: &Arc<Self>, topic: &Arc<Topic>, queue: QueueId) -> Waiting {
        let mut by_topic = self.by_topic.lock();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // Pairs with the one in `appended`: either that sees this pull, or this pull sees the message.
        fence(Ordering::SeqCst);
        let place = by_topic.entry(topic.id).or_default().entry(queue);
        let place = place.or_insert_with(|| Place {
            topic: Arc::clone(topic),
            arrived: Arc::default(),
            pulls: 0,
            told: topic.tail(queue).unwrap_or_default(),
        });
        place.pulls += 1;
        Waiting {
            arrivals: Arc::clone(self),
            topic: topic.id,
            queue,
            arrived: Arc::clone(&place.arrived),
        }
    }

    /// Messages have come to these topics, and their queues' ends say so.
    pub(super) fn appended(&self, topics: impl Iterator<Item = TopicId>) {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut by_topic = self.by_topic.lock();
        for topic in topics {
            for (queue, place) in by_topic.get_mut(&topic).into_iter().flatten() {
                let tail = place.topic.tail(*queue).unwrap_or_default();
                if tail > place.told {
                    place.told = tail;
                    self.wake(place);
                }
            }
        }
    }

    /// The topic is deleted, and the tables say so: its pulls look, and see it.
    pub(super) fn gone(&self, topic: TopicId) {
        let by_topic = self.by_topic.lock();
        let places = by_topic.get(&topic).into_iter().flatten();
        places.for_each(|(_, place)| self.wake(place));
    }

    /// From within the runtime: the applier has better to do than to wake pulls one by one.
    fn wake(&self, place: &Place) {
        self.wakeups.fetch_add(place.pulls as u64, Ordering::Relaxed);
        let arrived = Arc::clone(&place.arrived);
        self.runtime.spawn(async move { arrived.notify_waiters() });
    }
}

/// One pull that waits.
pub(super) struct Waiting {
    arrivals: Arc<Arrivals>,
    topic: TopicId,
    queue: QueueId,
    arrived: Arc<Notify>,
}

impl Waiting {
    /// Ends when something has come to the queue since this call, awaited or not.
    pub(super) fn arrived(&self) -> Notified<'_> {
        self.arrived.notified()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut by_topic = self.arrivals.by_topic.lock();
        self.arrivals.waiting.fetch_sub(1, Ordering::Relaxed);
        let Some(places) = by_topic.get_mut(&self.topic) else {
            return;
        };
        if let Some(place) = places.get_mut(&self.queue) {
            place.pulls -= 1;
            if place.pulls == 0 {
                places.remove(&self.queue);
            }
        }
        if places.is_empty() {
            by_topic.remove(&self.topic);
        }
    }
}
