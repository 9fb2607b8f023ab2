//! Pending messages by the time they are ready again.
//!
//! What one receive brought has one time and stands mostly in a row: it is one entry here, however many messages that are.
//! With ten million in flight this is a third of the memory that one entry a message would take.

use crate::ids::{QueueOffset, TimeMs};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A set of (time, offset). Equal sets are equal maps: rows are as long as they can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ByVisibility {
    /// (time, first offset) → how many offsets in a row; rows of one time do not touch.
    rows: BTreeMap<(TimeMs, u64), u64>,
    len: usize,
}

impl ByVisibility {
    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The row of this time that begins at or before `offset` and reaches it, or ends right before it: its start and end.
    fn row_up_to(&self, at: TimeMs, offset: u64) -> Option<(u64, u64)> {
        let ((time, start), len) = self.rows.range(..=(at, offset)).next_back()?;
        (*time == at && start + len >= offset).then_some((*start, start + len))
    }

    /// Adds a message that is not there.
    pub(super) fn insert(&mut self, at: TimeMs, offset: u64) {
        let before = self.row_up_to(at, offset);
        if before.is_some_and(|(_, end)| end > offset) {
            return;
        }
        let after = self.rows.remove(&(at, offset + 1)).unwrap_or(0);
        let start = before.map_or(offset, |(start, _)| start);
        self.rows.insert((at, start), offset + 1 + after - start);
        self.len += 1;
    }

    /// Removes a message, if it is there.
    pub(super) fn remove(&mut self, at: TimeMs, offset: u64) {
        let Some((start, end)) = self.row_up_to(at, offset).filter(|(_, end)| *end > offset) else {
            return;
        };
        self.rows.remove(&(at, start));
        for (from, to) in [(start, offset), (offset + 1, end)] {
            if from < to {
                self.rows.insert((at, from), to - from);
            }
        }
        self.len -= 1;
    }

    /// All of them, the soonest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (TimeMs, QueueOffset)> + '_ {
        flat(self.rows.iter())
    }

    /// Those of this time or a later one, the soonest first.
    pub(super) fn since(&self, at: TimeMs) -> impl Iterator<Item = (TimeMs, QueueOffset)> + '_ {
        flat(self.rows.range((at, 0)..))
    }

    /// The first time after `now`.
    pub(super) fn after(&self, now: TimeMs) -> Option<TimeMs> {
        let later = (Bound::Excluded((now, u64::MAX)), Bound::Unbounded);
        self.rows.range(later).next().map(|((at, _), _)| *at)
    }

    /// How many have a time up to `now`.
    pub(super) fn len_until(&self, now: TimeMs) -> u64 {
        self.rows.range(..=(now, u64::MAX)).map(|(_, len)| *len).sum()
    }
}

fn flat<'a>(
    rows: impl DoubleEndedIterator<Item = (&'a (TimeMs, u64), &'a u64)>,
) -> impl DoubleEndedIterator<Item = (TimeMs, QueueOffset)> {
    rows.flat_map(|((at, start), len)| {
        let at = *at;
        (*start..start + len).map(move |offset| (at, QueueOffset(offset)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(changes in proptest::collection::vec((any::<bool>(), 0_u64..4, 0_u64..12), 0..80)) {
            let (mut rows, mut plain) = (ByVisibility::default(), BTreeSet::new());
            for (adds, at, offset) in changes {
                if adds {
                    rows.insert(at, offset);
                    plain.insert((at, offset));
                } else {
                    rows.remove(at, offset);
                    plain.remove(&(at, offset));
                }
                let found: Vec<_> = rows.iter().map(|(at, offset)| (at, offset.0)).collect();
                prop_assert_eq!(&found, &plain.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(rows.len(), plain.len());
                // The same set, made in order, is the same map.
                let mut again = ByVisibility::default();
                plain.iter().for_each(|(at, offset)| again.insert(*at, *offset));
                prop_assert_eq!(&rows, &again);
            }
            prop_assert!(rows.iter().rev().eq(rows.iter().collect::<Vec<_>>().into_iter().rev()));
            for now in 0..5 {
                prop_assert_eq!(rows.len_until(now), plain.range(..=(now, u64::MAX)).count() as u64);
                prop_assert_eq!(rows.after(now), plain.range((now + 1, 0)..).next().map(|(at, _)| *at));
                let since: Vec<_> = rows.since(now).map(|(at, offset)| (at, offset.0)).collect();
                prop_assert_eq!(since, plain.range((now, 0)..).copied().collect::<Vec<_>>());
            }
        }
    }
}
