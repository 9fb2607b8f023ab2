//! What begins, or is over, between two statuses of a group: told of once, by an event.

use crate::events::Note;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use sluice_operator_api::ConsumerGroupStatus;
use sluice_operator_api::conditions::{self, Status};
use sluice_operator_api::consumer_group::{ConditionType, Reason};

/// A condition that holds replicas back while it has this status, and the event's reason for its beginning.
struct Hold {
    condition: ConditionType,
    status: Status,
    event: &'static str,
}

const HOLDS: &[Hold] = &[
    Hold {
        condition: ConditionType::MetricsAvailable,
        status: Status::False,
        event: "MetricsMissing",
    },
    Hold {
        condition: ConditionType::Conflicted,
        status: Status::True,
        event: "Conflicted",
    },
    Hold {
        condition: ConditionType::ReplicasContended,
        status: Status::True,
        event: "ReplicasContended",
    },
    Hold {
        condition: ConditionType::FallbackActive,
        status: Status::True,
        event: "FallbackActive",
    },
];

/// Why nothing can be decided at all until somebody changes something.
const REFUSALS: &[Reason] = &[
    Reason::InvalidSpec,
    Reason::TargetNotFound,
    Reason::TargetNotScalable,
];

/// What is to be told of a status after another. `sentence` is why the last decision was made, if there was one.
pub fn beginnings(before: &ConsumerGroupStatus, after: &ConsumerGroupStatus, sentence: &str) -> Vec<Note> {
    let holds = HOLDS.iter().filter_map(|hold| {
        let condition = hold.found(after)?;
        hold.found(before)
            .is_none()
            .then(|| warning(hold.event, condition.message.clone()))
    });
    let refusal = refused(after).filter(|now| refused(before).is_none_or(|then| then.reason != now.reason));
    let refusal = refusal.map(|condition| warning("NotScaled", condition.message.clone()));
    let was_active = |name: &str| {
        before
            .guards
            .iter()
            .any(|guard| guard.active && guard.name == name)
    };
    let guards = after
        .guards
        .iter()
        .filter(|guard| guard.active && !was_active(&guard.name));
    let guards = guards.map(|guard| {
        let text = format!("the guard {} holds scaling back: {sentence}", guard.name);
        warning("GuardActive", text)
    });
    let told = holds.chain(refusal).chain(guards);
    told.chain(metrics_are_back(before, after)).collect()
}

impl Hold {
    fn found<'a>(&self, status: &'a ConsumerGroupStatus) -> Option<&'a Condition> {
        let condition = conditions::find(&status.conditions, self.condition)?;
        (condition.status == self.status.as_str()).then_some(condition)
    }
}

fn refused(status: &ConsumerGroupStatus) -> Option<&Condition> {
    let active = conditions::find(&status.conditions, ConditionType::ScalingActive)?;
    let is_refusal = |reason: &Reason| reason.as_str() == active.reason;
    REFUSALS.iter().any(is_refusal).then_some(active)
}

fn metrics_are_back(before: &ConsumerGroupStatus, after: &ConsumerGroupStatus) -> Option<Note> {
    let found = |status: &ConsumerGroupStatus| {
        let condition = conditions::find(&status.conditions, ConditionType::MetricsAvailable)?;
        Some(condition.status == Status::True.as_str())
    };
    (found(before) == Some(false) && found(after) == Some(true)).then(|| Note {
        warning: false,
        reason: "MetricsAvailable",
        text: "the lag and what guards watch can be told again".to_owned(),
    })
}

