//! What a receiving client may be offered: decided from a view of state, before anything is proposed.
//!
//! The leader keeps one [`Cursor`] a group and queue, in memory only. It remembers what was offered and not yet
//! answered (reserved), so that two receives never offer the same message, and how far the queue was looked
//! through. What is offered becomes a `Deliver`; apply checks it again against state.
//!
//! A pull is offered nothing: it reads a [`Stretch`] of a queue, whoever else reads there.

mod cursor;
mod filter;
mod parked;
mod room;
mod select;
mod stretch;

pub use cursor::Cursor;
pub use filter::{FilterError, TagFilter};
pub use room::Room;
pub use select::{Offer, Plan, Want};
pub use stretch::{Reach, Stretch};

use crate::entry::QueueEntry;
use crate::ids::QueueOffset;

/// Reads a queue's entries.
pub trait EntrySource {
    /// Why entries could not be read.
    type Error;
    /// Appends the entries from `from` on to `out`, at most `max`; fewer only where the queue ends.
    fn entries(&self, from: QueueOffset, max: usize, out: &mut Vec<QueueEntry>) -> Result<(), Self::Error>;
}

#[cfg(test)]
mod tests;
