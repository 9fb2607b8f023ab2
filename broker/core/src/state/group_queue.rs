//! What one group holds of one queue: the unit of delivery state.
//!
//! ```text
//!  0 ……… floor ……………………………………………………… tail
//!  done   │ settled ranges, pending messages, and fresh ones between and after them
//! ```
//! Invariants, checked in debug builds after each change:
//! - everything below `floor` is done, and `floor` itself is not;
//! - an offset from `floor` on is exactly one of settled, pending or fresh;
//! - a pending message is held while `visible_at > now`, and ready again *in place* afterwards;
//! - `deliveries` holds exactly the deliveries that pending messages name, each with their number.

mod change;
mod floor;
mod gone;
mod ready;
mod unanswered;
mod visibility;

pub use floor::FloorMove;

use super::clients::Clients;
use super::range_set::RangeSet;
use crate::command::Standing;
use crate::ids::{DeliveryId, QueueOffset, TimeMs};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use visibility::ByVisibility;

/// A message that was delivered at least once and is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// From this time on it is ready again.
    pub visible_at: TimeMs,
    /// The delivery that holds it, or held it last.
    pub delivery: DeliveryId,
    /// Its message group's hash, in a FIFO group.
    pub group_hash: u32,
    /// How often it was delivered, not counting what was handed back: 0 if all of it was.
    pub attempt: u16,
}

/// A delivery that still names pending messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The client that it went to.
    pub client: Arc<str>,
    /// The client's attempt id, hashed; 0 for none. Of two clients it may be the same.
    pub attempt_id: u64,
    /// Whether the broker renews for the client.
    pub auto_renew: bool,
    /// Pending messages that name it.
    pub left: u32,
}

impl Delivery {
    pub(super) fn is_attempt(&self, client: &str, attempt_id: u64) -> bool {
        attempt_id != 0 && self.attempt_id == attempt_id && &*self.client == client
    }
}

/// What waits in a queue for a group, in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Ready to be delivered.
    pub ready: u64,
    /// Held by clients, or hidden until a retry.
    pub in_flight: u64,
}

/// What one group holds of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupQueue {
    standing: Standing,
    floor: u64,
    settled: RangeSet,
    pending: BTreeMap<u64, Pending>,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    clients: Clients,
    expired: u64,
    // Derived from `pending` and `deliveries`; rebuilt, not stored.
    by_visibility: ByVisibility,
    by_message_group: BTreeSet<(u32, u64)>,
    by_attempt_id: BTreeSet<(u64, DeliveryId)>,
}

impl GroupQueue {
    /// Nothing delivered, everything from `floor` on fresh.
    pub fn new(fifo: bool, floor: QueueOffset) -> Self {
        Self {
            standing: Standing {
                in_order: fifo,
                moves: 0,
            },
            floor: floor.0,
            settled: RangeSet::default(),
            pending: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            clients: Clients::default(),
            expired: 0,
            by_visibility: ByVisibility::default(),
            by_message_group: BTreeSet::new(),
            by_attempt_id: BTreeSet::new(),
        }
    }

    /// Whether message groups are locked while one of their messages is held.
    pub fn is_fifo(&self) -> bool {
        self.standing.in_order
    }

    /// What a choice from the queue stands on now.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Everything below is done.
    pub fn floor(&self) -> QueueOffset {
        QueueOffset(self.floor)
    }

    /// What is done above the floor.
    pub fn settled(&self) -> &RangeSet {
        &self.settled
    }

    /// The pending message at `offset`.
    pub fn pending(&self, offset: QueueOffset) -> Option<&Pending> {
        self.pending.get(&offset.0)
    }

    /// All pending messages in order.
    pub fn all_pending(&self) -> impl Iterator<Item = (QueueOffset, &Pending)> {
        self.pending
            .iter()
            .map(|(offset, pending)| (QueueOffset(*offset), pending))
    }

    /// The pending messages of a part of the queue, in order.
    pub fn pending_in(&self, offsets: Range<u64>) -> impl Iterator<Item = (QueueOffset, &Pending)> {
        let pending = self.pending.range(offsets);
        pending.map(|(offset, pending)| (QueueOffset(*offset), pending))
    }

    /// How many messages are pending.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// A delivery that names pending messages.
    pub fn delivery(&self, id: DeliveryId) -> Option<&Delivery> {
        self.deliveries.get(&id)
    }

