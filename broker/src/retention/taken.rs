//! What retention takes from groups before they have done it: the log says whose, and says it rarely.

use crate::engine::Engine;
use sluice_core::ids::{GroupId, TopicId};
use sluice_core::state::GroupQueue;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Between two lines about it: a group that stays behind loses messages with every look.
const TOLD_EVERY: Duration = Duration::from_secs(600);

/// What was taken from a group that reads a topic, in messages, since it reads it.
type ByReader = HashMap<(GroupId, TopicId), u64>;

/// What has been told.
pub(super) struct Taken {
    told: ByReader,
    at: Option<Instant>,
}

impl Taken {
    /// What was taken before counts as told.
    pub(super) fn before(engine: &Engine) -> Self {
        Self {
            told: taken(engine),
            at: None,
        }
    }

    /// Tells what is new, if there is something and the last line is long ago.
    pub(super) fn tell(&mut self, engine: &Engine) {
        let now = Instant::now();
        if !self.may_tell(now) {
            return;
        }
        let Some(new) = self.next(taken(engine), now) else {
            return;
        };
        let (group, topic) = new.most;
        let tables = engine.tables();
        // It may have been deleted since.
        let group = tables.group_by_id(group).map(|group| group.spec.name.clone());
        let topic = tables.topic_by_id(topic).map(|topic| topic.spec.name.clone());
        tracing::warn!(
            group = group.unwrap_or_default(),
            topic = topic.unwrap_or_default(),
            messages = new.messages,
            other_readers = new.others,
            messages_of_all = new.messages_of_all,
            "retention took messages that groups had not done, from this one most: \
             sluice_consumer_expired_unconsumed_messages_total counts them; it is said every ten minutes at most"
        );
    }

    fn may_tell(&self, now: Instant) -> bool {
        self.at.is_none_or(|at| now.duration_since(at) >= TOLD_EVERY)
    }

    /// What is more than was told; it is told then.
    fn next(&mut self, taken: ByReader, now: Instant) -> Option<New> {
        // A group that was deleted and made anew, or reads a topic anew, counts from 0.
        let more = taken.iter().map(|(reader, count)| {
            let told = self.told.get(reader).filter(|told| *told <= count);
            (*reader, count - told.copied().unwrap_or(0))
        });
        let more: Vec<_> = more.filter(|(_, messages)| *messages > 0).collect();
        let (most, messages) = *more.iter().max_by_key(|(_, messages)| *messages)?;
        self.told = taken;
        self.at = Some(now);
        Some(New {
            most,
            messages,
            others: more.len() - 1,
            messages_of_all: more.iter().map(|(_, messages)| messages).sum(),
        })
    }
}

/// What was taken since the last line.
#[derive(Debug, PartialEq, Eq)]
struct New {
    /// From whom most was.
    most: (GroupId, TopicId),
    messages: u64,
    others: usize,
    /// Each message once a group.
    messages_of_all: u64,
}

fn taken(engine: &Engine) -> ByReader {
    let subscriptions = engine.tables().all_subscriptions();
    let counted = subscriptions.iter().map(|(reader, subscription)| {
        let shards = subscription.shards.iter();
        (*reader, shards.map(|shard| shard.read(GroupQueue::expired)).sum())
    });
    counted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: (GroupId, TopicId) = (GroupId(1), TopicId(7));
    const OTHER: (GroupId, TopicId) = (GroupId(2), TopicId(7));

    #[test]
    fn the_reader_that_lost_most_is_named_and_what_others_lost_is_in_the_sum() {
        let now = Instant::now();
        let mut taken = Taken {
            told: [(ONE, 100)].into(),
            at: None,
        };
        let new = taken.next([(ONE, 103), (OTHER, 20)].into(), now).unwrap();
        assert_eq!(
            new,
            New {
                most: OTHER,
                messages: 20,
                others: 1,
                messages_of_all: 23
            }
        );
        assert_eq!(
            taken.next([(ONE, 103), (OTHER, 20)].into(), now),
            None,
            "all is told"
        );
        // Made anew.
        let new = taken.next([(ONE, 5), (OTHER, 20)].into(), now).unwrap();
        assert_eq!((new.most, new.messages, new.others), (ONE, 5, 0));
    }

    #[test]
    fn it_is_told_at_once_and_then_every_ten_minutes() {
        let now = Instant::now();
        let mut taken = Taken {
            told: ByReader::new(),
            at: None,
        };
        assert!(taken.may_tell(now));
        assert_eq!(taken.next(ByReader::new(), now), None);
        assert!(taken.may_tell(now), "nothing was told");
        assert!(taken.next([(ONE, 1)].into(), now).is_some());
        assert!(!taken.may_tell(now + TOLD_EVERY / 2));
        assert!(taken.may_tell(now + TOLD_EVERY));
    }
}
