//! By id and by key: the index says where in the log such messages may be, and their records say the rest.

use super::found::{self, Unreadable};
use super::position::Position;
use super::{FindError, Found, Page, Room, Search, no_id, place, span};
use crate::engine::records::Entries;
use sluice_core::command::{Command, Place};
use sluice_core::entry::{LINKED, QueueEntry};
use sluice_core::hash;
use sluice_core::ids::{PhysicalOffset, QueueOffset, TimeMs, TopicId, TopicQueue};
use sluice_core::record::{Record, property};
use sluice_core::state::Topic;
use sluice_store::Store;
use sluice_store::log::ReadError;
use std::ops::Range;

/// What the index is asked for at a time.
const AT_A_TIME: usize = 64;

/// A place in the log where the index says that a message may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) physical: PhysicalOffset,
    pub(super) time: TimeMs,
    hash: u64,
}

/// The newest message with this id whose topic is there, in `topic` if one is given.
pub(super) fn by_id(store: &Store, topic: Option<&Topic>, id: &str) -> Result<Found, FindError> {
    let (mut room, mut unreadable) = (Room::of_messages(1), Unreadable::default());
    let mut candidates = Candidates::new(store, hash::message_id_key(id.as_bytes()), 0..TimeMs::MAX, None);
    let is_it = |record: &Record<'_>| record.property(property::MESSAGE_ID) == Some(id);
    while room.is_left()
        && let Some(candidate) = candidates.next()?
    {
        match candidate.message(store, topic, is_it, &mut room) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(cause) => unreadable.add(cause),
        }
    }
    let what = || format!("the message with the id '{id}', or one that shares its place in the index,");
    Err(unreadable.error(what).unwrap_or_else(|| no_id(store, id)))
}

/// The messages of `topic` with this key, the newest first.
pub(super) fn by_key(store: &Store, topic: &Topic, key: &str, search: &Search) -> Result<Page, FindError> {
    let before = match search.position(topic)? {
        None => None,
        Some(Position::Key(before)) => Some(before),
        Some(_) => return Err(FindError::Position(search.topic.clone())),
    };
    let (mut room, mut unreadable) = (Room::of(search), Unreadable::default());
    let hash = hash::message_key(topic.id, key.as_bytes());
    let mut candidates = Candidates::new(store, hash, search.times.clone(), before);
    let has_it = |record: &Record<'_>| has_key(record, key);
    let older =
        |(_, time): &(PhysicalOffset, Option<TimeMs>)| time.is_none_or(|time| search.times.start < time);
    let mut page = Page {
        index_begins: store.index_begins().filter(older),
        ..Page::default()
    };
    while let Some(candidate) = candidates.next()? {
        if !room.is_left() {
            // This one and those before it in the log are the next page's.
            let before = PhysicalOffset(candidate.physical.0.saturating_add(1));
            page.next = Some(Position::Key(before).encode(topic.id));
            break;
        }
        match candidate.message(store, Some(topic), has_it, &mut room) {
            Ok(Some(found)) => page.messages.push(found),
            Ok(None) => {}
            Err(cause) => unreadable.add(cause),
        }
    }
    unreadable.report(&topic.spec.name);
    page.unreadable = unreadable.count;
    Ok(page)
}

/// Whether the record has this key; keys are stored joined by spaces.
pub(super) fn has_key(record: &Record<'_>, key: &str) -> bool {
    let keys = record.property(property::KEYS).unwrap_or_default();
    keys.split(' ').any(|one| !one.is_empty() && one == key)
}

