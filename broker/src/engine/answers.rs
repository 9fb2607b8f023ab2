//! Answers on their way from the applier to the waiting calls.
//!
//! The applier wakes one task a round, and that task wakes the calls: waking from within the runtime goes to a queue of
//! the worker, where waking from outside takes a lock and perhaps a system call for each of them.

use parking_lot::Mutex;
use sluice_core::log::Outcome;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

type Answer = (oneshot::Sender<Outcome>, Outcome);

/// Gathers answers, and hands them over a round at a time. Bounded by the calls that wait.
#[derive(Debug, Default)]
pub(super) struct Answers {
    gathered: Mutex<Vec<Answer>>,
    round: Notify,
}

impl Answers {
    /// Starts the task that answers; it ends with the runtime.
    pub(super) fn start(runtime: &Handle) -> Arc<Self> {
        let answers = Arc::new(Self::default());
        let this = Arc::clone(&answers);
        runtime.spawn(async move {
            let mut round = Vec::new();
            loop {
                this.round.notified().await;
                std::mem::swap(&mut *this.gathered.lock(), &mut round);
                for (call, outcome) in round.drain(..) {
                    // A call that has gone does not want to know.
                    let _ = call.send(outcome);
                }
            }
        });
        answers
    }

    /// Keeps an answer until the round is over.
    pub(super) fn gather(&self, call: oneshot::Sender<Outcome>, outcome: Outcome) {
        self.gathered.lock().push((call, outcome));
    }

    /// The round is over: what was gathered goes out.
    pub(super) fn send_out(&self) {
        if !self.gathered.lock().is_empty() {
            self.round.notify_one();
        }
    }
}
