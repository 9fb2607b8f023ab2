//! How many bytes queues have, counted once: to read every entry at each look would cost the more, the more is kept.

use super::waiting::Look;
use super::{RetentionError, Settings};
use crate::store::Store;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TopicId, TopicQueue};
use sluice_core::state::Topic;
use std::collections::{BTreeMap, VecDeque};

/// Entries whose bytes are one number.
const BLOCK: u64 = 1024;

/// The bytes of queues, kept between looks. One that is empty counts anew.
#[derive(Debug, Default)]
pub struct Sizes(BTreeMap<TopicQueue, Counted>);

/// The entries `from..to` of a queue. What is before `from` cannot be read any more, and what goes is not told here: so bytes are
/// kept by blocks of offsets, of which the first one is counted anew where the queue begins within it.
#[derive(Debug)]
struct Counted {
    from: u64,
    to: u64,
    blocks: VecDeque<u64>,
}

impl Sizes {
    /// Forgets topics that have no bound any more.
    pub(super) fn keep(&mut self, is_bound: impl Fn(TopicId) -> bool) {
        self.0.retain(|at, _| is_bound(at.topic));
    }

    /// The bytes of a topic's messages that stand in the log from `from` on, as they were counted by the last run: carried
    /// messages are older than all of them. May read files.
    pub fn standing_from(
        &self,
        store: &Store,
        topic: &Topic,
        from: PhysicalOffset,
    ) -> Result<u64, RetentionError> {
        let settings = Settings::default();
        let (look, mut sum) = (Look::new(store, &settings, 0), 0);
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            if let Some(counted) = self.0.get(&at) {
                sum += counted.standing_from(&look, at, from)?;
            }
        }
        Ok(sum)
    }

    /// The bytes of a queue's own entries `first..tail`. May read files.
    pub(super) fn of(
        &mut self,
        look: &Look<'_>,
        at: TopicQueue,
        first: QueueOffset,
        tail: QueueOffset,
    ) -> Result<u64, RetentionError> {
        let none = || Counted::none(first.0);
        let counted = self.0.entry(at).or_insert_with(none);
        let counts = counted.follow(look, at, first.0, tail.0);
        if counts.is_err() {
            // It may have come to a part of a block.
            self.0.remove(&at);
        }
        counts
    }
}

impl Counted {
    fn none(from: u64) -> Self {
        Self {
            from,
            to: from,
            blocks: VecDeque::new(),
        }
    }

    fn follow(
        &mut self,
        look: &Look<'_>,
        at: TopicQueue,
        first: u64,
        tail: u64,
    ) -> Result<u64, RetentionError> {
        if first < self.from || first >= self.to {
            *self = Self::none(first);
        } else if first > self.from {
            let gone = first / BLOCK - self.from / BLOCK;
            self.blocks.drain(..gone as usize);
            self.from = first;
            let end = (first / BLOCK + 1) * BLOCK;
            let left = bytes(look, at, first, end.min(self.to))?;
            self.blocks
                .front_mut()
                .into_iter()
                .for_each(|front| *front = left);
        }
        while self.to < tail {
            let end = ((self.to / BLOCK + 1) * BLOCK).min(tail);
            let more = bytes(look, at, self.to, end)?;
            match self.blocks.back_mut() {
                Some(last) if !self.to.is_multiple_of(BLOCK) => *last += more,
                _ => self.blocks.push_back(more),
            }
            self.to = end;
        }
        Ok(self.blocks.iter().sum())
    }
}

impl Counted {
    fn standing_from(
        &self,
        look: &Look<'_>,
        at: TopicQueue,
        from: PhysicalOffset,
    ) -> Result<u64, RetentionError> {
        let (mut low, mut high, mut one) = (self.from, self.to, Vec::with_capacity(1));
        look.read(at, QueueOffset(low), 1, &mut one)?;
        if one.first().is_some_and(|oldest| oldest.physical >= from) {
            return Ok(self.blocks.iter().sum());
        }
        while low < high {
            let middle = low + (high - low) / 2;
            look.read(at, QueueOffset(middle), 1, &mut one)?;
            match one.first() {
                Some(entry) if entry.physical >= from => high = middle,
                // Nothing there: it has gone since it was counted.
                _ => low = middle + 1,
            }
        }
        if low >= self.to {
            return Ok(0);
        }
        let end = ((low / BLOCK + 1) * BLOCK).min(self.to);
        let block = (low / BLOCK - self.from / BLOCK) as usize;
        let later: u64 = self.blocks.iter().skip(block + 1).sum();
        Ok(later + bytes(look, at, low, end)?)
    }
}

/// The bytes of these entries, all of one block.
fn bytes(look: &Look<'_>, at: TopicQueue, from: u64, to: u64) -> Result<u64, RetentionError> {
    let (mut next, mut entries, mut sum) = (from, Vec::with_capacity(BLOCK as usize), 0);
    while next < to {
        look.read(at, QueueOffset(next), (to - next) as usize, &mut entries)?;
        if entries.is_empty() {
            // The queue begins later meanwhile, or its topic is gone: the next look counts anew.
            look.lacks(at, QueueOffset(next))?;
            return Ok(sum);
        }
        next += entries.len() as u64;
        sum += entries
            .iter()
            .map(|entry: &QueueEntry| u64::from(entry.size))
            .sum::<u64>();
    }
    Ok(sum)
}
