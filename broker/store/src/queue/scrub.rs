//! Reading queue files again, whether or not anybody wants them.

use super::files::FileKey;
use super::{QueueError, QueueStore};
use sluice_core::entry::ENTRY_BYTES;
use sluice_core::ids::{QueueOffset, TopicQueue};

impl QueueStore {
    /// The queues there are, in order.
    pub(crate) fn all(&self) -> Vec<TopicQueue> {
        let mut all: Vec<TopicQueue> = self.inner.queues.read().keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// Reads entries of one file from `from` on, or from where the queue begins: at most `max`. Answers the bytes that were read
    /// and where to go on; `None` where nothing is left in files. What is damaged is noted for the next start, as when it is
    /// read for somebody. Blocks on the disk.
    pub(crate) fn scrub(
        &self,
        at: TopicQueue,
        from: QueueOffset,
        max: u64,
    ) -> Result<Option<(u64, QueueOffset)>, QueueError> {
        let Some(queue) = self.queue(at) else {
            return Ok(None);
        };
        // What begins and is flushed by now stays in the files until it is read.
        let reading = self.inner.files.reading();
        let (start, flushed) = {
            let tail = queue.tail.lock();
            (tail.start, tail.flushed)
        };
        let from = from.0.max(start);
        let to = flushed.min(from.saturating_add(max));
        let to = to.min(FileKey::holding(at, from).end());
        if from >= to {
            return Ok(None);
        }
        reading.read_aside(at, from, to)?;
        Ok(Some(((to - from) * ENTRY_BYTES as u64, QueueOffset(to))))
    }
}
