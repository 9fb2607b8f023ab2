//! The order of the rules. The first that applies decides; what may still hold it back comes behind it.

use super::decision::{Decision, Limit, Reason};
use super::demand::{Demand, Range};
use super::guard::{self, Guarded};
use super::history::History;
use super::observed::{Missing, MissingKind, Observed};
use super::policy::{Cap, FallbackAction, Mode, Policy};
use super::sentence;
use super::time::Time;

/// Decides how many replicas the target is to have.
///
/// Equal values give an equal decision. With a lag, the number is within floor and cap, unless what there is lies outside and
/// a person, a conflict or a guard keeps it there. Without one, and without a fallback, it is what there is.
pub fn decide(policy: &Policy, observed: &Observed, history: &History, now: Time) -> Decision {
    let mut case = Case::new(policy, observed, history, now);
    let verdict = case.verdict();
    let verdict = case.gated(verdict);
    let rate = case.history.rate(policy, now);
    Decision {
        replicas: verdict.replicas,
        current: observed.target.replicas,
        recommended: case.demand.map(|demand| demand.raw),
        cap: case.range.cap,
        cap_by: case.range.cap_by,
        reason: verdict.reason,
        limited_by: verdict.limited_by,
        rate,
        sentence: verdict.sentence,
        recommend_only: policy.mode != Mode::Active,
        guards_tripped: case.guarded.tripped,
        guard_unknown: case.guarded.unknown,
        stuck_queues: case.demand.map_or(0, |demand| demand.stuck),
        history: case.history,
    }
}

/// What a rule says.
pub(super) struct Verdict {
    pub(super) replicas: u32,
    pub(super) reason: Reason,
    pub(super) limited_by: Option<Limit>,
    pub(super) sentence: String,
}

impl Verdict {
    pub(super) fn new(replicas: u32, reason: Reason, sentence: impl Into<String>) -> Self {
        Self {
            replicas,
            reason,
            limited_by: None,
            sentence: sentence.into(),
        }
    }

    /// The same, kept by a limit from what it would be, with the words for that.
    pub(super) fn limited(self, replicas: u32, limit: Limit, why: &str) -> Self {
        let sentence = format!("{}; {why}", self.sentence);
        Self {
            replicas,
            limited_by: Some(limit),
            sentence,
            ..self
        }
    }
}

/// Everything that the rules look at.
pub(super) struct Case<'a> {
    pub(super) policy: &'a Policy,
    pub(super) observed: &'a Observed,
    pub(super) now: Time,
    pub(super) current: u32,
    pub(super) history: History,
    pub(super) range: Range,
    pub(super) guarded: Guarded,
    pub(super) demand: Option<Demand>,
    pub(super) missing: Option<Missing>,
}

impl<'a> Case<'a> {
    fn new(policy: &'a Policy, observed: &'a Observed, history: &History, now: Time) -> Self {
        let history = history.noted(policy, observed, now);
        let range = Range::of(policy, history.queues);
        let unknown_queues = || Missing {
            kind: MissingKind::Empty,
            detail: "the number of queues is not known".to_owned(),
        };
        let queues_known = policy.cap == Cap::None || observed.queues.is_some();
        let lag = observed.lag.as_ref().map_err(Clone::clone);
        let lag = lag.and_then(|lag| {
            if queues_known {
                Ok(lag)
            } else {
                Err(unknown_queues())
            }
        });
        let mut case = Self {
            policy,
            observed,
            now,
            current: observed.target.replicas,
            guarded: guard::guarded(policy, observed, &history, now),
            demand: lag
                .as_ref()
                .ok()
                .map(|lag| Demand::of(policy, observed, lag, range, &history, now)),
            missing: lag.err(),
            range,
            history,
        };
        if let Some(demand) = case.demand {
            let asked = case.tolerated(demand);
            case.history
                .highest
                .add(asked, policy.down.window_seconds, now, u32::max);
            case.history
                .lowest
                .add(asked, policy.up.window_seconds, now, u32::min);
        }
        case
    }

