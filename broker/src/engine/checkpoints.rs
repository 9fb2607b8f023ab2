//! When the store writes checkpoints, as the configuration says it.

use super::Engine;
use crate::config::LiveValues;
use sluice_store::CheckpointPolicy;
use std::sync::Arc;

/// What the values come to.
pub fn checkpoint_policy(values: &LiveValues) -> CheckpointPolicy {
    CheckpointPolicy {
        bytes: values.checkpoint_bytes,
        every: values.checkpoint_every,
    }
}

impl Engine {
    /// Follows the configuration for as long as the process lives.
    pub async fn follow_checkpoints(self: Arc<Self>) {
        let live = &self.options.live;
        let mut changes = live.subscribe();
        loop {
            self.store
                .set_checkpoint_policy(checkpoint_policy(&live.values()));
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}
