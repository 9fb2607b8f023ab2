//! What one client does, counted as it goes: in all, and over the last minute (B11).
//!
//! Calls count with atomics alone. A window is a ring of counters for ten seconds each, stamped with their time, so that
//! nobody has to tidy up: whoever counts first in a time overwrites what an older one left.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long one counter counts.
const TICK: Duration = Duration::from_secs(10);
/// Counters of a window: a whole minute, and the running tick.
const TICKS: usize = 7;
/// A counter is its tick above so many bits, and the value in them.
const VALUE_BITS: u32 = 40;
const VALUE_MAX: u64 = (1 << VALUE_BITS) - 1;
/// Ticks told apart, 5 years of them.
const STAMP_MASK: u64 = u64::MAX >> VALUE_BITS;

/// The counters of one client.
#[derive(Debug)]
pub struct Figures {
    begun: Instant,
    /// Milliseconds from `begun` to the last call that was counted.
    last_call_ms: AtomicU64,
    pushes: AtomicBool,
    delivered: Counter,
    acknowledged: Counter,
    refused: AtomicU64,
    sent: Counter,
    handled: Window,
    handling_ms: Window,
    handling_ms_max: Window,
}

/// Figures as they are at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shown {
    /// Messages delivered to it.
    pub delivered: u64,
    /// Messages that it has acknowledged.
    pub acknowledged: u64,
    /// Messages that it wants to come again, or to go to the dead letters.
    pub refused: u64,
    /// Messages that it has sent.
    pub sent: u64,
    /// Over the last minute.
    pub delivered_per_second: f64,
    /// Over the last minute.
    pub acknowledged_per_second: f64,
    /// Over the last minute.
    pub sent_per_second: f64,
    /// From delivery to acknowledgement, over the last minute.
    pub handling_ms_mean: Option<f64>,
    /// From delivery to acknowledgement, over the last minute.
    pub handling_ms_max: Option<f64>,
}

impl Figures {
    /// Nothing counted yet.
    pub fn new(now: Instant) -> Self {
        Self {
            begun: now,
            last_call_ms: AtomicU64::new(0),
            pushes: AtomicBool::new(false),
            delivered: Counter::default(),
            acknowledged: Counter::default(),
            refused: AtomicU64::new(0),
            sent: Counter::default(),
            handled: Window::default(),
            handling_ms: Window::default(),
            handling_ms_max: Window::default(),
        }
    }

    /// A message was delivered to it.
    pub fn delivered(&self, now: Instant) {
        self.delivered.add(self.tick(now), 1);
    }

    /// It has sent messages.
    pub fn sent(&self, messages: u64, now: Instant) {
        self.called(now);
        self.sent.add(self.tick(now), messages);
    }

    /// It has acknowledged a message, so long after the delivery.
    pub fn acknowledged(&self, handling_ms: Option<u64>, now: Instant) {
        self.called(now);
        let tick = self.tick(now);
        self.acknowledged.add(tick, 1);
        if let Some(ms) = handling_ms {
            self.handled.fold(tick, 1, u64::saturating_add);
            self.handling_ms.fold(tick, ms, u64::saturating_add);
            self.handling_ms_max.fold(tick, ms, u64::max);
        }
    }

    /// It has refused a message.
    pub fn refused(&self, now: Instant) {
        self.called(now);
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it has announced itself as a consumer that messages are pushed to.
    pub fn set_pushes(&self, pushes: bool) {
        self.pushes.store(pushes, Ordering::Relaxed);
    }

    /// As [`Self::set_pushes`] has it.
    pub fn pushes(&self) -> bool {
        self.pushes.load(Ordering::Relaxed)
    }

    /// When it called last, as far as its calls are counted here.
    pub fn last_call(&self) -> Instant {
        self.begun + Duration::from_millis(self.last_call_ms.load(Ordering::Relaxed))
    }

    /// Everything, with the last minute's as of `now`.
    pub fn show(&self, now: Instant) -> Shown {
        let tick = self.tick(now);
        let minute = Duration::from_secs(60) + self.within_tick(now);
        let seconds = now
            .saturating_duration_since(self.begun)
            .min(minute)
            .as_secs_f64()
            // In its first moments a client has no rate to speak of.
            .max(1.0);
        let rate = |counter: &Counter| counter.window.sum(tick) as f64 / seconds;
        let handled = self.handled.sum(tick);
        let any = handled > 0;
        Shown {
            delivered: self.delivered.total(),
            acknowledged: self.acknowledged.total(),
            refused: self.refused.load(Ordering::Relaxed),
            sent: self.sent.total(),
            delivered_per_second: rate(&self.delivered),
            acknowledged_per_second: rate(&self.acknowledged),
            sent_per_second: rate(&self.sent),
            handling_ms_mean: any.then(|| self.handling_ms.sum(tick) as f64 / handled as f64),
            handling_ms_max: any.then(|| self.handling_ms_max.max(tick) as f64),
        }
    }

    fn called(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.begun).as_millis() as u64;
        self.last_call_ms.store(ms, Ordering::Relaxed);
    }

    fn tick(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begun).as_secs() / TICK.as_secs()
    }

    fn within_tick(&self, now: Instant) -> Duration {
        let ms = now.saturating_duration_since(self.begun).as_millis() % TICK.as_millis();
        Duration::from_millis(ms as u64)
    }
}

