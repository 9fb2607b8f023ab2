//! Holds calls back while the broker is down.

use tokio::sync::watch;

/// Closed at first.
#[derive(Debug)]
pub struct Gate(watch::Sender<State>);

#[derive(Debug, Clone, Copy, Default)]
struct State {
    open: bool,
    /// How often it was opened.
    opened: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(State::default()))
    }
}

impl Gate {
    /// Lets calls through.
    pub fn open(&self) {
        self.0.send_modify(|state| {
            state.open = true;
            state.opened += 1;
        });
    }

    /// Holds calls back.
    pub fn close(&self) {
        self.0.send_modify(|state| state.open = false);
    }

    /// Waits until it is open; says how often it was opened.
    pub(super) async fn pass(&self) -> u64 {
        let mut states = self.0.subscribe();
        // The sender lives as long as `self`.
        let passed = states
            .wait_for(|state| state.open)
            .await
            .map(|state| state.opened);
        passed.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gate_counts_its_openings() {
        let gate = Gate::default();
        gate.open();
        assert_eq!(gate.pass().await, 1);
        gate.close();
        gate.open();
        assert_eq!(gate.pass().await, 2);
    }
}
