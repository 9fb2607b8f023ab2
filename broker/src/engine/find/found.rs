//! What was found.

use super::FindError;
use bytes::Bytes;
use sluice_core::codec::Malformed;
use sluice_core::command::{APPEND_RECORD_AT, record_of};
use sluice_core::entry::{LINKED, QueueEntry};
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TimeMs};
use sluice_core::record::Record;
use sluice_core::state::Topic;
use sluice_store::Store;
use std::sync::Arc;

/// A message and its place.
#[derive(Clone, Debug)]
pub struct Found {
    /// The topic that it was looked for in; a dead letter's record names another.
    pub topic: Arc<Topic>,
    /// Its queue.
    pub queue: QueueId,
    /// Its offset there.
    pub offset: QueueOffset,
    /// Its entry.
    pub entry: QueueEntry,
    /// The whole `Append` command.
    command: Bytes,
}

impl Found {
    /// Reads the message that `entry` points at; an error says why it cannot be read.
    pub(super) fn read(
        store: &Store,
        topic: &Arc<Topic>,
        queue: QueueId,
        offset: QueueOffset,
        entry: QueueEntry,
    ) -> Result<Self, String> {
        // A delivery comes to it again too where a read fails once, or the map of its file does.
        let reader = store.reader();
        let command = reader
            .read_message(&entry)
            .or_else(|_| reader.read_message_afresh(&entry));
        Self::new(
            topic,
            queue,
            offset,
            entry,
            command.map_err(|error| error.to_string())?,
        )
    }

    /// The message of this entry, if the command has one; an error says why not.
    pub(in crate::engine) fn new(
        topic: &Arc<Topic>,
        queue: QueueId,
        offset: QueueOffset,
        entry: QueueEntry,
        command: Bytes,
    ) -> Result<Self, String> {
        let found = Self {
            topic: Arc::clone(topic),
            queue,
            offset,
            entry,
            command,
        };
        match found.record() {
            Ok(_) => Ok(found),
            Err(error) => Err(format!("the record of message {offset}: {error}")),
        }
    }

    /// Its record.
    pub fn record(&self) -> Result<Record<'_>, Malformed> {
        record(&self.command)
    }

    /// The whole `Append` or `Carry` command; the record starts at [`APPEND_RECORD_AT`].
    pub fn command(&self) -> &Bytes {
        &self.command
    }

    /// Its body, which shares the memory of the record.
    pub fn body(&self) -> Result<Bytes, Malformed> {
        let range = self.record()?.body_range;
        Ok(self
            .command
            .slice(APPEND_RECORD_AT + range.start..APPEND_RECORD_AT + range.end))
    }

    /// Bytes of it without its body.
    pub(super) fn shown_bytes(&self) -> usize {
        let body = self.record().map_or(0, |record| record.body.len());
        self.command.len() - body
    }

    /// The topic that it was sent to, if it stands here by a link.
    pub fn origin_topic(&self) -> Option<&str> {
        let linked = self.entry.flags & LINKED != 0;
        linked.then(|| self.record().ok().map(|record| record.topic))?
    }
}

/// The record in an `Append` or `Carry` command.
pub(super) fn record(command: &[u8]) -> Result<Record<'_>, Malformed> {
    Record::parse(record_of(command)?)
}

/// Some of what was found.
#[derive(Debug, Default)]
pub struct Page {
    /// The messages, in the order of the search. There may be none although there are further pages.
    pub messages: Vec<Found>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<String>,
    /// Messages that may belong here and cannot be read.
    pub unreadable: u64,
    /// Where the index begins that was asked, and the time there where that is known, if it does not reach as far back as the search.
    pub index_begins: Option<(PhysicalOffset, Option<TimeMs>)>,
}

/// What could not be read: counted, and the first cause kept.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    pub(super) count: u64,
    first: Option<String>,
}

impl Unreadable {
    pub(super) fn add(&mut self, cause: String) {
        self.count += 1;
        self.first.get_or_insert(cause);
    }

    /// Says once a page what is left out of it.
    pub(super) fn report(&self, topic: &str) {
        if let Some(cause) = &self.first {
            tracing::error!(topic, messages = self.count, %cause, "messages that cannot be read are left out of a search");
        }
    }

    /// As the error of a search for one message.
    pub(super) fn error(self, what: impl FnOnce() -> String) -> Option<FindError> {
        let cause = self.first?;
        Some(FindError::Unreadable { what: what(), cause })
    }
}
