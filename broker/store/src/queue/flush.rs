//! Queue tails into files, without a sync: the checkpoint's one sync makes them durable.

use super::files::FileKey;
use super::{HOT_PER_QUEUE, HOT_TOTAL, Queue, QueueError, QueueStore, stored};
use sluice_core::ids::{QueueOffset, TopicQueue};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 256 * 1024;
/// Checkpoints written after a topic is removed before its files go. The first may have been under way and still count
/// on them; the second does not; the third makes the second's name durable.
const CHECKPOINTS_BEFORE_REMOVAL: u32 = 3;

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushStats {
    /// Queues that had something to write.
    pub queues: usize,
    /// Entries written.
    pub entries: u64,
}

impl QueueStore {
    /// Writes the entries below these offsets to the files; for queues not named, and those known to be further,
    /// there is nothing to do. The log must be durable up to the last of them before. After an error nothing is
    /// lost: the next flush writes what this one did not.
    pub fn flush_tails(&self, up_to: &[(TopicQueue, QueueOffset)]) -> Result<FlushStats, QueueError> {
        let _flushing = self.inner.flushing.lock();
        if let Some((at, expected, got)) = *self.inner.disorder.lock() {
            return Err(QueueError::Order { at, expected, got });
        }
        let mut stats = FlushStats::default();
        for (at, end) in up_to {
            let Some(queue) = self.queue(*at).or_else(|| self.doomed_queue(*at)) else {
                continue;
            };
            let written = self.flush_queue(&queue, end.0)?;
            stats.entries += written;
            stats.queues += usize::from(written > 0);
        }
        self.bound_memory();
        Ok(stats)
    }

    /// Writes all that removed topics have in memory alone, and forgets it: for a replay, which comes by any number of such
    /// topics before the first checkpoint is written that lets their files go.
    pub fn flush_removed(&self) -> Result<(), QueueError> {
        let _flushing = self.inner.flushing.lock();
        let doomed: Vec<_> = {
            let doomed = self.inner.doomed.lock();
            doomed.iter().flat_map(|doomed| &doomed.queues).cloned().collect()
        };
        for queue in doomed {
            self.flush_queue(&queue, u64::MAX)?;
            queue.tail.lock().forget(u64::MAX);
        }
        Ok(())
    }

    fn doomed_queue(&self, at: TopicQueue) -> Option<Arc<Queue>> {
        let doomed = self.inner.doomed.lock();
        doomed
            .iter()
            .flat_map(|doomed| &doomed.queues)
            .find(|queue| queue.at == at)
            .cloned()
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
            buffer.extend_from_slice(&stored::encode(queue.at, at, entry));
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
        self.inner.unflushed.fetch_sub(at - from, Ordering::Relaxed);
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

    /// Tells that a checkpoint is written whose counts were flushed here. Files of topics that no checkpoint can come
    /// back to any more go.
    pub fn checkpoint_done(&self) -> Result<(), QueueError> {
        let _flushing = self.inner.flushing.lock();
        let mut gone = Vec::new();
        self.inner.doomed.lock().retain_mut(|doomed| {
            doomed.checkpoints += 1;
            let stays = doomed.checkpoints < CHECKPOINTS_BEFORE_REMOVAL;
            if !stays {
                gone.push(doomed.topic);
                let never = doomed
                    .queues
                    .iter()
                    .map(|queue| queue.tail.lock().waiting())
                    .sum();
                self.inner.unflushed.fetch_sub(never, Ordering::Relaxed);
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
