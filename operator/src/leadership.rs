//! Whether this process may write, as everybody in it sees it.

use crate::clock::Clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Leading is a promise that ends by itself: it holds until a moment, and whoever renews the Lease moves the moment.
#[derive(Debug)]
pub struct Leadership {
    clock: Clock,
    until_ms: AtomicU64,
    deposed: watch::Sender<Option<String>>,
}

impl Leadership {
    /// Does not lead.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            until_ms: AtomicU64::new(0),
            deposed: watch::Sender::new(None),
        }
    }

    /// Whether this process leads now. To be asked directly before each write to something that other replicas write to.
    pub fn holds(&self) -> bool {
        let now = self.clock.since_start();
        now < Duration::from_millis(self.until_ms.load(Ordering::Acquire)) && self.deposed.borrow().is_none()
    }

    /// Leads until then.
    pub fn extend(&self, until: Duration) {
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.until_ms.store(until, Ordering::Release);
    }

    /// Leads no longer.
    pub fn end(&self) {
        self.until_ms.store(0, Ordering::Release);
    }

    /// Somebody else has taken over, which was found out in this way. Cannot be taken back.
    pub fn depose(&self, how: String) {
        self.deposed.send_if_modified(|deposed| {
            let first = deposed.is_none();
            deposed.get_or_insert(how);
            first
        });
    }

    /// Waits until somebody else is found to have taken over, and says how.
    pub async fn deposed(&self) -> String {
        let mut deposed = self.deposed.subscribe();
        match deposed.wait_for(Option::is_some).await {
            Ok(how) => how.clone().unwrap_or_default(),
            // The sender is part of this.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn leading_ends_by_itself_by_giving_it_back_and_by_being_deposed() {
        let leadership = Leadership::new(Clock::start());
        assert!(!leadership.holds());
        leadership.extend(Duration::from_millis(0));
        assert!(!leadership.holds());
        leadership.extend(Duration::from_secs(3600));
        assert!(leadership.holds());
        leadership.end();
        assert!(!leadership.holds());
        leadership.extend(Duration::from_secs(3600));
        leadership.depose("first".to_owned());
        leadership.depose("second".to_owned());
        assert!(!leadership.holds());
        assert_eq!(leadership.deposed().await, "first");
    }
}
