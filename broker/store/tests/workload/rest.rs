//! Waiting for what a store does by itself.

use super::Driver;
use sluice_core::ids::{QueueId, TopicId, TopicQueue};
use sluice_store::CheckpointPolicy;
use std::time::{Duration, Instant};

impl Driver {
    /// Sends a message, and waits until a checkpoint stands behind it: then no other comes by itself. It begins a checkpoint at every commit from
    /// here on.
    pub fn rest(&mut self) {
        self.opened.store.set_checkpoint_policy(CheckpointPolicy {
            bytes: 1,
            every: Duration::from_millis(1),
        });
        let at = TopicQueue {
            topic: TopicId(1),
            queue: QueueId(0),
        };
        self.send_one(at, 1000).unwrap();
        let store = &self.opened.store;
        wait("a checkpoint of everything", || {
            store.stats().2.newest().position == store.log().positions().written()
        });
    }
}

/// Until it is so; fails after a minute.
pub fn wait(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
