//! Queue tails into files, without a sync: the checkpoint's one sync makes them durable.

use super::files::FileKey;
use super::{HOT_PER_QUEUE, HOT_TOTAL, Queue, QueueError, QueueSnapshot, QueueStore};
use std::sync::Arc;

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 256 * 1024;
/// Durable checkpoints that must not list a topic before its files go: the newest one's name may not be durable yet.
const CHECKPOINTS_BEFORE_REMOVAL: u32 = 2;

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushStats {
    /// Queues that had something to write.
    pub queues: usize,
    /// Entries written.
    pub entries: u64,
}

impl QueueStore {
    /// The queues as they are now; called by the applier, between two commands, at a checkpoint's position.
    pub fn snapshot(&self) -> QueueSnapshot {
        let mut queues: Vec<_> = self.inner.queues.read().values().cloned().collect();
        queues.sort_unstable_by_key(|queue| queue.at);
        let spans = queues.iter().map(|queue| queue.span()).collect();
        let doomed = self.inner.doomed.lock().iter().map(|(topic, _)| *topic).collect();
        QueueSnapshot {
            queues,
            spans,
            doomed,
        }
    }

    /// Writes the entries that the snapshot covers to the files. The log must be durable up to the snapshot's position
    /// before. After an error nothing is lost: the next flush writes what this one did not.
    pub fn flush_tails(&self, snapshot: &QueueSnapshot) -> Result<FlushStats, QueueError> {
        let _flushing = self.inner.flushing.lock();
        let mut stats = FlushStats::default();
        for (queue, span) in snapshot.queues.iter().zip(&snapshot.spans) {
            let written = self.flush_queue(queue, span.end.0)?;
            stats.entries += written;
            stats.queues += usize::from(written > 0);
        }
        self.bound_memory();
        Ok(stats)
    }

    fn flush_queue(&self, queue: &Queue, to: u64) -> Result<u64, QueueError> {
        let (from, pieces) = {
            let tail = queue.tail.lock();
            (tail.flushed, tail.unflushed(to))
        };
        if pieces.is_empty() {
            return Ok(0);
        }
        let mut buffer = Vec::new();
        let (mut at, mut buffered_from) = (from, from);
        for entry in pieces.iter().flat_map(|piece| piece.iter()) {
            buffer.extend_from_slice(&entry.encode());
            at += 1;
            let key = FileKey::holding(queue.at, buffered_from);
            if at == key.end() || buffer.len() >= BUFFER_BYTES {
                self.inner.files.write(key, buffered_from, &buffer)?;
                buffer.clear();
                buffered_from = at;
            }
        }
        if !buffer.is_empty() {
            let key = FileKey::holding(queue.at, buffered_from);
            self.inner.files.write(key, buffered_from, &buffer)?;
        }
        let mut tail = queue.tail.lock();
        tail.flushed = at;
        let keep_from = tail.end().saturating_sub(HOT_PER_QUEUE);
        tail.forget(keep_from);
        Ok(at - from)
    }

    /// Lets flushed entries leave memory until all queues together are within the bound.
    fn bound_memory(&self) {
        let mut queues: Vec<(u64, u64, Arc<Queue>)> = Vec::new();
        let mut total = 0;
        for queue in self.inner.queues.read().values() {
            let tail = queue.tail.lock();
            total += tail.held();
            if tail.held() > 0 {
                queues.push((tail.used, tail.held(), Arc::clone(queue)));
            }
        }
        if total <= HOT_TOTAL {
            return;
        }
        queues.sort_unstable_by_key(|(used, ..)| *used);
        for (_, held, queue) in queues {
            let mut tail = queue.tail.lock();
            tail.forget(u64::MAX);
            total = total.saturating_sub(held.saturating_sub(tail.held()));
            if total <= HOT_TOTAL {
                return;
            }
        }
    }

    /// Tells that the checkpoint of this snapshot is written. Files of topics that no checkpoint can come back to go.
    pub fn checkpoint_done(&self, snapshot: &QueueSnapshot) -> Result<(), QueueError> {
        let _flushing = self.inner.flushing.lock();
        let mut gone = Vec::new();
        self.inner.doomed.lock().retain_mut(|(topic, checkpoints)| {
            *checkpoints += u32::from(snapshot.doomed.contains(topic));
            let stays = *checkpoints < CHECKPOINTS_BEFORE_REMOVAL;
            if !stays {
                gone.push(*topic);
            }
            stays
        });
        if gone.is_empty() {
            return Ok(());
        }
        let files = self.inner.files.all()?;
        files
            .into_iter()
            .filter(|key| gone.contains(&key.at.topic))
            .try_for_each(|key| self.inner.files.remove(key))
    }
}
