//! By topic and time: the messages of all queues, merged by the time that they were put.
//!
//! Of one time, those of a lower queue come first. A page ends with a time and, for the queues that had some of that time
//! already, where they go on: all others go on with that time. So what comes to a queue meanwhile is neither missed nor
//! repeated, and a position is short.

use super::found::Unreadable;
use super::position::Position;
use super::{FindError, Found, PAGE_MAX, Page, Room, Search, of, place};
use crate::engine::records::Entries;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{QueueId, QueueOffset, TimeMs};
use sluice_core::plan::EntrySource;
use sluice_core::state::Topic;
use sluice_store::Store;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

/// Entries read of one queue at a time at most.
const BLOCK_MAX: usize = 64;

/// The messages that were put in the span of time, the oldest first.
pub(super) fn find(store: &Store, topic: &Arc<Topic>, search: &Search) -> Result<Page, FindError> {
    let mut merge = Merge::begin(store, topic, search)?;
    let (mut room, mut unreadable) = (Room::of(search), Unreadable::default());
    let mut page = Page::default();
    while let Some(queue) = merge.next_queue() {
        if !room.is_left() {
            page.next = Some(merge.position().encode(topic.id));
            break;
        }
        let Some((offset, entry)) = merge.take(queue)? else {
            continue;
        };
        room.looked_at(entry.size as usize);
        match Found::read(store, topic, queue, offset, entry) {
            Ok(found) => {
                room.shows(&found);
                page.messages.push(found);
            }
            Err(cause) => unreadable.add(cause),
        }
    }
    unreadable.report(&topic.spec.name);
    page.unreadable = unreadable.count;
    Ok(page)
}

/// What is left of one queue.
struct Lane<'a> {
    entries: Entries<'a>,
    /// The offset of the first one in `ready`, or of the first to read.
    next: QueueOffset,
    ready: VecDeque<QueueEntry>,
    /// What was taken last was put then.
    taken: Option<TimeMs>,
}

impl Lane<'_> {
    /// When the next one was put. Reads up to `max` entries if none are ready.
    fn put_ms(&mut self, max: usize) -> Result<Option<TimeMs>, FindError> {
        if self.ready.is_empty() {
            // Retention may have left some of the queue's first messages.
            let Entries { store, at } = self.entries;
            self.next = store.queues().next(at, self.next);
            let mut block = Vec::with_capacity(max);
            self.entries.entries(self.next, max, &mut block)?;
            self.ready = block.into();
        }
        Ok(self.ready.front().map(|entry| entry.put_ms))
    }
}

/// All queues, the one with the oldest message first.
struct Merge<'a> {
    lanes: Vec<Lane<'a>>,
    heap: BinaryHeap<Reverse<(TimeMs, QueueId)>>,
    until: TimeMs,
    /// Entries read of one queue at a time.
    block: usize,
    /// When the last one taken was put; before the first one, where the search begins.
    at: TimeMs,
}

impl<'a> Merge<'a> {
    fn begin(store: &'a Store, topic: &Topic, search: &Search) -> Result<Self, FindError> {
        let (at, listed) = match search.position(topic)? {
            None => (search.times.start, Vec::new()),
            Some(Position::Time { at, next }) => (at, next),
            Some(_) => return Err(FindError::Position(search.topic.clone())),
        };
        let listed: HashMap<QueueId, QueueOffset> = listed.into_iter().collect();
        let queues = topic.spec.queues;
        let block = (search.max.clamp(1, PAGE_MAX) / queues.max(1) as usize + 1).min(BLOCK_MAX);
        let (mut lanes, mut heap) = (Vec::new(), BinaryHeap::new());
        for queue in (0..queues).map(QueueId) {
            let entries = Entries {
                store,
                at: of(topic, queue.0),
            };
            let goes_on = listed.get(&queue);
            let mut lane = Lane {
                next: match goes_on {
                    Some(next) => *next,
                    None => place::put_at_or_after(&entries, at)?,
                },
                entries,
                ready: VecDeque::new(),
                taken: goes_on.map(|_| at),
            };
            // A position that somebody made up must not turn the time back.
            if let Some(put_ms) = lane.put_ms(block)?.filter(|put_ms| *put_ms >= at) {
                heap.push(Reverse((put_ms, queue)));
            }
            lanes.push(lane);
        }
        Ok(Self {
            lanes,
            heap,
            until: search.times.end,
            block,
            at,
        })
    }

    /// The queue with the oldest message of those that are left, if it is within the span.
    fn next_queue(&self) -> Option<QueueId> {
        let Reverse((put_ms, queue)) = self.heap.peek()?;
        (*put_ms < self.until).then_some(*queue)
    }

    /// Takes the next message of the queue that [`Self::next_queue`] named.
    fn take(&mut self, queue: QueueId) -> Result<Option<(QueueOffset, QueueEntry)>, FindError> {
        self.heap.pop();
        let Some(lane) = self.lanes.get_mut(queue.0 as usize) else {
            return Ok(None);
        };
        let Some(entry) = lane.ready.pop_front() else {
            return Ok(None);
        };
        let offset = lane.next;
        lane.next = QueueOffset(offset.0 + 1);
        lane.taken = Some(entry.put_ms);
        self.at = entry.put_ms;
        if let Some(put_ms) = lane.put_ms(self.block)? {
            self.heap.push(Reverse((put_ms, queue)));
        }
        Ok(Some((offset, entry)))
    }

    /// Where the search stands.
    fn position(&self) -> Position {
        let had_some = |(queue, lane): (usize, &Lane<'_>)| {
            (lane.taken == Some(self.at)).then_some((QueueId(queue as u32), lane.next))
        };
        Position::Time {
            at: self.at,
            next: self.lanes.iter().enumerate().filter_map(had_some).collect(),
        }
    }
}
