//! How far the log is to be given up: a function of what there is and what is asked for.
//!
//! - By time everything goes that was put longer ago than it is kept; by size as much as it takes to stay within it.
//! - The log begins where a segment does at which a checkpoint stands: a bit more may stay than time asks for, never less. Size
//!   takes the first such place that leaves no more than it allows, so that a bit less stays; but never less than three quarters
//!   of what it allows, unless the disk is full: unread messages of these are safe, and whoever watches a group can tell in time. Where
//!   places are so far apart, it waits until as much has come after one: till then the log is larger than it may be.
//! - Where the disk fills, what everybody has read goes before its time; and beyond that whatever is oldest, as by size, where
//!   that helps: if the log alone cannot bring the disk below its mark, unread messages are not given up in vain.
//! - What still waits in what goes is written again. Where that is more than half of what goes, it is not worth it: then less
//!   goes, or nothing, and somebody should be told.

use super::settings::Settings;
use crate::checkpointer::TrimPoint;
use sluice_core::ids::{PhysicalOffset, TimeMs};

/// The log, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Log {
    /// Where it begins.
    pub start: PhysicalOffset,
    /// Where it ends.
    pub end: PhysicalOffset,
    /// Where it can begin instead, in rising order.
    pub points: Vec<TrimPoint>,
    /// Bytes of waiting records that may be written again.
    pub carry_max: u64,
}

impl Log {
    /// Where it should begin if nothing in it waited: behind everything that need not be kept.
    pub fn wanted(&self, settings: &Settings, now: TimeMs) -> Option<TrimPoint> {
        let later = || self.later();
        let old = |point: &&TrimPoint| {
            let keep_ms = settings.keep_ms?;
            (point.time.saturating_add(keep_ms) <= now).then_some(())
        };
        let by_time = later().rfind(|point| old(point).is_some());
        let by_size = settings.keep_bytes.filter(|bytes| self.bytes() > *bytes);
        let by_size = by_size.and_then(|bytes| self.by_size(bytes, settings.full));
        let forced = settings.forced_bytes.filter(|bytes| self.bytes() > *bytes);
        let forced = forced.and_then(|bytes| self.first_within(bytes));
        by_time
            .into_iter()
            .chain(by_size)
            .chain(forced)
            .max_by_key(|point| point.at)
            .copied()
    }

    /// Where it can begin before its time, if that is later than at `wanted`, in rising order: at the last of these that
    /// everybody has read up to.
    pub fn early(&self, settings: &Settings, wanted: Option<TrimPoint>) -> Vec<TrimPoint> {
        let Some(bytes) = settings.read_bytes.filter(|bytes| self.bytes() > *bytes) else {
            return Vec::new();
        };
        let last = self.first_within(bytes).or_else(|| self.later().next_back());
        let from = wanted.map_or(self.start, |wanted| wanted.at);
        let early = self.later().filter(|point| point.at > from);
        early
            .filter(|point| last.is_some_and(|last| point.at <= last.at))
            .copied()
            .collect()
    }

    /// Whether the log would have to give up more than it can before the disk is below its mark.
    pub fn is_in_vain(&self, settings: &Settings) -> bool {
        let forced = settings.forced_bytes;
        forced.is_some_and(|bytes| self.bytes() > bytes && self.first_within(bytes).is_none())
    }

    /// The first place that leaves no more than so many bytes, if it leaves three quarters of them; otherwise the last one before it,
    /// which leaves more, or none: what has gone does not come back, and as much will stand behind the first one soon. Not so where
    /// the disk is full.
    fn by_size(&self, bytes: u64, full: bool) -> Option<&TrimPoint> {
        let within = self.first_within(bytes);
        within
            .filter(|point| full || self.left_by(point) >= at_least(bytes))
            .or_else(|| self.later().rfind(|point| self.left_by(point) > bytes))
    }

    /// Whether the log stays half as large again as it may be even if it begins there, for no better place is known.
    pub fn waits(&self, settings: &Settings, begins: Option<TrimPoint>) -> bool {
        let left = begins.map_or_else(|| self.bytes(), |point| self.left_by(&point));
        settings
            .keep_bytes
            .is_some_and(|bytes| left > bytes.saturating_add(bytes / 2))
    }

    /// The bytes that stay if the log begins there.
    fn left_by(&self, point: &TrimPoint) -> u64 {
        self.end.0.saturating_sub(point.at.0)
    }

