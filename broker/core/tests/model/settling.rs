//! The model's end of deliveries: acknowledged, changed, given up, released.

use super::reference::{At, Expected, Handle, Held, Model, Status};
use sluice_core::command::Change;

impl Model {
    /// A handle among the newest.
    pub fn handle(&self, pick: u8) -> Option<Handle> {
        let among = self.handles.len().min(10);
        let back = pick as usize % among.max(1) + 1;
        self.handles
            .len()
            .checked_sub(back)
            .map(|index| self.handles[index])
    }

    /// The handles that picks mean: those of the first one's queue, and for a change of the first one's client, for
    /// clients change what is theirs.
    pub fn picked(&self, picks: &[u8], change: Change) -> Vec<Handle> {
        let mut picked: Vec<Handle> = picks.iter().filter_map(|pick| self.handle(*pick)).collect();
        if let Some(first) = picked.first().copied() {
            let same = |handle: &Handle| handle.client == first.client || change == Change::Done;
            picked.retain(|handle| handle.at == first.at && same(handle));
        }
        picked
    }

    pub fn is_held(&self, handle: &Handle) -> bool {
        let held = self.pending(handle.at, handle.offset);
        held.is_some_and(|held| held.token == handle.token && held.until > self.now)
    }

    pub fn settle(&mut self, picks: &[u8], change: Change) -> Expected {
        let items = self.picked(picks, change);
        if items.is_empty() {
            return Expected::Nothing;
        }
        self.command();
        let token = self.tokens;
        self.tokens += 1;
        let mut accepted = Vec::new();
        for handle in items {
            let (at, offset) = (handle.at, handle.offset);
            accepted.push(self.is_held(&handle));
            let Some(held) = self
                .pending(at, offset)
                .filter(|_| accepted.last() == Some(&true))
            else {
                continue;
            };
            let status = match change {
                Change::Done => Status::Done,
                Change::VisibleIn(ms) | Change::HandBack(ms) => {
                    self.handles.push(Handle { token, ..handle });
                    let uncounted = matches!(change, Change::HandBack(_));
                    Status::Pending(Held {
                        until: self.now + ms,
                        token,
                        attempt: held.attempt.saturating_sub(u16::from(uncounted)),
                        attempt_id: 0,
                        renewed: false,
                        ..held
                    })
                }
            };
            self.set(at, offset, status);
        }
        Expected::Settled(accepted)
    }

    pub fn give_up(&mut self, pick: u8) -> Expected {
        let Some(handle) = self.handle(pick) else {
            return Expected::Nothing;
        };
        self.command();
        let held = self.is_held(&handle);
        if held {
            self.bury(handle.at, handle.offset);
        }
        Expected::GaveUp(held)
    }

    /// The group and queue that a step's number means.
    pub fn hold(&self, number: u8) -> Option<At> {
        self.holds
            .keys()
            .nth(number as usize % self.holds.len().max(1))
            .copied()
    }

    pub fn release(&mut self, hold: u8, client: u8, visible_in_ms: u64) -> Expected {
        let Some(at) = self.hold(hold) else {
            return Expected::Nothing;
        };
        self.command();
        let (until, mut count) = (self.now + visible_in_ms, 0);
        for offset in 0..self.messages(at).len() {
            let Some(held) = self.pending(at, offset) else {
                continue;
            };
            if held.client == client && held.renewed && held.until > until {
                self.set(at, offset, Status::Pending(Held { until, ..held }));
                count += 1;
            }
        }
        Expected::Released(count)
    }
}
