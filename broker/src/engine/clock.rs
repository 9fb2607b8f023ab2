//! The proposer's clock: never behind the state's time, never going back, and at the pace of monotonic time however the wall clock is set.

use rustix::time::{ClockId, clock_gettime};
use sluice_core::ids::TimeMs;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tracing::{info, warn};

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
/// Time that passes for each microsecond by which the clock catches up with a wall clock ahead of it: 500 parts in a million, as the system
/// slews its own (adjtime(3)). A duration is shorter by no more than that.
const US_PER_SLEWED: u64 = 2_000;
/// What counts for catching up of the time between two readings, in microseconds.
const UNREAD_US_MAX: u64 = 60_000_000;
/// From so far on being ahead of the machine's clock or behind it is told, in microseconds.
const TOLD_FROM_US: i64 = 1_000_000;

/// The machine's clocks. What it has slept counts as passed.
#[derive(Debug, Default)]
pub struct SystemTime;

impl TimeSource for SystemTime {
    fn wall_us(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_micros() as u64)
    }

    fn monotonic_us(&self) -> u64 {
        let since = clock_gettime(ClockId::Boottime);
        let (seconds, nanoseconds) = (since.tv_sec as u64, since.tv_nsec as u64);
        seconds * 1_000_000 + nanoseconds / 1_000
    }
}

/// Time for commands: the wall clock as it was at first, and monotonic time since. A wall clock that jumps takes nothing with it: from one
/// that is ahead the clock catches up slowly, and for one that is behind it waits.
pub struct Clock {
    source: Box<dyn TimeSource>,
    /// What is added to monotonic time. It never gets less.
    lead_us: AtomicU64,
    /// The monotonic time up to which what may be caught up is counted.
    counted_us: AtomicU64,
    /// How far from the machine's clock was told last.
    told_us: AtomicI64,
}

impl Clock {
    /// A clock over `source`, which is right now.
    pub fn new(source: Box<dyn TimeSource>) -> Self {
        // In this order, here and below: what passes between the two readings makes a lead too small, which is caught up. The other way
        // round it would be too large, and the clock run ahead, for good.
        let wall = source.wall_us();
        let monotonic = source.monotonic_us();
        Self {
            source,
            lead_us: AtomicU64::new(wall.saturating_sub(monotonic)),
            counted_us: AtomicU64::new(monotonic),
            told_us: AtomicI64::new(0),
        }
    }

    /// The time now.
    pub fn now(&self) -> TimeMs {
        let wall = self.source.wall_us();
        let monotonic = self.source.monotonic_us();
        let wanted = wall.saturating_sub(monotonic);
        let lead = self.lead_us.load(Ordering::Relaxed);
        let lead = if wanted > lead {
            self.catch_up(lead, wanted, monotonic)
        } else {
            self.counted_us.fetch_max(monotonic, Ordering::Relaxed);
            lead
        };
        self.tell(lead as i64 - wanted as i64);
        monotonic.saturating_add(lead) / US_PER_MS
    }

    /// The lead, and what may be caught up by now of what is missing to the one that is wanted.
    fn catch_up(&self, lead: u64, wanted: u64, monotonic: u64) -> u64 {
        let counted = self.counted_us.load(Ordering::Relaxed);
        let since = monotonic.saturating_sub(counted).min(UNREAD_US_MAX);
        let caught_up = lead + (since / US_PER_SLEWED).min(wanted - lead);
        if caught_up == lead {
            return lead;
        }
        let (order, otherwise) = (Ordering::Relaxed, Ordering::Relaxed);
        let is_ours = self
            .counted_us
            .compare_exchange(counted, monotonic, order, otherwise);
        // Another reading counts the same time.
        if is_ours.is_err() {
            return lead;
        }
        self.lead_us
            .fetch_max(caught_up, Ordering::Relaxed)
            .max(caught_up)
    }

    /// From now on the clock gives at least `time`.
    pub fn not_before(&self, time: TimeMs) {
        let lead = time
            .saturating_mul(US_PER_MS)
            .saturating_sub(self.source.monotonic_us());
        self.lead_us.fetch_max(lead, Ordering::Relaxed);
    }

    /// How far the clock is ahead of the machine's, in microseconds; less than 0 if it is behind.
    pub fn ahead_us(&self) -> i64 {
        let wall = self.source.wall_us();
        let monotonic = self.source.monotonic_us();
        let wanted = wall.saturating_sub(monotonic);
        self.lead_us.load(Ordering::Relaxed) as i64 - wanted as i64
    }

    /// Says that the machine's clock was set, once for each time.
    fn tell(&self, ahead: i64) {
        let told = self.told_us.load(Ordering::Relaxed);
        if !is_news(told, ahead) {
            return;
        }
        let is_near = ahead.abs() < TOLD_FROM_US;
        let next = if is_near { 0 } else { ahead };
        let (order, otherwise) = (Ordering::Relaxed, Ordering::Relaxed);
        let is_ours = self.told_us.compare_exchange(told, next, order, otherwise);
        if is_ours.is_err() {
            return;
        }
        let seconds = ahead.unsigned_abs() as f64 / 1e6;
        if is_near {
            info!("the broker's time is that of the machine again");
        } else if ahead > 0 {
            warn!(
                "the machine's clock was set back: the broker's time is {seconds:.1} s ahead, and goes on at its own pace until the machine's is there"
            );
        } else {
            warn!(
                "the machine's clock was set forward: the broker's time is {seconds:.1} s behind and catches up by 1.8 s an hour, so that nothing comes early; a restart follows at once"
            );
        }
    }
}

