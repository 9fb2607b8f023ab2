//! The model's choice: what a receive may be offered, and what is handed out.

use super::reference::{At, Held, Message, Model, Token};
use super::steps::Ask;
use std::collections::BTreeSet;

impl Model {
    pub fn held_by_attempt(&self, at: At, ask: &Ask, now: u64) -> Vec<usize> {
        let all = 0..self.messages(at).len();
        all.filter(|offset| {
            self.pending(at, *offset)
                .is_some_and(|held| repeats(ask, held, now))
        })
        .collect()
    }

    pub fn reserved(&self, at: At) -> BTreeSet<usize> {
        let plans = self.plans.iter().filter(|plan| plan.at == at && !plan.resume);
        plans
            .flat_map(|plan| plan.offers.iter().chain(&plan.dead).copied())
            .collect()
    }

    pub fn is_exhausted(&self, at: At, held: Held) -> bool {
        held.attempt >= self.groups[at.0].1.max_attempts
    }

    /// Without order: what is visible again, the longest first, then what is fresh.
    pub fn choose(&self, at: At, max: usize, now: u64) -> (Vec<usize>, Vec<usize>) {
        let reserved = self.reserved(at);
        let (mut offers, mut dead) = (Vec::new(), Vec::new());
        let all = 0..self.messages(at).len();
        let mut again: Vec<(u64, usize, Held)> = all
            .clone()
            .filter_map(|offset| self.pending(at, offset).map(|held| (held.until, offset, held)))
            .filter(|(until, offset, _)| *until <= now && !reserved.contains(offset))
            .collect();
        again.sort_by_key(|(until, offset, _)| (*until, *offset));
        for (_, offset, held) in again {
            if offers.len() == max {
                break;
            }
            let list = if self.is_exhausted(at, held) {
                &mut dead
            } else {
                &mut offers
            };
            list.push(offset);
        }
        let fresh = all.filter(|offset| self.is_fresh(at, *offset) && self.wants(at, *offset));
        let free = fresh.filter(|offset| !reserved.contains(offset));
        offers.extend(free.take(max - offers.len()));
        offers.sort_unstable();
        (offers, dead)
    }

    /// In order, with message groups locked.
    pub fn choose_in_order(&self, at: At, max: usize, now: u64) -> (Vec<usize>, Vec<usize>) {
        let reserved = self.reserved(at);
        let messages = self.messages(at);
        let (mut offers, mut dead, mut blocked) = (Vec::new(), Vec::new(), BTreeSet::new());
        let is_held = |offset| self.pending(at, offset).is_some_and(|held| held.until > now);
        for (offset, message) in messages.iter().enumerate() {
            if reserved.contains(&offset) || is_held(offset) {
                blocked.insert(message.group);
            }
        }
        for (offset, message) in messages.iter().enumerate() {
            let held = self.pending(at, offset);
            let waits = held.is_some() || self.is_fresh(at, offset) && self.wants(at, offset);
            if !waits || blocked.contains(&message.group) {
                continue;
            }
            if offers.len() == max {
                break;
            }
            if held.is_some_and(|held| self.is_exhausted(at, held)) {
                dead.push(offset);
                blocked.insert(message.group);
            } else {
                offers.push(offset);
            }
        }
        (offers, dead)
    }

    /// The attempt that handing the message out now is, if it can be.
    pub fn attempt_of(&self, at: At, offset: usize, token: Token, ask: &Ask, resume: bool) -> Option<u16> {
        let held = self.pending(at, offset);
        if resume {
            let held = held.filter(|held| repeats(ask, *held, self.now));
            return held.map(|held| held.attempt);
        }
        let group = self.messages(at)[offset].group;
        let locks = |(other, message): (usize, &Message)| {
            let held = self.pending(at, other);
            message.group == group && held.is_some_and(|held| held.until > self.now && held.token != token)
        };
        let locked = self.groups[at.0].1.fifo && self.messages(at).iter().enumerate().any(locks);
        match held {
            _ if locked => None,
            Some(held) => (held.until <= self.now).then_some(held.attempt + 1),
            None => self.is_fresh(at, offset).then_some(1),
        }
    }
}

/// Whether what is held is what this attempt of this client got before: others may have the same attempt id.
fn repeats(ask: &Ask, held: Held, now: u64) -> bool {
    let same = held.attempt_id == ask.attempt && held.client == ask.client;
    ask.attempt != 0 && same && held.until > now
}
