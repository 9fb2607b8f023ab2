//! Queue files after retention: what lies below a queue's minimum offset goes.

use super::files::FileKey;
use super::{Queue, QueueError, QueueStore};
use sluice_core::ids::{QueueOffset, TopicQueue};
use std::collections::HashMap;
use std::sync::Arc;

/// A queue as it is when its files are looked at: nothing is flushed meanwhile. It begins where the newest checkpoint has it begin: a
/// start from that would miss what goes beyond, and make all files again.
#[derive(Clone, Copy)]
struct Trimmed {
    start: u64,
    flushed: u64,
    cleared: u64,
}

impl QueueStore {
    /// A checkpoint is written, and has these queues begin there.
    pub fn counted(&self, firsts: &[(TopicQueue, QueueOffset)]) {
        for (at, first) in firsts {
            if let Some(queue) = self.queue(*at) {
                let mut tail = queue.tail.lock();
                tail.counted = tail.counted.max(first.0);
            }
        }
    }

    /// Whether files hold anything below the minimum offsets that checkpoints have.
    pub fn holds_too_much(&self) -> bool {
        let queues = self.inner.queues.read();
        queues.values().any(|queue| {
            let tail = queue.tail.lock();
            tail.cleared < tail.counted.min(tail.flushed)
        })
    }

    /// Takes away what files hold below the minimum offsets that the newest checkpoint has, whose name must be durable.
    pub fn trim_files(&self) -> Result<(), QueueError> {
        let _flushing = self.inner.flushing.lock();
        let queues: HashMap<TopicQueue, (Arc<Queue>, Trimmed)> = {
            let queues = self.inner.queues.read();
            let look = |queue: &Arc<Queue>| {
                let tail = queue.tail.lock();
                let trimmed = Trimmed {
                    start: tail.counted,
                    flushed: tail.flushed,
                    cleared: tail.cleared,
                };
                (tail.cleared < tail.counted).then(|| (Arc::clone(queue), trimmed))
            };
            let trimmed = queues.iter().filter_map(|(at, queue)| Some((*at, look(queue)?)));
            trimmed.collect()
        };
        for (at, (_, trimmed)) in &queues {
            for key in self.inner.files.of_queue(*at)? {
                self.trim_file(key, *trimmed)?;
            }
        }
        for (queue, trimmed) in queues.values() {
            let mut tail = queue.tail.lock();
            tail.cleared = tail.cleared.max(trimmed.start.min(trimmed.flushed));
        }
        Ok(())
    }

    fn trim_file(&self, key: FileKey, trimmed: Trimmed) -> Result<(), QueueError> {
        let Trimmed {
            start,
            flushed,
            cleared,
        } = trimmed;
        if key.first >= start {
            return Ok(());
        }
        // Where nothing in it is left, the next entry begins it anew: so does a replay.
        if key.end() <= start || flushed <= start {
            return self.inner.files.remove(key);
        }
        // After a start nobody knows how far it came.
        let from = cleared.max(key.first);
        match [from, start - 1]
            .iter()
            .all(|end| self.inner.files.is_clear(key, *end))
        {
            true => Ok(()),
            false => self.inner.files.clear(key, from, start),
        }
    }

    /// What is below the minimum offsets may not be taken away yet: a stop may have come before [`QueueStore::trim_files`].
    pub fn trim_again(&self) {
        for queue in self.inner.queues.read().values() {
            queue.tail.lock().cleared = 0;
        }
    }
}