/// Whether it is new to be so far ahead, after what was told last. What is caught up by and by is not.
fn is_news(told: i64, ahead: i64) -> bool {
    if ahead.abs() < TOLD_FROM_US {
        return told != 0;
    }
    told == 0 || told.signum() != ahead.signum() || ahead.abs() >= told.abs() + TOLD_FROM_US
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

    /// A clock by hands that stand so, in milliseconds.
    fn clock(wall: u64, monotonic: u64) -> (Arc<Hands>, Clock) {
        let hands = Arc::new(Hands::default());
        hands.set(wall, monotonic);
        let clock = Clock::new(Box::new(Arc::clone(&hands)));
        (hands, clock)
    }

    impl Hands {
        fn set(&self, wall: u64, monotonic: u64) {
            self.wall.store(wall * US_PER_MS, Ordering::Relaxed);
            self.monotonic.store(monotonic * US_PER_MS, Ordering::Relaxed);
        }
    }

    #[test]
    fn time_does_not_follow_a_jump_either_way_and_never_goes_back() {
        let (hands, clock) = clock(1_000_000, 5);
        let set = |wall, monotonic| {
            hands.set(wall, monotonic);
            clock.now()
        };
        assert_eq!(set(1_000_001, 6), 1_000_001);
        assert_eq!(set(4_600_005, 10), 1_000_005, "an hour ahead");
        assert!((clock.ahead_us() + 3_600_000_000).abs() < US_PER_MS as i64);
        assert_eq!(set(1_000_025, 30), 1_000_025, "put right again");
        assert_eq!(set(500_035, 40), 1_000_035, "back: it goes on at its own pace");
        assert!((clock.ahead_us() - 500_000_000).abs() < US_PER_MS as i64);
        clock.not_before(9_000_000);
        assert_eq!(set(500_045, 50), 9_000_010);
    }

    #[test]
    fn a_wall_clock_that_is_ahead_is_caught_up_with_by_a_two_thousandth_of_the_time_that_passes() {
        let (hands, clock) = clock(1_000_000, 0);
        // In step for a day: that is no leave to catch up at once.
        for minute in 0..1440 {
            hands.set(1_000_000 + minute * 60_000, minute * 60_000);
            assert_eq!(clock.now(), hands.wall_ms());
        }
        let (wall, monotonic) = (hands.wall_ms(), hands.monotonic_us() / US_PER_MS);
        let jumped = 10_000;
        for passed in (0..=20_001_000).step_by(1_000) {
            hands.set(wall + jumped + passed, monotonic + passed);
            let caught_up = (passed / US_PER_SLEWED).min(jumped);
            let behind = wall + jumped + passed - clock.now();
            assert!(
                behind.abs_diff(jumped - caught_up) <= 1,
                "{behind} after {passed}"
            );
        }
        assert_eq!(clock.now(), hands.wall_ms(), "caught up");
    }

    #[test]
    fn what_nobody_read_for_long_is_no_leave_to_catch_up_at_once() {
        let (hands, clock) = clock(1_000_000, 0);
        hands.set(1_000_000 + 100 * 3_600_000, 50 * 3_600_000);
        assert_eq!(clock.now(), 1_000_000 + 50 * 3_600_000 + 30);
    }

    #[test]
    fn each_time_that_the_machines_clock_is_set_is_told_once() {
        let (hour, second) = (3_600 * TOLD_FROM_US, TOLD_FROM_US);
        assert!(!is_news(0, 0) && !is_news(0, second - 1) && !is_news(0, 1 - second));
        assert!(is_news(0, -hour) && is_news(0, hour));
        assert!(
            !is_news(-hour, -hour) && !is_news(-hour, -hour + 5 * second),
            "caught up"
        );
        assert!(is_news(-hour, -2 * hour) && is_news(-hour, hour), "set again");
        assert!(is_news(-hour, 0) && is_news(hour, second - 1), "put right");
    }

    #[test]
    fn being_held_up_between_two_readings_does_not_put_the_clock_ahead() {
        let hands = Arc::new(Hands::default());
        hands.wall.store(5_000_000, Ordering::Relaxed);
        hands.held_up.store(20_000, Ordering::Relaxed);
        let clock = Clock::new(Box::new(Arc::clone(&hands)));
        clock.now();
        hands.held_up.store(0, Ordering::Relaxed);
        assert!(clock.now() <= hands.wall_ms());
        assert!(clock.ahead_us() >= -20_000);
    }

    #[test]
    fn the_rounding_of_two_clocks_does_not_put_time_ahead() {
        let hands = Arc::new(Hands::default());
        hands.wall.store(5_000_700, Ordering::Relaxed);
        hands.monotonic.store(400, Ordering::Relaxed);
        let clock = Clock::new(Box::new(Arc::clone(&hands)));
        for us in 0..3_000 {
            hands.wall.store(5_000_700 + us, Ordering::Relaxed);
            hands.monotonic.store(400 + us, Ordering::Relaxed);
            assert_eq!(clock.now(), hands.wall_ms(), "after {us} microseconds");
        }
    }

    #[test]
    fn the_machines_own_clocks_agree_with_each_other() {
        let clock = Clock::new(Box::new(SystemTime));
        let before = SystemTime.wall_ms();
        let now = clock.now();
        // They have the same unit, however long this is held up between two readings.
        assert!(
            (before.saturating_sub(60_000)..=SystemTime.wall_ms()).contains(&now),
            "{before}: {now}"
        );
    }
}
