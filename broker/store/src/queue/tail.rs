//! The newest entries of one queue, in memory: what is not in a file yet, and what is likely to be read; and the carried
//! ones, whose records stand elsewhere than the queue's own entries say.
//!
//! ```text
//! start ≤ first ≤ flushed ≤ end
//!   start    the queue's minimum offset (retention)
//!   first    the first entry in memory; all below it is read from files
//!   flushed  the entries below it are in files
//!   end      the next entry's offset
//! ```

use sluice_core::entry::QueueEntry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Entries of a chunk. Chunks start at multiples of it, but for the first one in memory.
pub(super) const CHUNK: u64 = 1024;

/// What there is from an offset on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No message.
    Nothing,
    /// This many entries, which were copied.
    Copied(usize),
    /// Entries in files, up to here; those below `flushed` are in files.
    InFiles { to: u64, flushed: u64 },
}

#[derive(Debug)]
pub(super) struct Tail {
    pub(super) start: u64,
    pub(super) flushed: u64,
    /// When the tail was last appended to or read, in ticks of the store.
    pub(super) used: u64,
    /// Entries that go before the queue's own, and may lie below `start`.
    pub(super) carried: BTreeMap<u64, QueueEntry>,
    /// The minimum offset that the newest checkpoint has: what files have from there on must stay.
    pub(super) counted: u64,
    /// Below it nothing is left in files but zeros; the files below may be gone.
    pub(super) cleared: u64,
    first: u64,
    sealed: VecDeque<Arc<Vec<QueueEntry>>>,
    open_base: u64,
    open: Vec<QueueEntry>,
}