impl Candidate {
    /// The message there, if it is one that `wanted` is true for, of `topic` or else any topic that is there. Otherwise
    /// another key has the same hash, or the topic is deleted, and perhaps made anew. An error says why it cannot be read.
    fn message(
        self,
        store: &Store,
        topic: Option<&Topic>,
        wanted: impl Fn(&Record<'_>) -> bool,
        room: &mut Room,
    ) -> Result<Option<Found>, String> {
        let command = match store.reader().read_indexed(self.physical, self.hash) {
            Ok(command) => command,
            Err(ReadError::Gone { .. }) => return Ok(None),
            Err(error) => {
                room.looked_at(0);
                return Err(error.to_string());
            }
        };
        room.looked_at(command.len());
        let Some(at) = place_in(&command, store, self.physical) else {
            return Ok(None);
        };
        if topic.is_some_and(|topic| topic.id != at.topic()) {
            return Ok(None);
        }
        let Some(topic) = store.tables().topic_by_id(at.topic()) else {
            return Ok(None);
        };
        match found::record(&command) {
            Ok(record) if wanted(&record) => {}
            Ok(_) => return Ok(None),
            Err(error) => return Err(format!("the record at {} of the log: {error}", self.physical)),
        }
        let place = match at {
            Stands::Queue(at) => {
                let entries = Entries { store, at };
                let place = place::appended_at(&entries, span(store, at), self.time, self.physical);
                let place = place.map_err(|error| error.to_string())?;
                place.map(|(offset, entry)| (at.queue, offset, entry))
            }
            Stands::Carried(at, offset, entry) => Some((at.queue, offset, entry)),
        };
        let Some((queue, offset, entry)) = place else {
            return Ok(None);
        };
        let command = store.reader().belonging(&entry, command);
        let command = command.map_err(|error| error.to_string())?;
        let found = Found::new(&topic, queue, offset, entry, command)?;
        room.shows(&found);
        Ok(Some(found))
    }
}

/// Where a message stands whose record the index knows.
enum Stands {
    /// In this queue; its entry is to be found.
    Queue(TopicQueue),
    /// Here, because it was carried.
    Carried(TopicQueue, QueueOffset, QueueEntry),
}

impl Stands {
    fn topic(&self) -> TopicId {
        let (Self::Queue(at) | Self::Carried(at, ..)) = self;
        at.topic
    }
}

/// Where the message of a command with a record stands; of one that was carried the place where it was sent to, if it stands
/// there yet.
fn place_in(command: &[u8], store: &Store, physical: PhysicalOffset) -> Option<Stands> {
    match Command::decode(command).ok()?.1 {
        Command::Append(append) => Some(Stands::Queue(append.at)),
        Command::Carry(carry) => {
            let own = |place: &&Place| place.entry.flags & LINKED == 0;
            let place = carry.places.iter().find(own)?;
            let entry = store.tables().carried(place.at, place.offset)?;
            (entry.physical == physical).then_some(Stands::Carried(place.at, place.offset, entry))
        }
        _ => None,
    }
}

/// What the index has under a hash, the newest first, asked for as it is needed.
pub(super) struct Candidates<'a> {
    store: &'a Store,
    hash: u64,
    times: Range<TimeMs>,
    before: Option<PhysicalOffset>,
    /// Asked for and not taken, the newest last.
    ready: Vec<Candidate>,
    is_all: bool,
}

impl<'a> Candidates<'a> {
    pub(super) fn new(
        store: &'a Store,
        hash: u64,
        times: Range<TimeMs>,
        before: Option<PhysicalOffset>,
    ) -> Self {
        Self {
            store,
            hash,
            times,
            before,
            ready: Vec::new(),
            is_all: false,
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Candidate>, FindError> {
        if self.ready.is_empty() && !self.is_all {
            let index = self.store.index();
            let found = index.find(self.hash, self.times.clone(), AT_A_TIME, self.before);
            let found = found.map_err(|error| FindError::Read(error.to_string()))?;
            self.is_all = found.len() < AT_A_TIME;
            let newest_last = found.into_iter().rev();
            let hash = self.hash;
            self.ready = newest_last
                .map(|(physical, time)| Candidate { physical, time, hash })
                .collect();
        }
        let next = self.ready.pop();
        if let Some(candidate) = next {
            self.before = Some(candidate.physical);
        }
        Ok(next)
    }
}
