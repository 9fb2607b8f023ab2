//! What is damaged, and what repairs have left, to be searched: there may be very many places of both, and as many that are accepted.

use super::range::{self, Range};
use crate::survey::Survey;
use sluice_core::ids::PhysicalOffset;
use std::collections::BTreeSet;

/// Parts of the log in rising order, those that overlap or touch made one.
pub(super) struct Spans(Vec<(PhysicalOffset, PhysicalOffset)>);

impl Spans {
    pub(super) fn of(parts: impl Iterator<Item = (PhysicalOffset, PhysicalOffset)>) -> Self {
        let mut parts: Vec<_> = parts.collect();
        parts.sort_unstable();
        let mut spans: Vec<(PhysicalOffset, PhysicalOffset)> = Vec::new();
        for (from, to) in parts {
            match spans.last_mut().filter(|(_, end)| from <= *end) {
                Some((_, end)) => *end = to.max(*end),
                None => spans.push((from, to)),
            }
        }
        Self(spans)
    }

    /// Of ranges; those that have no end are none.
    pub(super) fn of_ranges(ranges: &[Range]) -> Self {
        Self::of(ranges.iter().filter_map(|range| Some((range.from, range.to?))))
    }

    /// Where the one ends that `at` stands in, or at the end of.
    fn end(&self, at: PhysicalOffset) -> Option<PhysicalOffset> {
        let before = self.0.partition_point(|(from, _)| *from <= at);
        let (_, end) = self.0[..before].last()?;
        Some(*end).filter(|end| *end >= at)
    }

    /// Whether they have all from `from` to `to`.
    pub(super) fn cover(&self, from: PhysicalOffset, to: PhysicalOffset) -> bool {
        self.end(from).is_some_and(|end| end >= to)
    }
}

/// A log's places.
pub(super) struct Ground {
    /// Where segments begin, and damaged places.
    begins: BTreeSet<PhysicalOffset>,
    damaged: BTreeSet<(PhysicalOffset, Option<PhysicalOffset>)>,
    damage_begins: BTreeSet<PhysicalOffset>,
    damage_ends: BTreeSet<PhysicalOffset>,
    /// By where damaged places begin that have an end, how far those reach that begin there or before.
    reach: Vec<(PhysicalOffset, PhysicalOffset)>,
    repaired_begins: BTreeSet<PhysicalOffset>,
    repaired: Spans,
}

impl Ground {
    pub(super) fn of(found: &Survey) -> Self {
        let log = &found.log;
        let damage_begins: BTreeSet<_> = log.damage.iter().map(|damage| damage.from).collect();
        let bases = log.segments.iter().map(|segment| segment.base);
        let ends = log
            .damage
            .iter()
            .filter_map(|damage| Some((damage.from, damage.to?)));
        let mut reach: Vec<_> = ends.collect();
        reach.sort_unstable();
        let mut farthest = PhysicalOffset(0);
        for (_, to) in &mut reach {
            farthest = farthest.max(*to);
            *to = farthest;
        }
        let key = |range: Range| (range.from, range.to);
        Self {
            begins: bases.chain(damage_begins.iter().copied()).collect(),
            damaged: log.damage.iter().map(|damage| key(range::of(damage))).collect(),
            damage_begins,
            damage_ends: log.damage.iter().filter_map(|damage| damage.to).collect(),
            reach,
            repaired_begins: log.repaired.iter().map(|done| done.from).collect(),
            repaired: Spans::of(log.repaired.iter().map(|done| (done.from, done.to))),
        }
    }

    /// Whether a repair has left just this.
    pub(super) fn was_repaired(&self, range: &Range) -> bool {
        self.is_page(range) || self.stands_for(range)
    }

    /// Whether a range is one damaged place, or was; or with leave begins and ends with damaged places.
    pub(super) fn is_damaged(&self, range: &Range, wider: bool) -> bool {
        if self.is_part(range) || self.is_page(range) || self.damaged.contains(&(range.from, range.to)) {
            return true;
        }
        if self.repaired_begins.contains(&range.from) && self.stands_for(range) {
            return true;
        }
        let ends = || range.to.is_some_and(|to| self.damage_ends.contains(&to));
        wider && self.damage_begins.contains(&range.from) && ends()
    }

    /// What is left of a repair that was stopped may be one place where there were several.
    fn is_part(&self, range: &Range) -> bool {
        let Some(to) = range.to else { return false };
        let before = |from: PhysicalOffset| from <= range.from && from < to;
        let before = self.reach.partition_point(|(from, _)| before(*from));
        self.reach[..before].last().is_some_and(|(_, end)| to <= *end)
    }

    /// Whether a range is that of a segment's first page. Nothing else that is empty is ever lost; and a page that was made again looks like one
    /// that never was damaged. Of a repair that was stopped the segment may be gone, and then what is damaged begins there.
    fn is_page(&self, range: &Range) -> bool {
        range.to == Some(range.from) && self.begins.contains(&range.from)
    }

    /// Whether what repairs have left stands for all of a range: of one that was longer than a segment there are several.
    fn stands_for(&self, range: &Range) -> bool {
        let end = self.repaired.end(range.from).filter(|end| *end > range.from);
        range.to.zip(end).is_some_and(|(to, end)| to <= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(parts: &[(u64, u64)]) -> Spans {
        let at = PhysicalOffset;
        Spans::of(parts.iter().map(|(from, to)| (at(*from), at(*to))))
    }

    #[test]
    fn parts_that_touch_cover_what_is_in_them_and_nothing_beyond() {
        let spans = spans(&[(40, 60), (8, 8), (10, 20), (20, 30), (45, 50)]);
        let covers = |from, to| spans.cover(PhysicalOffset(from), PhysicalOffset(to));
        for (from, to) in [(10, 30), (12, 28), (20, 20), (30, 30), (8, 8), (41, 60), (50, 60)] {
            assert!(covers(from, to), "{from}..{to}");
        }
        for (from, to) in [
            (8, 10),
            (9, 20),
            (10, 31),
            (30, 40),
            (31, 31),
            (0, 8),
            (60, 61),
            (61, 61),
        ] {
            assert!(!covers(from, to), "{from}..{to}");
        }
    }
}
