//! Queue files after retention: what lies below a queue's minimum offset goes.

use super::files::FileKey;
use super::{Queue, QueueError, QueueStore};
use sluice_core::ids::TopicQueue;
use std::collections::HashMap;
use std::sync::Arc;

impl QueueStore {
    /// Takes away what files hold below the minimum offsets. A checkpoint that counts with these must be written before:
    /// a start from an older one would miss what goes here, and make all files again.
    pub fn trim_files(&self) -> Result<(), QueueError> {
        let _flushing = self.inner.flushing.lock();
        let queues: HashMap<TopicQueue, Arc<Queue>> = {
            let queues = self.inner.queues.read();
            let trimmed = queues.iter().filter(|(_, queue)| {
                let tail = queue.tail.lock();
                tail.cleared < tail.start
            });
            trimmed.map(|(at, queue)| (*at, Arc::clone(queue))).collect()
        };
        for key in self.inner.files.all()? {
            if let Some(queue) = queues.get(&key.at) {
                self.trim_file(key, queue)?;
            }
        }
        for queue in queues.values() {
            let mut tail = queue.tail.lock();
            // It may have risen meanwhile; what was looked at was at least this.
            tail.cleared = tail.cleared.max(tail.start.min(tail.flushed));
        }
        Ok(())
    }

    fn trim_file(&self, key: FileKey, queue: &Queue) -> Result<(), QueueError> {
        let (start, flushed, cleared) = {
            let tail = queue.tail.lock();
            (tail.start, tail.flushed, tail.cleared)
        };
        if key.first >= start {
            return Ok(());
        }
        // Where nothing in it is left, the next entry begins it anew: so does a replay.
        if key.end() <= start || flushed <= start {
            return self.inner.files.remove(key);
        }
        self.inner.files.clear(key, cleared.max(key.first), start)
    }

    /// What is below the minimum offsets may not be taken away yet: a stop came before [`QueueStore::trim_files`].
    pub fn trim_again(&self) {
        for queue in self.inner.queues.read().values() {
            queue.tail.lock().cleared = 0;
        }
    }
}
