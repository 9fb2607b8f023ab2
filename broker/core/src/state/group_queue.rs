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

mod unanswered;

use super::clients::Clients;
use super::range_set::RangeSet;
use crate::command::{Change, Deliver, SettleItem, Span, Take};
use crate::ids::{DeliveryId, QueueOffset, TimeMs};
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A message that was delivered at least once and is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// From this time on it is ready again.
    pub visible_at: TimeMs,
    /// The delivery that holds it, or held it last.
    pub delivery: DeliveryId,
    /// Its message group's hash, in a FIFO group.
    pub group_hash: u32,
    /// How often it was delivered, from 1.
    pub attempt: u16,
}

/// A delivery that still names pending messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The client that it went to.
    pub client: Arc<str>,
    /// The client's attempt id, hashed; 0 for none.
    pub attempt_id: u64,
    /// Whether the broker renews for the client.
    pub auto_renew: bool,
    /// Pending messages that name it.
    pub left: u32,
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
    fifo: bool,
    floor: u64,
    settled: RangeSet,
    pending: BTreeMap<u64, Pending>,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    clients: Clients,
    // Derived from `pending` and `deliveries`; rebuilt, not stored.
    by_visibility: BTreeSet<(TimeMs, u64)>,
    by_message_group: BTreeSet<(u32, u64)>,
    by_attempt_id: BTreeSet<(u64, DeliveryId)>,
}

impl GroupQueue {
    /// Nothing delivered, everything from `floor` on fresh.
    pub fn new(fifo: bool, floor: QueueOffset) -> Self {
        Self {
            fifo,
            floor: floor.0,
            settled: RangeSet::default(),
            pending: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            clients: Clients::default(),
            by_visibility: BTreeSet::new(),
            by_message_group: BTreeSet::new(),
            by_attempt_id: BTreeSet::new(),
        }
    }

    /// Whether message groups are locked while one of their messages is held.
    pub fn is_fifo(&self) -> bool {
        self.fifo
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

    /// The messages that deliveries with this attempt id still hold.
    pub fn held_by_attempt(&self, attempt_id: u64, now: TimeMs) -> Vec<(QueueOffset, u32)> {
        let all = (attempt_id, DeliveryId(0))..=(attempt_id, DeliveryId(u64::MAX));
        if self.by_attempt_id.range(all).next().is_none() {
            return Vec::new();
        }
        let held = |(offset, pending): (&u64, &Pending)| {
            let named = self.by_attempt_id.contains(&(attempt_id, pending.delivery));
            (named && pending.visible_at > now).then_some((QueueOffset(*offset), pending.group_hash))
        };
        self.pending.iter().filter_map(held).collect()
    }

    /// Pending messages by the time they are ready again, soonest first.
    pub fn by_visibility(&self) -> impl DoubleEndedIterator<Item = (TimeMs, QueueOffset)> + '_ {
        self.by_visibility
            .iter()
            .map(|(at, offset)| (*at, QueueOffset(*offset)))
    }

    /// Whether a message of this message group is held.
    pub fn is_locked(&self, group_hash: u32, now: TimeMs) -> bool {
        self.fifo
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
        let expired = self.by_visibility.range(..=(now, u64::MAX)).count() as u64;
        let in_flight = self.pending.len() as u64 - expired;
        let open = tail
            .0
            .saturating_sub(self.floor)
            .saturating_sub(self.settled.len());
        Lag {
            ready: open.saturating_sub(in_flight),
            in_flight,
        }
    }

    /// Applies a `Deliver`; answers offset and attempt of what was taken.
    pub(super) fn deliver(
        &mut self,
        command: &Deliver,
        id: DeliveryId,
        now: TimeMs,
        tail: QueueOffset,
    ) -> Vec<(QueueOffset, u16)> {
        let until = now.saturating_add(command.invisible_ms);
        let delivery = Delivery {
            client: Arc::from(command.client.as_str()),
            attempt_id: command.attempt_id,
            auto_renew: command.auto_renew,
            left: 0,
        };
        let mut taken = Vec::with_capacity(command.taken.len());
        for take in &command.taken {
            if take.offset >= tail {
                continue;
            }
            if let Some(attempt) = self.next_attempt(take, command, id, now) {
                let group_hash = take.group_hash;
                self.put(
                    take.offset.0,
                    Pending {
                        visible_at: until,
                        delivery: id,
                        group_hash,
                        attempt,
                    },
                    &delivery,
                );
                taken.push((take.offset, attempt));
            }
        }
        for span in &command.skipped {
            self.skip(span, tail);
        }
        self.raise_floor();
        taken
    }

    /// The attempt that delivering `take` now would be, or `None` if it is not ready.
    fn next_attempt(&self, take: &Take, command: &Deliver, id: DeliveryId, now: TimeMs) -> Option<u16> {
        let offset = take.offset.0;
        if let Some(pending) = self.pending.get(&offset) {
            if command.resume {
                let held = self.deliveries.get(&pending.delivery)?;
                let same = command.attempt_id != 0 && held.attempt_id == command.attempt_id;
                return (same && pending.visible_at > now).then_some(pending.attempt);
            }
            let free = pending.visible_at <= now && !self.is_locked_by_other(take.group_hash, id, now);
            return free.then_some(pending.attempt.saturating_add(1));
        }
        let fresh = !command.resume
            && self.is_fresh(take.offset)
            && self.pending.len() < limits::IN_FLIGHT_MAX
            && !self.is_locked_by_other(take.group_hash, id, now);
        fresh.then_some(1)
    }

