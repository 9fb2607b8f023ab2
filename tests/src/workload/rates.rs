//! How much was done, and how much a second over the last while.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts since the start of the load.
#[derive(Debug, Default)]
pub struct Meter {
    pub(super) sends: AtomicU64,
    pub(super) receives: AtomicU64,
    pub(super) acknowledgements: AtomicU64,
}

/// Messages sent, received and acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Counted {
    /// Sends acknowledged.
    pub sends: f64,
    /// Messages received.
    pub receives: f64,
    /// Messages acknowledged.
    pub acknowledgements: f64,
}

impl Counted {
    /// The smallest of the three.
    #[must_use]
    pub fn least(&self) -> f64 {
        self.sends.min(self.receives).min(self.acknowledgements)
    }
}

impl Meter {
    fn read(&self) -> Counted {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        Counted {
            sends: count(&self.sends),
            receives: count(&self.receives),
            acknowledgements: count(&self.acknowledgements),
        }
    }

    /// A window of the last while, empty at first.
    #[must_use]
    pub fn window(&self, length: Duration) -> Window<'_> {
        Window {
            meter: self,
            length,
            readings: VecDeque::new(),
        }
    }
}

/// Readings of the last while.
#[derive(Debug)]
pub struct Window<'a> {
    meter: &'a Meter,
    length: Duration,
    readings: VecDeque<(Instant, Counted)>,
}

impl Window<'_> {
    /// Reads the meter. Gives what was done a second, once there are readings over the whole length.
    pub fn read(&mut self) -> Option<Counted> {
        self.add(Instant::now(), self.meter.read())
    }

    fn add(&mut self, now: Instant, reading: Counted) -> Option<Counted> {
        self.readings.push_back((now, reading));
        // The oldest reading is to be the youngest that is old enough.
        while self
            .readings
            .get(1)
            .is_some_and(|(at, _)| now - *at >= self.length)
        {
            self.readings.pop_front();
        }
        let (at, oldest) = self.readings.front()?;
        let seconds = (now - *at).as_secs_f64();
        (now - *at >= self.length).then(|| Counted {
            sends: (reading.sends - oldest.sends) / seconds,
            receives: (reading.receives - oldest.receives) / seconds,
            acknowledgements: (reading.acknowledgements - oldest.acknowledgements) / seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_was_done_in_the_last_while() {
        let meter = Meter::default();
        let mut window = meter.window(Duration::from_secs(1));
        let start = Instant::now();
        let reading = |count: f64| Counted {
            sends: count,
            receives: 2.0 * count,
            acknowledgements: count,
        };
        assert_eq!(window.add(start, reading(0.0)), None);
        assert_eq!(
            window.add(start + Duration::from_millis(500), reading(100.0)),
            None
        );
        let rates = window
            .add(start + Duration::from_secs(1), reading(400.0))
            .unwrap();
        assert_eq!(
            (rates.sends, rates.receives, rates.least()),
            (400.0, 800.0, 400.0)
        );
        let rates = window
            .add(start + Duration::from_millis(1500), reading(400.0))
            .unwrap();
        assert_eq!(rates.sends, 300.0);
    }
}
