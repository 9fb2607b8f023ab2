//! The proposer's clock: the wall clock, but never behind the state's time and never going back.

use sluice_core::ids::TimeMs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Where time comes from. Microseconds, so that times of whole milliseconds made of both readings do not run ahead of the
/// wall clock by the rounding of either.
pub trait TimeSource: Send + Sync {
    /// Microseconds since the Unix epoch, as the machine has them: it may jump either way.
    fn wall_us(&self) -> u64;
    /// Microseconds since some moment: never goes back.
    fn monotonic_us(&self) -> u64;

    /// The wall clock in whole milliseconds.
    fn wall_ms(&self) -> TimeMs {
        self.wall_us() / US_PER_MS
    }
}

const US_PER_MS: u64 = 1_000;

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemTime {
    start: Instant,
}

impl Default for SystemTime {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl TimeSource for SystemTime {
    fn wall_us(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_micros() as u64)
    }

    fn monotonic_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

/// Time for commands. It is monotonic time plus the largest lead of the wall clock seen so far: when the wall clock
/// jumps ahead it follows at once, when it jumps back it goes on at its own pace.
pub struct Clock {
    source: Box<dyn TimeSource>,
    lead_us: AtomicU64,
}

impl Clock {
    /// A clock over `source`.
    pub fn new(source: Box<dyn TimeSource>) -> Self {
        Self {
            source,
            lead_us: AtomicU64::new(0),
        }
    }

    /// The time now.
    pub fn now(&self) -> TimeMs {
        // In this order: what passes between the two readings makes this one lead too small, which the largest one makes
        // good. The other way round it would make the largest one too large, and the clock run ahead, for good.
        let wall = self.source.wall_us();
        let monotonic = self.source.monotonic_us();
        let lead = wall.saturating_sub(monotonic);
        let largest = self.lead_us.fetch_max(lead, Ordering::Relaxed).max(lead);
        monotonic.saturating_add(largest) / US_PER_MS
    }

    /// From now on the clock gives at least `time`.
    pub fn not_before(&self, time: TimeMs) {
        let lead = time
            .saturating_mul(US_PER_MS)
            .saturating_sub(self.source.monotonic_us());
        self.lead_us.fetch_max(lead, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// In microseconds; `held_up` passes on both clocks after each reading, whichever it is.
    #[derive(Default)]
    struct Hands {
        wall: AtomicU64,
        monotonic: AtomicU64,
        held_up: AtomicU64,
    }

    impl Hands {
        fn read(&self, hand: &AtomicU64) -> u64 {
            let now = hand.load(Ordering::Relaxed);
            let held_up = self.held_up.load(Ordering::Relaxed);
            self.wall.fetch_add(held_up, Ordering::Relaxed);
            self.monotonic.fetch_add(held_up, Ordering::Relaxed);
            now
        }
    }

    impl TimeSource for Arc<Hands> {
        fn wall_us(&self) -> u64 {
            self.read(&self.wall)
        }
        fn monotonic_us(&self) -> u64 {
            self.read(&self.monotonic)
        }
    }

    #[test]
    fn time_follows_a_jump_ahead_and_never_goes_back() {
        let hands = Arc::new(Hands::default());
        let clock = Clock::new(Box::new(Arc::clone(&hands)));
        let set = |wall, monotonic| {
            hands.wall.store(wall * US_PER_MS, Ordering::Relaxed);
            hands.monotonic.store(monotonic * US_PER_MS, Ordering::Relaxed);
            clock.now()
        };
        assert_eq!(set(1_000_000, 5), 1_000_000);
        assert_eq!(set(4_600_000, 10), 4_600_000, "an hour ahead");
        assert_eq!(
            set(1_000_010, 30),
            4_600_020,
            "back again: it goes on at its own pace"
        );
        clock.not_before(9_000_000);
        assert_eq!(set(1_000_010, 40), 9_000_010);
    }

    #[test]
    fn being_held_up_between_two_readings_does_not_put_the_clock_ahead() {
        let hands = Arc::new(Hands::default());
        hands.wall.store(5_000_000, Ordering::Relaxed);
        hands.held_up.store(20_000, Ordering::Relaxed);
        let clock = Clock::new(Box::new(Arc::clone(&hands)));
        clock.now();
        hands.held_up.store(0, Ordering::Relaxed);
        assert_eq!(clock.now(), hands.wall_ms());
    }

    #[test]
    fn the_rounding_of_two_clocks_does_not_put_time_ahead() {
        let hands = Arc::new(Hands::default());
        let clock = Clock::new(Box::new(Arc::clone(&hands)));
        for us in 0..3_000 {
            hands.wall.store(5_000_700 + us, Ordering::Relaxed);
            hands.monotonic.store(400 + us, Ordering::Relaxed);
            assert_eq!(clock.now(), hands.wall_ms(), "after {us} microseconds");
        }
    }
}
