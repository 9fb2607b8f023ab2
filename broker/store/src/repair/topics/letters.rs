//! Which dead letters were accepted when they came: a fold over what is left of the log, of what clients held.
//!
//! Where the log begins nobody knows what groups held. But a client names a delivery only after the broker has answered with it: a delivery
//! that stands in the log and is named later did take that message, and what became of it since stands in the log too. Of a delivery from before the
//! log's beginning, or across a place that cannot be read, nothing tells; such letters are not sure.

mod not_sure;

use not_sure::NotSure;
use sluice_core::command::{
    Change, Command, DeadLetter, Deliver, Expire, Minimum, Release, SetFloor, Settle, Target, Trim,
    Unanswered,
};
use sluice_core::ids::{DeliveryId, GroupQueueId, PhysicalOffset, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{HoldSpan, RangeSet};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Deliveries between two looks at which of them are over.
const KEPT_UNLOOKED: usize = 1 << 16;
/// No command is longer on its way to the log, in milliseconds.
const UNDER_WAY_MS: u64 = 60_000;

/// A delivery that may hold a message.
#[derive(Debug)]
struct Claim {
    delivery: DeliveryId,
    visible_at: TimeMs,
    client: String,
    attempt_id: u64,
    auto_renew: bool,
    /// Whether something that stands in the log may have ended it, or not.
    is_sure: bool,
}

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Refused,
    /// Nothing tells.
    Unsure,
}

/// The fold.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// Where the log begins.
    begins: PhysicalOffset,
    /// The first command's number, as deliveries have it.
    first: Option<DeliveryId>,
    claims: HashMap<GroupQueueId, BTreeMap<QueueOffset, Vec<Claim>>>,
    kept: usize,
    look_again_at: usize,
    /// Messages that a delivery which stands in the log took: none from before holds them any more.
    taken: HashMap<GroupQueueId, RangeSet>,
    /// Messages that are done since.
    done: HashMap<GroupQueueId, RangeSet>,
    /// Dead letters that are not sure yet, and may turn out to be refused.
    unsure: NotSure,
    /// Those of which something that followed shows that they were refused.
    refused: HashSet<PhysicalOffset>,
    /// What retention said last.
    bounds: Option<(PhysicalOffset, PhysicalOffset)>,
    /// What retention has carried.
    carried: HashMap<TopicQueue, RangeSet>,
    /// When groups were moved in a queue.
    moved: HashMap<GroupQueueId, (PhysicalOffset, TimeMs)>,
    has_gap: bool,
}

impl Letters {
    pub(super) fn new(begins: PhysicalOffset) -> Self {
        Self {
            begins,
            look_again_at: KEPT_UNLOOKED,
            ..Self::default()
        }
    }

    /// Whether a letter was refused, of which this was not known when it came.
    pub(super) fn was_refused(&self, at: PhysicalOffset) -> bool {
        self.refused.contains(&at)
    }

    /// What a checkpoint says of a group in a queue: what it had not done was no dead letter.
    pub(super) fn hold(&mut self, id: GroupQueueId, hold: &HoldSpan, checkpoint: PhysicalOffset) {
        // Moved back, it has messages to do that were dead letters.
        let moved = self.moved.get(&id).map_or(PhysicalOffset(0), |(at, _)| *at);
        let is_undone = |offset: QueueOffset| offset.0 >= hold.floor && !hold.settled.contains(offset.0);
        let letters = self.unsure.of(id).filter(|(offset, _)| is_undone(*offset));
        let places = letters.map(|(_, at)| at);
        self.refused
            .extend(places.filter(|at| *at < checkpoint && *at > moved));
    }

    /// A client names a delivery that stands in the log: it took the message, and what was not sure before was refused.
    fn names(&mut self, id: GroupQueueId, offset: QueueOffset, delivery: DeliveryId) {
        if self.is_before(delivery) {
            return;
        }
        self.taken.entry(id).or_default().insert(offset.0, offset.0 + 1);
        self.refused.extend(self.unsure.take_from_before(id, offset));
    }

