//! One line a second on stderr, so that a run under way can be watched.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::client::Failure;

/// Counters the line is made of.
#[derive(Debug, Default)]
pub struct Live {
    /// Messages sent.
    pub sent: AtomicU64,
    /// Messages received.
    pub received: AtomicU64,
    /// Messages acknowledged.
    pub acked: AtomicU64,
    /// Calls that failed.
    pub failed: AtomicU64,
    first_failure: OnceLock<()>,
}

impl Live {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    /// Reads a counter.
    #[must_use]
    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Counts a failure and prints the first one in full: the report has only its code.
    pub fn fail(&self, call: &str, failure: &Failure) {
        Self::add(&self.failed, 1);
        self.first_failure
            .get_or_init(|| eprintln!("first failure: {call}: {}: {}", failure.key, failure.message));
    }

    fn all(&self) -> [u64; 4] {
        [&self.sent, &self.received, &self.acked, &self.failed].map(Self::get)
    }
}

/// Prints while it is alive.
#[derive(Debug)]
pub struct Progress(JoinHandle<()>);

impl Progress {
    /// Starts printing.
    #[must_use]
    pub fn start(live: Arc<Live>) -> Self {
        Self(tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1));
            tick.tick().await;
            let mut before = live.all();
            for second in 1_u64.. {
                tick.tick().await;
                let now = live.all();
                eprintln!("{}", line(second, now, before));
                before = now;
            }
        }))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn line(second: u64, now: [u64; 4], before: [u64; 4]) -> String {
    let mut line = format!("{second:>4} s");
    for (which, name) in ["sent", "received", "acked", "failed"].into_iter().enumerate() {
        if now[which] > 0 {
            line.push_str(&format!(
                "  {name} {}/s ({} in all)",
                now[which] - before[which],
                now[which]
            ));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_only_what_happened() {
        assert_eq!(
            line(3, [30, 0, 0, 1], [10, 0, 0, 1]),
            "   3 s  sent 20/s (30 in all)  failed 0/s (1 in all)"
        );
    }
}
