//! What messages may still take while the disk gives nothing: what is filled ahead of the log, but for the reserve.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const NO_BOUND: u64 = u64::MAX;

/// The bound, and whether it was met. Proposers draw on it one by one, so that the reserve stays whole however fast they are
/// and however rarely the helper looks.
pub(super) struct Space {
    /// Bytes that messages may still take, or [`NO_BOUND`] while the disk gives more.
    room: AtomicU64,
    /// Messages are refused until the disk gives more.
    full: AtomicBool,
}

impl Space {
    pub(super) fn without_bound() -> Self {
        Self {
            room: AtomicU64::new(NO_BOUND),
            full: AtomicBool::new(false),
        }
    }

    /// Takes what messages of so many bytes need; `false` if there is not so much, and from then on the disk counts as full.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let left = |room: u64| match room {
            NO_BOUND => Some(NO_BOUND),
            room => room.checked_sub(bytes),
        };
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        let taken = !self.is_full() && self.room.fetch_update(set, get, left).is_ok();
        if !taken {
            self.set_full(true);
        }
        taken
    }

    /// The disk gives nothing, and this much is left to messages. Once it has counted as full it does until it gives.
    pub(super) fn bound(&self, room: u64) {
        self.room.store(room, Ordering::Relaxed);
        if room == 0 {
            self.set_full(true);
        }
    }

    /// The disk gives more.
    pub(super) fn lift(&self) {
        self.room.store(NO_BOUND, Ordering::Relaxed);
        self.set_full(false);
    }

    /// Whether nothing is left to messages.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn set_full(&self, full: bool) {
        if self.full.swap(full, Ordering::Relaxed) != full {
            tracing::warn!(
                full,
                "the disk of the log has changed between full and free: messages are refused while it is full"
            );
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
        space.bound(100);
        assert!(space.take(60) && !space.is_full());
        assert!(!space.take(60) && space.is_full(), "40 are left");
        assert!(!space.take(1), "it is full until the disk gives");
        space.bound(100);
        assert!(!space.take(1), "the helper looks again, and finds nothing new");
        space.lift();
        assert!(space.take(60) && !space.is_full());
        space.bound(0);
        assert!(space.is_full());
    }
}
