//! Pulling: messages of one queue from an offset on, for clients that keep their own place. Nothing is taken from others and
//! nothing is proposed. Where nothing has come yet, a pull waits.

use super::find::Found;
use super::records::{Entries, HotEntries};
use super::telling::{Bunch, Fate, Key};
use super::{Engine, EngineError, records};
use crate::budget::Share;
use sluice_core::command::Place;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{QueueId, QueueOffset, TopicQueue};
use sluice_core::limits;
use sluice_core::plan::{Reach, Stretch, TagFilter};
use sluice_core::record::property;
use sluice_core::state::Topic;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Pull {
    /// The topic.
    pub topic: Arc<Topic>,
    /// The queue.
    pub queue: QueueId,
    /// From where on, as the client has it: the queue need not have it.
    pub offset: i64,
    /// The client's id.
    pub client: Arc<str>,
    /// Which tags.
    pub filter: Arc<TagFilter>,
    /// At most this many messages.
    pub max: usize,
    /// Until when to wait.
    pub deadline: Instant,
}

/// What a pull brings.
#[derive(Debug, Default)]
pub struct Pulled {
    /// In the order of the queue.
    pub messages: Vec<Found>,
    /// What counts their bytes for as long as they are not read.
    pub share: Option<Share>,
    /// Where the next pull goes on: behind them, and behind what the filter has left out.
    pub next: QueueOffset,
}

impl Engine {
    /// Reads messages, waiting for some until the deadline; empty when none came. A message that cannot be read ends the
    /// pull before it, and is the error of the pull that begins with it: see [`EngineError::goes_on_at`].
    pub async fn pull(&self, pull: Pull) -> Result<Pulled, EngineError> {
        let _count = self.count_poll()?;
        let deadline = pull.deadline;
        let mut reading = Reading::begin(self, pull)?;
        if reading.is_done().await? || deadline <= Instant::now() {
            return Ok(reading.pulled);
        }
        let mut stopping = self.stopping.subscribe();
        let waiting = self.arrivals.park(&reading.pull.topic, reading.pull.queue);
        loop {
            let arrived = waiting.arrived();
            // What came between looking and parking woke nobody: look once more.
            if reading.is_done().await? {
                return Ok(reading.pulled);
            }
            tokio::select! {
                () = arrived => {}
                () = tokio::time::sleep_until(deadline) => return Ok(reading.pulled),
                _ = stopping.wait_for(|stop| *stop) => return Ok(reading.pulled),
            }
        }
    }
}

/// A pull under way.
struct Reading<'a> {
    engine: &'a Engine,
    pull: Pull,
    pulled: Pulled,
    /// Entries that it may look at yet.
    left: u64,
}

impl<'a> Reading<'a> {
    fn begin(engine: &'a Engine, pull: Pull) -> Result<Self, EngineError> {
        let next = engine.within(&pull.topic, pull.queue, pull.offset)?;
        let pulled = Pulled {
            next,
            ..Pulled::default()
        };
        Ok(Self {
            engine,
            pull,
            pulled,
            left: limits::SCAN_MAX,
        })
    }

    /// Looks on; answers whether there is something to answer with.
    async fn is_done(&mut self) -> Result<bool, EngineError> {
        loop {
            let tail = self.tail()?;
            // Retention may have left some of the queue's first messages.
            let at = self.at();
            self.pulled.next = self
                .engine
                .store
                .queues()
                .next(at, self.pulled.next)
                .max(self.pulled.next);
            if self.pulled.next >= tail {
                return Ok(false);
            }
            let stretch = self.stretch(tail).await?;
            let looked_at = stretch.next.0 - self.pulled.next.0;
            self.pulled.next = stretch.next;
            self.left = self.left.saturating_sub(looked_at);
            if self.read(stretch.chosen).await? || self.left == 0 {
                return Ok(true);
            }
            // The entries have gone since, together with their topic.
            if looked_at == 0 {
                return Ok(false);
            }
        }
    }