    fn bytes(&self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    fn later(&self) -> impl DoubleEndedIterator<Item = &TrimPoint> {
        self.points.iter().filter(|point| point.at > self.start)
    }

    /// The first place that leaves no more than so many bytes.
    fn first_within(&self, bytes: u64) -> Option<&TrimPoint> {
        self.later().find(|point| self.left_by(point) <= bytes)
    }

    /// The last place up to `wanted` that is worth it, given the records that wait: where each stands, rising, and its bytes.
    pub fn affordable(
        &self,
        wanted: TrimPoint,
        waiting: impl IntoIterator<Item = (PhysicalOffset, u64)>,
    ) -> Option<TrimPoint> {
        let mut waiting = waiting.into_iter().peekable();
        let (mut bytes, mut best) = (0_u64, None);
        let points = self
            .points
            .iter()
            .filter(|point| point.at > self.start && point.at <= wanted.at);
        for point in points {
            while let Some((_, size)) = waiting.next_if(|(at, _)| *at < point.at) {
                bytes = bytes.saturating_add(size);
            }
            if bytes <= self.carry_max.min((point.at.0 - self.start.0) / 2) {
                best = Some(*point);
            }
        }
        best
    }

    /// The point in the middle of those before `point`: where nobody knows from which one on something is in the way, a few steps find
    /// one before it.
    pub fn half_of(&self, point: TrimPoint) -> Option<TrimPoint> {
        let is_before = |other: &TrimPoint| other.at > self.start && other.at < point.at;
        let before: Vec<_> = self.points.iter().filter(|other| is_before(other)).collect();
        before.get(before.len() / 2).map(|half| **half)
    }
}

/// What size leaves of so many bytes, if there is as much.
fn at_least(bytes: u64) -> u64 {
    bytes / 4 * 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: u64 = 3_600_000;

    fn point(at: u64, time: u64) -> TrimPoint {
        TrimPoint {
            at: PhysicalOffset(at),
            time,
        }
    }

    /// Ten segments of 100 bytes, one an hour, of which the first has gone.
    fn log() -> Log {
        Log {
            start: PhysicalOffset(100),
            end: PhysicalOffset(1050),
            points: (1..=10).map(|n| point(n * 100, n * HOUR)).collect(),
            carry_max: u64::MAX,
        }
    }

    fn settings(hours: Option<u64>, keep_bytes: Option<u64>) -> Settings {
        Settings {
            keep_ms: hours.map(|hours| hours * HOUR),
            keep_bytes,
            ..Settings::default()
        }
    }

    #[test]
    fn the_log_begins_where_time_and_size_say() {
        let now = 10 * HOUR + 1;
        for (hours, bytes, expected) in [
            (None, None, None),
            (Some(72), None, None),
            (Some(9), None, None),
            (Some(8), None, Some(200)),
            (Some(3), None, Some(700)),
            (Some(0), None, Some(1000)),
            (None, Some(950), None),
            (None, Some(949), Some(200)),
            (None, Some(500), Some(600)),
            (None, Some(10), Some(1000)),
            (Some(3), Some(500), Some(700)),
            (Some(6), Some(500), Some(600)),
        ] {
            let found = log().wanted(&settings(hours, bytes), now);
            let found = found.map(|point| point.at.0);
            assert_eq!(found, expected, "{hours:?} hours, {bytes:?} bytes");
        }
    }

    #[test]
    fn where_places_are_far_apart_size_leaves_three_quarters_of_what_it_allows() {
        for (end, points, expected) in [
            // As after queue files were made again: a place at the last segment's start, and no other one yet.
            (1001, vec![1000], None),
            (10_249, vec![9500], None),
            (10_250, vec![9500], Some(9500)),
            // As after much was sent between two checkpoints.
            (4000, vec![600, 3810], Some(600)),
            (4000, vec![3810], None),
            (4000, vec![600, 3250], Some(3250)),
            (4000, vec![600, 3251], Some(600)),
            // Segments that are longer than what may stay.
            (3000, vec![2000], Some(2000)),
            (3000, vec![2900], None),
            (3000, vec![1500], Some(1500)),
            (1001, vec![200, 400, 600, 1000], Some(200)),
            (1001, vec![260, 400, 600, 1000], None),
            (1100, vec![50, 1000], Some(50)),
        ] {
            let log = Log {
                start: PhysicalOffset(0),
                end: PhysicalOffset(end),
                points: points.iter().map(|at| point(*at, HOUR)).collect(),
                carry_max: u64::MAX,
            };
            let found = log.wanted(&settings(None, Some(1000)), HOUR);
            assert_eq!(found.map(|point| point.at.0), expected, "{end}, {points:?}");
            let left = end - found.map_or(0, |point| point.at.0);
            assert_eq!(log.waits(&settings(None, Some(1000)), found), left > 1500);
            // On a full disk nothing comes after a place.
            let full = Settings {
                full: true,
                ..settings(None, Some(1000))
            };
            let within = points
                .iter()
                .find(|at| end - **at <= 1000)
                .or_else(|| points.last());
            assert_eq!(log.wanted(&full, HOUR).map(|point| point.at.0), within.copied());
        }
    }

    #[test]
    fn for_want_of_disk_the_oldest_goes_where_that_is_enough() {
        let forced = |bytes| Settings {
            forced_bytes: Some(bytes),
            ..Settings::default()
        };
        for (bytes, expected, in_vain) in [
            (950, None, false),
            (949, Some(200), false),
            (500, Some(600), false),
            (50, Some(1000), false),
            (49, None, true),
        ] {
            let found = log().wanted(&forced(bytes), 0).map(|point| point.at.0);
            assert_eq!(
                (found, log().is_in_vain(&forced(bytes))),
                (expected, in_vain),
                "{bytes}"
            );
        }
    }

    #[test]
    fn for_want_of_disk_what_is_read_may_go_before_its_time() {
        let early = |bytes| Settings {
            read_bytes: Some(bytes),
            ..Settings::default()
        };
        for (bytes, wanted, expected) in [
            (950, None, vec![]),
            (949, None, vec![200]),
            (700, None, vec![200, 300, 400]),
            (700, Some(300), vec![400]),
            (700, Some(400), vec![]),
            (0, Some(700), vec![800, 900, 1000]),
        ] {
            let found = log().early(&early(bytes), wanted.map(|at| point(at, 0)));
            let found: Vec<_> = found.iter().map(|point| point.at.0).collect();
            assert_eq!(found, expected, "{bytes} bytes, behind {wanted:?}");
        }
        assert_eq!(log().wanted(&early(0), 0), None, "read or not is not known here");
    }

    #[test]
    fn no_more_is_written_again_than_may_be() {
        let wanted = point(500, 5 * HOUR);
        for (carry_max, expected) in [(0, None), (50, Some(300)), (70, Some(500))] {
            let log = Log { carry_max, ..log() };
            let places = [(100, 50), (350, 20)].map(|(at, size)| (PhysicalOffset(at), size));
            let found = log.affordable(wanted, places).map(|point| point.at.0);
            assert_eq!(found, expected, "{carry_max}");
        }
    }

    #[test]
    fn what_waits_is_worth_at_most_half_of_what_goes() {
        let wanted = point(500, 5 * HOUR);
        for (waiting, expected) in [
            (vec![], Some(500)),
            (vec![(100, 200)], Some(500)),
            (vec![(100, 201)], None),
            (vec![(100, 50), (450, 151)], Some(400)),
            (vec![(100, 51)], Some(500)),
            (vec![(450, u64::MAX), (460, 1)], Some(400)),
            (vec![(600, u64::MAX)], Some(500)),
        ] {
            let places = waiting.iter().map(|(at, size)| (PhysicalOffset(*at), *size));
            let found = log().affordable(wanted, places).map(|point| point.at.0);
            assert_eq!(found, expected, "{waiting:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_goes_that_must_be_kept_and_size_is_kept_where_it_can_be(
            gaps in proptest::collection::vec((1..1000_u64, 0..5 * HOUR), 1..30), start in 0..3000_u64,
            hours in proptest::option::of(0..60_u64), bytes in proptest::option::of(0..20_000_u64), tail in 0..1000_u64,
            waits in proptest::collection::vec((0..20_000_u64, 0..2000_u64), 0..10),
        ) {
            let (mut at, mut time, mut points) = (0, 0, Vec::new());
            for (gap, passes) in gaps {
                (at, time) = (at + gap, time + passes);
                points.push(point(at, time));
            }
            let (start, end) = (PhysicalOffset(start.min(at)), PhysicalOffset(at + tail));
            let log = Log { start, end, points, carry_max: u64::MAX };
            let (settings, now) = (settings(hours, bytes), time + HOUR);
            let too_large = |at: u64| bytes.is_some_and(|bytes| log.end.0 - at > bytes);
            let Some(wanted) = log.wanted(&settings, now) else {
                let places: Vec<_> = log.points.iter().filter(|point| point.at > log.start).collect();
                let leave_too_little = bytes.is_some_and(|bytes| places.iter().all(|point| log.end.0 - point.at.0 < at_least(bytes)));
                prop_assert!(!too_large(log.start.0) || places.is_empty() || leave_too_little);
                return Ok(());
            };
            prop_assert!(log.points.contains(&wanted) && wanted.at > log.start);
            let before = log.points.iter().rfind(|point| point.at < wanted.at && point.at > log.start);
            let is_old = settings.keep_ms.is_some_and(|keep_ms| wanted.time + keep_ms <= now);
            // No more goes than one of the two asks for.
            prop_assert!(is_old || too_large(before.map_or(log.start.0, |point| point.at.0)));
            prop_assert!(is_old || bytes.is_some_and(|bytes| log.end.0 - wanted.at.0 >= at_least(bytes)));
            if too_large(wanted.at.0) {
                let next = log.points.iter().find(|point| point.at > wanted.at);
                prop_assert!(next.is_none_or(|next| bytes.is_some_and(|bytes| log.end.0 - next.at.0 < at_least(bytes))));
            }
            let mut waits = waits;
            waits.sort_unstable();
            let places = || waits.iter().map(|(at, size)| (PhysicalOffset(log.start.0 + at), *size));
            if let Some(worth) = log.affordable(wanted, places()) {
                prop_assert!(worth.at <= wanted.at && worth.at > log.start);
                let bytes: u64 = places().filter(|(at, _)| *at < worth.at).map(|(_, size)| size).sum();
                prop_assert!(bytes <= (worth.at.0 - log.start.0) / 2);
            }
        }
    }
}
