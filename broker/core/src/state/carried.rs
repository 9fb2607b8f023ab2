//! Carried messages: entries of queues whose records stand in the log anew, behind where the queue's own entries say.
//!
//! They are part of state, since a replay that begins behind the old record finds them nowhere else, and they may be
//! scattered below a queue's minimum offset: a file of entries cannot be trimmed below them.

use super::range_set::RangeSet;
use crate::codec::{Malformed, Reader, put_varint};
use crate::entry::{ENTRY_BYTES, QueueEntry};
use crate::ids::{PhysicalOffset, QueueOffset, TopicId, TopicQueue};
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// Entries by offset.
pub type CarriedEntries = BTreeMap<u64, QueueEntry>;

/// Where a carried message's record stands, its queue and its offset.
pub type CarriedAt = (PhysicalOffset, TopicQueue, QueueOffset);

/// Where the entries of one part of state begin, in units of [`limits::CARRIED_SPAN`] offsets.
pub(super) type Chunk = u32;

pub(super) fn chunk_of(offset: QueueOffset) -> Option<Chunk> {
    u32::try_from(offset.0 / limits::CARRIED_SPAN).ok()
}

/// All carried messages.
#[derive(Debug, Default)]
pub(super) struct CarriedTable {
    chunks: BTreeMap<(TopicQueue, Chunk), Arc<CarriedEntries>>,
    // Derived, not stored.
    by_physical: BTreeSet<CarriedAt>,
}

impl CarriedTable {
    pub(super) fn len(&self) -> usize {
        self.by_physical.len()
    }

    pub(super) fn get(&self, at: TopicQueue, offset: QueueOffset) -> Option<&QueueEntry> {
        self.chunks.get(&(at, chunk_of(offset)?))?.get(&offset.0)
    }

    pub(super) fn chunk(&self, at: TopicQueue, chunk: Chunk) -> Option<&Arc<CarriedEntries>> {
        self.chunks.get(&(at, chunk))
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = (TopicQueue, Chunk)> + '_ {
        self.chunks.keys().copied()
    }

    /// The entries of a queue, by offset.
    pub(super) fn of_queue(&self, at: TopicQueue) -> impl Iterator<Item = (QueueOffset, &QueueEntry)> {
        let chunks = self.chunks.range((at, 0)..=(at, Chunk::MAX));
        chunks
            .flat_map(|(_, entries)| entries.iter())
            .map(|(offset, entry)| (QueueOffset(*offset), entry))
    }

    /// Those whose records stand in this part of the log, by place.
    pub(super) fn standing(
        &self,
        from: PhysicalOffset,
        below: PhysicalOffset,
    ) -> impl Iterator<Item = (TopicQueue, QueueOffset)> + '_ {
        let first = (from, TopicQueue::default(), QueueOffset(0));
        let end = (below.max(from), TopicQueue::default(), QueueOffset(0));
        self.by_physical
            .range(first..end)
            .map(|(_, at, offset)| (*at, *offset))
    }

    /// Those behind this one, by place; all without one.
    pub(super) fn behind(&self, after: Option<CarriedAt>) -> impl Iterator<Item = CarriedAt> + '_ {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_physical.range((from, Bound::Unbounded)).copied()
    }

    /// Puts an entry at its place; the caller has seen to it that the offset fits.
    pub(super) fn insert(&mut self, at: TopicQueue, offset: QueueOffset, entry: QueueEntry) -> Option<Chunk> {
        let chunk = chunk_of(offset)?;
        let entries = Arc::make_mut(self.chunks.entry((at, chunk)).or_default());
        if let Some(before) = entries.insert(offset.0, entry) {
            self.by_physical.remove(&(before.physical, at, offset));
        }
        self.by_physical.insert((entry.physical, at, offset));
        Some(chunk)
    }

    /// Takes an entry away; answers its chunk, and whether that is empty now and gone.
    pub(super) fn remove(&mut self, at: TopicQueue, offset: QueueOffset) -> Option<(Chunk, bool)> {
        let chunk = chunk_of(offset)?;
        let entries = Arc::make_mut(self.chunks.get_mut(&(at, chunk))?);
        let entry = entries.remove(&offset.0)?;
        let is_empty = entries.is_empty();
        if is_empty {
            self.chunks.remove(&(at, chunk));
        }
        self.by_physical.remove(&(entry.physical, at, offset));
        Some((chunk, is_empty))
    }

    /// Forgets all of a topic; answers the chunks.
    pub(super) fn remove_topic(&mut self, topic: TopicId) -> Vec<(TopicQueue, Chunk)> {
        let of_topic = self.chunks.keys().filter(|(at, _)| at.topic == topic);
        let gone: Vec<_> = of_topic.copied().collect();
        for key in &gone {
            self.chunks.remove(key);
        }
        self.by_physical.retain(|(_, at, _)| at.topic != topic);
        gone
    }

    /// What is gone of a queue that begins at `first`: all below but the carried.
    pub(super) fn gone(&self, at: TopicQueue, first: QueueOffset) -> RangeSet {
        gaps(0, first.0, self.of_queue(at).map(|(offset, _)| offset.0))
    }

    pub(super) fn restore(
        &mut self,
        at: TopicQueue,
        chunk: Chunk,
        entries: CarriedEntries,
    ) -> Result<(), Malformed> {
        let mut offsets = entries.keys();
        if entries.is_empty() || !offsets.all(|offset| chunk_of(QueueOffset(*offset)) == Some(chunk)) {
            return Err(Malformed::Range("carried offset"));
        }
        let places = entries
            .iter()
            .map(|(offset, entry)| (entry.physical, at, QueueOffset(*offset)));
        self.by_physical.extend(places);
        self.chunks.insert((at, chunk), Arc::new(entries));
        Ok(())
    }
}

