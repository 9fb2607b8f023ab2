//! What the log says of messages that cannot be read: one line at once where it begins, then every [`EVERY`] one line of how many more
//! it came to. Each message by itself would be as many lines as were lost, once more for each group.

use super::Engine;
use parking_lot::Mutex;
use sluice_core::ids::QueueId;
use sluice_core::state::{Group, Topic};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Between two lines of the same.
const EVERY: Duration = Duration::from_secs(10);
/// What is told by itself at one time; what is beyond is told together.
const KEYS_MAX: usize = 256;

/// What becomes of a message that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It is lost, and its group goes on without it.
    Lost,
    /// It is left out of a delivery.
    LeftOut,
    /// A pull that came to it ends with an error.
    Pulled,
}

/// Of which messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) fate: Fate,
    pub(super) topic: String,
    pub(super) queue: u32,
    /// None for a pull, which is nobody's in particular.
    pub(super) group: Option<String>,
}

impl Key {
    pub(super) fn of(fate: Fate, topic: &Topic, queue: QueueId, group: &Group) -> Self {
        Self {
            fate,
            topic: topic.spec.name.clone(),
            queue: queue.0,
            group: Some(group.spec.name.clone()),
        }
    }
}

/// How many of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bunch {
    pub(super) count: u64,
    /// The lowest of their offsets, and the highest.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Why the first of them cannot be read.
    pub(super) cause: String,
}

impl Bunch {
    pub(super) fn one(offset: u64, cause: String) -> Self {
        Self {
            count: 1,
            first: offset,
            last: offset,
            cause,
        }
    }

    pub(super) fn add(&mut self, more: Self) {
        if self.count == 0 {
            *self = more;
            return;
        }
        self.count += more.count;
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
    }
}

/// What was not told yet.
#[derive(Default)]
pub(super) struct Telling(Mutex<Untold>);

#[derive(Default)]
struct Untold {
    /// Something of each of these was told not long ago.
    by_key: BTreeMap<Key, Bunch>,
    /// Messages of what had no place there.
    beyond: u64,
}

impl Telling {
    /// Tells of it now, if nothing of the kind was told not long ago.
    pub(super) fn add(&self, key: &Key, some: Bunch) {
        if let Some(now) = self.note(key, some) {
            tell(key, &now);
        }
    }

    /// Answers what is to be told at once.
    fn note(&self, key: &Key, some: Bunch) -> Option<Bunch> {
        let mut untold = self.0.lock();
        if let Some(before) = untold.by_key.get_mut(key) {
            before.add(some);
            return None;
        }
        if untold.by_key.len() >= KEYS_MAX {
            untold.beyond += some.count;
            return None;
        }
        untold.by_key.insert(key.clone(), Bunch::default());
        Some(some)
    }

    /// What came since it was told last, and how many messages beyond that. Of what stays quiet the next is told at once.
    fn rest(&self) -> (Vec<(Key, Bunch)>, u64) {
        let mut untold = self.0.lock();
        let beyond = std::mem::take(&mut untold.beyond);
        untold.by_key.retain(|_, some| some.count > 0);
        let rest = untold.by_key.iter_mut();
        let rest = rest.map(|(key, some)| (key.clone(), std::mem::take(some)));
        (rest.collect(), beyond)
    }

    /// Tells the rest.
    pub(super) fn tell_rest(&self) {
        let (rest, beyond) = self.rest();
        rest.iter().for_each(|(key, some)| tell(key, some));
        if beyond > 0 {
            tracing::error!(
                count = beyond,
                "messages of further queues and groups cannot be read, too many to tell of each: sluice_lost_messages_total and sluice_unreadable_messages_total count them"
            );
        }
    }
}

fn tell(key: &Key, some: &Bunch) {
    let says = match key.fate {
        Fate::Lost => {
            "messages are lost: their records are damaged, and the consumer group goes on without them"
        }
        Fate::LeftOut => "messages cannot be read: they are left out, and tried again in a minute",
        Fate::Pulled => "messages cannot be read: a pull that comes to one is told so, and where it goes on",
    };
    let (topic, queue, group) = (&key.topic, key.queue, key.group.as_deref());
    let Bunch {
        count,
        first,
        last,
        cause,
    } = some;
    tracing::error!(topic, queue, group, count, first, last, %cause, "{says}");
}

/// Tells the rest for as long as the process lives.
pub async fn follow(engine: Arc<Engine>) {
    loop {
        tokio::time::sleep(EVERY).await;
        engine.telling.tell_rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(queue: u32) -> Key {
        Key {
            fate: Fate::Lost,
            topic: "orders".to_owned(),
            queue,
            group: Some("g".to_owned()),
        }
    }

    fn some(count: u64, first: u64, last: u64) -> Bunch {
        Bunch {
            count,
            first,
            last,
            cause: format!("{first}"),
        }
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_together_and_none_twice() {
        let telling = Telling::default();
        assert_eq!(telling.note(&key(0), some(32, 0, 31)), Some(some(32, 0, 31)));
        for n in 1..1000 {
            assert_eq!(telling.note(&key(0), some(32, 32 * n, 32 * n + 31)), None);
        }
        assert_eq!(telling.note(&key(1), some(1, 7, 7)), Some(some(1, 7, 7)));
        let more = some(999 * 32, 32, 31_999);
        assert_eq!(telling.rest(), (vec![(key(0), more)], 0));
        assert_eq!(telling.note(&key(0), some(1, 5, 5)), None, "not so soon");
        assert_eq!(telling.rest(), (vec![(key(0), some(1, 5, 5))], 0));
        assert_eq!(telling.rest(), (Vec::new(), 0));
        assert_eq!(telling.note(&key(0), some(1, 9, 9)), Some(some(1, 9, 9)));
    }

    #[test]
    fn of_more_queues_than_are_told_one_by_one_the_sum_is_told() {
        let telling = Telling::default();
        let told = (0..10_000).filter(|queue| telling.note(&key(*queue), some(3, 0, 2)).is_some());
        assert_eq!(told.count(), KEYS_MAX);
        assert_eq!(telling.0.lock().by_key.len(), KEYS_MAX);
        assert_eq!(telling.rest(), (Vec::new(), 3 * (10_000 - KEYS_MAX as u64)));
        assert_eq!(telling.rest(), (Vec::new(), 0));
    }
}
