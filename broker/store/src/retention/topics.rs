//! What topics give up before the log does, by a time or a size of their own (F8): their oldest messages, whatever stands around them.
//! Their records stay in the log until that goes, and nobody is given them any more.
//!
//! What waits stays, as where the log goes: it is written again, so that the queue can begin behind it.

use super::settings::Own;
use super::waiting::Look;
use super::{RetentionError, Sizes};
use sluice_core::command::{Minimum, Place};
use sluice_core::entry::{CARRIED, QueueEntry};
use sluice_core::ids::{GroupId, QueueId, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{Subscription, Topic};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::ops::Range;

/// Entries of a queue that are read at a time: a topic may have thousands of queues.
const CHUNK: u64 = 64;

/// Those who read a topic.
type Groups = [(GroupId, Subscription)];

/// What a topic gives up.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expired {
    /// Where its queues begin that begin later.
    pub(super) minimums: Vec<Minimum>,
    /// What waits there and must be written again first.
    pub(super) waiting: Vec<Place>,
    /// What was written again before, and goes now.
    pub(super) dropped: Vec<(TopicQueue, QueueOffset)>,
}

/// A look at topics, one by one.
pub(super) struct Topics<'a> {
    pub(super) look: Look<'a>,
    /// Places that may become carried, and bytes of their records; beyond, a queue goes no further.
    pub(super) room: (usize, u64),
    /// Whether a queue came to that.
    pub(super) is_short: bool,
}

impl Topics<'_> {
    /// What a topic has to give up. May read files.
    pub(super) fn expired(
        &mut self,
        topic: &Topic,
        own: Own,
        sizes: &mut Sizes,
    ) -> Result<Expired, RetentionError> {
        let groups = self.look.tables.subscribers_of(topic.id);
        let mut queues: Vec<Cursor> = (0..topic.spec.queues)
            .map(|queue| Cursor::new(&self.look, topic, QueueId(queue)))
            .collect();
        let mut expired = Expired::default();
        if own.keep_ms.is_some() {
            for queue in &mut queues {
                while let Some(head) = queue.head(&self.look, &groups)?
                    && !self
                        .look
                        .settings
                        .keeps(topic.id, head.entry.put_ms, self.look.now)
                {
                    self.give_up(queue, head, &mut expired);
                }
            }
        }
        if let Some(most) = own.keep_bytes {
            self.within(most, &mut queues, &groups, sizes, &mut expired)?;
        }
        let later = queues.iter().filter(|queue| queue.next > queue.first);
        expired.minimums = later
            .map(|queue| Minimum {
                at: queue.at,
                first: QueueOffset(queue.next),
            })
            .collect();
        Ok(expired)
    }

    /// Gives up the oldest of all queues until no more bytes are left. What waits there stays beyond that: it must not push out what
    /// comes after it.
    fn within(
        &mut self,
        most: u64,
        queues: &mut [Cursor],
        groups: &Groups,
        sizes: &mut Sizes,
        expired: &mut Expired,
    ) -> Result<(), RetentionError> {
        let mut bytes = 0;
        for queue in &mut *queues {
            let (first, end) = (QueueOffset(queue.first), QueueOffset(queue.end));
            let own = sizes.of(&self.look, queue.at, first, end)?;
            bytes += (own + queue.carried_bytes).saturating_sub(queue.passed_bytes);
        }
        // What one queue may not give up yet others must not make up for: they would give up what is younger.
        if bytes <= most || queues.iter().any(|queue| queue.is_stopped) {
            return Ok(());
        }
        let mut oldest = BinaryHeap::new();
        for (n, queue) in queues.iter_mut().enumerate() {
            oldest.extend(queue.oldest(&self.look, groups, n)?);
        }
        while bytes > most
            && let Some(Reverse((_, n))) = oldest.pop()
        {
            let queue = &mut queues[n];
            if let Some(head) = queue.head(&self.look, groups)? {
                let before = queue.passed_bytes;
                self.give_up(queue, head, expired);
                bytes = bytes.saturating_sub(queue.passed_bytes - before);
            }
            if queue.is_stopped {
                return Ok(());
            }
            oldest.extend(queue.oldest(&self.look, groups, n)?);
        }
        Ok(())
    }

    /// Passes over the first one of a queue, which stays if it waits.
    fn give_up(&mut self, queue: &mut Cursor, head: Head, expired: &mut Expired) {
        let is_carried =
            head.entry.flags & CARRIED != 0 && self.look.tables.carried(queue.at, head.offset).is_some();
        if head.waits && !is_carried {
            let size = u64::from(head.entry.size);
            let (Some(places), Some(bytes)) = (self.room.0.checked_sub(1), self.room.1.checked_sub(size))
            else {
                queue.is_stopped = true;
                self.is_short = true;
                return;
            };
            self.room = (places, bytes);
            expired.waiting.push(Place {
                at: queue.at,
                offset: head.offset,
                entry: head.entry,
            });
        }
        if is_carried && !head.waits {
            expired.dropped.push((queue.at, head.offset));
        }
        queue.pass(&head);
    }
}