    fn verdict(&mut self) -> Verdict {
        if let Some(stopped) = self.stopped() {
            return stopped;
        }
        let Some(demand) = self.demand else {
            return self.without_lag();
        };
        let bounds = self.outside(demand);
        let bounds = bounds.or_else(|| self.regressed(demand));
        let bounds = bounds.or_else(|| self.guard_step_down());
        bounds.unwrap_or_else(|| self.by_lag(demand))
    }

    /// Reasons to change nothing, whatever the lag.
    fn stopped(&self) -> Option<Verdict> {
        let observed = self.observed;
        let (reason, why) = if self.policy.mode == Mode::Disabled {
            (Reason::Disabled, "autoscaling is disabled".to_owned())
        } else if observed.pauses.all {
            (
                Reason::Paused,
                "paused by the annotation sluice.dev/paused".to_owned(),
            )
        } else if let Some(other) = &observed.conflict {
            (
                Reason::Conflicted,
                format!("{other} scales the same target: remove one of the two"),
            )
        } else if self.history.is_contended(self.now) {
            let who = observed.writer.as_ref().map_or("somebody", |writer| &writer.name);
            let why = format!(
                "{who} sets the replicas back each time they are written: take the replicas out of what is applied \
                 to the target"
            );
            (Reason::Contended, why)
        } else if observed.target.rolling_out {
            (
                Reason::RollingOut,
                "the target's pods are being exchanged".to_owned(),
            )
        } else if let Some(why) = &self.guarded.suspended {
            (Reason::Suspended, why.clone())
        } else {
            return None;
        };
        Some(Verdict::new(
            self.current,
            reason,
            format!("{why}; stays at {}", self.current),
        ))
    }

    /// Without a lag nothing moves, until a fallback says otherwise.
    fn without_lag(&self) -> Verdict {
        let detail = self.missing.as_ref().map_or("", |missing| &missing.detail);
        let hold = format!("the lag is not known ({detail}); stays at {}", self.current);
        let hold = Verdict::new(self.current, Reason::MetricsMissing, hold);
        let (Some(fallback), Some(since)) = (self.policy.fallback, self.history.missing_since) else {
            return hold;
        };
        let seconds = self.now.since(since);
        if seconds < u64::from(fallback.after_seconds) {
            return hold;
        }
        let least = match fallback.action {
            FallbackAction::KeepIfHigher => self.current.max(fallback.replicas),
            FallbackAction::Static => fallback.replicas,
        };
        let within = least.clamp(self.range.floor, self.range.cap);
        let words = |replicas: u32| {
            format!("the lag has not been known for {seconds} s ({detail}); falls back to {replicas}")
        };
        // More than there are may be more than there can be.
        if self.is_cap_unknown() && within > self.current {
            let unlimited = Verdict::new(within, Reason::Fallback, words(within));
            let why = format!(
                "stays at {}: the number of queues has never been known",
                self.current
            );
            return unlimited.limited(self.current, Limit::QueueCount, &why);
        }
        let is_capped = within < least && self.range.cap_by == Limit::QueueCount;
        Verdict {
            limited_by: is_capped.then_some(Limit::QueueCount),
            ..Verdict::new(within, Reason::Fallback, words(within))
        }
    }

    /// Whether queues bound the replicas and their number has never been known.
    fn is_cap_unknown(&self) -> bool {
        self.policy.cap != Cap::None && self.history.queues.is_none()
    }

    /// What there is lies outside the range: it goes back in one step.
    fn outside(&self, demand: Demand) -> Option<Verdict> {
        let Range { floor, cap, .. } = self.range;
        let words = |what: &str| format!("{}; there are {}, {what}", self.words(demand), self.current);
        if self.current > cap {
            return Some(Verdict::new(
                cap,
                Reason::AboveCap,
                words("more than there can be"),
            ));
        }
        (self.current < floor)
            .then(|| Verdict::new(floor, Reason::BelowMin, words("fewer than there must be")))
    }

    pub(super) fn words(&self, demand: Demand) -> String {
        sentence::demand(self.policy, self.range, demand)
    }
}
