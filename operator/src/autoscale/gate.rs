//! What stands between a verdict and the target: people, guards, pods without a node, and the time since the last change.

use super::decide::{Case, Verdict};
use super::decision::{Limit, Reason};
use std::cmp::Ordering;

impl Case<'_> {
    /// The verdict, unless something stands in its way.
    pub(super) fn gated(&self, verdict: Verdict) -> Verdict {
        let bounds = matches!(verdict.reason, Reason::AboveCap | Reason::BelowMin);
        let found = match verdict.replicas.cmp(&self.current) {
            Ordering::Equal => None,
            Ordering::Greater => self.hinders_up(bounds),
            Ordering::Less => self.hinders_down(bounds),
        };
        match found {
            Some((limit, why)) => {
                verdict.limited(self.current, limit, &format!("stays at {}: {why}", self.current))
            }
            None => verdict,
        }
    }

    fn hinders_up(&self, bounds: bool) -> Option<(Limit, String)> {
        if self.observed.pauses.scale_out {
            let why = "the annotation sluice.dev/paused-scale-out is set";
            return Some((Limit::PausedScaleOut, why.to_owned()));
        }
        if bounds {
            return None;
        }
        if let Some(why) = &self.guarded.hold {
            return Some((Limit::Guard, why.clone()));
        }
        if let Some(why) = &self.guarded.unknown {
            return Some((Limit::GuardUnknown, why.clone()));
        }
        if self.observed.target.pending > 0 {
            let why = format!("{} pods wait for a node already", self.observed.target.pending);
            return Some((Limit::PendingPods, why));
        }
        if self.history.backs_off(self.now) {
            let why = "a step up made things worse not long ago";
            return Some((Limit::BackOff, why.to_owned()));
        }
        self.cools_down()
    }

    fn hinders_down(&self, bounds: bool) -> Option<(Limit, String)> {
        if self.observed.pauses.scale_in {
            let why = "the annotation sluice.dev/paused-scale-in is set";
            return Some((Limit::PausedScaleIn, why.to_owned()));
        }
        if bounds { None } else { self.cools_down() }
    }

    pub(super) fn cools_down(&self) -> Option<(Limit, String)> {
        let last = self.history.last_step()?;
        let (age, cooldown) = (self.now.since(last.at), u64::from(self.policy.cooldown_seconds));
        let why =
            || format!("the last change was {age} s ago, of the {cooldown} s that consumers get to settle");
        (age < cooldown).then(|| (Limit::Cooldown, why()))
    }
}
