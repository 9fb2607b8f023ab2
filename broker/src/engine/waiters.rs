//! Polls that wait, woken one at a time.
//!
//! A wake-up is a baton: whoever gets it either takes messages or has seen that there are none. A poll that is
//! dropped with the baton in hand passes it on, so that no message waits while a poll does.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::oneshot;

/// The waiting polls of one group and topic, longest wait first.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    queue: Mutex<Queue>,
    len: AtomicUsize,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(u64, oneshot::Sender<()>)>,
    next_ticket: u64,
}

impl Waiters {
    /// Whether nobody waits. A poll that parks after this looks for messages itself; see [`Waiters::park`].
    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::SeqCst) == 0
    }

    /// How many polls wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    /// Joins the queue. The caller looks for messages once more *after* this: what came before finds nobody to wake.
    pub(super) fn park(self: &Arc<Self>) -> Waiting {
        let (baton, woken) = oneshot::channel();
        let mut queue = self.queue.lock();
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.waiting.push_back((ticket, baton));
        self.len.store(queue.waiting.len(), Ordering::SeqCst);
        Waiting {
            waiters: Arc::clone(self),
            ticket,
            woken,
            place: Place::Parked,
        }
    }

    /// Wakes the poll that has waited longest; answers whether there was one.
    pub(super) fn wake_one(&self) -> bool {
        let mut queue = self.queue.lock();
        let mut woke = false;
        while let Some((_, baton)) = queue.waiting.pop_front() {
            if baton.send(()).is_ok() {
                woke = true;
                break;
            }
        }
        self.len.store(queue.waiting.len(), Ordering::SeqCst);
        woke
    }

    fn leave(&self, ticket: u64) {
        let mut queue = self.queue.lock();
        if let Ok(at) = queue.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket) {
            queue.waiting.remove(at);
        }
        self.len.store(queue.waiting.len(), Ordering::SeqCst);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Parked,
    HoldsBaton,
    Done,
}

/// One waiting poll.
#[derive(Debug)]
pub(super) struct Waiting {
    waiters: Arc<Waiters>,
    ticket: u64,
    woken: oneshot::Receiver<()>,
    place: Place,
}

impl Waiting {
    /// Waits until it is this poll's turn.
    pub(super) async fn turn(&mut self) {
        // An error means that the queue is gone: there is nothing to pass on.
        if (&mut self.woken).await.is_ok() {
            self.place = Place::HoldsBaton;
        }
    }

    /// The poll has looked for messages since its turn came: the baton is used up.
    pub(super) fn used(mut self) {
        if self.place == Place::HoldsBaton {
            self.place = Place::Done;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        match self.place {
            Place::Done => {}
            Place::HoldsBaton => {
                self.waiters.wake_one();
            }
            Place::Parked if self.woken.try_recv().is_ok() => {
                self.waiters.wake_one();
            }
            Place::Parked => self.waiters.leave(self.ticket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn polls_are_woken_in_turn() {
        let waiters = Arc::new(Waiters::default());
        let mut first = waiters.park();
        let second = waiters.park();
        assert!(waiters.wake_one());
        first.turn().await;
        first.used();
        assert!(!waiters.is_empty());
        drop(second);
        assert!(waiters.is_empty());
        assert!(!waiters.wake_one());
    }

    #[tokio::test]
    async fn a_poll_dropped_with_the_baton_passes_it_on() {
        let waiters = Arc::new(Waiters::default());
        let first = waiters.park();
        let mut second = waiters.park();
        waiters.wake_one();
        drop(first);
        second.turn().await;
    }
}
