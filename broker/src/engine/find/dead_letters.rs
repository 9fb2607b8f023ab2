//! In a topic of dead letters, whose messages are links: the index knows them by the topics that they were sent to. So
//! the queue is searched, the newest first; it is short where things are well.

use super::found::Unreadable;
use super::indexed::{Candidates, has_key};
use super::position::Position;
use super::{FindError, Found, Page, Room, Search, no_id, of, place, span};
use crate::engine::records::Entries;
use sluice_core::entry::QueueEntry;
use sluice_core::hash;
use sluice_core::ids::{PhysicalOffset, QueueOffset, TimeMs};
use sluice_core::record::property;
use sluice_core::state::Topic;
use sluice_store::Store;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// Entries read at a time.
const BLOCK: u64 = 256;
/// Messages with one id that are looked for among the dead letters: clients send one again when no answer came.
const OF_ONE_ID_MAX: usize = 64;
/// Entries that a search by id looks at: 40 MiB.
const ENTRIES_MAX: u64 = 1 << 20;
/// All dead letters are in this queue.
const QUEUE: u32 = 0;

/// The newest dead letter with this id.
pub(super) fn by_id(store: &Store, topic: &Arc<Topic>, id: &str) -> Result<Found, FindError> {
    let mut candidates = Candidates::new(store, hash::message_id_key(id.as_bytes()), 0..TimeMs::MAX, None);
    let (mut places, mut sent_since) = (HashSet::new(), TimeMs::MAX);
    while places.len() < OF_ONE_ID_MAX
        && let Some(candidate) = candidates.next()?
    {
        places.insert(candidate.physical);
        sent_since = sent_since.min(candidate.time);
    }
    let mut unreadable = Unreadable::default();
    let mut newest_first = NewestFirst::new(store, topic, sent_since..TimeMs::MAX, None)?;
    newest_first.left = ENTRIES_MAX;
    while !places.is_empty()
        && let Some((offset, entry)) = newest_first.next_of(&places)?
    {
        match Found::read(store, topic, newest_first.entries.at.queue, offset, entry) {
            Ok(found) if has_id(&found, id) => return Ok(found),
            Ok(_) => {}
            Err(cause) => unreadable.add(cause),
        }
    }
    let what = || format!("the message with the id '{id}', or one that shares its place in the index,");
    Err(unreadable.error(what).unwrap_or_else(|| no_id(store, id)))
}

/// The dead letters with this key, the newest first.
pub(super) fn by_key(
    store: &Store,
    topic: &Arc<Topic>,
    key: &str,
    search: &Search,
) -> Result<Page, FindError> {
    let before = match search.position(topic)? {
        None => None,
        Some(Position::DeadLetters(before)) => Some(before),
        Some(_) => return Err(FindError::Position(search.topic.clone())),
    };
    let (mut room, mut unreadable) = (Room::of(search), Unreadable::default());
    let mut newest_first = NewestFirst::new(store, topic, search.times.clone(), before)?;
    let mut page = Page::default();
    while let Some((offset, entry)) = newest_first.next()? {
        if !room.is_left() {
            let before = QueueOffset(offset.0 + 1);
            page.next = Some(Position::DeadLetters(before).encode(topic.id));
            break;
        }
        room.looked_at(entry.size as usize);
        match Found::read(store, topic, newest_first.entries.at.queue, offset, entry) {
            Ok(found) if found.record().is_ok_and(|record| has_key(&record, key)) => {
                room.shows(&found);
                page.messages.push(found);
            }
            Ok(_) => {}
            Err(cause) => unreadable.add(cause),
        }
    }
    unreadable.report(&topic.spec.name);
    page.unreadable = unreadable.count;
    Ok(page)
}

fn has_id(found: &Found, id: &str) -> bool {
    let record = found.record();
    record.is_ok_and(|record| record.property(property::MESSAGE_ID) == Some(id))
}

/// The entries of the queue in a span of time, the newest first.
struct NewestFirst<'a> {
    entries: Entries<'a>,
    /// Not read yet.
    span: Range<QueueOffset>,
    /// Read, the newest last; they stand at `span.end` and behind.
    ready: Vec<(QueueOffset, QueueEntry)>,
    /// So many more may be taken.
    left: u64,
}

impl<'a> NewestFirst<'a> {
    fn new(
        store: &'a Store,
        topic: &Topic,
        times: Range<TimeMs>,
        before: Option<QueueOffset>,
    ) -> Result<Self, FindError> {
        let entries = Entries {
            store,
            at: of(topic, QUEUE),
        };
        let start = place::put_at_or_after(&entries, times.start)?;
        let end = place::put_at_or_after(&entries, times.end)?.max(start);
        let end = before.map_or(end, |before| before.min(end));
        Ok(Self {
            entries,
            span: start..end.max(start),
            ready: Vec::new(),
            left: u64::MAX,
        })
    }

    fn next(&mut self) -> Result<Option<(QueueOffset, QueueEntry)>, FindError> {
        if self.left == 0 {
            return Ok(None);
        }
        if self.ready.is_empty() {
            // Retention may go past some meanwhile.
            let first = span(self.entries.store, self.entries.at)
                .start
                .max(self.span.start);
            let end = self.span.end.max(first);
            let from = QueueOffset(end.0.saturating_sub(BLOCK)).max(first);
            self.entries.present(from..end, &mut self.ready)?;
            self.span.end = from;
        }
        let next = self.ready.pop();
        self.left -= u64::from(next.is_some());
        Ok(next)
    }

    /// The next one that points at one of these places in the log.
    fn next_of(
        &mut self,
        places: &HashSet<PhysicalOffset>,
    ) -> Result<Option<(QueueOffset, QueueEntry)>, FindError> {
        while let Some((offset, entry)) = self.next()? {
            if places.contains(&entry.physical) {
                return Ok(Some((offset, entry)));
            }
        }
        Ok(None)
    }
}
