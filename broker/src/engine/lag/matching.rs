//! How many ready messages of a queue a tag expression may take: by the hashes in their entries, as a receive chooses.
//!
//! A queue is looked at in blocks of 4,096 entries. What a complete block holds never changes: it is counted once, and
//! from then on costs a number. Read are only the blocks at the edges of what is ready, and the one with the first match.
//!
//! The first look at a long backlog would read all of it, with a lock that scrapes and calls wait for, so each look has a
//! bound on the complete blocks that it reads anew. Beyond it they count as if everything matched, and are told apart: a
//! count in the background would need a life of its own, and who asks would have to wait for it or be told less.

use super::{Queue, Waits};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::QueueOffset;
use sluice_core::plan::TagFilter;
use std::collections::VecDeque;

/// Entries of a block.
const BLOCK: u64 = 4096;
/// Blocks whose counts are kept for one queue: of 268 million messages, in 128 KiB. Beyond, they are counted anew.
const BLOCKS_MAX: usize = 65_536;
/// Complete blocks that one look at a subscription reads anew: 16.8 million messages, more than come between two looks.
const READ_MAX: usize = 4096;

/// Complete blocks that a look may read yet.
#[derive(Debug)]
pub(in crate::engine) struct Unread(usize);

impl Default for Unread {
    fn default() -> Self {
        Self(READ_MAX)
    }
}

impl Unread {
    /// So many.
    #[cfg(test)]
    pub(in crate::engine) fn blocks(blocks: usize) -> Self {
        Self(blocks)
    }

    /// One less, if there is one left.
    fn take(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// How many matches complete blocks of one queue hold, as far as they were counted.
#[derive(Debug, Default)]
pub(super) struct Matching {
    /// The number of the block that the first count is of: no block of what is ready is below.
    first: u64,
    counts: VecDeque<Option<u16>>,
}

/// What is ready and matches.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// How many.
    pub(super) count: u64,
    /// The first of them.
    pub(super) first: Option<Waits>,
    /// How many of them were not looked at: they count as if all of them matched.
    pub(super) uncounted: u64,
}

/// Entries of one block that were read last.
#[derive(Default)]
struct Window {
    start: u64,
    entries: Vec<QueueEntry>,
}

impl Matching {
    /// What of `ready`, which are ranges in order, `filter` may take. It is the same filter call after call, and `floor`
    /// is where the group stands.
    pub(super) fn count(
        &mut self,
        queue: &Queue<'_>,
        floor: QueueOffset,
        ready: &[(u64, u64)],
        filter: &TagFilter,
        unread: &mut Unread,
    ) -> Ready {
        self.begin_at(floor.0 / BLOCK);
        let (mut found, mut window) = (Ready::default(), Window::default());
        for &(start, end) in ready {
            let mut at = start;
            while at < end {
                let block = at / BLOCK;
                let stop = end.min((block + 1) * BLOCK);
                let whole = stop - at == BLOCK;
                match self.get(block).filter(|_| whole) {
                    Some(count) if found.first.is_some() || count == 0 => found.count += u64::from(count),
                    None if whole && !unread.take() => {
                        found.count += BLOCK;
                        found.uncounted += BLOCK;
                        found.first = found.first.or_else(|| queue.waits(QueueOffset(at), &mut None));
                    }
                    _ => {
                        let matches = window.matches(queue, at, stop, filter);
                        found.count += matches.count;
                        if whole && matches.is_certain {
                            self.put(block, matches.count as u16);
                        }
                        found.first = found.first.or(matches.first);
                    }
                }
                at = stop;
            }
        }
        found
    }

    fn get(&self, block: u64) -> Option<u16> {
        let at = usize::try_from(block.checked_sub(self.first)?).ok()?;
        *self.counts.get(at)?
    }

    fn put(&mut self, block: u64, count: u16) {
        let at = block.saturating_sub(self.first);
        if at >= BLOCKS_MAX as u64 {
            return;
        }
        let at = at as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, None);
        }
        self.counts[at] = Some(count);
    }

    /// The group stands in this block, and needs none below. Where it was moved back it needs all from there on.
    fn begin_at(&mut self, block: u64) {
        if block < self.first {
            self.counts.clear();
        } else {
            let gone = usize::try_from(block - self.first).unwrap_or(usize::MAX);
            self.counts.drain(..gone.min(self.counts.len()));
        }
        self.first = block;
    }
}

/// What of some entries matches.
struct Matches {
    count: u64,
    first: Option<Waits>,
    /// Whether all of them could be read.
    is_certain: bool,
}

impl Window {
    /// Counts the matches from `start` to `stop`, which lie in one block.
    fn matches(&mut self, queue: &Queue<'_>, start: u64, stop: u64, filter: &TagFilter) -> Matches {
        let end = self.start + self.entries.len() as u64;
        if start < self.start || stop > end {
            // All the rest of the block: other ranges may begin there.
            let rest = (start / BLOCK + 1) * BLOCK;
            self.start = start;
            self.entries.clear();
            let most = rest.min(queue.tail.0).saturating_sub(start) as usize;
            let read = queue
                .queues
                .read(queue.at, QueueOffset(start), most, &mut self.entries);
            if read.is_err() {
                self.entries.clear();
            }
        }
        let entries = self.entries.iter().skip((start - self.start) as usize);
        let entries = entries.take((stop - start) as usize);
        let (mut count, mut seen, mut first) = (0, 0, None);
        for entry in entries {
            seen += 1;
            if filter.may_take(entry) {
                count += 1;
                first.get_or_insert_with(|| Waits::of(entry));
            }
        }
        // What cannot be read may match: a lag too large brings somebody to look, one too small nobody.
        let unread = stop - start - seen;
        Matches {
            count: count + unread,
            first,
            is_certain: unread == 0,
        }
    }
}
