//! What is remembered from decision to decision. It is small, bounded, and kept in the resource's status, so that an operator
//! that starts anew goes on where the last one was.

use super::counter::Counter;
use super::decision::Reason;
use super::guard::{self, RATE_SECONDS, Watched};
use super::observed::{Observed, Said};
use super::policy::{Cap, GuardRule, Policy};
use super::stuck::Standstills;
use super::time::Time;
use super::window::Window;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Steps that are kept; when there would be more, the two oldest become one.
const STEPS: usize = 64;

/// Without a decision for so long (or for the window, if that is longer), what was asked for before says nothing about now.
const GAP_SECONDS: u64 = 120;

/// So many reverts within so long, and somebody else sets the replicas. They are left to him for so long, or until people say
/// something anew.
const CONTENDED_REVERTS: usize = 3;
const CONTENDED_WITHIN_SECONDS: u64 = 300;
const CONTENDED_FOR_SECONDS: u64 = 1800;

/// The longest time without a further step after one that made things worse.
const BACK_OFF_SECONDS_MAX: u64 = 3600;

/// What was the case before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// When the last decision was made.
    pub(super) known_at: Option<Time>,
    /// The greatest numbers asked for within the window downwards.
    pub(super) highest: Window,
    /// The least ones within the window upwards.
    pub(super) lowest: Window,
    /// Changes that were written, oldest first.
    pub(super) steps: Vec<Step>,
    /// What was written last, until somebody else changes it.
    pub(super) written: Option<u32>,
    /// When what was written was set back.
    pub(super) reverts: Vec<Time>,
    /// What people had said by then; none while nothing was set back.
    pub(super) said: Option<Said>,
    /// Since when there has been nothing to do.
    pub(super) idle_since: Option<Time>,
    /// Since when the lag has not been known.
    pub(super) missing_since: Option<Time>,
    /// How many queues could be read when that was known last.
    pub(super) queues: Option<NonZeroU32>,
    /// Queues in which nothing gets done.
    pub(super) standstills: Standstills,
    /// Since when what guards watch has held, by name.
    pub(super) guards_held: BTreeMap<String, Time>,
    /// Messages done.
    pub(super) consumed: Counter,
    /// Messages that went to the dead-letter topic.
    pub(super) dead_letters: Counter,
    /// How long steps up are waited with, after steps that were taken back.
    pub(super) back_off: Option<BackOff>,
}

/// What is kept beyond the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lasting {
    /// Changes that were written, oldest first.
    pub steps: Vec<Step>,
    /// What was written last, until somebody else changes it.
    pub written: Option<u32>,
    /// When what was written was set back.
    pub reverts: Vec<Time>,
    /// What people had said by then; none while nothing was set back.
    pub said: Option<Said>,
    /// Since when there has been nothing to do.
    pub idle_since: Option<Time>,
    /// Since when the lag has not been known.
    pub missing_since: Option<Time>,
    /// How many queues could be read when that was known last.
    pub queues: Option<NonZeroU32>,
    /// Queues in which nothing gets done: how much was, and since when.
    pub standstills: Vec<(String, u64, Time)>,
    /// Since when what guards watch has held, by name.
    pub guards_held: BTreeMap<String, Time>,
    /// How long steps up are waited with.
    pub back_off: Option<BackOff>,
}

/// A change that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Time,
    /// How many replicas there were.
    pub from: u32,
    /// How many there were to be.
    pub to: u32,
    /// Messages done a minute before it, if that is known.
    pub rate_before: Option<u64>,
    /// Why.
    pub reason: Reason,
    /// Whether what came of it was looked at.
    pub judged: bool,
}

/// Until when no replica is added, and after how many steps in a row that were taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// Until when.
    pub until: Time,
    /// After how many.
    pub times: u32,
}

