//! Stopping: one switch that everything long-lived watches, and the signals that turn it.

use std::io;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The switch; clones share it.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<bool>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Shutdown {
    /// Begins to stop. Cannot be taken back.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Whether stopping has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until stopping begins.
    pub async fn begun(&self) {
        // An error would mean that the sender is gone, and this holds it.
        let _ = self.0.subscribe().wait_for(|begun| *begun).await;
    }

    /// Waits until stopping has begun so long ago.
    pub async fn begun_since(&self, time: Duration) {
        self.begun().await;
        tokio::time::sleep(time).await;
    }
}

/// Waits for the request to stop, and names it.
pub async fn requested() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_clones_see_that_stopping_has_begun() {
        let (here, there) = (Shutdown::default(), Shutdown::default());
        let clone = here.clone();
        assert!(!clone.has_begun());
        here.begin();
        clone.begun().await;
        assert!(clone.has_begun() && !there.has_begun());
    }
}
