//! Choosing messages from one queue for one receive.

use super::EntrySource;
use super::cursor::Cursor;
use super::filter::TagFilter;
use super::room::Room;
use crate::command::{Span, Standing, Take};
use crate::entry::QueueEntry;
use crate::ids::{QueueOffset, TimeMs};
use crate::limits;
use crate::state::GroupQueue;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

/// Entries read at once.
const CHUNK: usize = 64;
/// Messages that one receive sends to the dead-letter topic from one queue.
const DEAD_MAX: usize = 64;

/// What a receive asks of a queue.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// At most this much.
    pub room: Room,
    /// The proposer's time.
    pub now: TimeMs,
    /// The offset behind the queue's last message.
    pub tail: QueueOffset,
    /// Which tags.
    pub filter: &'a TagFilter,
    /// Deliveries of a message before it goes to the dead-letter topic.
    pub max_attempts: u16,
}

/// A message that may be offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What the `Deliver` says of it.
    pub take: Take,
    /// Its entry.
    pub entry: QueueEntry,
}

/// What one queue has for a receive. Offers and dead ones are reserved in the cursor until it hears of them again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To deliver, in rising order.
    pub offers: Vec<Offer>,
    /// Filtered out, in rising order.
    pub skipped: Vec<Span>,
    /// Out of attempts: to link into the dead-letter topic.
    pub dead: Vec<Offer>,
    /// Whether there may be more for another receive right now.
    pub more: bool,
    /// What the choice stands on, as the `Deliver` says.
    pub standing: Standing,
}

impl Plan {
    /// Looks through one queue for `want`, reserving what it finds. On an error nothing stays reserved.
    pub fn select<S: EntrySource>(
        queue: &GroupQueue,
        cursor: &mut Cursor,
        entries: &S,
        want: Want<'_>,
    ) -> Result<Self, S::Error> {
        let plan = Self {
            standing: queue.standing(),
            ..Self::default()
        };
        if !cursor.follows(queue) {
            return Ok(plan);
        }
        let mut selection = Selection {
            queue,
            cursor,
            entries,
            want,
            plan,
            passed: HashSet::new(),
            own: HashSet::new(),
        };
        let found = if queue.is_fifo() {
            selection.in_order()
        } else {
            selection.any_order()
        };
        let Selection { cursor, mut plan, .. } = selection;
        match found {
            Ok(()) => {
                plan.in_rising_order();
                Ok(plan)
            }
            Err(error) => {
                plan.give_back(cursor);
                cursor.unlock_all();
                Err(error)
            }
        }
    }

    /// Whether there is nothing to propose.
    pub fn is_empty(&self) -> bool {
        self.offers.is_empty() && self.skipped.is_empty() && self.dead.is_empty()
    }

    /// Nothing of the plan came to be: everything in it is looked at again.
    pub fn give_back(&self, cursor: &mut Cursor) {
        self.offers
            .iter()
            .chain(&self.dead)
            .for_each(|offer| cursor.give_back(offer.take.offset));
        self.skipped
            .iter()
            .for_each(|span| cursor.look_again_from(span.start));
    }

    /// Takes note in the order of looking, which in a FIFO group is not that of offsets.
    fn skip(&mut self, offset: u64) {
        match self.skipped.last_mut() {
            Some(span) if span.start.0 + span.len == offset => span.len += 1,
            _ => self.skipped.push(Span {
                start: QueueOffset(offset),
                len: 1,
            }),
        }
    }

    /// Puts offers and skipped spans into the order that commands have them in.
    fn in_rising_order(&mut self) {
        self.offers.sort_unstable_by_key(|offer| offer.take.offset);
        let mut spans = std::mem::take(&mut self.skipped);
        spans.sort_unstable_by_key(|span| span.start);
        for span in spans {
            match self.skipped.last_mut() {
                Some(last) if last.start.0 + last.len == span.start.0 => last.len += span.len,
                _ => self.skipped.push(span),
            }
        }
    }
}