impl History {
    /// The history with what is the case now.
    pub(super) fn noted(&self, policy: &Policy, observed: &Observed, now: Time) -> Self {
        let mut next = self.clone();
        let current = observed.target.replicas;
        next.forget(policy, now);
        if self.is_gap(policy, now) {
            next.highest.restart(current, now);
            next.lowest.restart(current, now);
        }
        next.note_reverts(current, &observed.said, now);
        match &observed.lag {
            Ok(lag) => {
                let idle = lag.ready == 0 && lag.inflight == 0;
                next.idle_since = idle.then(|| self.idle_since.unwrap_or(now));
                next.missing_since = None;
                next.standstills = self.standstills.observe(lag, observed.target.ready > 0, now);
            }
            Err(_) => {
                next.idle_since = None;
                next.missing_since = Some(self.missing_since.unwrap_or(now));
            }
        }
        if let (Some(total), Some(window)) = (observed.consumed_total, regression_window(policy)) {
            next.consumed.add(total, window * 2, now);
        }
        if let Some(total) = observed.dead_letters_total {
            next.dead_letters.add(total, RATE_SECONDS * 2, now);
        }
        next.queues = match policy.cap {
            // Nobody looks at it, and the status that keeps it would be written for nothing.
            Cap::None => None,
            Cap::QueueCount { .. } | Cap::QueuesWithLag => observed.queues.or(self.queues),
        };
        next.note_guards(policy, observed, now);
        if observed.lag.is_ok() {
            next.known_at = Some(now);
        }
        next
    }

    /// Drops what no rule looks at any more, and what comes from a clock that was put back.
    fn forget(&mut self, policy: &Policy, now: Time) {
        let steps = policy.up.steps.iter().chain(&policy.down.steps);
        let periods = steps.map(|step| u64::from(step.period_seconds.get()));
        let judged_for = regression_window(policy).map(|window| window * 2);
        let kept = periods
            .chain(judged_for)
            .chain([u64::from(policy.cooldown_seconds)])
            .max();
        let kept = kept.unwrap_or_default();
        // The last one is shown in the status however old it is.
        let last = self.steps.pop().filter(|step| step.at <= now);
        self.steps
            .retain(|step| step.at <= now && now.since(step.at) <= kept);
        self.steps.extend(last);
        let kept = CONTENDED_FOR_SECONDS + CONTENDED_WITHIN_SECONDS;
        self.reverts.retain(|at| *at <= now && now.since(*at) <= kept);
        if self.reverts.len() > CONTENDED_REVERTS {
            self.reverts.drain(..self.reverts.len() - CONTENDED_REVERTS);
        }
    }

    /// What people say anew is an answer to what was set back before, which counts no longer then.
    fn note_reverts(&mut self, current: u32, said: &Said, now: Time) {
        let before = self.said.take();
        if before.as_ref().is_some_and(|before| said.is_newer_than(before)) {
            self.reverts.clear();
        }
        if self.written.is_some_and(|written| written != current) {
            self.written = None;
            self.reverts.push(now);
        }
        if !self.reverts.is_empty() {
            // An alert may have taken the place of what somebody asked by.
            let asked = said.asked.clone().or_else(|| before?.asked);
            self.said = Some(Said {
                asked,
                generation: said.generation,
            });
        }
    }

    fn is_gap(&self, policy: &Policy, now: Time) -> bool {
        let window = u64::from(policy.down.window_seconds.max(policy.up.window_seconds));
        let gap = |before: Time| now < before || now.since(before) > window.max(GAP_SECONDS);
        self.known_at.is_none_or(gap)
    }

    fn note_guards(&mut self, policy: &Policy, observed: &Observed, now: Time) {
        let before = std::mem::take(&mut self.guards_held);
        for guard in &policy.guards {
            let since = before.get(&guard.name).copied().filter(|since| *since <= now);
            let since = match guard::watched(guard, observed, self, now) {
                Watched::Holds(_) => Some(since.unwrap_or(now)),
                Watched::HoldsNot => None,
                // A gap in the readings does not make it begin anew.
                Watched::Unknown(_) => since,
            };
            if let Some(since) = since {
                self.guards_held.insert(guard.name.clone(), since);
            }
        }
    }

    /// For how many seconds what the guard watches has held.
    pub(super) fn guard_held_for(&self, name: &str, now: Time) -> Option<u64> {
        self.guards_held.get(name).map(|since| now.since(*since))
    }

