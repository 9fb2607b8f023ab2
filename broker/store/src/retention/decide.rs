//! How far the log is to be given up: a function of what there is and what is asked for.
//!
//! - By time everything goes that was put longer ago than it is kept; by size as much as it takes to stay within it.
//! - The log begins where a segment does at which a checkpoint stands: a bit more may stay than is asked for, never less.
//! - What still waits in what goes is written again. Where that is more than half of what goes, it is not worth it: then less
//!   goes, or nothing, and somebody should be told.

use crate::checkpointer::TrimPoint;
use sluice_core::ids::{PhysicalOffset, TimeMs, TopicId};
use std::collections::BTreeMap;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How long messages are kept, in milliseconds; for ever if not given.
    pub keep_ms: Option<u64>,
    /// How many bytes the log may have; any number if not given.
    pub keep_bytes: Option<u64>,
    /// Topics whose messages are kept longer than others, and how long.
    pub longer: BTreeMap<TopicId, u64>,
}

impl Settings {
    /// Whether the time of a message that was put then has not come.
    pub(super) fn keeps(&self, topic: TopicId, put_ms: TimeMs, now: TimeMs) -> bool {
        let Some(keep_ms) = self.keep_ms else { return true };
        let keep_ms = self.longer.get(&topic).copied().unwrap_or(0).max(keep_ms);
        put_ms.saturating_add(keep_ms) > now
    }

    /// Whether messages of a topic are kept longer than others.
    pub(super) fn is_longer(&self, topic: TopicId) -> bool {
        let own = self.longer.get(&topic);
        own.is_some_and(|own| self.keep_ms.is_some_and(|keep_ms| *own > keep_ms))
    }
}

/// The log, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Log {
    /// Where it begins.
    pub start: PhysicalOffset,
    /// Where it ends.
    pub end: PhysicalOffset,
    /// Where it can begin instead, in rising order.
    pub points: Vec<TrimPoint>,
}

impl Log {
    /// Where it should begin if nothing in it waited: behind everything that need not be kept.
    pub fn wanted(&self, settings: &Settings, now: TimeMs) -> Option<TrimPoint> {
        let later = || self.points.iter().filter(|point| point.at > self.start);
        let old = |point: &&TrimPoint| {
            let keep_ms = settings.keep_ms?;
            (point.time.saturating_add(keep_ms) <= now).then_some(())
        };
        let by_time = later().rfind(|point| old(point).is_some());
        let by_size = settings.keep_bytes.and_then(|bytes| {
            let left = |point: &TrimPoint| self.end.0.saturating_sub(point.at.0);
            if self.end.0.saturating_sub(self.start.0) <= bytes {
                return None;
            }
            // Where no point leaves little enough, the last one leaves least.
            later()
                .find(|point| left(point) <= bytes)
                .or_else(|| later().next_back())
        });
        by_time
            .into_iter()
            .chain(by_size)
            .max_by_key(|point| point.at)
            .copied()
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
            if bytes <= (point.at.0 - self.start.0) / 2 {
                best = Some(*point);
            }
        }
        best
    }
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

    #[test]
    fn a_topic_may_keep_its_messages_longer_but_never_shorter() {
        let mut settings = settings(Some(2), None);
        let [longer, shorter, other] = [1, 2, 3].map(TopicId);
        settings.longer = [(longer, 5 * HOUR), (shorter, HOUR)].into();
        let keeps = |topic| [1, 3, 4].map(|put| settings.keeps(topic, put * HOUR, 5 * HOUR));
        assert_eq!(keeps(longer), [true, true, true]);
        assert_eq!([shorter, other].map(keeps), [[false, false, true]; 2]);
        assert_eq!(
            [longer, shorter, other].map(|topic| settings.is_longer(topic)),
            [true, false, false]
        );
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
            let log = Log { start: PhysicalOffset(start.min(at)), end: PhysicalOffset(at + tail), points };
            let (settings, now) = (settings(hours, bytes), time + HOUR);
            let too_large = |at: u64| bytes.is_some_and(|bytes| log.end.0 - at > bytes);
            let Some(wanted) = log.wanted(&settings, now) else {
                prop_assert!(!too_large(log.start.0) || log.points.iter().all(|point| point.at <= log.start));
                return Ok(());
            };
            prop_assert!(log.points.contains(&wanted) && wanted.at > log.start);
            let before = log.points.iter().rfind(|point| point.at < wanted.at && point.at > log.start);
            let is_old = settings.keep_ms.is_some_and(|keep_ms| wanted.time + keep_ms <= now);
            // No more goes than one of the two asks for.
            prop_assert!(is_old || too_large(before.map_or(log.start.0, |point| point.at.0)));
            if too_large(wanted.at.0) {
                prop_assert_eq!(Some(&wanted), log.points.last());
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
