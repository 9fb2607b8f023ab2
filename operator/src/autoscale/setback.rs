//! Steps back, which guards ask for: the last one that made things worse, or one more as long as something downstream suffers.

use super::decide::{Case, Verdict};
use super::decision::Reason;
use super::demand::Demand;
use super::history;
use super::pace;
use super::policy::GuardRule;

impl Case<'_> {
    /// The last step up made things worse: it is taken back, and further ones wait.
    pub(super) fn regressed(&mut self, demand: Demand) -> Option<Verdict> {
        let drop_percent = self.policy.guards.iter().find_map(|guard| match guard.rule {
            GuardRule::ThroughputRegression { drop_percent, .. } => Some((&guard.name, drop_percent.get())),
            _ => None,
        });
        let (name, drop_percent) = drop_percent?;
        let window = history::regression_window(self.policy)?;
        let step = *self.history.unjudged()?;
        let age = self.now.since(step.at);
        if age < window || self.observed.pauses.scale_in || self.cools_down().is_some() {
            return None;
        }
        let (Some(before), Some(rate)) = (step.rate_before, self.history.rate(self.policy, self.now)) else {
            if age >= window * 2 {
                self.history.judged(false);
            }
            return None;
        };
        let kept = u64::from(100_u32.saturating_sub(drop_percent));
        let worse = rate.saturating_mul(100) < before.saturating_mul(kept);
        // Where there is too little to do for more than there were, a smaller rate is none of the step's doing.
        if !worse || demand.raw <= step.from || self.current != step.to {
            self.history.judged(true);
            return None;
        }
        self.history.judged(false);
        self.history.back_off(window, self.now);
        self.guarded.tripped.push(name.clone());
        let replicas = step.from.clamp(self.range.floor, self.range.cap);
        let words = format!(
            "guard {name:?}: {} to {} replicas took the rate from {before} to {rate} messages a minute; goes back to {replicas}",
            step.from, step.to
        );
        Some(Verdict::new(replicas, Reason::ThroughputRegression, words))
    }

    /// A guard takes replicas away, as fast as steps down go, and one at a time where these have no bound.
    pub(super) fn guard_step_down(&self) -> Option<Verdict> {
        let why = self.guarded.step_down.as_ref()?;
        let steps = &self.policy.down.steps;
        let lowest = match steps.is_empty() {
            true => self.current.saturating_sub(1),
            false => pace::lowest(self.current, steps, &self.history.steps, self.now),
        };
        let replicas = lowest.max(self.range.floor.max(1)).min(self.current);
        Some(Verdict::new(
            replicas,
            Reason::GuardStepDown,
            format!("{why}; goes down to {replicas}"),
        ))
    }
}
