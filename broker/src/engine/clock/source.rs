//! The machine's two clocks, and how they are read together.

use super::US_PER_MS;
use rustix::time::{ClockId, clock_gettime};
use sluice_core::ids::TimeMs;

/// As much may pass between two readings that are of one moment, in microseconds. A process that was stopped there has read clocks
/// that seem to be apart by as much as it stood still.
const HELD_UP_US_MAX: u64 = 10_000;
/// Tries to read the clocks without being held up. One that was stopped goes on as ever; on a machine that is that busy they may all fail.
const READINGS_MAX: usize = 4;

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

/// Both clocks, read one behind the other.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    /// Monotonic time, in microseconds.
    pub(super) monotonic: u64,
    /// What is to be added to it to have the wall clock's.
    pub(super) lead: u64,
    /// Whether they were read at one moment.
    pub(super) is_of_one_moment: bool,
}

impl Reading {
    pub(super) fn of(source: &dyn TimeSource) -> Self {
        let mut before = source.monotonic_us();
        let mut tries = 0;
        loop {
            // In this order: what passes between the two readings makes a lead too small, which is caught up. The other way round it
            // would be too large, and the clock run ahead, for good.
            let wall = source.wall_us();
            let monotonic = source.monotonic_us();
            tries += 1;
            let is_of_one_moment = monotonic.saturating_sub(before) <= HELD_UP_US_MAX;
            if is_of_one_moment || tries == READINGS_MAX {
                return Self {
                    monotonic,
                    lead: wall.saturating_sub(monotonic),
                    is_of_one_moment,
                };
            }
            before = monotonic;
        }
    }
}
