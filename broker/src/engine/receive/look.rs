//! One look into one queue for one receive: in memory if it can be, else where it may block.

use super::Receive;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::{Engine, EngineError, records};
use parking_lot::Mutex;
use sluice_core::ids::{QueueId, QueueOffset, TimeMs, TopicQueue};
use sluice_core::plan::{Cursor, Plan, Room, Want};
use sluice_core::state::Shard;
use std::sync::Arc;

/// What a look needs to know.
pub(in crate::engine) struct Look {
    engine: Arc<Engine>,
    dispatcher: Arc<Dispatcher>,
    request: Arc<Receive>,
    at: TopicQueue,
    tail: QueueOffset,
}

impl Look {
    pub(in crate::engine) fn new(
        engine: &Arc<Engine>,
        dispatcher: &Arc<Dispatcher>,
        request: &Arc<Receive>,
        queue: QueueId,
    ) -> Self {
        let topic = &dispatcher.topic;
        Self {
            engine: Arc::clone(engine),
            dispatcher: Arc::clone(dispatcher),
            request: Arc::clone(request),
            at: TopicQueue {
                topic: topic.id,
                queue,
            },
            tail: topic.tail(queue).unwrap_or_default(),
        }
    }

    /// Chooses what fits `room` and is ready at `now`.
    pub(super) async fn for_what_fits(self, room: Room, now: TimeMs) -> Result<Plan, EngineError> {
        let reads_from = {
            let mut cursor = self.cursor().lock();
            self.dispatcher.pass_on_unlocked(self.at.queue, &mut cursor);
            self.shard().read(|shard| cursor.reads_from(shard, now))
        };
        if reads_from >= self.tail {
            return Ok(Plan::default());
        }
        if self.engine.store.queues().hot_from(self.at) <= reads_from
            && let Ok(plan) = self.in_memory(room, now)
        {
            return Ok(plan);
        }
        records::where_it_may_block(false, move || self.in_files(room, now)).await?
    }

    /// Under the shard's lock: it reads no file, even if entries have left memory since somebody looked where they are.
    pub(in crate::engine) fn in_memory(&self, room: Room, now: TimeMs) -> Result<Plan, records::Cold> {
        let (mut cursor, entries) = (self.cursor().lock(), records::HotEntries(self.entries()));
        self.shard()
            .read(|queue| Plan::select(queue, &mut cursor, &entries, self.want(room, now)))
    }

    /// On a frozen view: the applier must not wait for a disk.
    pub(in crate::engine) fn in_files(&self, room: Room, now: TimeMs) -> Result<Plan, EngineError> {
        let mut cursor = self.cursor().lock();
        Plan::select(
            &self.shard().view(),
            &mut cursor,
            &self.entries(),
            self.want(room, now),
        )
    }

    fn cursor(&self) -> &Mutex<Cursor> {
        &self.dispatcher.cursors[self.at.queue.0 as usize]
    }

    fn shard(&self) -> &Shard {
        &self.dispatcher.subscription.shards[self.at.queue.0 as usize]
    }

    fn entries(&self) -> records::Entries<'_> {
        records::Entries {
            store: &self.engine.store,
            at: self.at,
        }
    }

    fn want(&self, room: Room, now: TimeMs) -> Want<'_> {
        Want {
            room,
            now,
            tail: self.tail,
            filter: &self.request.filter,
            max_attempts: self.dispatcher.group.spec.max_attempts,
        }
    }
}
