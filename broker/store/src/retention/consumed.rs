//! How far everybody has read: what may go before its time when the disk fills.
//!
//! Messages that are in flight, dead letters, and those of topics that are kept longer are written again by whoever gives up
//! the log, and so stand in nobody's way here. A queue of a topic that no group reads has been read by nobody: its first
//! reader begins with what is there, which stays.

use super::RetentionError;
use super::settings::Settings;
use super::waiting::is_dead_letters;
use crate::checkpointer::TrimPoint;
use crate::store::Store;
use sluice_core::ids::{QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{Subscription, Tables};

/// Before every delivery's end: whatever was delivered, and is not done, is not ready.
const BEFORE_ALL: TimeMs = 0;

/// The last of `points`, which rise, before which no group has a message to read. Reads checkpoints, a few of them. Damaged ones are
/// passed over: the log cannot begin there.
pub(super) fn last(
    store: &Store,
    settings: &Settings,
    mut points: Vec<TrimPoint>,
) -> Result<Option<TrimPoint>, RetentionError> {
    // What is read up to one place is read up to all before it.
    let (mut read, mut unread) = (0, points.len());
    while read < unread {
        let middle = usize::midpoint(read, unread);
        let ends = match store.ends_at(points[middle].at).map_err(RetentionError::from) {
            Err(error) if error.is_damage() => {
                tracing::warn!(%error, "the log does not begin at a damaged checkpoint");
                points.remove(middle);
                unread -= 1;
                continue;
            }
            ends => ends?,
        };
        if is_read(store.tables(), settings, &ends) {
            read = middle + 1;
        } else {
            unread = middle;
        }
    }
    Ok(read.checked_sub(1).map(|last| points[last]))
}

/// Whether every group has been given what its queues had when they ended so.
pub(super) fn is_read(tables: &Tables, settings: &Settings, ends: &[(TopicQueue, QueueOffset)]) -> bool {
    ends.iter().all(|(at, end)| {
        // A topic that was deleted has no readers, and never will.
        let Some(topic) = tables.topic_by_id(at.topic) else {
            return true;
        };
        let is_empty = topic.first(at.queue).is_none_or(|first| first >= *end);
        if is_empty || is_dead_letters(&topic) || settings.is_longer(topic.id) {
            return true;
        }
        let groups = tables.subscribers_of(at.topic);
        !groups.is_empty() && groups.iter().all(|(_, held)| has_read(held, *at, *end))
    })
}

fn has_read(held: &Subscription, at: TopicQueue, end: QueueOffset) -> bool {
    let shard = held.shards.get(at.queue.0 as usize);
    shard.is_some_and(|shard| shard.view().first_ready(end, BEFORE_ALL).is_none())
}
