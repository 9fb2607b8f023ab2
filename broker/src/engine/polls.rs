//! How many receives and pulls wait or work at one time.

use super::{Engine, EngineError};
use std::sync::atomic::Ordering;

/// Counts a poll for as long as it lasts.
pub(super) struct PollCount<'a>(&'a Engine);

impl Drop for PollCount<'_> {
    fn drop(&mut self) {
        self.0.polls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Engine {
    /// One more, unless there are as many as may be.
    pub(super) fn count_poll(&self) -> Result<PollCount<'_>, EngineError> {
        let before = self.polls.fetch_add(1, Ordering::Relaxed);
        let count = PollCount(self);
        if before as usize >= self.options.polls_max {
            self.refusals.polls_are_full();
            return Err(EngineError::PollsFull(self.options.polls_max));
        }
        Ok(count)
    }
}