    fn has(of: &HashMap<GroupQueueId, RangeSet>, id: GroupQueueId, offset: QueueOffset) -> bool {
        of.get(&id).is_some_and(|known| known.contains(offset.0))
    }

    /// Something cannot be read there: it may have ended any delivery.
    pub(super) fn gap(&mut self) {
        self.has_gap = true;
        let claims = self.claims.values_mut().flat_map(BTreeMap::values_mut);
        claims.flatten().for_each(|claim| claim.is_sure = false);
    }

    /// Takes in a command that is no dead letter. `id` is its number as deliveries have it, `now` state's time with it.
    pub(super) fn command(&mut self, id: DeliveryId, at: PhysicalOffset, now: TimeMs, command: &Command<'_>) {
        self.first.get_or_insert(id);
        match command {
            Command::Deliver(deliver) => self.deliver(id, now, deliver),
            Command::Settle(settle) => self.settle(id, now, settle),
            Command::Release(release) => self.release(now, release),
            Command::Unanswered(unanswered) => self.unanswered(now, unanswered),
            Command::SetFloor(moves) => self.set_floor(at, now, moves),
            Command::Trim(trim) => self.trim(at, trim),
            Command::Expire(expire) => self.expire(expire),
            Command::Carry(carry) => {
                for place in &carry.places {
                    let carried = self.carried.entry(place.at).or_default();
                    carried.insert(place.offset.0, place.offset.0 + 1);
                }
            }
            _ => {}
        }
    }

    fn at(&mut self, id: GroupQueueId, offset: QueueOffset) -> &mut Vec<Claim> {
        self.claims.entry(id).or_default().entry(offset).or_default()
    }

    fn claims_of(&self, id: GroupQueueId, offset: QueueOffset) -> impl Iterator<Item = &Claim> {
        let of_queue = self.claims.get(&id);
        let claims = of_queue.and_then(|of_queue| of_queue.get(&offset));
        claims.into_iter().flatten()
    }

    /// Nobody holds a message any more. Its place goes too: moves and releases walk over all of their queue.
    fn end_all(&mut self, id: GroupQueueId, offset: QueueOffset) {
        let of_queue = self.claims.get_mut(&id);
        let over = of_queue.and_then(|of_queue| of_queue.remove(&offset));
        self.kept -= over.map_or(0, |claims| claims.len());
    }

    fn deliver(&mut self, id: DeliveryId, now: TimeMs, deliver: &Deliver) {
        if self.kept + deliver.taken.len() > self.look_again_at {
            self.forget_over(now);
        }
        for take in &deliver.taken {
            let claims = self.at(deliver.id, take.offset);
            let before = claims.len();
            // A repeated delivery takes the place of the one that it repeats.
            let repeats = |claim: &Claim| {
                deliver.resume && claim.attempt_id == deliver.attempt_id && claim.client == deliver.client
            };
            claims.retain(|claim| claim.visible_at > now && !repeats(claim));
            claims.push(Claim {
                delivery: id,
                visible_at: now.saturating_add(deliver.invisible_ms),
                client: deliver.client.clone(),
                attempt_id: deliver.attempt_id,
                auto_renew: deliver.auto_renew,
                is_sure: true,
            });
            let after = claims.len();
            self.kept = self.kept + after - before;
        }
    }

    /// What is over is of no more use: nothing brings it back.
    fn forget_over(&mut self, now: TimeMs) {
        for of_queue in self.claims.values_mut() {
            of_queue.retain(|_, claims| {
                claims.retain(|claim| claim.visible_at > now);
                !claims.is_empty()
            });
        }
        self.claims.retain(|_, of_queue| !of_queue.is_empty());
        let of_queues = self.claims.values().flat_map(BTreeMap::values);
        self.kept = of_queues.map(Vec::len).sum();
        self.look_again_at = KEPT_UNLOOKED.max(self.kept * 2);
    }

