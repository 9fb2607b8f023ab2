//! Changing what a group holds of a queue: what apply does with deliveries.

use super::{Delivery, GroupQueue, Pending};
use crate::command::{Change, Deliver, SettleItem, Span, Take};
use crate::ids::{DeliveryId, QueueOffset, TimeMs};
use crate::limits;
use std::sync::Arc;

impl GroupQueue {
    /// Applies a `Deliver`; answers offset and attempt of what was taken.
    pub(in crate::state) fn deliver(
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
                let same = held.is_attempt(&command.client, command.attempt_id);
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
        self.is_fifo()
            && self
                .by_message_group
                .range((group_hash, 0)..=(group_hash, u64::MAX))
                .any(|(_, offset)| held(offset))
    }

    /// Settles items that are still held by the delivery they name; answers one flag an item.
    pub(in crate::state) fn settle(
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
                Change::HandBack(ms) => {
                    self.uncount_attempt(offset);
                    self.change_visibility(offset, id, now.saturating_add(ms));
                }
            }
        }
        self.raise_floor();
        accepted.into_iter()
    }

    /// Makes visible at `visible_at` what the broker renews for `client`; answers how many messages. What a client
    /// hid for a time of its own choice stays hidden for that time.
    pub(in crate::state) fn release(&mut self, client: &str, now: TimeMs, visible_at: TimeMs) -> u32 {
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
                self.by_visibility.remove(pending.visible_at, *offset);
                pending.visible_at = visible_at;
                self.by_visibility.insert(visible_at, *offset);
            }
        }
        held.len() as u32
    }

    /// Counts a pending message as done.
    pub(in crate::state) fn finish(&mut self, offset: u64) {
        self.forget(offset);
        self.settled.insert(offset, offset + 1);
    }

    /// Makes a pending message one that was never delivered.
    pub(super) fn forget(&mut self, offset: u64) {
        if let Some(pending) = self.pending.remove(&offset) {
            self.by_visibility.remove(pending.visible_at, offset);
            self.by_message_group.remove(&(pending.group_hash, offset));
            self.forget_delivery(pending.delivery);
        }
    }

    fn uncount_attempt(&mut self, offset: u64) {
        if let Some(pending) = self.pending.get_mut(&offset) {
            pending.attempt = pending.attempt.saturating_sub(1);
        }
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
    pub(in crate::state) fn put(&mut self, offset: u64, mut pending: Pending, template: &Delivery) {
        if !self.is_fifo() {
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
            self.by_visibility.remove(old.visible_at, offset);
            self.by_message_group.remove(&(old.group_hash, offset));
            self.forget_delivery(old.delivery);
        }
        self.by_visibility.insert(pending.visible_at, offset);
        if self.is_fifo() {
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

    pub(in crate::state) fn raise_floor(&mut self) {
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
}
