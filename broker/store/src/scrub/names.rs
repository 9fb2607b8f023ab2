//! Which messages a damaged part of the log has.

use crate::damage::is_lost_on_disk;
use crate::store::Store;
use sluice_core::command::Place;
use sluice_core::entry::{LINKED, QueueEntry};
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TimeMs, TopicQueue};

/// Messages of one damaged part that are looked at; beyond that some are not named.
const MESSAGES_MAX: usize = 4096;
/// Entries that are read at a time.
const ENTRIES: usize = 4096;

/// A message that the disk has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostMessage {
    /// Its queue.
    pub at: TopicQueue,
    /// Its offset there.
    pub offset: QueueOffset,
    /// Whether memory still has it: until as much more of the log is written as the ring has, and until a restart at most.
    pub in_memory: bool,
}

/// Messages of a queue, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The queue.
    pub at: TopicQueue,
    /// The first one.
    pub first: QueueOffset,
    /// The last one.
    pub last: QueueOffset,
}

impl Served {
    /// How many they are.
    pub fn messages(&self) -> u64 {
        self.last.0 - self.first.0 + 1
    }
}

/// The messages that begin in this part of the log, whether or not they can be read: as [`unreadable`], however many.
pub(super) fn within(store: &Store, from: PhysicalOffset, to: PhysicalOffset) -> Vec<Served> {
    let mut served: Vec<Served> = Vec::new();
    let mut add = |at, offset: u64| match served.last_mut() {
        Some(last) if last.at == at && last.last.0 + 1 == offset => last.last = QueueOffset(offset),
        _ => served.push(Served {
            at,
            first: QueueOffset(offset),
            last: QueueOffset(offset),
        }),
    };
    let mut entries = Vec::with_capacity(ENTRIES);
    for (at, low, end) in queues_from(store, from) {
        let mut offset = low;
        'queue: while offset < end {
            entries.clear();
            let read = store
                .queues()
                .read(at, QueueOffset(offset), ENTRIES, &mut entries);
            if read.is_err() || entries.is_empty() {
                break;
            }
            for entry in &entries {
                if entry.physical >= to && entry.flags & LINKED == 0 {
                    break 'queue;
                }
                if entry.physical >= from && entry.physical < to {
                    add(at, offset);
                }
                offset += 1;
            }
        }
    }
    for (at, offset) in store.tables().carried_standing(from, to, MESSAGES_MAX) {
        add(at, offset.0);
    }
    served
}

/// All queues: the first entry that stands there in the log or behind, and the queue's end.
fn queues_from(store: &Store, from: PhysicalOffset) -> Vec<(TopicQueue, u64, u64)> {
    let mut queues = Vec::new();
    for topic in store.tables().all_topics() {
        for queue in (0..topic.spec.queues).map(QueueId) {
            let at = TopicQueue {
                topic: topic.id,
                queue,
            };
            let (first, tail) = (topic.first(queue), topic.tail(queue));
            let (mut low, end) = (first.unwrap_or_default().0, tail.unwrap_or_default().0);
            let mut high = end;
            while low < high {
                let middle = low + (high - low) / 2;
                match own_entry(store, at, middle) {
                    Some(entry) if entry.physical >= from => high = middle,
                    _ => low = middle + 1,
                }
            }
            queues.push((at, low, end));
        }
    }
    queues
}

/// The messages that begin in this part of the log and are lost. Not those that stand in a queue only by a link, such as dead
/// letters: there entries are in another order. Queues that cannot be read name none.
pub(super) fn unreadable(
    store: &Store,
    from: PhysicalOffset,
    to: PhysicalOffset,
    now: TimeMs,
) -> Vec<LostMessage> {
    let mut found = Vec::new();
    for (at, low, end) in queues_from(store, from) {
        let entries = (low..end).map_while(|offset| Some((offset, own_entry(store, at, offset)?)));
        let inside = entries.take_while(|(_, entry)| entry.physical < to);
        let room = MESSAGES_MAX - found.len();
        found.extend(
            inside
                .take(room)
                .map(|(offset, entry)| (at, QueueOffset(offset), entry)),
        );
    }
    let room = MESSAGES_MAX - found.len();
    for (at, offset) in store.tables().carried_standing(from, to, room) {
        let entry = store.tables().carried(at, offset);
        found.extend(entry.map(|entry| (at, offset, entry)));
    }
    let lost = |(at, offset, entry)| {
        let read = || store.read_message(&Place { at, offset, entry }, now);
        let is_lost = match read() {
            Ok(_) => is_lost_on_disk(store.reader(), &entry),
            Err(error) => error.is_lost(),
        };
        is_lost.then(|| LostMessage {
            at,
            offset,
            // Once more: the look at the disk takes it out of the system's cache.
            in_memory: read().is_ok(),
        })
    };
    found.into_iter().filter_map(lost).collect()
}

fn own_entry(store: &Store, at: TopicQueue, offset: u64) -> Option<QueueEntry> {
    let mut one = Vec::with_capacity(1);
    store.queues().read(at, QueueOffset(offset), 1, &mut one).ok()?;
    one.first().copied()
}
