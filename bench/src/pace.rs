//! When each send is due, and which of them are measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::units::nanos;

const NANOS_A_SECOND: u64 = 1_000_000_000;
/// The pacing thread sleeps no shorter: finer would cost more CPU than the error is worth.
const PACER_STEP: Duration = Duration::from_micros(100);
/// How long after its end a run still makes the sends that were due in it.
const LATE_MAX: Duration = Duration::from_secs(10);
/// Enough for every worker to come by and find that the run is over.
const FAREWELL_PERMITS: usize = 1 << 20;

/// How much to send and when.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Unmeasured time at the start.
    pub warmup: Duration,
    /// Measured time, unless `count` decides.
    pub duration: Duration,
    /// Measured sends.
    pub count: Option<u64>,
    /// Sends a second; a closed loop without it.
    pub rate: Option<u64>,
}

/// One send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Counts from 0.
    pub number: u64,
    /// When the send is due; latency counts from here.
    pub due: Instant,
    /// Whether it belongs to the measurement.
    pub measured: bool,
}

/// Hands out the sends of a run to its workers.
#[derive(Debug)]
pub struct Plan {
    load: Load,
    start: Instant,
    numbers: AtomicU64,
    measured: AtomicU64,
    permits: Semaphore,
    over: AtomicBool,
}

impl Plan {
    /// A plan that begins now; a paced one needs its pacer ([`Plan::spawn_pacer`]).
    #[must_use]
    pub fn new(load: Load) -> Arc<Self> {
        Arc::new(Self {
            load,
            start: Instant::now(),
            numbers: AtomicU64::new(0),
            measured: AtomicU64::new(0),
            permits: Semaphore::new(0),
            over: AtomicBool::new(false),
        })
    }

    /// When the run began.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.start
    }

    /// When measuring begins.
    #[must_use]
    pub fn measured_from(&self) -> Instant {
        self.start + self.load.warmup
    }

    /// The next send, at the moment it is due or later; nothing when the run is over.
    pub async fn next(&self) -> Option<Slot> {
        match self.load.rate {
            Some(rate) => {
                self.permits.acquire().await.ok()?.forget();
                self.paced(rate)
            }
            None => self.closed(Instant::now()),
        }
    }

    /// Starts the thread that lets paced sends go; a closed loop has none.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn spawn_pacer(self: &Arc<Self>) -> std::io::Result<()> {
        let Some(rate) = self.load.rate else { return Ok(()) };
        let plan = Arc::clone(self);
        // A thread of its own: the runtime's timers tick by whole milliseconds.
        std::thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || plan.pace(rate))?;
        Ok(())
    }

    fn pace(&self, rate: u64) {
        let (mut released, total) = (0, self.total(rate));
        while released < total {
            let elapsed = self.start.elapsed();
            let due = (nanos(elapsed) as u128 * u128::from(rate) / u128::from(NANOS_A_SECOND)) as u64 + 1;
            let due = due.min(total);
            self.permits
                .add_permits(usize::try_from(due - released).unwrap_or(0));
            released = due;
            let next = Duration::from_nanos(offset_nanos(released, rate));
            std::thread::sleep(next.saturating_sub(self.start.elapsed()).max(PACER_STEP));
        }
        self.permits.add_permits(FAREWELL_PERMITS);
    }

    fn total(&self, rate: u64) -> u64 {
        let sends = |time: Duration| (time.as_nanos() * u128::from(rate) / u128::from(NANOS_A_SECOND)) as u64;
        sends(self.load.warmup) + self.load.count.unwrap_or_else(|| sends(self.load.duration))
    }

    fn paced(&self, rate: u64) -> Option<Slot> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let total = self.total(rate);
        let end = self.start + Duration::from_nanos(offset_nanos(total, rate));
        if number >= total || Instant::now() > end + LATE_MAX {
            return None;
        }
        let due = self.start + Duration::from_nanos(offset_nanos(number, rate));
        Some(Slot {
            number,
            due,
            measured: due >= self.measured_from(),
        })
    }

    fn closed(&self, now: Instant) -> Option<Slot> {
        let measured = now >= self.measured_from();
        let over = match self.load.count {
            Some(count) => measured && self.measured.fetch_add(1, Ordering::Relaxed) >= count,
            None => now >= self.measured_from() + self.load.duration,
        };
        if over || self.over.load(Ordering::Relaxed) {
            self.over.store(true, Ordering::Relaxed);
            return None;
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        Some(Slot {
            number,
            due: now,
            measured,
        })
    }

    /// Sends of a paced run that were due but never made, because the server was too slow for too long.
    #[must_use]
    pub fn never_made(&self) -> u64 {
        let Some(rate) = self.load.rate else { return 0 };
        self.total(rate)
            .saturating_sub(self.numbers.load(Ordering::Relaxed))
    }
}

fn offset_nanos(number: u64, rate: u64) -> u64 {
    u64::try_from(u128::from(number) * u128::from(NANOS_A_SECOND) / u128::from(rate)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(count: Option<u64>, rate: Option<u64>) -> Load {
        Load {
            warmup: Duration::ZERO,
            duration: Duration::from_millis(50),
            count,
            rate,
        }
    }

    #[tokio::test]
    async fn paced_sends_are_due_evenly_and_never_come_early() {
        let plan = Plan::new(Load {
            warmup: Duration::from_millis(10),
            ..load(None, Some(1000))
        });
        plan.spawn_pacer().unwrap();
        let mut slots = Vec::new();
        while let Some(slot) = plan.next().await {
            assert!(Instant::now() >= slot.due);
            slots.push(slot);
        }
        assert_eq!(slots.len(), 60);
        assert!(
            slots
                .windows(2)
                .all(|pair| pair[1].due - pair[0].due == Duration::from_millis(1))
        );
        assert_eq!(slots.iter().filter(|slot| slot.measured).count(), 50);
        assert_eq!(plan.never_made(), 0);
    }

    #[tokio::test]
    async fn a_closed_loop_ends_by_count_or_by_time() {
        let plan = Plan::new(load(Some(3), None));
        for number in 0..3 {
            assert_eq!(plan.next().await.map(|slot| slot.number), Some(number));
        }
        assert_eq!(plan.next().await, None);
        let plan = Plan::new(load(None, None));
        assert!(plan.closed(plan.start()).is_some());
        assert!(plan.closed(plan.start() + Duration::from_millis(51)).is_none());
        assert!(
            plan.closed(plan.start()).is_none(),
            "over for all workers once it is over for one"
        );
    }
}