/// The offsets from `start` to `end` that are not in `kept`, which rises.
pub(super) fn gaps(start: u64, end: u64, kept: impl Iterator<Item = u64>) -> RangeSet {
    let (mut gaps, mut at) = (RangeSet::default(), start);
    for offset in kept.skip_while(|offset| *offset < start) {
        if offset >= end {
            break;
        }
        gaps.insert(at, offset);
        at = offset + 1;
    }
    gaps.insert(at, end);
    gaps
}

pub(super) fn encode(entries: &CarriedEntries, out: &mut Vec<u8>) {
    put_varint(out, entries.len() as u64);
    let mut next = 0;
    for (offset, entry) in entries {
        put_varint(out, offset - next);
        out.extend_from_slice(&entry.encode());
        next = offset + 1;
    }
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<CarriedEntries, Malformed> {
    let mut entries = CarriedEntries::new();
    let mut next = 0_u64;
    for _ in 0..reader.count(1 + ENTRY_BYTES)? {
        let offset = next
            .checked_add(reader.varint()?)
            .filter(|offset| *offset < u64::MAX)
            .ok_or(Malformed::Range("carried offset"))?;
        entries.insert(offset, QueueEntry::read(reader)?);
        next = offset + 1;
    }
    reader.clone().finish()?;
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::QueueId;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_gone_is_all_below_the_minimum_but_the_carried(
            kept in proptest::collection::btree_set(0_u64..60, 0..20), start in 0_u64..60, len in 0_u64..60,
        ) {
            let end = start + len;
            let gaps = gaps(start, end, kept.iter().copied());
            for offset in 0..130 {
                let expected = (start..end).contains(&offset) && !kept.contains(&offset);
                prop_assert_eq!(gaps.contains(offset), expected, "{}", offset);
            }
        }
    }

    #[test]
    fn entries_come_back_from_their_bytes_and_know_their_part() {
        let at = TopicQueue {
            topic: TopicId(2),
            queue: QueueId(1),
        };
        let entry = |n| QueueEntry {
            physical: PhysicalOffset(n),
            ..QueueEntry::default()
        };
        let entries: CarriedEntries = [3, 4, 65_535].map(|n| (n, entry(n * 10))).into();
        let mut bytes = Vec::new();
        encode(&entries, &mut bytes);
        assert_eq!(decode(&mut Reader::new(&bytes)), Ok(entries.clone()));
        for end in 0..bytes.len() {
            assert!(decode(&mut Reader::new(&bytes[..end])).is_err(), "cut at {end}");
        }
        let mut table = CarriedTable::default();
        assert!(table.restore(at, 1, entries.clone()).is_err(), "another part's");
        table.restore(at, 0, entries).unwrap();
        let standing: Vec<_> = table.standing(PhysicalOffset(0), PhysicalOffset(50)).collect();
        assert_eq!(standing, [3, 4].map(|offset| (at, QueueOffset(offset))));
        assert_eq!(table.remove(at, QueueOffset(4)), Some((0, false)));
        assert_eq!(table.len(), 2);
    }
}
