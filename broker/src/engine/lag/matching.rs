//! How many ready messages of a queue a tag expression may take: by the hashes in their entries, as a receive chooses.
//!
//! A queue is looked at in blocks of 4,096 entries. What a complete block holds never changes: it is counted once, and
//! from then on costs a number. Read are only the blocks at the edges of what is ready, and the one with the first match.

use super::Queue;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::QueueOffset;
use sluice_core::plan::TagFilter;
use std::collections::VecDeque;

/// Entries of a block.
const BLOCK: u64 = 4096;
/// Blocks whose counts are kept for one queue: of 268 million messages, in 128 KiB. Beyond, they are counted anew.
const BLOCKS_MAX: usize = 65_536;

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
    pub(super) first: Option<QueueEntry>,
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
    ) -> Ready {
        self.begin_at(floor.0 / BLOCK);
        let (mut found, mut window) = (Ready::default(), Window::default());
        for &(start, end) in ready {
            let mut at = start;
            while at < end {
                let block = at / BLOCK;
                let stop = end.min((block + 1) * BLOCK);
                let whole = stop - at == BLOCK;
                match self
                    .get(block)
                    .filter(|count| whole && (found.first.is_some() || *count == 0))
                {
                    Some(count) => found.count += u64::from(count),
                    None => {
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
    first: Option<QueueEntry>,
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
                first.get_or_insert(*entry);
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