/// The oldest message of a queue that nothing was decided about.
#[derive(Clone, Copy)]
struct Head {
    offset: QueueOffset,
    entry: QueueEntry,
    waits: bool,
}

/// A queue, gone through from its oldest message on: first what was carried from below where it begins.
struct Cursor {
    at: TopicQueue,
    first: u64,
    end: u64,
    carried: VecDeque<(QueueOffset, QueueEntry)>,
    carried_bytes: u64,
    /// The next of its own entries, at which it can begin.
    next: u64,
    /// Entries from `next` on, and which of them are held.
    read: VecDeque<QueueEntry>,
    held: BTreeSet<u64>,
    passed_bytes: u64,
    is_stopped: bool,
}

impl Cursor {
    fn new(look: &Look<'_>, topic: &Topic, queue: QueueId) -> Self {
        let at = TopicQueue {
            topic: topic.id,
            queue,
        };
        let first = topic.first(queue).unwrap_or_default();
        let mut carried = VecDeque::from(look.tables.carried_of(at));
        carried.retain(|(offset, _)| *offset < first);
        Self {
            at,
            first: first.0,
            end: topic.tail(queue).unwrap_or_default().0,
            carried_bytes: carried.iter().map(|(_, entry)| u64::from(entry.size)).sum(),
            carried,
            next: first.0,
            read: VecDeque::new(),
            held: BTreeSet::new(),
            passed_bytes: 0,
            is_stopped: false,
        }
    }

    /// When its next message was put, for a heap that has the oldest first.
    fn oldest(
        &mut self,
        look: &Look<'_>,
        groups: &Groups,
        number: usize,
    ) -> Result<Option<Reverse<(TimeMs, usize)>>, RetentionError> {
        let head = self.head(look, groups)?;
        Ok(head.map(|head| Reverse((head.entry.put_ms, number))))
    }

    fn head(&mut self, look: &Look<'_>, groups: &Groups) -> Result<Option<Head>, RetentionError> {
        if self.is_stopped {
            return Ok(None);
        }
        if let Some((offset, entry)) = self.carried.front().copied() {
            let held = held_by_some(groups, self.at, offset.0..offset.0 + 1);
            let waits = held
                .iter()
                .any(|(_, visible_at)| look.waits(*visible_at, self.at, &entry));
            return Ok(Some(Head { offset, entry, waits }));
        }
        if self.read.is_empty() && !self.read_on(look, groups)? {
            return Ok(None);
        }
        let head = self.read.front().map(|entry| Head {
            offset: QueueOffset(self.next),
            entry: *entry,
            waits: self.held.contains(&self.next),
        });
        Ok(head)
    }

    fn read_on(&mut self, look: &Look<'_>, groups: &Groups) -> Result<bool, RetentionError> {
        if self.next >= self.end {
            return Ok(false);
        }
        let most = CHUNK.min(self.end - self.next);
        let mut entries = Vec::with_capacity(most as usize);
        look.read(self.at, QueueOffset(self.next), most as usize, &mut entries)?;
        if entries.is_empty() {
            look.lacks(self.at, QueueOffset(self.next))?;
            return Ok(false);
        }
        let part = self.next..self.next + entries.len() as u64;
        self.held = held_by_some(groups, self.at, part)
            .into_iter()
            .filter(|(offset, visible_at)| {
                let entry = &entries[(offset - self.next) as usize];
                look.waits(*visible_at, self.at, entry)
            })
            .map(|(offset, _)| offset)
            .collect();
        self.read = entries.into();
        Ok(true)
    }

    fn pass(&mut self, head: &Head) {
        self.passed_bytes += u64::from(head.entry.size);
        if self.carried.pop_front().is_none() {
            self.read.pop_front();
            self.next += 1;
        }
    }
}

/// What groups have pending of a part of a queue, and until when it is hidden.
fn held_by_some(groups: &Groups, at: TopicQueue, part: Range<u64>) -> Vec<(u64, TimeMs)> {
    let shards = groups
        .iter()
        .filter_map(|(_, held)| held.shards.get(at.queue.0 as usize));
    let pending = shards.flat_map(|shard| {
        shard.read(|queue| {
            let pending = queue.pending_in(part.clone());
            pending
                .map(|(offset, held)| (offset.0, held.visible_at))
                .collect::<Vec<_>>()
        })
    });
    pending.collect()
}
