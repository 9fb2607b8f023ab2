//! What the guards say: nothing, that no replica is to be added, that some are to go, or that nothing is to be done.

use super::history::History;
use super::observed::{GuardReading, Observed};
use super::policy::{Guard, GuardAction, GuardRule, Policy};
use super::time::Time;

/// A dead-letter rate is measured over so many seconds.
pub const RATE_SECONDS: u64 = 60;

/// The most severe word of all guards, and who has tripped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// Nothing is to be changed, and why.
    pub suspended: Option<String>,
    /// Replicas are to go, and why.
    pub step_down: Option<String>,
    /// None is to be added, and why.
    pub hold: Option<String>,
    /// A reading is missing, so none is to be added, and why.
    pub unknown: Option<String>,
    /// The names of those that have tripped.
    pub tripped: Vec<String>,
}

/// What a guard watches, as it is now.
pub enum Watched {
    /// It holds, and the words for it.
    Holds(String),
    /// It does not.
    HoldsNot,
    /// It is not known, and why.
    Unknown(String),
}

/// What the policy's guards say of what is the case; the history has noted it already.
pub fn guarded(policy: &Policy, observed: &Observed, history: &History, now: Time) -> Guarded {
    let mut guarded = Guarded::default();
    for guard in &policy.guards {
        match watched(guard, observed, history, now) {
            Watched::HoldsNot => {}
            Watched::Unknown(why) => {
                let words = || format!("guard {:?} cannot be read: {why}", guard.name);
                guarded.unknown.get_or_insert_with(words);
            }
            Watched::Holds(words) => {
                let Some(action) = action(guard) else { continue };
                let held = history.guard_held_for(&guard.name, now);
                if held.is_some_and(|seconds| seconds >= u64::from(guard.for_seconds)) {
                    guarded.trip(&guard.name, action, format!("guard {:?}: {words}", guard.name));
                }
            }
        }
    }
    guarded
}

/// What a guard does that watches what is the case. One about a step does not: the decision asks the history.
fn action(guard: &Guard) -> Option<GuardAction> {
    match guard.rule {
        GuardRule::Threshold { action }
        | GuardRule::PendingPods { action }
        | GuardRule::DeadLetterRate { action, .. } => Some(action),
        GuardRule::ThroughputRegression { .. } => None,
    }
}

/// Whether what the guard watches holds now.
pub fn watched(guard: &Guard, observed: &Observed, history: &History, now: Time) -> Watched {
    match guard.rule {
        GuardRule::Threshold { .. } => match observed.guards.get(&guard.name) {
            Some(GuardReading::Within) => Watched::HoldsNot,
            Some(GuardReading::Beyond(value)) => Watched::Holds(value.clone()),
            Some(GuardReading::Missing(why)) => Watched::Unknown(why.clone()),
            None => Watched::Unknown("it was not read".to_owned()),
        },
        GuardRule::PendingPods { .. } => match observed.target.pending {
            0 => Watched::HoldsNot,
            pending => Watched::Holds(format!("{pending} pods wait for a node")),
        },
        GuardRule::DeadLetterRate { .. } if observed.dead_letters_total.is_none() => {
            Watched::Unknown("the dead letters are not known".to_owned())
        }
        GuardRule::DeadLetterRate { per_minute, .. } => {
            let from = Time(now.0.saturating_sub(RATE_SECONDS));
            let rate = history.dead_letters.per_minute(from, now);
            match rate.filter(|rate| *rate >= per_minute.get()) {
                None => Watched::HoldsNot,
                Some(rate) => Watched::Holds(format!(
                    "{rate} messages a minute go to the dead-letter topic, and {per_minute} are too many"
                )),
            }
        }
        GuardRule::ThroughputRegression { .. } if observed.consumed_total.is_none() => {
            Watched::Unknown("what gets done is not known".to_owned())
        }
        GuardRule::ThroughputRegression { .. } => Watched::HoldsNot,
    }
}

impl Guarded {
    fn trip(&mut self, name: &str, action: GuardAction, why: String) {
        let slot = match action {
            GuardAction::HoldScaleUp => &mut self.hold,
            GuardAction::StepDown => &mut self.step_down,
            GuardAction::Suspend => &mut self.suspended,
        };
        slot.get_or_insert(why);
        self.tripped.push(name.to_owned());
    }
}
