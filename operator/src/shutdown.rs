//! Stopping: one switch that everything long-lived watches, and the signals that turn it.

use std::io;
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

    /// The same for those who keep what they wait for.
    pub fn beginning(&self) -> impl Future<Output = ()> + Send + Sync + 'static {
        let mut begun = self.0.subscribe();
        async move {
            // The switch is gone when everything is.
            let _ = begun.wait_for(|begun| *begun).await;
        }
    }
}

/// The signals that ask the process to stop.
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// From now on they no longer end the process.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one, and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
