//! Every number of replicas that a Deployment is given while a test runs, from a watch: none is missed.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::TryStreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::task::JoinHandle;

/// The record; dropping it ends the watch.
pub struct Replicas {
    seen: Arc<Mutex<Seen>>,
    watch: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// What it was given, and when that was seen; changes only.
    changes: Vec<(Instant, i32)>,
    /// How often the watch had to begin anew, which could have missed some.
    lists: usize,
}

impl Replicas {
    /// Watches from now on.
    pub fn watch(deployments: Api<Deployment>, name: &str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let record = Arc::clone(&seen);
        let watch = tokio::spawn(async move {
            let mut events = Box::pin(watcher(deployments, config));
            loop {
                // An error is followed by a list, which is counted.
                let Ok(Some(event)) = events.try_next().await else {
                    continue;
                };
                let mut record = record.lock().unwrap();
                match event {
                    Event::Init => record.lists += 1,
                    Event::Apply(found) | Event::InitApply(found) => record.take(&found),
                    Event::InitDone | Event::Delete(_) => {}
                }
            }
        });
        Self { seen, watch }
    }

    /// The numbers so far, each with when it was seen.
    pub fn changes(&self) -> Vec<(Instant, i32)> {
        let seen = self.seen.lock().unwrap();
        assert!(seen.lists <= 1, "the watch began anew: numbers can be missing");
        seen.changes.clone()
    }

    /// The numbers so far.
    pub fn numbers(&self) -> Vec<i32> {
        self.changes().into_iter().map(|(_, number)| number).collect()
    }

    /// The last of them.
    pub fn now(&self) -> Option<i32> {
        self.numbers().last().copied()
    }
}

impl Seen {
    fn take(&mut self, found: &Deployment) {
        let number = found.spec.as_ref().and_then(|spec| spec.replicas);
        let number = number.unwrap_or_default();
        if self.changes.last().is_none_or(|(_, last)| *last != number) {
            self.changes.push((Instant::now(), number));
        }
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        self.watch.abort();
    }
}
