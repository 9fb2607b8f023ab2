//! Values counted by upper bounds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts of values by upper bound, and their sum. Adding a value is a search among few bounds and two additions.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One a bound, and one for what is larger than all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Each bound, rising, with the values that are not above it.
    pub up_to: Vec<(u64, u64)>,
    /// All values.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
}

impl Histogram {
    /// An empty one with these bounds, which must rise.
    pub fn new(bounds: &'static [u64]) -> Self {
        debug_assert!(bounds.is_sorted());
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a time in microseconds.
    pub fn observe_micros(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// What was counted so far. Values that are added meanwhile may be in the counts and not in the sum.
    pub fn read(&self) -> Counted {
        let mut count = 0;
        let mut cumulative = |counted: &AtomicU64| {
            count += counted.load(Ordering::Relaxed);
            count
        };
        let up_to = self.bounds.iter().zip(&self.counts);
        let up_to = up_to
            .map(|(bound, counted)| (*bound, cumulative(counted)))
            .collect();
        if let Some(larger) = self.counts.last() {
            cumulative(larger);
        }
        Counted {
            up_to,
            count,
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_for_every_bound_that_it_is_not_above() {
        let histogram = Histogram::new(&[10, 100]);
        [0, 10, 11, 100, 101]
            .into_iter()
            .for_each(|value| histogram.observe(value));
        histogram.observe_micros(Duration::from_millis(1));
        let expected = Counted {
            up_to: vec![(10, 2), (100, 4)],
            count: 6,
            sum: 1222,
        };
        assert_eq!(histogram.read(), expected);
    }
}
