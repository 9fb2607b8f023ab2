//! Time, handed to whoever needs it.

use k8s_openapi::jiff::Timestamp;
use std::time::{Duration, Instant};

/// The clocks of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// From now on.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Time since the start. Never goes back.
    pub fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
