//! A set of offsets, kept as disjoint ranges that do not touch.

use std::collections::BTreeMap;

/// Offsets as ranges `start..end`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: BTreeMap<u64, u64>,
    len: u64,
}

impl RangeSet {
    /// How many offsets are in the set.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The end of the range that holds `offset`, if one does.
    pub fn end_of(&self, offset: u64) -> Option<u64> {
        let (_, end) = self.ranges.range(..=offset).next_back()?;
        (*end > offset).then_some(*end)
    }

    /// Whether `offset` is in the set.
    pub fn contains(&self, offset: u64) -> bool {
        self.end_of(offset).is_some()
    }

    /// The end of the last range.
    pub fn last_end(&self) -> Option<u64> {
        self.ranges.last_key_value().map(|(_, end)| *end)
    }

    /// The ranges `(start, end)` in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|(start, end)| (*start, *end))
    }

    /// Adds `start..end`, wherever it overlaps or touches what is there.
    pub fn insert(&mut self, mut start: u64, mut end: u64) {
        if start >= end {
            return;
        }
        while let Some((at, until)) = self
            .ranges
            .range(..=end)
            .next_back()
            .map(|(at, until)| (*at, *until))
        {
            if until < start {
                break;
            }
            self.ranges.remove(&at);
            self.len -= until - at;
            start = start.min(at);
            end = end.max(until);
        }
        self.ranges.insert(start, end);
        self.len += end - start;
    }

    /// Removes and answers the end of the range that starts at or before `offset` and reaches it.
    pub fn take_through(&mut self, offset: u64) -> Option<u64> {
        let (start, end) = self.ranges.first_key_value().map(|(start, end)| (*start, *end))?;
        if start > offset {
            return None;
        }
        self.ranges.remove(&start);
        self.len -= end - start;
        Some(end)
    }

    /// How many offsets below `end` are in the set.
    pub fn len_below(&self, end: u64) -> u64 {
        let ranges = self.ranges.range(..end);
        ranges.map(|(start, until)| (*until).min(end) - start).sum()
    }

    /// How many offsets from `start` to `end` are in the set: looks at no others.
    pub fn len_within(&self, start: u64, end: u64) -> u64 {
        if start >= end {
            return 0;
        }
        let first = self.end_of(start).map_or(0, |until| until.min(end) - start);
        let others = self.ranges.range(start + 1..end.max(start + 1));
        first + others.map(|(at, until)| (*until).min(end) - at).sum::<u64>()
    }

    /// Removes every offset below `end`.
    pub fn remove_below(&mut self, end: u64) {
        self.len -= self.len_below(end);
        let last = self.end_of(end);
        self.ranges = self.ranges.split_off(&end);
        if let Some(last) = last {
            self.ranges.insert(end, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(spans in proptest::collection::vec((0_u64..60, 0_u64..8), 0..40)) {
            let mut ranges = RangeSet::default();
            let mut plain = BTreeSet::new();
            for (start, len) in spans {
                ranges.insert(start, start + len);
                plain.extend(start..start + len);
                prop_assert_eq!(ranges.len(), plain.len() as u64);
                prop_assert_eq!(ranges.iter().flat_map(|(a, b)| a..b).collect::<BTreeSet<_>>(), plain.clone());
                let touching = ranges.iter().zip(ranges.iter().skip(1)).any(|(left, right)| left.1 >= right.0);
                prop_assert!(!touching, "ranges stay apart");
            }
            for offset in 0..70 {
                prop_assert_eq!(ranges.contains(offset), plain.contains(&offset));
                prop_assert_eq!(ranges.len_below(offset), plain.range(..offset).count() as u64);
                let within = plain.range(offset / 2..offset).count() as u64;
                prop_assert_eq!(ranges.len_within(offset / 2, offset), within);
                let (mut above, rest) = (ranges.clone(), plain.range(offset..).copied().collect::<BTreeSet<_>>());
                above.remove_below(offset);
                prop_assert_eq!(above.len(), rest.len() as u64);
                prop_assert_eq!(above.iter().flat_map(|(a, b)| a..b).collect::<BTreeSet<_>>(), rest);
            }
        }
    }
}