    /// Tells whether somebody else sets the replicas each time they are written.
    pub(super) fn is_contended(&self, now: Time) -> bool {
        let newest = self.reverts.len().checked_sub(CONTENDED_REVERTS);
        match newest.and_then(|from| self.reverts.get(from..)) {
            Some([first, .., last]) => {
                last.since(*first) <= CONTENDED_WITHIN_SECONDS && now.since(*last) < CONTENDED_FOR_SECONDS
            }
            _ => false,
        }
    }

    /// The history after this change was written.
    pub(super) fn scaled(&self, step: Step) -> Self {
        let mut next = self.clone();
        next.steps.push(step);
        if next.steps.len() > STEPS {
            let oldest = next.steps.remove(0);
            next.steps[0].from = oldest.from;
        }
        next.written = Some(step.to);
        next
    }

    /// Messages done a minute by the present replicas, over the window of the guard against steps that make things worse;
    /// `None` without that guard, or while it is not known.
    pub(super) fn rate(&self, policy: &Policy, now: Time) -> Option<u64> {
        let window = Time(now.0.saturating_sub(regression_window(policy)?));
        let last = self.steps.last().map_or(window, |step| step.at);
        self.consumed.per_minute(window.max(last), now)
    }

    /// The last step up, if what came of it was not looked at yet.
    pub(super) fn unjudged(&self) -> Option<&Step> {
        self.steps.last().filter(|step| !step.judged)
    }

    /// The history after the last step was looked at and is kept; unless nothing could be said of it, steps wait no longer.
    pub(super) fn judged(&mut self, sound: bool) {
        if let Some(last) = self.steps.last_mut() {
            last.judged = true;
        }
        if sound {
            self.back_off = None;
        }
    }

    /// The part that is worth keeping beyond the process. It changes only when something happens, so that a status with it is
    /// not written with each decision. What is left out is measured anew: a whole window passes before replicas are taken away.
    pub fn lasting(&self, now: Time) -> Lasting {
        let standstills = self.standstills.lasting(now);
        Lasting {
            steps: self.steps.clone(),
            written: self.written,
            reverts: self.reverts.clone(),
            said: self.said.clone(),
            idle_since: self.idle_since,
            missing_since: self.missing_since,
            queues: self.queues,
            standstills: standstills.entries().collect(),
            guards_held: self.guards_held.clone(),
            back_off: self.back_off,
        }
    }

    /// The history that goes on from what was kept.
    pub fn resumed(lasting: Lasting) -> Self {
        Self {
            steps: lasting.steps,
            written: lasting.written,
            reverts: lasting.reverts,
            said: lasting.said,
            idle_since: lasting.idle_since,
            missing_since: lasting.missing_since,
            queues: lasting.queues,
            standstills: Standstills::of(lasting.standstills),
            guards_held: lasting.guards_held,
            back_off: lasting.back_off,
            ..Self::default()
        }
    }

    /// The last change that was written.
    pub fn last_step(&self) -> Option<&Step> {
        self.steps.last()
    }

    /// Has further steps up wait, longer each time.
    pub(super) fn back_off(&mut self, window_seconds: u64, now: Time) {
        let times = self
            .back_off
            .map_or(0, |back_off| back_off.times)
            .saturating_add(1);
        let seconds = window_seconds
            .saturating_mul(1 << times.min(12))
            .min(BACK_OFF_SECONDS_MAX);
        self.back_off = Some(BackOff {
            until: Time(now.0.saturating_add(seconds)),
            times,
        });
    }

    /// Tells whether steps up wait.
    pub(super) fn backs_off(&self, now: Time) -> bool {
        self.back_off
            .is_some_and(|back_off| now < back_off.until && back_off.until.since(now) <= BACK_OFF_SECONDS_MAX)
    }
}

/// How long the guard against steps that make things worse looks at both rates; `None` without one.
pub(super) fn regression_window(policy: &Policy) -> Option<u64> {
    policy.guards.iter().find_map(|guard| match guard.rule {
        GuardRule::ThroughputRegression { window_seconds, .. } => Some(u64::from(window_seconds.get())),
        _ => None,
    })
}
