//! Reading entries and records without blocking an async worker where a disk might.

use super::EngineError;
use bytes::Bytes;
use sluice_core::command::Place;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{QueueOffset, TimeMs, TopicQueue};
use sluice_core::plan::EntrySource;
use sluice_store::Store;
use sluice_store::damage::Unread;
use std::ops::Range;

/// One queue's entries, for planning.
#[derive(Clone, Copy)]
pub(super) struct Entries<'a> {
    pub(super) store: &'a Store,
    pub(super) at: TopicQueue,
}

impl Entries<'_> {
    /// Appends the entries of a span that there are, past what retention has taken between them.
    pub(super) fn present(
        &self,
        span: Range<QueueOffset>,
        out: &mut Vec<(QueueOffset, QueueEntry)>,
    ) -> Result<(), EngineError> {
        let (mut at, mut some) = (self.store.queues().next(self.at, span.start), Vec::new());
        while at < span.end {
            some.clear();
            self.entries(at, (span.end.0 - at.0) as usize, &mut some)?;
            if some.is_empty() {
                break;
            }
            out.extend((at.0..).map(QueueOffset).zip(some.iter().copied()));
            at = self
                .store
                .queues()
                .next(self.at, QueueOffset(at.0 + some.len() as u64));
        }
        Ok(())
    }
}

impl EntrySource for Entries<'_> {
    type Error = EngineError;

    fn entries(&self, from: QueueOffset, max: usize, out: &mut Vec<QueueEntry>) -> Result<(), EngineError> {
        self.store
            .queues()
            .read(self.at, from, max, out)
            .map_err(|error| EngineError::Read(error.to_string()))?;
        Ok(())
    }
}

/// One queue's entries as far as they are in memory: never waits for a disk.
pub(super) struct HotEntries<'a>(pub(super) Entries<'a>);

/// Entries are in files only.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cold;

impl EntrySource for HotEntries<'_> {
    type Error = Cold;

    fn entries(&self, from: QueueOffset, max: usize, out: &mut Vec<QueueEntry>) -> Result<(), Cold> {
        let Entries { store, at } = self.0;
        store.queues().read_hot(at, from, max, out).ok_or(Cold)?;
        Ok(())
    }
}

/// Runs `work` here if it needs no disk, else where it may block.
pub(super) async fn where_it_may_block<T: Send + 'static>(
    hot: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EngineError> {
    if hot {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| EngineError::Read(error.to_string()))
}

/// The entry at `offset`, if there is one.
pub(super) async fn entry(
    store: &Store,
    at: TopicQueue,
    offset: QueueOffset,
) -> Result<Option<QueueEntry>, EngineError> {
    let hot = store.queues().hot_from(at) <= offset;
    let store = store.clone();
    where_it_may_block(hot, move || {
        let mut one = Vec::with_capacity(1);
        Entries { store: &store, at }.entries(offset, 1, &mut one)?;
        Ok(one.first().copied())
    })
    .await?
}

/// The commands with the records of the messages that stand there, each with its own outcome: damage to one record hides no other. `now`
/// is the engine's.
pub(super) async fn commands(
    store: &Store,
    places: Vec<Place>,
    now: TimeMs,
) -> Result<Vec<Result<Bytes, Unread>>, EngineError> {
    let hot = places
        .iter()
        .all(|place| store.reader().is_hot(place.entry.physical));
    let store = store.clone();
    where_it_may_block(hot, move || {
        let read = |place: &Place| store.read_message(place, now);
        places.iter().map(read).collect()
    })
    .await
}
