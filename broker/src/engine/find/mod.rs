//! Messages for those who look for some: by id, by key, by topic and time, by place (O5).
//!
//! All of it reads files, so all of it runs off the runtime's workers, few at a time and a bounded piece each: what is left
//! of a search is the next page's. What cannot be read is left out, said once a page, and counted.

mod by_time;
mod dead_letters;
mod found;
mod indexed;
mod place;
mod position;

pub use found::{Found, Page};

use super::Engine;
use super::records::{self, Entries};
use crate::service::validate::is_group_topic;
use position::Position;
use sluice_core::excerpt::excerpt;
use sluice_core::ids::{QueueId, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::Topic;
use sluice_store::Store;
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Semaphore;

/// Messages of one page.
pub const PAGE_MAX: usize = 1000;
/// Records that one page looks at; it may end with fewer messages than were asked for.
const RECORDS_MAX: usize = 4096;
/// Bytes of records that one page looks at, the last one's aside.
const RECORD_BYTES_MAX: usize = 32 << 20;
/// Bytes of what one page shows of its messages, bodies aside and the last one's too: written out as protobuf they may be
/// twice that, which still fits what gRPC clients take unless told otherwise.
const SHOWN_BYTES_MAX: usize = 2 << 20;
/// Searches at one time: each keeps a thread, and the disk, busy. Others wait for their turn.
const SEARCHES_MAX: usize = 4;

/// Why nothing was found.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FindError {
    /// No such topic.
    #[error("there is no topic '{0}'")]
    NoTopic(String),
    /// The topic has fewer queues.
    #[error("topic '{topic}' has no queue {queue}: its queues are 0 to {last}")]
    NoQueue {
        /// The topic.
        topic: String,
        /// What was asked for.
        queue: u32,
        /// Its last queue.
        last: u32,
    },
    /// Nothing has the id.
    #[error(
        "there is no message with the id '{0}': it was never here, or its topic is deleted, or it is too old"
    )]
    NoId(String),
    /// Nothing has the id, as far as the index goes.
    #[error(
        "there is no message with the id '{id}' in the index, which begins at offset {offset} of the log{}, for it was damaged: what was stored before is found by topic and time, or at its place, and not by its id",
        of_time(*time_ms)
    )]
    NoIdSince {
        /// What was asked for.
        id: String,
        /// Where the index begins.
        offset: u64,
        /// When that was, in milliseconds since the epoch, where it is known.
        time_ms: Option<TimeMs>,
    },
    /// Nothing is at the place.
    #[error(
        "queue {queue} of topic '{topic}' has no message at offset {offset}{}",
        of_span(*offset, *first..*end)
    )]
    NoOffset {
        /// The topic.
        topic: String,
        /// The queue.
        queue: u32,
        /// What was asked for.
        offset: u64,
        /// Its first message.
        first: u64,
        /// Behind its last one.
        end: u64,
    },
    /// The position is none of this search's.
    #[error("the position to go on from is none of a search in topic '{0}': begin without one")]
    Position(String),
    /// The message is there, or may be, and cannot be read.
    #[error("{what} cannot be read: {cause}")]
    Unreadable {
        /// What was looked for.
        what: String,
        /// Why it cannot be read.
        cause: String,
    },
    /// A queue or the index could not be read.
    #[error("the store could not be read: {0}")]
    Read(String),
}

/// What a queue has there instead.
fn of_span(offset: u64, span: Range<u64>) -> String {
    if span.contains(&offset) {
        " any more: retention has taken it, and has left older ones that wait".to_owned()
    } else if offset >= span.start {
        format!(": it holds {} up to, and without, {}", span.start, span.end)
    } else if span.is_empty() {
        format!(
            " any more: retention has taken all that it held, and its next message has offset {}",
            span.end
        )
    } else {
        format!(
            " any more: retention has taken it, and the queue begins at offset {} now",
            span.start
        )
    }
}

/// ` (of … on)`, if the time is known.
fn of_time(ms: Option<TimeMs>) -> String {
    let time = ms.and_then(|ms| OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok());
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    text.map_or_else(String::new, |time| format!(" (messages from {time} on)"))
}

/// That nothing has this id.
fn no_id(store: &Store, id: &str) -> FindError {
    let id = excerpt(id).into_owned();
    match store.index_begins() {
        Some((offset, time_ms)) => FindError::NoIdSince {
            id,
            offset: offset.0,
            time_ms,
        },
        None => FindError::NoId(id),
    }
}

/// What a search in a topic is after.
#[derive(Clone, Debug)]
pub struct Search {
    /// The topic's name.
    pub topic: String,
    /// Put then: from (included) to (excluded).
    pub times: Range<TimeMs>,
    /// At most so many messages, up to [`PAGE_MAX`].
    pub max: usize,
    /// Where the page before ended; `None` for the first one.
    pub after: Option<String>,
}

impl Search {
    /// Where it goes on, if not at the start.
    fn position(&self, topic: &Topic) -> Result<Option<Position>, FindError> {
        let Some(text) = self.after.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let position = Position::decode(text, topic.id);
        position
            .map(Some)
            .ok_or_else(|| FindError::Position(self.topic.clone()))
    }
}

