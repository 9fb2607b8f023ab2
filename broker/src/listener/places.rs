//! A connection's place at its port, for as long as the connection stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::OwnedSemaphorePermit;

/// How many connections a port has.
#[derive(Clone, Debug, Default)]
pub struct OpenConnections(Arc<AtomicU64>);

impl OpenConnections {
    /// As many as stand now.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One connection more.
    pub(super) fn taken(&self, permit: OwnedSemaphorePermit) -> Place {
        self.0.fetch_add(1, Ordering::Relaxed);
        Place {
            open: self.clone(),
            _permit: permit,
        }
    }
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Place {
    open: OpenConnections,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.0.fetch_sub(1, Ordering::Relaxed);
    }
}
