//! The connections of a port: how many stand, and what became of those that do not. Each has a place at its port for as
//! long as it stands.

use super::activity::Activity;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::OwnedSemaphorePermit;

/// How many connections a port has and had; clones share it.
#[derive(Clone, Debug, Default)]
pub struct OpenConnections(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    max: u64,
    open: AtomicU64,
    accepted: AtomicU64,
    lost: [AtomicU64; Lost::NAMES.len()],
}

/// Why a connection came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It broke, or TLS could not agree.
    Handshake,
    /// It said nothing for too long.
    Silent,
    /// A newer one took its place.
    Displaced,
    /// A request on it did not come to its end in time, or an answer was not read.
    Stalled,
    /// The system did not give it: most likely too many files are open.
    NotAccepted,
}

impl Lost {
    const NAMES: [&'static str; 5] = ["handshake", "silent", "displaced", "stalled", "not_accepted"];
}

impl OpenConnections {
    /// Of a port that has at most so many.
    pub fn at_most(max: u64) -> Self {
        let counts = Counts {
            max,
            ..Counts::default()
        };
        Self(Arc::new(counts))
    }

    /// As many as stand now.
    pub fn count(&self) -> u64 {
        self.0.open.load(Ordering::Relaxed)
    }

    /// As many as may stand at a time.
    pub fn max(&self) -> u64 {
        self.0.max
    }

    /// As many as were accepted since the start.
    pub fn accepted(&self) -> u64 {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// As many as came to nothing, by reason.
    pub fn lost(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.0.lost.iter().map(|count| count.load(Ordering::Relaxed));
        Lost::NAMES.into_iter().zip(counts)
    }

    /// One came to nothing.
    pub fn lose(&self, why: Lost) {
        self.0.lost[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// One connection more, until what is answered is dropped.
    pub fn opened(&self) -> Standing {
        self.0.accepted.fetch_add(1, Ordering::Relaxed);
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Standing(self.clone())
    }

    /// One connection more, which holds a permit.
    pub(super) fn taken(&self, permit: OwnedSemaphorePermit, activity: Arc<Activity>) -> Place {
        Place {
            _standing: self.opened(),
            _permit: permit,
            activity,
        }
    }
}

/// One connection that stands.
#[derive(Debug)]
pub struct Standing(OpenConnections);

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Place {
    _standing: Standing,
    _permit: OwnedSemaphorePermit,
    activity: Arc<Activity>,
}

impl Place {
    /// What its connection does.
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_as_they_come_and_go() {
        let connections = OpenConnections::at_most(9);
        let standing = [connections.opened(), connections.opened()];
        connections.lose(Lost::Silent);
        assert_eq!((connections.count(), connections.accepted()), (2, 2));
        drop(standing);
        assert_eq!(
            (connections.count(), connections.accepted(), connections.max()),
            (0, 2, 9)
        );
        let lost: Vec<_> = connections.lost().filter(|(_, count)| *count > 0).collect();
        assert_eq!(lost, [("silent", 1)]);
    }
}