    fn settle(&mut self, id: DeliveryId, now: TimeMs, settle: &Settle) {
        for item in &settle.items {
            self.names(settle.id, item.offset, item.delivery);
            let is_before = self.is_before(item.delivery) && !Self::has(&self.taken, settle.id, item.offset);
            let holds = |claim: &&Claim| claim.delivery == item.delivery && claim.visible_at > now;
            let held = self.claims_of(settle.id, item.offset).find(holds);
            let held = held.map(|claim| (claim.client.clone(), claim.is_sure));
            let is_done = held.is_some() && settle.change == Change::Done;
            let (client, is_sure) = match held {
                Some((client, is_sure)) => {
                    self.end_all(settle.id, item.offset);
                    (client, is_sure)
                }
                // Of one that nothing tells of its successor shows that it was there, if that is named.
                None if is_before || self.has_gap => (String::new(), true),
                None => continue,
            };
            if let Change::VisibleIn(ms) | Change::HandBack(ms) = settle.change {
                self.kept += 1;
                self.at(settle.id, item.offset).push(Claim {
                    delivery: id,
                    visible_at: now.saturating_add(ms),
                    client,
                    attempt_id: 0,
                    auto_renew: false,
                    is_sure,
                });
            }
            if is_done {
                self.finish(settle.id, item.offset);
            }
        }
    }

    fn finish(&mut self, id: GroupQueueId, offset: QueueOffset) {
        self.done.entry(id).or_default().insert(offset.0, offset.0 + 1);
    }

    /// Whether a delivery was made before all that can be read.
    fn is_before(&self, delivery: DeliveryId) -> bool {
        self.first.is_none_or(|first| delivery < first)
    }

    fn renewed(&mut self, id: GroupQueueId) -> impl Iterator<Item = &mut Claim> {
        let claims = self
            .claims
            .get_mut(&id)
            .into_iter()
            .flat_map(BTreeMap::values_mut);
        claims.flatten().filter(|claim| claim.auto_renew)
    }

    fn release(&mut self, now: TimeMs, release: &Release) {
        let visible_at = now.saturating_add(release.visible_in_ms);
        let of_client = self
            .renewed(release.id)
            .filter(|claim| claim.client == release.client);
        for claim in of_client {
            claim.visible_at = claim.visible_at.min(visible_at);
        }
    }

    fn unanswered(&mut self, now: TimeMs, unanswered: &Unanswered) {
        let visible_at = now.saturating_add(unanswered.visible_in_ms);
        for claim in self.renewed(unanswered.id) {
            if claim.visible_at >= unanswered.hidden_until_min {
                claim.visible_at = claim.visible_at.min(visible_at);
            }
        }
    }

    /// Moved forward, what is below is over; back, all is. Which it was is not always known.
    fn set_floor(&mut self, at: PhysicalOffset, now: TimeMs, moves: &SetFloor) {
        self.moved.insert(moves.id, (at, now));
        // What was done may come again, and become a dead letter again.
        self.done.remove(&moves.id);
        // What was not sure before stays so.
        self.unsure.forget(moves.id);
        let Some(of_queue) = self.claims.get_mut(&moves.id) else {
            return;
        };
        of_queue.retain(|offset, claims| {
            let is_over = match moves.target {
                // Its writer may have been fenced off.
                _ if moves.epoch != 0 => false,
                Target::Latest => true,
                Target::Offset(to) => *offset < to,
                Target::Newest(_) => false,
            };
            if is_over {
                self.kept -= claims.len();
            }
            claims.iter_mut().for_each(|claim| claim.is_sure = false);
            !is_over
        });
    }

    fn trim(&mut self, at: PhysicalOffset, trim: &Trim) {
        let rises = self
            .bounds
            .is_none_or(|(start, links)| trim.start >= start && (trim.start == start || trim.start <= links));
        if !rises || trim.links_from < trim.start || trim.links_from > at {
            return;
        }
        self.bounds = Some((trim.start, trim.links_from));
        self.begin_at(&trim.minimums);
    }