    fn is_locked_by_other(&self, group_hash: u32, id: DeliveryId, now: TimeMs) -> bool {
        let held = |offset: &u64| {
            self.pending
                .get(offset)
                .is_some_and(|pending| pending.visible_at > now && pending.delivery != id)
        };
        self.fifo
            && self
                .by_message_group
                .range((group_hash, 0)..=(group_hash, u64::MAX))
                .any(|(_, offset)| held(offset))
    }

    /// Settles items that are still held by the delivery they name; answers one flag an item.
    pub(super) fn settle(
        &mut self,
        items: &[SettleItem],
        change: Change,
        id: DeliveryId,
        now: TimeMs,
    ) -> impl Iterator<Item = bool> {
        let mut accepted = Vec::with_capacity(items.len());
        for item in items {
            let offset = item.offset.0;
            let held = self.is_held(item.offset, item.delivery, now);
            accepted.push(held);
            match change {
                _ if !held => {}
                Change::Done => self.finish(offset),
                Change::VisibleIn(ms) => self.change_visibility(offset, id, now.saturating_add(ms)),
            }
        }
        self.raise_floor();
        accepted.into_iter()
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

    /// Makes visible at `visible_at` what the broker renews for `client`; answers how many messages. What a client
    /// hid for a time of its own choice stays hidden for that time.
    pub(super) fn release(&mut self, client: &str, now: TimeMs, visible_at: TimeMs) -> u32 {
        let held: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.visible_at > now && pending.visible_at > visible_at)
            .filter(|(_, pending)| {
                self.deliveries
                    .get(&pending.delivery)
                    .is_some_and(|delivery| delivery.auto_renew && &*delivery.client == client)
            })
            .map(|(offset, _)| *offset)
            .collect();
        for offset in &held {
            if let Some(pending) = self.pending.get_mut(offset) {
                self.by_visibility.remove(&(pending.visible_at, *offset));
                pending.visible_at = visible_at;
                self.by_visibility.insert((visible_at, *offset));
            }
        }
        held.len() as u32
    }

    /// Counts a pending message as done.
    pub(super) fn finish(&mut self, offset: u64) {
        if let Some(pending) = self.pending.remove(&offset) {
            self.by_visibility.remove(&(pending.visible_at, offset));
            self.by_message_group.remove(&(pending.group_hash, offset));
            self.forget_delivery(pending.delivery);
        }
        self.settled.insert(offset, offset + 1);
    }

    fn change_visibility(&mut self, offset: u64, id: DeliveryId, visible_at: TimeMs) {
        let Some(mut pending) = self.pending.get(&offset).copied() else {
            return;
        };
        let Some(old) = self.deliveries.get(&pending.delivery) else {
            return;
        };
        let successor = Delivery {
            attempt_id: 0,
            left: 0,
            auto_renew: false,
            ..old.clone()
        };
        pending.visible_at = visible_at;
        pending.delivery = id;
        self.put(offset, pending, &successor);
    }

    /// Makes `pending` what stands at `offset`; its delivery is `template` where it is new.
    pub(super) fn put(&mut self, offset: u64, mut pending: Pending, template: &Delivery) {
        if !self.fifo {
            pending.group_hash = 0;
        }
        // The new delivery is entered before the old one goes, so that the client's shared name stays one.
        if !self.deliveries.contains_key(&pending.delivery) {
            let client = self.clients.hold(&template.client);
            if template.attempt_id != 0 {
                self.by_attempt_id.insert((template.attempt_id, pending.delivery));
            }
            self.deliveries.insert(
                pending.delivery,
                Delivery {
                    client,
                    left: 0,
                    ..template.clone()
                },
            );
        }
        if let Some(delivery) = self.deliveries.get_mut(&pending.delivery) {
            delivery.left += 1;
        }
        if let Some(old) = self.pending.insert(offset, pending) {
            self.by_visibility.remove(&(old.visible_at, offset));
            self.by_message_group.remove(&(old.group_hash, offset));
            self.forget_delivery(old.delivery);
        }
        self.by_visibility.insert((pending.visible_at, offset));
        if self.fifo {
            self.by_message_group.insert((pending.group_hash, offset));
        }
    }

    fn forget_delivery(&mut self, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get_mut(&id) else {
            return;
        };
        delivery.left -= 1;
        if delivery.left == 0
            && let Some(delivery) = self.deliveries.remove(&id)
        {
            self.clients.release(&delivery.client);
            self.by_attempt_id.remove(&(delivery.attempt_id, id));
        }
    }

    fn skip(&mut self, span: &Span, tail: QueueOffset) {
        let mut from = span.start.0.max(self.floor);
        let end = span.start.0.saturating_add(span.len).min(tail.0);
        while from < end {
            // A pending message inside the span was delivered after all: it stays.
            let stop = self
                .pending
                .range(from..end)
                .next()
                .map_or(end, |(offset, _)| *offset);
            self.settled.insert(from, stop);
            from = stop + 1;
        }
    }

    pub(super) fn raise_floor(&mut self) {
        if let Some(end) = self.settled.take_through(self.floor) {
            self.floor = self.floor.max(end);
        }
        debug_assert!(
            self.settled
                .iter()
                .next()
                .is_none_or(|(start, _)| start > self.floor)
        );
        debug_assert!(
            self.pending
                .first_key_value()
                .is_none_or(|(offset, _)| *offset >= self.floor)
        );
        debug_assert_eq!(self.pending.len(), self.by_visibility.len());
    }

    pub(super) fn restored(fifo: bool, floor: u64, settled: RangeSet) -> Self {
        Self {
            settled,
            ..Self::new(fifo, QueueOffset(floor))
        }
    }
}