impl Tail {
    /// A queue whose entries from `start` to `end` are all in files.
    pub(super) fn new(start: u64, end: u64) -> Self {
        Self {
            start,
            flushed: end,
            used: 0,
            carried: BTreeMap::new(),
            counted: start,
            cleared: start,
            first: end,
            sealed: VecDeque::new(),
            open_base: end,
            open: Vec::new(),
        }
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn end(&self) -> u64 {
        self.open_base + self.open.len() as u64
    }

    /// Entries in memory.
    pub(super) fn held(&self) -> u64 {
        self.end() - self.first
    }

    /// Entries that are in no file yet.
    pub(super) fn waiting(&self) -> u64 {
        self.end() - self.flushed
    }

    pub(super) fn append(&mut self, entry: QueueEntry) {
        self.open.push(entry);
        if self.end().is_multiple_of(CHUNK) {
            let chunk = std::mem::replace(&mut self.open, Vec::with_capacity(CHUNK as usize));
            self.open_base += chunk.len() as u64;
            self.sealed.push_back(Arc::new(chunk));
        }
    }

    /// The first offset that has an entry.
    pub(super) fn least(&self) -> u64 {
        let carried = self.carried.first_key_value();
        carried.map_or(self.start, |(offset, _)| self.start.min(*offset))
    }

    /// The first offset from `from` on that has an entry; the end if there is none.
    pub(super) fn next(&self, from: u64) -> u64 {
        let own = from.max(self.start).min(self.end());
        let carried = self.carried.range(from..).next();
        carried.map_or(own, |(offset, _)| own.min(*offset))
    }

    /// Looks for up to `max` entries from `from` on, and copies them if they are in memory.
    pub(super) fn find(&self, from: u64, max: usize, out: &mut Vec<QueueEntry>) -> Found {
        let mut next = self
            .carried
            .range(from..)
            .map(|(offset, entry)| (*offset, *entry))
            .peekable();
        let mut at = from;
        while at - from < max as u64
            && let Some((_, entry)) = next.next_if(|(offset, _)| *offset == at)
        {
            out.push(entry);
            at += 1;
        }
        if at > from {
            return Found::Copied((at - from) as usize);
        }
        if from < self.start || from >= self.end() || max == 0 {
            return Found::Nothing;
        }
        let carried = next.peek().map_or(u64::MAX, |(offset, _)| *offset);
        let to = from.saturating_add(max as u64).min(carried);
        if from >= self.first {
            return Found::Copied(self.copy(from, (to - from) as usize, out));
        }
        Found::InFiles {
            to: self.first.min(to),
            flushed: self.flushed,
        }
    }

    /// Copies up to `max` entries from `from` (at least `first`) on, and answers how many.
    fn copy(&self, from: u64, max: usize, out: &mut Vec<QueueEntry>) -> usize {
        let to = self.end().min(from.saturating_add(max as u64));
        let mut at = from;
        while at < to {
            let (base, chunk) = self.chunk(at);
            let range = (at - base) as usize..((to - base) as usize).min(chunk.len());
            at += range.len() as u64;
            out.extend_from_slice(&chunk[range]);
        }
        to.saturating_sub(from) as usize
    }

    /// The chunk that holds the entry at `at` (in memory, below the end), and its first offset.
    fn chunk(&self, at: u64) -> (u64, &[QueueEntry]) {
        if at >= self.open_base {
            return (self.open_base, &self.open);
        }
        let base = (at / CHUNK * CHUNK).max(self.first);
        (base, &self.sealed[(at / CHUNK - self.first / CHUNK) as usize])
    }

    /// The entries from `flushed` to `to`, shared or copied, so that they can be written without the lock.
    pub(super) fn unflushed(&self, to: u64) -> Vec<Arc<Vec<QueueEntry>>> {
        let to = to.min(self.end());
        let mut pieces = Vec::new();
        let mut at = self.flushed;
        while at < to {
            let (base, entries) = self.chunk(at);
            let range = (at - base) as usize..((to - base) as usize).min(entries.len());
            let whole = range.len() == entries.len() && base < self.open_base;
            pieces.push(if whole {
                Arc::clone(&self.sealed[(at / CHUNK - self.first / CHUNK) as usize])
            } else {
                Arc::new(entries[range.clone()].to_vec())
            });
            at += range.len() as u64;
        }
        pieces
    }

    /// Forgets chunks that lie wholly below both `below` and `flushed`; the open one too if nothing of it is left.
    pub(super) fn forget(&mut self, below: u64) {
        let below = below.min(self.flushed);
        while let Some(chunk) = self.sealed.front() {
            let next = self.first + chunk.len() as u64;
            if next > below {
                return;
            }
            self.first = next;
            self.sealed.pop_front();
        }
        if below >= self.end() {
            (self.first, self.open_base) = (self.end(), self.end());
            self.open = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sluice_core::ids::PhysicalOffset;

    fn entry(n: u64) -> QueueEntry {
        QueueEntry {
            physical: PhysicalOffset(n),
            put_ms: 1,
            ..QueueEntry::default()
        }
    }

    proptest! {
        #[test]
        fn a_tail_reads_as_one_sequence(
            start in 0..3000_u64, added in 0..5000_u64, flush in 0..5000_u64, forget in 0..9000_u64, more in 0..1500_u64,
            from in 0..9000_u64, max in 0..3000_usize,
        ) {
            let mut tail = Tail::new(0, start);
            (start..start + added).for_each(|n| tail.append(entry(n)));
            let flushed: Vec<_> = tail.unflushed(start + flush).iter().flat_map(|piece| piece.to_vec()).collect();
            let to = (start + flush).min(start + added);
            prop_assert_eq!(flushed, (start..to).map(entry).collect::<Vec<_>>());
            tail.flushed = to;
            tail.forget(forget);
            prop_assert!(tail.first() <= tail.flushed);
            (start + added..start + added + more).for_each(|n| tail.append(entry(n)));
            let from = from.max(tail.first()).min(tail.end());
            let mut out = Vec::new();
            let n = tail.copy(from, max, &mut out);
            prop_assert_eq!(n, out.len());
            prop_assert_eq!(out, (from..tail.end().min(from + max as u64)).map(entry).collect::<Vec<_>>());
            let rest: Vec<_> = tail.unflushed(u64::MAX).iter().flat_map(|piece| piece.to_vec()).collect();
            prop_assert_eq!(rest, (tail.flushed..tail.end()).map(entry).collect::<Vec<_>>());
        }
    }
}