    fn expire(&mut self, expire: &Expire) {
        for (at, offset) in &expire.dropped {
            let of_queue = self.claims.iter_mut().filter(|(id, _)| id.at == *at);
            let claims = of_queue.flat_map(|(_, claims)| claims.get_mut(offset)).flatten();
            claims.for_each(|claim| claim.is_sure = false);
        }
        self.begin_at(&expire.minimums);
    }

    /// What is carried stays below. What is not is passed by, unless it was carried before all that can be read.
    fn begin_at(&mut self, minimums: &[Minimum]) {
        for minimum in minimums {
            let carried = self.carried.get(&minimum.at);
            let of_queue = self.claims.iter_mut().filter(|(id, _)| id.at == minimum.at);
            for (offset, claims) in of_queue.flat_map(|(_, claims)| claims.range_mut(..minimum.first)) {
                let is_carried = carried.is_some_and(|carried| carried.contains(offset.0));
                claims.iter_mut().for_each(|claim| claim.is_sure &= is_carried);
            }
        }
    }

    /// Takes in a dead letter.
    pub(super) fn dead(
        &mut self,
        id: DeliveryId,
        at: PhysicalOffset,
        now: TimeMs,
        dead: &DeadLetter,
    ) -> Verdict {
        self.first.get_or_insert(id);
        let mut verdict = match dead.delivery {
            Some(delivery) => self.given_up(delivery, now, dead),
            None => self.used_up(now, dead),
        };
        match self.bounds {
            Some((_, links_from)) if dead.entry.physical < links_from => verdict = Verdict::Refused,
            // What was said before stands before the log's beginning.
            None if dead.entry.physical < self.begins && verdict == Verdict::Accepted => {
                verdict = Verdict::Unsure;
            }
            _ => {}
        }
        match verdict {
            Verdict::Accepted => {
                self.finish(dead.id, dead.offset);
                self.end_all(dead.id, dead.offset);
            }
            Verdict::Unsure => {
                let is_from_before = dead.delivery.is_some_and(|delivery| self.is_before(delivery));
                self.unsure.add(dead.id, dead.offset, at, is_from_before);
            }
            Verdict::Refused => {}
        }
        if let Some(delivery) = dead.delivery {
            self.names(dead.id, dead.offset, delivery);
        }
        verdict
    }

    fn given_up(&self, delivery: DeliveryId, now: TimeMs, dead: &DeadLetter) -> Verdict {
        let mut claims = self.claims_of(dead.id, dead.offset);
        match claims.find(|claim| claim.delivery == delivery) {
            Some(claim) if claim.visible_at <= now => Verdict::Refused,
            Some(claim) if claim.is_sure => Verdict::Accepted,
            None if !self.has_gap && !self.is_before(delivery) => Verdict::Refused,
            _ if Self::has(&self.done, dead.id, dead.offset) => Verdict::Refused,
            None if Self::has(&self.taken, dead.id, dead.offset) && self.is_before(delivery) => {
                Verdict::Refused
            }
            _ => Verdict::Unsure,
        }
    }

    /// The broker asks for it where it sees that the message is not held any more. What can come between has its own place here.
    fn used_up(&self, now: TimeMs, dead: &DeadLetter) -> Verdict {
        if Self::has(&self.done, dead.id, dead.offset) {
            return Verdict::Refused;
        }
        let mut claims = self.claims_of(dead.id, dead.offset);
        let may_be_held = claims.any(|claim| claim.visible_at > now);
        let moved = self.moved.get(&dead.id);
        let is_moved = moved.is_some_and(|(_, moved)| now.saturating_sub(*moved) <= UNDER_WAY_MS);
        match may_be_held || self.has_gap || is_moved {
            true => Verdict::Unsure,
            false => Verdict::Accepted,
        }
    }
}

#[cfg(test)]
mod tests;
