//! The proposer's clock: never behind the state's time, never going back, and at the pace of monotonic time however the wall clock is set.

mod source;
#[cfg(test)]
mod tests;

pub use source::{SystemTime, TimeSource};

use sluice_core::ids::TimeMs;
use source::Reading;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tracing::{info, warn};

const US_PER_MS: u64 = 1_000;
/// Time that passes for each microsecond by which the clock catches up with a wall clock ahead of it: 500 parts in a million, as the system
/// slews its own (adjtime(3)). A duration is shorter by no more than that.
const US_PER_SLEWED: u64 = 2_000;
/// What counts for catching up of the time between two readings, in microseconds.
const UNREAD_US_MAX: u64 = 60_000_000;
/// From so far on being ahead of the machine's clock or behind it is told, in microseconds.
const TOLD_FROM_US: i64 = 1_000_000;
/// Below this they are told to be the same again: so far from the other that readings, which differ by some milliseconds, do not go to
/// and fro between the two.
const NEAR_US: i64 = TOLD_FROM_US / 2;

/// Time for commands: the wall clock as it was at first, and monotonic time since. A wall clock that jumps takes nothing with it: from one
/// that is ahead the clock catches up slowly, and for one that is behind it waits.
pub struct Clock {
    source: Box<dyn TimeSource>,
    /// What is added to monotonic time. It never gets less.
    lead_us: AtomicU64,
    /// The monotonic time up to which what may be caught up is counted.
    counted_us: AtomicU64,
    /// How far from the machine's clock was told last, less what it has come nearer since.
    told_us: AtomicI64,
}

impl Clock {
    /// A clock over `source`, which is right now.
    pub fn new(source: Box<dyn TimeSource>) -> Self {
        let read = Reading::of(&*source);
        Self {
            source,
            lead_us: AtomicU64::new(read.lead),
            counted_us: AtomicU64::new(read.monotonic),
            told_us: AtomicI64::new(0),
        }
    }

    /// The time now.
    pub fn now(&self) -> TimeMs {
        let read = Reading::of(&*self.source);
        let monotonic = read.monotonic;
        let lead = self.lead_us.load(Ordering::Relaxed);
        let lead = if read.lead > lead {
            self.catch_up(lead, read.lead, monotonic)
        } else {
            self.counted_us.fetch_max(monotonic, Ordering::Relaxed);
            lead
        };
        if read.is_of_one_moment {
            self.tell(lead as i64 - read.lead as i64);
        }
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
        let read = Reading::of(&*self.source);
        self.lead_us.load(Ordering::Relaxed) as i64 - read.lead as i64
    }

    /// Says that the machine's clock was set, once for each time, and that it is near again.
    fn tell(&self, ahead: i64) {
        let told = self.told_us.load(Ordering::Relaxed);
        let (next, is_news) = heard(told, ahead);
        if next == told {
            return;
        }
        let (order, otherwise) = (Ordering::Relaxed, Ordering::Relaxed);
        let is_ours = self.told_us.compare_exchange(told, next, order, otherwise);
        if is_ours.is_err() || !is_news {
            return;
        }
        let seconds = ahead.unsigned_abs() as f64 / 1e6;
        if next == 0 {
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

/// What is known after being so far ahead, where `told` was before, and whether that is said: being there again, and being a second or
/// more farther away, or on the other side. Coming nearer is not.
fn heard(told: i64, ahead: i64) -> (i64, bool) {
    if ahead.abs() < NEAR_US {
        return (0, told != 0);
    }
    let is_same_side = told.signum() == ahead.signum();
    let beyond = if is_same_side { told.abs() } else { 0 };
    if ahead.abs() >= beyond + TOLD_FROM_US {
        return (ahead, true);
    }
    let is_nearer = is_same_side && ahead.abs() + TOLD_FROM_US <= told.abs();
    (if is_nearer { ahead } else { told }, false)
}