    /// All deliveries that name pending messages.
    pub fn deliveries(&self) -> impl Iterator<Item = (DeliveryId, &Delivery)> {
        self.deliveries.iter().map(|(id, delivery)| (*id, delivery))
    }

    /// The clients that hold or held pending messages.
    pub fn clients(&self) -> impl Iterator<Item = &Arc<str>> {
        self.clients.names()
    }

    /// The messages that deliveries to this client with this attempt id still hold. Clients make attempt ids each for
    /// themselves: that of another client is another attempt.
    pub fn held_by_attempt(&self, client: &str, attempt_id: u64, now: TimeMs) -> Vec<(QueueOffset, u32)> {
        let all = (attempt_id, DeliveryId(0))..=(attempt_id, DeliveryId(u64::MAX));
        let with_id = self.by_attempt_id.range(all).map(|(_, delivery)| *delivery);
        let repeated: Vec<DeliveryId> = with_id
            .filter(|id| {
                let delivery = self.deliveries.get(id);
                delivery.is_some_and(|delivery| delivery.is_attempt(client, attempt_id))
            })
            .collect();
        if repeated.is_empty() {
            return Vec::new();
        }
        let held = |(offset, pending): (&u64, &Pending)| {
            // They rise, as the index has them.
            let named = repeated.binary_search(&pending.delivery).is_ok();
            (named && pending.visible_at > now).then_some((QueueOffset(*offset), pending.group_hash))
        };
        self.pending.iter().filter_map(held).collect()
    }

    /// Pending messages by the time they are ready again, soonest first.
    pub fn by_visibility(&self) -> impl DoubleEndedIterator<Item = (TimeMs, QueueOffset)> + '_ {
        self.by_visibility.iter()
    }

    /// When the first of those that are hidden at `now` is ready again.
    pub fn visible_after(&self, now: TimeMs) -> Option<TimeMs> {
        self.by_visibility.after(now)
    }

    /// Whether a message of this message group is held.
    pub fn is_locked(&self, group_hash: u32, now: TimeMs) -> bool {
        self.is_fifo()
            && self
                .by_message_group
                .range((group_hash, 0)..=(group_hash, u64::MAX))
                .any(|(_, offset)| {
                    self.pending
                        .get(offset)
                        .is_some_and(|pending| pending.visible_at > now)
                })
    }

    /// The pending messages of a message group in a FIFO group from `from` on, in order.
    pub fn pending_of_message_group(
        &self,
        group_hash: u32,
        from: QueueOffset,
    ) -> impl Iterator<Item = QueueOffset> + '_ {
        let range = (group_hash, from.0)..=(group_hash, u64::MAX);
        self.by_message_group
            .range(range)
            .map(|(_, offset)| QueueOffset(*offset))
    }

    /// Whether `offset` was never delivered and is not done.
    pub fn is_fresh(&self, offset: QueueOffset) -> bool {
        offset.0 >= self.floor && !self.settled.contains(offset.0) && !self.pending.contains_key(&offset.0)
    }

    /// What waits, with `tail` the offset behind the queue's last message.
    pub fn lag(&self, tail: QueueOffset, now: TimeMs) -> Lag {
        let expired = self.by_visibility.len_until(now);
        let in_flight = self.pending.len() as u64 - expired;
        Lag {
            ready: self.undone(tail).saturating_sub(in_flight),
            in_flight,
        }
    }

    /// Whether `delivery` holds the message now.
    pub fn is_held(&self, offset: QueueOffset, delivery: DeliveryId, now: TimeMs) -> bool {
        self.pending
            .get(&offset.0)
            .is_some_and(|pending| pending.delivery == delivery && pending.visible_at > now)
    }

    /// Whether the message has used up `max_attempts` and is visible again.
    pub fn is_exhausted(&self, offset: QueueOffset, max_attempts: u16, now: TimeMs) -> bool {
        self.pending
            .get(&offset.0)
            .is_some_and(|pending| pending.visible_at <= now && pending.attempt >= max_attempts)
    }

    /// Messages that are not done, with `tail` the offset behind the queue's last message.
    pub fn undone(&self, tail: QueueOffset) -> u64 {
        let open = tail.0.saturating_sub(self.floor);
        open.saturating_sub(self.settled.len())
    }

    pub(super) fn restored(standing: Standing, expired: u64, floor: u64, settled: RangeSet) -> Self {
        Self {
            standing,
            expired,
            settled,
            ..Self::new(standing.in_order, QueueOffset(floor))
        }
    }
}
