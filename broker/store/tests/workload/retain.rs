//! Retention over the workload's store.

use super::{Driver, Opened, Stays};
use sluice_core::command::EncodedCommand;
use sluice_core::log::{Outcome, ReplicatedLog};
use sluice_store::retention::{Propose, Ran, RetentionError, Run, Settings};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Proposes, and waits for the answer as long as the store has not failed; then something else may be waited for.
struct Proposer<'a>(&'a Opened, &'a dyn Fn(&Opened));

impl Propose for Proposer<'_> {
    fn propose(&self, commands: Vec<EncodedCommand>) -> Outcome {
        let (answer, answered) = sync_channel(1);
        let done = Box::new(move |outcome| drop(answer.send(outcome)));
        self.0.store.log().propose(commands.into_iter().collect(), done);
        loop {
            match answered.recv_timeout(Duration::from_millis(5)) {
                Ok(outcome) => {
                    (self.1)(self.0);
                    return outcome;
                }
                Err(RecvTimeoutError::Disconnected) => return Outcome::Unknown,
                Err(RecvTimeoutError::Timeout) if self.0.failed.load(Ordering::SeqCst) => {
                    return Outcome::Unknown;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Driver {
    /// One run of retention, now.
    pub fn retain(&mut self, settings: &Settings) -> Result<Ran, RetentionError> {
        self.retain_with(settings, &|_| ())
    }

    /// One that goes on after each proposal once this has returned. Whatever waits before it waits afterwards, but for what it says
    /// is lost.
    pub fn retain_with(
        &mut self,
        settings: &Settings,
        then: &dyn Fn(&Opened),
    ) -> Result<Ran, RetentionError> {
        let log = Proposer(&self.opened, then);
        let (store, now) = (&self.opened.store, self.now);
        let stays = Stays::waiting(store, settings, now);
        let run = Run {
            store,
            log,
            settings,
            now,
        };
        let ran = run.run(&mut self.sizes);
        let lost = ran.as_ref().map_or(0, |ran| ran.lost);
        let missing = stays.missing(store);
        assert!(
            missing.len() as u64 <= lost,
            "{} of {:?} that waited are gone, and {lost} are said to be lost: {:?}",
            missing.len(),
            stays.counts(),
            missing.iter().take(10).collect::<Vec<_>>()
        );
        ran
    }

    /// Goes on until the log begins later, once. Nothing of retention is left to be done then, by this store or the next one.
    pub fn begin_later(&mut self, settings: &Settings, body_max: u64) {
        let start = loop {
            (0..20).for_each(|_| self.round(body_max).unwrap());
            if let Some(start) = self.retain(settings).unwrap().start {
                break start;
            }
        };
        let begins = |driver: &Self| driver.opened.store.log().start() == start;
        self.send_until(1000, begins).unwrap();
    }

    /// Sends until `is_so`, which checkpoints bring about; `None` if the store failed.
    pub fn send_until(&mut self, body_max: u64, is_so: impl Fn(&Self) -> bool) -> Option<()> {
        let begun = Instant::now();
        while !is_so(self) {
            let store = &self.opened.store;
            let (bounds, start) = (store.tables().bounds(), store.log().start());
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "it never is so: state has {bounds:?}, the log begins at {start} and can at {:?}",
                store.trim_points()
            );
            let (asked, batch) = self.send(body_max);
            let answered = self.start(batch);
            let Some(outcome) = self.wait(&answered) else {
                // The answer may still be under way: see `conclude`.
                self.waiting.push((asked, answered));
                return None;
            };
            self.memory.learn(asked, outcome);
        }
        Some(())
    }
}