    /// The queue's end, if the queue is there and begins no later than this pull goes on.
    fn tail(&self) -> Result<QueueOffset, EngineError> {
        let topic = self.engine.tables().topic_by_id(self.pull.topic.id);
        let topic = topic.ok_or_else(|| EngineError::TopicDeleted(self.pull.topic.spec.name.clone()))?;
        let next = self.pulled.next.0 as i64;
        self.engine.within(&topic, self.pull.queue, next)?;
        Ok(topic.tail(self.pull.queue).unwrap_or_default())
    }

    /// What the entries say of the queue from here on: from memory if they are there, else where it may block.
    async fn stretch(&self, tail: QueueOffset) -> Result<Stretch, EngineError> {
        let reach = Reach {
            from: self.pulled.next,
            tail,
            messages: self.pull.max,
            entries: self.left,
            bytes: limits::PULL_BYTES_MAX,
        };
        let at = self.at();
        let store = &self.engine.store;
        if store.queues().hot_from(at) <= reach.from
            && let Ok(stretch) = Stretch::select(&HotEntries(Entries { store, at }), &self.pull.filter, reach)
        {
            return Ok(stretch);
        }
        let (store, filter) = (store.clone(), Arc::clone(&self.pull.filter));
        let in_files = move || Stretch::select(&Entries { store: &store, at }, &filter, reach);
        records::where_it_may_block(false, in_files).await?
    }

    fn at(&self) -> TopicQueue {
        TopicQueue {
            topic: self.pull.topic.id,
            queue: self.pull.queue,
        }
    }

    /// Reads what was chosen, and keeps what the filter takes by its tag and not its hash alone. Answers whether the pull
    /// ends here.
    async fn read(&mut self, chosen: Vec<(QueueOffset, QueueEntry)>) -> Result<bool, EngineError> {
        if chosen.is_empty() {
            return Ok(false);
        }
        let at = self.at();
        let place = |(offset, entry)| Place { at, offset, entry };
        let places: Vec<_> = chosen.iter().copied().map(place).collect();
        let bytes = places.iter().map(|place| place.entry.size as usize).sum();
        self.pulled.share = Some(self.engine.options.unread.admit(&self.pull.client, bytes)?);
        let commands = records::commands(&self.engine.store, places, self.engine.now()).await?;
        for ((offset, entry), command) in chosen.into_iter().zip(commands) {
            let found = command.map_err(|error| error.to_string());
            let found = found
                .and_then(|command| Found::new(&self.pull.topic, self.pull.queue, offset, entry, command));
            match found {
                Ok(found) if self.takes(&found) => self.pulled.messages.push(found),
                Ok(_) => {}
                Err(cause) if self.pulled.messages.is_empty() => return Err(self.unreadable(offset, cause)),
                // What came before it is told first.
                Err(_) => {
                    self.pulled.next = offset;
                    return Ok(true);
                }
            }
        }
        if self.pulled.messages.is_empty() {
            self.pulled.share = None;
        }
        Ok(!self.pulled.messages.is_empty())
    }

    fn takes(&self, found: &Found) -> bool {
        let filter = &self.pull.filter;
        filter.takes_all()
            || found
                .record()
                .is_ok_and(|record| filter.takes(record.property(property::TAG)))
    }

    /// Counts and tells of a message that cannot be read.
    fn unreadable(&self, offset: QueueOffset, cause: String) -> EngineError {
        self.engine.unreadable.fetch_add(1, Ordering::Relaxed);
        let (topic, queue) = (self.pull.topic.spec.name.clone(), self.pull.queue.0);
        let key = Key {
            fate: Fate::Pulled,
            topic: topic.clone(),
            queue,
            group: None,
        };
        self.engine.telling.add(&key, Bunch::one(offset.0, cause.clone()));
        EngineError::Unreadable {
            topic,
            queue,
            offset: offset.0,
            cause,
        }
    }
}
