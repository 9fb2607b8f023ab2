//! A counter that was read now and then, and how fast it grew.

use super::time::Time;

/// What is kept is cut into so many slices of time, and each slice keeps its first reading.
const SLICES: u64 = 32;

/// Readings of a counter, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter(Vec<Reading>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    at: Time,
    total: u64,
}

impl Counter {
    /// Adds a reading. One that is smaller than the last begins anew: the counter did.
    pub fn add(&mut self, total: u64, keep_seconds: u64, now: Time) {
        let began_anew = self
            .0
            .last()
            .is_some_and(|last| total < last.total || now < last.at);
        if began_anew {
            self.0.clear();
        }
        self.0.retain(|reading| now.since(reading.at) <= keep_seconds);
        let slice = keep_seconds.div_ceil(SLICES).max(1);
        // The newest reading counts too, but goes when there is a newer one, unless it is its slice's first.
        if let [.., before, last] = self.0[..]
            && before.at.0 / slice == last.at.0 / slice
        {
            self.0.pop();
        }
        self.0.push(Reading { at: now, total });
    }

    /// How much it grew a minute between the two times, by the readings in between; `None` unless these cover at least half
    /// of it.
    pub fn per_minute(&self, from: Time, to: Time) -> Option<u64> {
        let mut within = self
            .0
            .iter()
            .filter(|reading| reading.at >= from && reading.at <= to);
        let first = within.next()?;
        let last = within.next_back()?;
        let seconds = last.at.since(first.at);
        let covered = seconds > 0 && seconds * 2 >= to.since(from);
        covered.then(|| last.total.saturating_sub(first.total).saturating_mul(60) / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(readings: &[(u64, u64)]) -> Counter {
        let mut counter = Counter::default();
        for &(at, total) in readings {
            counter.add(total, 600, Time(at));
        }
        counter
    }

    #[test]
    fn a_rate_is_what_it_grew_over_the_time_between_readings() {
        let counter = counter(&[(0, 100), (30, 160), (60, 220), (120, 1220)]);
        for (from, to, rate) in [
            (0, 60, Some(120)),
            (60, 120, Some(1000)),
            (0, 120, Some(560)),
            (61, 120, None),
        ] {
            assert_eq!(counter.per_minute(Time(from), Time(to)), rate, "{from} to {to}");
        }
    }

    #[test]
    fn too_little_of_the_time_gives_no_rate() {
        let counter = counter(&[(100, 0), (120, 60)]);
        assert_eq!(
            counter.per_minute(Time(80), Time(120)),
            Some(180),
            "20 of 40 seconds"
        );
        assert_eq!(counter.per_minute(Time(79), Time(120)), None, "20 of 41 seconds");
    }

    #[test]
    fn a_counter_that_begins_anew_has_no_rate_until_it_was_read_twice() {
        let mut counter = counter(&[(0, 1000), (30, 2000)]);
        counter.add(5, 600, Time(60));
        assert_eq!(counter.per_minute(Time(0), Time(60)), None);
        counter.add(65, 600, Time(90));
        assert_eq!(counter.per_minute(Time(60), Time(90)), Some(120));
    }

    #[test]
    fn a_reading_every_second_keeps_few_and_covers_the_same_time() {
        let mut counter = Counter::default();
        for second in 0..3000 {
            counter.add(second * 10, 600, Time(second));
            assert!(counter.0.len() <= SLICES as usize + 3, "{}", counter.0.len());
        }
        assert_eq!(counter.per_minute(Time(2400), Time(2999)), Some(600));
    }
}
