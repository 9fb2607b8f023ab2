//! The proposer's clock: the wall clock, but never behind the state's time and never going back.

use sluice_core::ids::TimeMs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Where time comes from.
pub trait TimeSource: Send + Sync {
    /// Milliseconds since the Unix epoch, as the machine has them: it may jump either way.
    fn wall_ms(&self) -> u64;
    /// Milliseconds since some moment: never goes back.
    fn monotonic_ms(&self) -> u64;
}

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
    fn wall_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as u64)
    }

    fn monotonic_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

/// Time for commands. It is monotonic time plus the largest lead of the wall clock seen so far: when the wall clock
/// jumps ahead it follows at once, when it jumps back it goes on at its own pace.
pub struct Clock {
    source: Box<dyn TimeSource>,
    lead_ms: AtomicU64,
}

impl Clock {
    /// A clock over `source`.
    pub fn new(source: Box<dyn TimeSource>) -> Self {
        Self {
            source,
            lead_ms: AtomicU64::new(0),
        }
    }

    /// The time now.
    pub fn now(&self) -> TimeMs {
        let monotonic = self.source.monotonic_ms();
        let lead = self.source.wall_ms().saturating_sub(monotonic);
        monotonic + self.lead_ms.fetch_max(lead, Ordering::Relaxed).max(lead)
    }

    /// From now on the clock gives at least `time`.
    pub fn not_before(&self, time: TimeMs) {
        let lead = time.saturating_sub(self.source.monotonic_ms());
        self.lead_ms.fetch_max(lead, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Default)]
    struct Hands {
        wall: AtomicU64,
        monotonic: AtomicU64,
    }

    impl TimeSource for Arc<Hands> {
        fn wall_ms(&self) -> u64 {
            self.wall.load(Ordering::Relaxed)
        }
        fn monotonic_ms(&self) -> u64 {
            self.monotonic.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn time_follows_a_jump_ahead_and_never_goes_back() {
        let hands = Arc::new(Hands::default());
        let clock = Clock::new(Box::new(Arc::clone(&hands)));
        let set = |wall, monotonic| {
            hands.wall.store(wall, Ordering::Relaxed);
            hands.monotonic.store(monotonic, Ordering::Relaxed);
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
}
