//! What messages may still take while the disk gives nothing: what is filled ahead of the log, but for the reserve.

use super::blame::{Blame, Refusal};
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const NO_BOUND: u64 = u64::MAX;

/// The bound, and whether it was met. Proposers draw on it one by one, so that the reserve stays whole however fast they are
/// and however rarely the helper looks.
pub(super) struct Space {
    /// Bytes that messages may still take, or [`NO_BOUND`] while the disk gives more.
    room: AtomicU64,
    /// Messages are refused until the disk gives more. One that came too late to see that it does may set it once more; the
    /// helper's next step, a second later at most, takes it back.
    full: AtomicBool,
    /// The last time that something was asked of the disk, it gave nothing.
    dry: AtomicBool,
    /// What had no room was told of since the disk gave last.
    is_told: AtomicBool,
    /// What the system says to that.
    pub(super) blame: Blame,
}

impl Space {
    pub(super) fn without_bound() -> Self {
        Self {
            room: AtomicU64::new(NO_BOUND),
            full: AtomicBool::new(false),
            dry: AtomicBool::new(false),
            is_told: AtomicBool::new(false),
            blame: Blame::default(),
        }
    }

    /// Takes what messages of so many bytes need; `false` if there is not so much, and from then on the disk counts as full.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let left = |room: u64| match room {
            NO_BOUND => Some(NO_BOUND),
            room => room.checked_sub(bytes),
        };
        // Whoever sets a bound behind this sees what was queued before it.
        let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
        let taken = !self.is_full() && self.room.fetch_update(set, get, left).is_ok();
        if !taken {
            self.set_full(true);
        }
        taken
    }

    /// The disk gives nothing, and as much as `left` says is left to messages: of what is queued it must count in all that it sees. Once
    /// the disk has counted as full it does until it gives.
    pub(super) fn bound(&self, left: impl Fn() -> u64) {
        // From now on each message that is let in shows in the room.
        let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
        let _ = self.room.compare_exchange(NO_BOUND, NO_BOUND - 1, set, get);
        loop {
            let before = self.room.load(Ordering::Acquire);
            let room = left();
            // One that was let in meanwhile may be in neither: then the sum is made again.
            if self.room.compare_exchange(before, room, set, get).is_ok() {
                if room == 0 {
                    self.set_full(true);
                }
                return;
            }
        }
    }

    /// The disk gives more, or was not asked for what messages take.
    pub(super) fn lift(&self) {
        self.room.store(NO_BOUND, Ordering::Release);
        self.is_told.store(false, Ordering::Relaxed);
        self.set_full(false);
        self.blame.clear();
    }

    /// Tells what had no room, once until the disk gives again.
    pub(super) fn tell(&self, error: &dyn Display) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!("{error}: commands are refused until there is room again");
        }
    }

    /// Takes note of whether the disk gave what it was asked for.
    pub(super) fn set_dry(&self, dry: bool) {
        self.dry.store(dry, Ordering::Relaxed);
    }

    /// Whether there is no use in asking the disk at once again.
    pub(super) fn is_dry(&self) -> bool {
        self.dry.load(Ordering::Relaxed)
    }

    /// Whether there is a bound.
    pub(super) fn is_bounded(&self) -> bool {
        self.room.load(Ordering::Relaxed) != NO_BOUND
    }

    /// Whether nothing is left to messages.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn set_full(&self, full: bool) {
        match (self.full.swap(full, Ordering::Relaxed), full) {
            (false, true) => {
                let Refusal { why, says } = self.blame.refusal();
                let says = (!says.is_empty()).then_some(says);
                tracing::warn!(says, "messages are refused until that changes: {why}");
            }
            (true, false) => {
                tracing::info!("the log gets what it asks the system for again: messages are taken")
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_take_what_there_is_and_no_more_until_the_disk_gives_again() {
        let space = Space::without_bound();
        assert!(space.take(1 << 40));
        space.bound(|| 100);
        assert!(space.take(60) && !space.is_full());
        assert!(!space.take(60) && space.is_full(), "40 are left");
        assert!(!space.take(1), "it is full until the disk gives");
        space.bound(|| 100);
        assert!(!space.take(1), "the helper looks again, and finds nothing new");
        space.lift();
        assert!(space.take(60) && !space.is_full());
        space.bound(|| 0);
        assert!(space.is_full());
    }

    #[test]
    fn a_bound_that_a_message_came_into_is_made_again() {
        let space = Space::without_bound();
        let (sums, queued) = (AtomicU64::new(0), AtomicU64::new(10));
        space.bound(|| {
            let left = 100 - queued.load(Ordering::Relaxed);
            if sums.fetch_add(1, Ordering::Relaxed) == 0 {
                // Behind the look at what is queued, before the bound.
                queued.fetch_add(30, Ordering::Relaxed);
                assert!(space.take(30));
            }
            left
        });
        assert!(!space.take(61), "60 are left");
        assert_eq!(sums.load(Ordering::Relaxed), 2);
    }
}
