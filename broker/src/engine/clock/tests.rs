//! Clocks that a test sets, holds up and stops.

use super::*;
use std::sync::Arc;

/// In microseconds; `held_up` passes on both clocks after each reading, whichever it is, and a minute after the one that is
/// `stopped_in` readings from now.
#[derive(Default)]
struct Hands {
    wall: AtomicU64,
    monotonic: AtomicU64,
    held_up: AtomicU64,
    stopped_in: AtomicU64,
}

impl Hands {
    fn read(&self, hand: &AtomicU64) -> u64 {
        let now = hand.load(Ordering::Relaxed);
        let left = self.stopped_in.load(Ordering::Relaxed);
        self.stopped_in.store(left.saturating_sub(1), Ordering::Relaxed);
        let stopped = if left == 1 { 60_000_000 } else { 0 };
        self.pass(self.held_up.load(Ordering::Relaxed) + stopped);
        now
    }

    fn pass(&self, us: u64) {
        self.wall.fetch_add(us, Ordering::Relaxed);
        self.monotonic.fetch_add(us, Ordering::Relaxed);
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
    for (told, ahead, expected) in [
        (0, 0, (0, false)),
        (0, second - 1, (0, false)),
        (0, 1 - second, (0, false)),
        (0, hour, (hour, true)),
        (0, -hour, (-hour, true)),
        (-hour, -hour, (-hour, false)),
        // Caught up, and set again then.
        (-hour, -hour + second - 1, (-hour, false)),
        (-hour, -hour + 5 * second, (-hour + 5 * second, false)),
        (-hour + 5 * second, -hour, (-hour, true)),
        (-hour, -2 * hour, (-2 * hour, true)),
        (-hour, hour, (hour, true)),
        // Put right, and not quite.
        (-hour, 0, (0, true)),
        (hour, NEAR_US - 1, (0, true)),
        (hour, NEAR_US, (NEAR_US, false)),
        (NEAR_US, second - 1, (NEAR_US, false)),
        (-second, -second + 5, (-second, false)),
        (-second, second - 1, (-second, false)),
    ] {
        assert_eq!(heard(told, ahead), expected, "{told}, then {ahead}");
    }
}

/// What is told while the clock is read, by how far it is ahead then in microseconds; 0 for being there again.
fn told(clock: &Clock, readings: impl Iterator<Item = ()>) -> Vec<i64> {
    let mut told = vec![clock.told_us.load(Ordering::Relaxed)];
    for () in readings {
        clock.now();
        told.push(clock.told_us.load(Ordering::Relaxed));
    }
    told.dedup();
    told.remove(0);
    told
}

#[test]
fn a_clock_near_the_distance_that_is_told_is_told_once_however_readings_are_held_up() {
    let (hands, clock) = clock(1_000_000, 5);
    hands.set(1_000_000 + 1_004 + 10, 5 + 10);
    let readings = (0..1_000).map(|n| {
        hands.held_up.store(n % 2 * 5_000, Ordering::Relaxed);
        hands.pass(1_000);
    });
    assert_eq!(told(&clock, readings).len(), 1);
    hands.held_up.store(0, Ordering::Relaxed);
    let (wall, monotonic) = (hands.wall_us(), hands.monotonic_us());
    // It catches up with all of it.
    let readings = (0..3_000).map(|second| {
        let passed = second * 1_000_000;
        hands.wall.store(wall + passed, Ordering::Relaxed);
        hands.monotonic.store(monotonic + passed, Ordering::Relaxed);
    });
    assert_eq!(told(&clock, readings), [0], "there again, once");
}

#[test]
fn a_stop_between_two_readings_is_no_clock_that_was_set() {
    for stopped_in in 1..=8 {
        let (hands, clock) = clock(1_000_000, 5);
        let readings = (0..4).map(|n| {
            hands.pass(1_000);
            if n == 1 {
                hands.stopped_in.store(stopped_in, Ordering::Relaxed);
            }
        });
        assert_eq!(
            told(&clock, readings),
            [0; 0],
            "stopped after reading {stopped_in}"
        );
        assert_eq!(clock.ahead_us(), 0, "stopped after reading {stopped_in}");
    }
}

#[test]
fn nothing_is_told_while_every_reading_is_stopped_in() {
    for set_by in [0, 3_600_000] {
        let (hands, clock) = clock(1_000_000, 5);
        hands.set(1_000_000 + set_by, 5);
        clock.now();
        hands.held_up.store(7_200_000_000, Ordering::Relaxed);
        assert_eq!(
            told(&clock, (0..10).map(|_| ())),
            [0; 0],
            "set forward by {set_by} ms before"
        );
    }
}

#[test]
fn a_start_that_is_stopped_between_two_readings_begins_at_the_machines_time() {
    for stopped_in in 1..=4 {
        let hands = Arc::new(Hands::default());
        hands.set(1_000_000, 5);
        hands.stopped_in.store(stopped_in, Ordering::Relaxed);
        let clock = Clock::new(Box::new(Arc::clone(&hands)));
        hands.stopped_in.store(0, Ordering::Relaxed);
        assert_eq!(clock.ahead_us(), 0, "stopped after reading {stopped_in}");
    }
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
