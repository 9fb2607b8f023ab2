//! What is on its way over one connection, and until when: a request that does not come to its end, and an answer that is not
//! read, hold memory for as long as they last.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// So many are looked through before it is worth it to forget those that have ended.
const LOOKED_THROUGH_FROM: usize = 64;

/// The transfers of one connection. Each has the same time, so that they stand in the order of their ends.
#[derive(Debug)]
pub(super) struct Transfers {
    within: Duration,
    running: Mutex<Running>,
    first: Notify,
}

#[derive(Debug)]
struct Running {
    until: VecDeque<(Instant, Weak<()>)>,
    looked_through_at: usize,
}

/// A transfer, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Transfer(#[expect(dead_code, reason = "it is alive for as long as the transfer")] Arc<()>);

impl Transfers {
    /// None yet; each may take so long.
    pub(super) fn within(within: Duration) -> Self {
        Self {
            within,
            running: Mutex::new(Running {
                until: VecDeque::new(),
                looked_through_at: LOOKED_THROUGH_FROM,
            }),
            first: Notify::new(),
        }
    }

    /// One more, from now on.
    pub(super) fn begin(&self) -> Transfer {
        self.begin_at(Instant::now())
    }

    fn begin_at(&self, now: Instant) -> Transfer {
        let transfer = Arc::new(());
        let mut running = self.running.lock();
        running.forget_ended();
        if running.until.is_empty() {
            self.first.notify_one();
        }
        running
            .until
            .push_back((now + self.within, Arc::downgrade(&transfer)));
        Transfer(transfer)
    }

    /// Until when the first of them that lasts may last.
    fn next(&self) -> Option<Instant> {
        let mut running = self.running.lock();
        running.forget_ended();
        running.until.front().map(|(until, _)| *until)
    }

    /// Ends when a transfer has lasted for longer than it may.
    pub(super) async fn overdue(&self) {
        loop {
            match self.next() {
                Some(until) if until <= Instant::now() => return,
                Some(until) => tokio::time::sleep_until(until).await,
                None => self.first.notified().await,
            }
        }
    }
}

impl Running {
    /// Those at the front, which costs next to nothing; and those behind one that lasts, now and then.
    fn forget_ended(&mut self) {
        let has_ended = |transfer: &Weak<()>| transfer.strong_count() == 0;
        while self
            .until
            .front()
            .is_some_and(|(_, transfer)| has_ended(transfer))
        {
            self.until.pop_front();
        }
        if self.until.len() >= self.looked_through_at {
            self.until.retain(|(_, transfer)| !has_ended(transfer));
            self.looked_through_at = LOOKED_THROUGH_FROM.max(2 * self.until.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(60);

    #[test]
    fn the_first_transfer_that_lasts_says_until_when() {
        let (transfers, now) = (Transfers::within(WITHIN), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        drop(transfers.begin_at(now));
        assert_eq!(transfers.next(), None, "it has ended");
        let (ends, lasts) = (transfers.begin_at(now), transfers.begin_at(after(20)));
        assert_eq!(transfers.next(), Some(after(60)));
        drop(ends);
        assert_eq!(transfers.next(), Some(after(80)));
        drop(lasts);
        assert_eq!(transfers.next(), None);
    }

    #[tokio::test]
    async fn who_waits_hears_of_the_first_transfer_that_begins() {
        let within = Duration::from_millis(20);
        let transfers = Arc::new(Transfers::within(within));
        let waiting = Arc::clone(&transfers);
        let waiting = tokio::spawn(async move { waiting.overdue().await });
        tokio::task::yield_now().await;
        let began = Instant::now();
        let _lasts = transfers.begin();
        waiting.await.unwrap();
        assert!(began.elapsed() >= within);
    }

    #[test]
    fn those_that_have_ended_are_forgotten_behind_one_that_lasts() {
        let transfers = Transfers::within(WITHIN);
        let _lasts = transfers.begin();
        for _ in 0..10_000 {
            drop(transfers.begin());
        }
        let kept = transfers.running.lock().until.len();
        assert!(kept <= LOOKED_THROUGH_FROM, "{kept}");
    }
}