fn warning(reason: &'static str, text: String) -> Note {
    Note {
        warning: true,
        reason,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With these conditions, each as `Type=Status:Reason`, and these guards, the active ones with a `!` behind them.
    fn status(conditions: &[&str], guards: &[&str]) -> ConsumerGroupStatus {
        let condition = |words: &&str| {
            let (type_, rest) = words.split_once('=').unwrap();
            let (status, reason) = rest.split_once(':').unwrap();
            format!(
                "{{type: {type_}, status: '{status}', reason: {reason}, message: 'about {reason}', \
                 lastTransitionTime: '2026-01-01T00:00:00Z'}}"
            )
        };
        let guard = |name: &&str| {
            let bare = name.trim_end_matches('!');
            format!("{{name: {bare}, active: {}, action: HoldScaleUp}}", bare != *name)
        };
        let conditions: Vec<_> = conditions.iter().map(condition).collect();
        let guards: Vec<_> = guards.iter().map(guard).collect();
        let yaml = format!(
            "{{conditions: [{}], guards: [{}]}}",
            conditions.join(", "),
            guards.join(", ")
        );
        serde_yaml::from_str(&yaml).unwrap()
    }

    #[test]
    fn each_hold_is_told_of_when_it_begins_and_not_again() {
        // Before, after, and the event.
        let rows = [
            (
                "MetricsAvailable=True:MetricsRead",
                "MetricsAvailable=False:ResultEmpty",
                "MetricsMissing",
            ),
            (
                "Conflicted=False:NoOtherAutoscaler",
                "Conflicted=True:OtherAutoscaler",
                "Conflicted",
            ),
            (
                "ReplicasContended=False:NotContended",
                "ReplicasContended=True:ReplicasReverted",
                "ReplicasContended",
            ),
            (
                "FallbackActive=False:NoFallback",
                "FallbackActive=True:Fallback",
                "FallbackActive",
            ),
            (
                "ScalingActive=True:Scaling",
                "ScalingActive=False:TargetNotFound",
                "NotScaled",
            ),
            (
                "ScalingActive=False:InvalidSpec",
                "ScalingActive=False:TargetNotFound",
                "NotScaled",
            ),
        ];
        for (before, after, event) in rows {
            let (then, now) = (status(&[before], &[]), status(&[after], &[]));
            let about = format!("about {}", after.split_once(':').unwrap().1);
            let wanted = [warning(event, about)];
            assert_eq!(beginnings(&then, &now, ""), wanted, "{before} {after}");
            let nothing_known = ConsumerGroupStatus::default();
            assert_eq!(beginnings(&nothing_known, &now, ""), wanted, "{after}");
            assert_eq!(beginnings(&now, &now, ""), [], "{after} goes on");
        }
    }

    #[test]
    fn another_reason_for_the_same_hold_and_what_holds_for_a_while_are_no_events() {
        for (before, after) in [
            (
                "MetricsAvailable=False:ResultEmpty",
                "MetricsAvailable=False:SampleStale",
            ),
            ("Conflicted=True:OtherGroup", "Conflicted=True:OtherAutoscaler"),
            ("ScalingActive=True:Scaling", "ScalingActive=False:RollingOut"),
            ("ScalingActive=True:Scaling", "ScalingActive=False:Paused"),
            ("FallbackActive=True:Fallback", "FallbackActive=False:NoFallback"),
            ("Ready=True:UpToDate", "MetricsAvailable=True:MetricsRead"),
        ] {
            let told = beginnings(&status(&[before], &[]), &status(&[after], &[]), "");
            assert_eq!(told, [], "{before} {after}");
        }
    }

    #[test]
    fn metrics_that_are_back_are_told_of() {
        let (lost, back) = (
            status(&["MetricsAvailable=False:ResultEmpty"], &[]),
            status(&["MetricsAvailable=True:MetricsRead"], &[]),
        );
        let told = beginnings(&lost, &back, "");
        let words: Vec<_> = told.iter().map(|note| (note.warning, note.reason)).collect();
        assert_eq!(words, [(false, "MetricsAvailable")]);
        assert_eq!(beginnings(&back, &back, ""), []);
    }

    #[test]
    fn a_guard_is_told_of_when_it_becomes_active() {
        for (before, after, wanted) in [
            (&[][..], &["load!", "rate"][..], &["load"][..]),
            (&["load!"], &["load!", "rate!"], &["rate"]),
            (&["load!"], &["load"], &[]),
            (&["load"], &["load!"], &["load"]),
        ] {
            let told = beginnings(&status(&[], before), &status(&[], after), "stays at 4");
            let texts: Vec<_> = told.into_iter().map(|note| note.text).collect();
            let text = |name: &&str| format!("the guard {name} holds scaling back: stays at 4");
            let wanted: Vec<_> = wanted.iter().map(text).collect();
            assert_eq!(texts, wanted, "{before:?} {after:?}");
        }
    }
}