/// Looks for messages. It is shared, so that few search at a time.
pub struct Finder {
    engine: Arc<Engine>,
    places: Arc<Semaphore>,
}

impl Finder {
    /// Looks for messages of this engine.
    pub fn new(engine: &Arc<Engine>) -> Self {
        Self {
            engine: Arc::clone(engine),
            places: Arc::new(Semaphore::new(SEARCHES_MAX)),
        }
    }

    /// The newest message with this id, in `topic` if one is given.
    pub async fn by_id(&self, id: &str, topic: Option<&str>) -> Result<Found, FindError> {
        let topic = topic.map(|name| self.topic(name)).transpose()?;
        let id = id.to_owned();
        self.search(move |store| match topic {
            Some(topic) if is_group_topic(&topic.spec.name) => dead_letters::by_id(store, &topic, &id),
            topic => indexed::by_id(store, topic.as_deref(), &id),
        })
        .await
    }

    /// The messages with this key, the newest first.
    pub async fn by_key(&self, key: &str, search: Search) -> Result<Page, FindError> {
        let (topic, key) = (self.topic(&search.topic)?, key.to_owned());
        self.search(move |store| {
            if is_group_topic(&topic.spec.name) {
                dead_letters::by_key(store, &topic, &key, &search)
            } else {
                indexed::by_key(store, &topic, &key, &search)
            }
        })
        .await
    }

    /// The messages that were put in a span of time, the oldest first over all queues.
    pub async fn by_time(&self, search: Search) -> Result<Page, FindError> {
        let topic = self.topic(&search.topic)?;
        self.search(move |store| by_time::find(store, &topic, &search))
            .await
    }

    /// The message at a place.
    pub async fn at(&self, topic: &str, queue: u32, offset: u64) -> Result<Found, FindError> {
        let topic = self.topic(topic)?;
        let name = || topic.spec.name.clone();
        if queue >= topic.spec.queues {
            let last = topic.spec.queues.saturating_sub(1);
            return Err(FindError::NoQueue {
                topic: name(),
                queue,
                last,
            });
        }
        let (at, offset) = (of(&topic, queue), QueueOffset(offset));
        let gone = || {
            let span = self.engine.store().queues().span(at);
            FindError::NoOffset {
                topic: name(),
                queue,
                offset: offset.0,
                first: span.first.0,
                end: span.end.0,
            }
        };
        let topic = Arc::clone(&topic);
        let found = self.search(move |store| {
            let Some(entry) = place::entry(&Entries { store, at }, offset)? else {
                return Ok(None);
            };
            let found = Found::read(store, &topic, at.queue, offset, entry);
            let what = || format!("message {offset} of queue {queue} of topic '{}'", topic.spec.name);
            found
                .map(Some)
                .map_err(|cause| FindError::Unreadable { what: what(), cause })
        });
        found.await?.ok_or_else(gone)
    }

    fn topic(&self, name: &str) -> Result<Arc<Topic>, FindError> {
        let topic = self.engine.tables().topic(name);
        topic.ok_or_else(|| FindError::NoTopic(name.to_owned()))
    }

    /// Runs `work` where it may block, when it is its turn. It goes on when nobody waits for it any more, and keeps its
    /// place meanwhile.
    async fn search<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, FindError> + Send + 'static,
    ) -> Result<T, FindError> {
        let closed = |_| FindError::Read("the broker is stopping".to_owned());
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(closed)?;
        let store = self.engine.store().clone();
        let work = move || {
            let _place = place;
            work(&store)
        };
        let worked = records::where_it_may_block(false, work).await;
        worked.unwrap_or_else(|error| Err(FindError::Read(error.to_string())))
    }
}

/// A queue of a topic.
fn of(topic: &Topic, queue: u32) -> TopicQueue {
    TopicQueue {
        topic: topic.id,
        queue: QueueId(queue),
    }
}

/// Offsets of a queue that have entries.
fn span(store: &Store, at: TopicQueue) -> Range<QueueOffset> {
    let span = store.queues().span(at);
    span.first..span.end
}

/// What is left of a page's bounds.
struct Room {
    messages: usize,
    records: usize,
    bytes: usize,
    shown: usize,
}

impl Room {
    fn of(search: &Search) -> Self {
        Self::of_messages(search.max.clamp(1, PAGE_MAX))
    }

    fn of_messages(messages: usize) -> Self {
        Self {
            messages,
            records: RECORDS_MAX,
            bytes: RECORD_BYTES_MAX,
            shown: SHOWN_BYTES_MAX,
        }
    }

    fn is_left(&self) -> bool {
        self.messages > 0 && self.records > 0 && self.bytes > 0 && self.shown > 0
    }

    /// A record of `bytes` was looked at.
    fn looked_at(&mut self, bytes: usize) {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// The page has this message now.
    fn shows(&mut self, found: &Found) {
        self.messages = self.messages.saturating_sub(1);
        self.shown = self.shown.saturating_sub(found.shown_bytes());
    }
}
