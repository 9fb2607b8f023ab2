//! Which messages a damaged part of the log has.

use crate::damage::is_lost_on_disk;
use crate::store::Store;
use sluice_core::command::Place;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TimeMs, TopicQueue};

/// Messages of one damaged part that are looked at; beyond that some are not named.
const MESSAGES_MAX: usize = 4096;

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

/// The messages that begin in this part of the log and are lost. Not those that stand in a queue only by a link, such as dead
/// letters: there entries are in another order. Queues that cannot be read name none.
pub(super) fn unreadable(
    store: &Store,
    from: PhysicalOffset,
    to: PhysicalOffset,
    now: TimeMs,
) -> Vec<LostMessage> {
    let mut found = Vec::new();
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
            let entries = (low..end).map_while(|offset| Some((offset, own_entry(store, at, offset)?)));
            let inside = entries.take_while(|(_, entry)| entry.physical < to);
            let room = MESSAGES_MAX - found.len();
            found.extend(
                inside
                    .take(room)
                    .map(|(offset, entry)| (at, QueueOffset(offset), entry)),
            );
        }
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
