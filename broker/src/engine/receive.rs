//! Receiving: choose, reserve, propose a `Deliver`, read the records; wait where there is nothing.

pub(super) mod look;
mod lost;
mod poll;
mod read;
pub(super) mod take;
mod taken;

pub use taken::{Passed, Taken};

use bytes::Bytes;
use sluice_core::command::SettleItem;
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{DeliveryId, GroupQueueId, QueueOffset};
use sluice_core::plan::TagFilter;
use sluice_core::state::{Group, Topic};
use std::sync::Arc;
use tokio::time::Instant;

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Receive {
    /// The consumer group.
    pub group: Arc<Group>,
    /// The topic.
    pub topic: Arc<Topic>,
    /// The client's id.
    pub client: Arc<str>,
    /// Which tags.
    pub filter: Arc<TagFilter>,
    /// At most this many messages.
    pub max: usize,
    /// How long the messages are hidden from others.
    pub invisible_ms: u64,
    /// Whether the broker renews for the client: then `invisible_ms` is the limit of that.
    pub auto_renew: bool,
    /// The client's attempt id, hashed; 0 for none.
    pub attempt_id: u64,
    /// Until when to wait.
    pub deadline: Instant,
}

/// A message handed to a client.
#[derive(Clone, Debug)]
pub struct Received {
    /// Whose message, of which queue.
    pub id: GroupQueueId,
    /// Its offset there.
    pub offset: QueueOffset,
    /// What holds it.
    pub delivery: DeliveryId,
    /// How often it was delivered, this time included.
    pub attempt: u16,
    /// Its entry.
    pub entry: QueueEntry,
    /// The whole `Append` or `Carry` command; the record starts at [`sluice_core::command::APPEND_RECORD_AT`].
    pub command: Bytes,
}

impl Received {
    /// Its delivery, to settle.
    pub(super) fn held(&self) -> (GroupQueueId, SettleItem) {
        let (offset, delivery) = (self.offset, self.delivery);
        (self.id, SettleItem { offset, delivery })
    }
}