struct Selection<'a, S> {
    queue: &'a GroupQueue,
    cursor: &'a mut Cursor,
    entries: &'a S,
    want: Want<'a>,
    plan: Plan,
    /// Message groups with an earlier message on its way to the dead-letter topic.
    passed: HashSet<u32>,
    /// Message groups that this selection itself offers messages of.
    own: HashSet<u32>,
}

impl<S: EntrySource> Selection<'_, S> {
    fn full(&self) -> bool {
        self.plan.dead.len() >= DEAD_MAX || !self.want.room.holds_more_than(&self.plan)
    }

    fn has_room(&self) -> bool {
        self.queue.pending_len() + self.cursor.reserved_len() < limits::IN_FLIGHT_MAX
    }

    fn offer(&mut self, offset: QueueOffset, entry: QueueEntry, dead: bool) {
        let group_hash = if self.queue.is_fifo() { entry.group_hash } else { 0 };
        self.cursor.reserve(offset.0, group_hash);
        let offer = Offer {
            take: Take { offset, group_hash },
            entry,
        };
        if dead {
            self.plan.dead.push(offer)
        } else {
            self.plan.offers.push(offer)
        }
    }

    /// Without order: first what is visible again, then fresh messages.
    fn any_order(&mut self) -> Result<(), S::Error> {
        let (queue, now) = (self.queue, self.want.now);
        let mut one = Vec::with_capacity(1);
        for (visible_at, offset) in queue.by_visibility().take(limits::SCAN_MAX as usize) {
            if visible_at > now {
                break;
            }
            if self.full() {
                self.plan.more = true;
                return Ok(());
            }
            if self.cursor.is_reserved(offset.0) {
                continue;
            }
            one.clear();
            self.entries.entries(offset, 1, &mut one)?;
            if let Some(entry) = one.first() {
                self.offer(
                    offset,
                    *entry,
                    queue.is_exhausted(offset, self.want.max_attempts, now),
                );
            }
        }
        self.fresh()
    }

    fn fresh(&mut self) -> Result<(), S::Error> {
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut at = self.cursor.scan_from.max(self.queue.floor().0);
        let (tail, mut looked_at) = (self.want.tail.0, 0);
        'scan: while at < tail && looked_at < limits::SCAN_MAX {
            // Of what is done there may be no entries any more.
            if let Some(end) = self.queue.settled().end_of(at) {
                at = end;
                continue;
            }
            chunk.clear();
            let most = (tail - at).min(limits::SCAN_MAX - looked_at);
            self.entries
                .entries(QueueOffset(at), CHUNK.min(most as usize), &mut chunk)?;
            if chunk.is_empty() {
                break;
            }
            looked_at += chunk.len() as u64;
            for entry in &chunk {
                if self.full() || !self.has_room() {
                    break 'scan;
                }
                if self.queue.is_fresh(QueueOffset(at)) && !self.cursor.is_reserved(at) {
                    if self.want.filter.may_take(entry) {
                        self.offer(QueueOffset(at), *entry, false);
                    } else {
                        self.plan.skip(at);
                    }
                }
                at += 1;
            }
        }
        self.plan.more |= at < self.want.tail.0 && self.has_room();
        self.cursor.scan_from = at;
        Ok(())
    }

    /// FIFO: in order of offsets what waits no longer, then what was never looked at.
    fn in_order(&mut self) -> Result<(), S::Error> {
        let expired = self
            .queue
            .by_visibility()
            .take_while(|(at, _)| *at <= self.want.now);
        for (_, offset) in expired.take(limits::SCAN_MAX as usize) {
            if let Some(pending) = self.queue.pending(offset)
                && offset.0 < self.cursor.scan_from
            {
                self.cursor.parked.unlock(pending.group_hash);
            }
        }
        self.waits_no_longer()?;
        self.beyond()
    }

    /// Offers, in order, messages of unlocked message groups that are visible again or parked.
    fn waits_no_longer(&mut self) -> Result<(), S::Error> {
        let mut next = BinaryHeap::new();
        while let Some(hash) = self.cursor.parked.next_unlocked() {
            // Whoever holds or offers a message of it unlocks it again.
            if !self.cursor.is_group_reserved(hash) && !self.queue.is_locked(hash, self.want.now) {
                next.extend(self.next_waiting(hash, 0).map(|at| Reverse((at, hash))));
            }
        }
        let mut one = Vec::with_capacity(1);
        while let Some(Reverse((at, hash))) = next.pop() {
            let offset = QueueOffset(at);
            let is_pending = self.queue.pending(offset).is_some();
            if self.full() || !is_pending && !self.has_room() {
                self.cursor.parked.unlock(hash);
                self.plan.more |= self.full();
                continue;
            }
            one.clear();
            self.entries.entries(offset, 1, &mut one)?;
            self.cursor.parked.unpark(hash, at);
            let goes_on = one.first().is_none_or(|entry| self.consider(offset, entry));
            if goes_on {
                next.extend(self.next_waiting(hash, at + 1).map(|at| Reverse((at, hash))));
            }
        }
        Ok(())
    }

    /// The first message of a message group from `from` on that was looked at before: pending or parked.
    fn next_waiting(&self, hash: u32, from: u64) -> Option<u64> {
        let pending = self.queue.pending_of_message_group(hash, QueueOffset(from));
        let pending = pending
            .map(|offset| offset.0)
            .find(|offset| *offset < self.cursor.scan_from);
        let parked = self.cursor.parked.offsets(hash, from).next();
        pending.into_iter().chain(parked).min()
    }

    /// Looks at messages that were never looked at, offering or parking them.
    fn beyond(&mut self) -> Result<(), S::Error> {
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut at = self.cursor.scan_from.max(self.queue.floor().0);
        let (tail, mut looked_at) = (self.want.tail.0, 0);
        let mut stuck = false;
        'scan: while at < tail && looked_at < limits::SCAN_MAX {
            if let Some(end) = self.queue.settled().end_of(at) {
                at = end;
                continue;
            }
            chunk.clear();
            let most = (tail - at).min(limits::SCAN_MAX - looked_at);
            self.entries
                .entries(QueueOffset(at), CHUNK.min(most as usize), &mut chunk)?;
            if chunk.is_empty() {
                break;
            }
            looked_at += chunk.len() as u64;
            for entry in &chunk {
                if self.full() {
                    break 'scan;
                }
                if !self.has_room() || self.cursor.parked.is_full() {
                    stuck = true;
                    break 'scan;
                }
                self.consider(QueueOffset(at), entry);
                at += 1;
            }
        }
        self.cursor.scan_from = at;
        self.plan.more |= at < tail && !stuck;
        Ok(())
    }

    /// Looks at one message: offers it, passes it by for good, or parks it. Answers whether its message group goes on.
    fn consider(&mut self, offset: QueueOffset, entry: &QueueEntry) -> bool {
        let hash = entry.group_hash;
        let is_pending = self.queue.pending(offset).is_some();
        if !is_pending && !self.queue.is_fresh(offset) || self.cursor.is_reserved(offset.0) {
            return true;
        }
        if !is_pending && !self.want.filter.may_take(entry) {
            self.plan.skip(offset.0);
            return true;
        }
        let others_hold = !self.own.contains(&hash)
            && (self.cursor.is_group_reserved(hash) || self.queue.is_locked(hash, self.want.now));
        // What is parked comes before what was never looked at.
        let others_wait = offset.0 >= self.cursor.scan_from && self.cursor.parked.has(hash);
        if others_hold || others_wait || self.passed.contains(&hash) {
            if !is_pending {
                self.cursor.parked.park(hash, offset.0);
            }
            return false;
        }
        let exhausted = self
            .queue
            .is_exhausted(offset, self.want.max_attempts, self.want.now);
        self.own.insert(hash);
        self.offer(offset, *entry, exhausted);
        if exhausted {
            // Its message group goes on once the dead-letter topic has this message.
            self.passed.insert(hash);
        }
        !exhausted
    }
}
