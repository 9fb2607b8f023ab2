//! What the engine refuses because of a bound or a state, counted by reason.

use sluice_core::state::{Applied, Refused};
use std::sync::atomic::{AtomicU64, Ordering};

const REASONS: [&str; 4] = ["polls", "limit", "closed", "epoch"];

/// The counts.
#[derive(Debug, Default)]
pub struct Refusals([AtomicU64; REASONS.len()]);

impl Refusals {
    /// All of them, by reason.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        REASONS.into_iter().zip(counts)
    }

    /// As many polls wait as may.
    pub(super) fn polls_are_full(&self) {
        self.add(0);
    }

    /// A topic takes no messages.
    pub fn topic_is_closed(&self) {
        self.add(2);
    }

    /// Counts the answers of a batch that are refusals of this kind.
    pub(super) fn count(&self, answers: &[Applied]) {
        for answer in answers {
            match answer {
                Err(Refused::Full(..)) => self.add(1),
                Err(Refused::Closed(_)) => self.topic_is_closed(),
                Err(Refused::Epoch { .. }) => self.add(3),
                _ => {}
            }
        }
    }

    fn add(&self, reason: usize) {
        self.0[reason].fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::state::Done;

    #[test]
    fn only_what_a_bound_has_refused_is_counted_as_that() {
        let refusals = Refusals::default();
        let full = || Err(Refused::Full("topics", 1));
        refusals.count(&[Ok(Done::Subscribed), full(), Err(Refused::NotHeld), full()]);
        refusals.polls_are_full();
        refusals.topic_is_closed();
        let counts: Vec<_> = refusals.counts().collect();
        assert_eq!(counts, [("polls", 1), ("limit", 2), ("closed", 1), ("epoch", 0)]);
    }
}