/// A total and the last minute's part of it.
#[derive(Debug, Default)]
struct Counter {
    total: AtomicU64,
    window: Window,
}

impl Counter {
    fn add(&self, tick: u64, count: u64) {
        self.total.fetch_add(count, Ordering::Relaxed);
        self.window.fold(tick, count, u64::saturating_add);
    }

    fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct Window([AtomicU64; TICKS]);

impl Window {
    /// Puts `value` to what the tick has so far, or to nothing.
    fn fold(&self, tick: u64, value: u64, with: impl Fn(u64, u64) -> u64) {
        let stamp = tick & STAMP_MASK;
        let place = &self.0[(tick % TICKS as u64) as usize];
        let update = |packed: u64| {
            let so_far = if packed >> VALUE_BITS == stamp {
                packed & VALUE_MAX
            } else {
                0
            };
            Some(stamp << VALUE_BITS | with(so_far, value).min(VALUE_MAX))
        };
        // It never answers `None`, and so never fails.
        let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    }

    fn sum(&self, tick: u64) -> u64 {
        self.values(tick).sum()
    }

    fn max(&self, tick: u64) -> u64 {
        self.values(tick).max().unwrap_or(0)
    }

    /// What the ticks up to this one have.
    fn values(&self, tick: u64) -> impl Iterator<Item = u64> {
        let stamps = tick.saturating_sub(TICKS as u64 - 1)..=tick;
        stamps.filter_map(|tick| {
            let packed = self.0[(tick % TICKS as u64) as usize].load(Ordering::Relaxed);
            (packed >> VALUE_BITS == tick & STAMP_MASK).then_some(packed & VALUE_MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn everything_is_counted_and_the_last_minute_by_itself() {
        let start = Instant::now();
        let figures = Figures::new(start);
        for second in 0..200 {
            let now = at(start, second);
            figures.delivered(now);
            figures.delivered(now);
            figures.acknowledged(Some(second), now);
            figures.sent(5, now);
        }
        figures.refused(at(start, 200));
        let shown = figures.show(at(start, 200));
        let totals = (shown.delivered, shown.acknowledged, shown.refused, shown.sent);
        assert_eq!(totals, (400, 200, 1, 1000));
        // From 140 s on, and 200 s has no messages yet.
        let rates = [
            shown.delivered_per_second,
            shown.acknowledged_per_second,
            shown.sent_per_second,
        ];
        assert_eq!(rates, [2.0, 1.0, 5.0]);
        assert_eq!(
            (shown.handling_ms_mean, shown.handling_ms_max),
            (Some(169.5), Some(199.0))
        );
    }

    #[test]
    fn what_is_over_for_a_minute_leaves_the_rates() {
        let start = Instant::now();
        let figures = Figures::new(start);
        figures.acknowledged(Some(40), at(start, 5));
        for (second, rate, max) in [
            (5, 1.0 / 5.0, Some(40.0)),
            (50, 1.0 / 50.0, Some(40.0)),
            (69, 1.0 / 69.0, Some(40.0)),
            (70, 0.0, None),
            // The ring has come round.
            (75, 0.0, None),
            (10_000_000, 0.0, None),
        ] {
            let shown = figures.show(at(start, second));
            assert_eq!(
                (shown.acknowledged_per_second, shown.handling_ms_max),
                (rate, max),
                "at {second} s"
            );
            assert_eq!(shown.acknowledged, 1);
        }
    }

    #[test]
    fn an_acknowledgement_of_unknown_age_has_no_handling_time() {
        let start = Instant::now();
        let figures = Figures::new(start);
        figures.acknowledged(None, start);
        figures.acknowledged(Some(10), start);
        figures.acknowledged(Some(30), start);
        let shown = figures.show(start);
        assert_eq!((shown.acknowledged, shown.handling_ms_mean), (3, Some(20.0)));
        assert_eq!(
            shown.acknowledged_per_second, 3.0,
            "a first moment counts as a second"
        );
    }

    #[test]
    fn values_beyond_what_a_counter_holds_stay_at_its_most() {
        let window = Window::default();
        for _ in 0..3 {
            window.fold(9, VALUE_MAX - 1, u64::saturating_add);
        }
        window.fold(10, u64::MAX, u64::saturating_add);
        assert_eq!((window.sum(9), window.max(10)), (VALUE_MAX, VALUE_MAX));
    }

    #[test]
    fn threads_that_count_together_lose_nothing() {
        let figures = Arc::new(Figures::new(Instant::now()));
        let count = |figures: Arc<Figures>| move || (0..20_000).for_each(|_| figures.sent(1, Instant::now()));
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(count(Arc::clone(&figures))))
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let shown = figures.show(Instant::now());
        assert_eq!(shown.sent, 80_000);
        assert!(figures.last_call() >= figures.begun);
    }

    #[test]
    fn the_last_call_is_the_last_one_counted() {
        let start = Instant::now();
        let figures = Figures::new(start);
        assert_eq!(figures.last_call(), start);
        figures.sent(1, at(start, 3));
        assert_eq!(figures.last_call(), at(start, 3));
    }
}
