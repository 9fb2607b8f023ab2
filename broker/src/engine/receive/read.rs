//! Reading what a receive was given, and what becomes of messages that cannot be read.

use super::Received;
use super::lost::Lost;
use super::take::Got;
use crate::engine::telling::{Bunch, Fate, Key};
use crate::engine::{Engine, EngineError, records};
use bytes::Bytes;
use sluice_core::command::{Place, SettleItem};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupQueueId, QueueId};
use sluice_core::state::{Group, Topic};
use sluice_store::damage::Unread;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;

/// Reads what was got: the entries that are not known yet, and all commands.
pub(super) async fn read(
    engine: &Engine,
    got: &[Got],
) -> Result<Vec<(QueueEntry, Result<Bytes, Unread>)>, EngineError> {
    let mut places = Vec::with_capacity(got.len());
    for message in got {
        let entry = match message.entry {
            Some(entry) => Some(entry),
            None => records::entry(&engine.store, message.id.at, message.offset).await?,
        };
        places.push(Place {
            at: message.id.at,
            offset: message.offset,
            entry: entry.ok_or(EngineError::Unknown)?,
        });
    }
    let entries: Vec<QueueEntry> = places.iter().map(|place| place.entry).collect();
    let commands = records::commands(&engine.store, places, engine.now()).await?;
    Ok(entries.into_iter().zip(commands).collect())
}

/// What became of the messages that were got.
#[derive(Default)]
pub(super) struct Read {
    pub(super) received: Vec<Received>,
    /// Nobody can read them any more.
    pub(super) lost: Vec<Lost>,
    /// They may be readable later.
    pub(super) unreadable: Vec<(GroupQueueId, SettleItem)>,
    /// Why the first of them is unreadable.
    pub(super) cause: Option<EngineError>,
    /// They can be read, but wait for an unreadable one of their message group.
    pub(super) behind: Vec<(GroupQueueId, SettleItem)>,
}

impl Read {
    pub(super) fn sort(got: Vec<Got>, read: Vec<(QueueEntry, Result<Bytes, Unread>)>, fifo: bool) -> Self {
        let (mut sorted, mut stopped) = (Self::default(), HashSet::new());
        // In each queue they come in the order of offsets.
        for (message, (entry, command)) in got.into_iter().zip(read) {
            let message_group = (message.id, entry.group_hash);
            match command {
                Ok(_) if stopped.contains(&message_group) => sorted.behind.push(message.held()),
                Ok(command) => sorted.received.push(message.with(entry, command)),
                Err(Unread::Lost(error)) => {
                    let (id, item) = message.held();
                    sorted.lost.push((id, item, error.to_string()));
                }
                Err(Unread::NotNow(error)) => {
                    sorted
                        .cause
                        .get_or_insert_with(|| EngineError::Read(error.to_string()));
                    sorted.unreadable.push(message.held());
                    if fifo {
                        stopped.insert(message_group);
                    }
                }
            }
        }
        sorted
    }
}

impl Engine {
    /// Counts and tells which messages of the topic are left out of a receive.
    pub(super) fn count_unreadable(
        &self,
        topic: &Topic,
        group: &Group,
        messages: &[(GroupQueueId, SettleItem)],
        cause: &EngineError,
    ) {
        self.unreadable
            .fetch_add(messages.len() as u64, Ordering::Relaxed);
        let mut by_queue: BTreeMap<QueueId, Bunch> = BTreeMap::new();
        for (id, item) in messages {
            let one = Bunch::one(item.offset.0, cause.to_string());
            by_queue.entry(id.at.queue).or_default().add(one);
        }
        for (queue, left_out) in by_queue {
            let key = Key::of(Fate::LeftOut, topic, queue, group);
            self.telling.add(&key, left_out);
        }
    }
}
