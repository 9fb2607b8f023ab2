//! A decision as conditions. Their words have no figures that change from look to look: a status is written only when
//! something has happened.

use super::conflict;
use crate::autoscale::{
    Decision, GuardReading, Limit, Missing, MissingKind, Mode, Observed, Reason as Decided,
};
use sluice_operator_api::conditions::{Finding, Status};
use sluice_operator_api::consumer_group::{ConditionType, Reason, ScalingReason};

/// What is found by a decision about what was observed.
pub fn findings(mode: Mode, observed: &Observed, decision: &Decision) -> Vec<Finding> {
    let contended = decision.reason == Decided::Contended;
    let conflict = observed.conflict.as_ref();
    let conflicted = conflict.map_or_else(
        || "nothing else scales the workload".to_owned(),
        |other| format!("{other} scales the same workload: remove one of the two"),
    );
    let either = |holds: bool, yes: Reason, no: Reason| if holds { yes } else { no };
    vec![
        metrics(observed),
        active(mode, observed, decision),
        limited(decision),
        guards(decision),
        Finding::new(
            ConditionType::Conflicted,
            conflict.is_some(),
            either(conflict.is_some(), other(observed), Reason::NoOtherAutoscaler),
            conflicted,
        ),
        Finding::new(
            ConditionType::ReplicasContended,
            contended,
            either(contended, Reason::ReplicasReverted, Reason::NotContended),
            if contended {
                "replicas were put back three times within five minutes: take them out of what is applied to the workload"
            } else {
                "nothing else writes the replicas"
            },
        ),
        fallback(decision),
        paused(observed),
    ]
}

/// What scales the workload too, by its kind.
fn other(observed: &Observed) -> Reason {
    let of_ours = |other: &String| other.starts_with(conflict::GROUP);
    match observed.conflict.as_ref().is_some_and(of_ours) {
        true => Reason::OtherGroup,
        false => Reason::OtherAutoscaler,
    }
}

fn metrics(observed: &Observed) -> Finding {
    let unread = observed.guards.iter().find_map(|(name, reading)| match reading {
        GuardReading::Missing(why) => Some(format!("the guard {name} cannot be read: {why}")),
        GuardReading::Beyond(_) | GuardReading::Within => None,
    });
    let (status, reason, message) = match &observed.lag {
        Ok(_) => unread.map_or_else(
            || {
                (
                    Status::True,
                    Reason::MetricsRead,
                    "the lag can be told".to_owned(),
                )
            },
            |why| (Status::False, Reason::GuardUnknown, why),
        ),
        Err(missing) => (Status::False, missing_reason(missing), missing.detail.clone()),
    };
    Finding::new(ConditionType::MetricsAvailable, status, reason, message)
}

fn missing_reason(missing: &Missing) -> Reason {
    match missing.kind {
        MissingKind::Unreachable => Reason::PrometheusUnreachable,
        MissingKind::Empty => Reason::ResultEmpty,
        MissingKind::Stale => Reason::SampleStale,
        MissingKind::NotANumber => Reason::ResultNotANumber,
        MissingKind::Refused => Reason::QueryRefused,
        MissingKind::Several => Reason::ResultAmbiguous,
        MissingKind::NotConfigured => Reason::PrometheusNotConfigured,
        MissingKind::ReferenceNotFound => Reason::ReferenceNotFound,
        MissingKind::Broker => Reason::BrokerUnreachable,
    }
}

fn active(mode: Mode, observed: &Observed, decision: &Decision) -> Finding {
    let hold = match decision.reason {
        Decided::Disabled => Some((Reason::Disabled, "the mode is Disabled")),
        _ if mode == Mode::Recommend => Some((Reason::RecommendOnly, "replicas are shown and not written")),
        Decided::Paused => Some((Reason::Paused, "an annotation pauses it")),
        Decided::Conflicted => Some((other(observed), "something else scales the workload")),
        Decided::Contended => Some((Reason::ReplicasReverted, "somebody puts replicas back each time")),
        Decided::RollingOut => Some((Reason::RollingOut, "the workload's pods are being exchanged")),
        Decided::Suspended => Some((Reason::Guard, "a guard suspends it")),
        _ => None,
    };
    let missing = match (decision.reason, &observed.lag) {
        (Decided::MetricsMissing, Err(missing)) => Some(missing_reason(missing)),
        (Decided::MetricsMissing, Ok(_)) => Some(Reason::ResultEmpty),
        _ => None,
    };
    let missing = missing.map(|reason| (reason, "replicas stay as they are while the lag cannot be told"));
    let (reason, message) = hold
        .or(missing)
        .unwrap_or((Reason::Scaling, "replicas follow the lag"));
    Finding::new(
        ConditionType::ScalingActive,
        reason == Reason::Scaling,
        reason,
        message,
    )
}

fn limited(decision: &Decision) -> Finding {
    let (reason, message) = match decision.limited_by {
        // No bound, but too little to act on.
        None | Some(Limit::Tolerance | Limit::Activation | Limit::ZeroDelay) => (
            Reason::NotLimited,
            "replicas are what the lag asks for".to_owned(),
        ),
        Some(Limit::MinReplicas) => (
            Reason::MinReplicas,
            "the lag asks for fewer than there are to be".to_owned(),
        ),
        Some(Limit::MaxReplicas) => (
            Reason::MaxReplicas,
            format!("the lag asks for more than maxReplicas {}", decision.cap),
        ),
        Some(Limit::QueueCount) => (
            Reason::QueueCount,
            format!(
                "the lag asks for more than the {} that the queues can use",
                decision.cap
            ),
        ),
        Some(Limit::QueuesWithLag) => (
            Reason::QueuesWithLag,
            "the lag asks for more than the queues with lag can use".to_owned(),
        ),
        Some(Limit::UpWindow | Limit::DownWindow) => (
            Reason::StabilizationWindow,
            "another number was asked for within the window".to_owned(),
        ),
        Some(Limit::Steps) => (Reason::StepPolicy, "a step is not larger".to_owned()),
        Some(Limit::Cooldown) => (Reason::Cooldown, "the last change is too recent".to_owned()),
        Some(Limit::PausedScaleIn | Limit::PausedScaleOut) => {
            (Reason::Paused, "an annotation pauses this direction".to_owned())
        }
        Some(Limit::Guard) => (Reason::Guard, "a guard holds it up".to_owned()),
        Some(Limit::GuardUnknown) => (Reason::Guard, "what a guard watches cannot be told".to_owned()),
        Some(Limit::PendingPods) => (Reason::Guard, "pods wait for a node already".to_owned()),
        Some(Limit::BackOff) => (
            Reason::Guard,
            "a step up made things worse not long ago".to_owned(),
        ),
    };
    Finding::new(
        ConditionType::ScalingLimited,
        reason != Reason::NotLimited,
        reason,
        message,
    )
}

fn guards(decision: &Decision) -> Finding {
    match &decision.guards_tripped[..] {
        [] => Finding::new(
            ConditionType::GuardActive,
            false,
            Reason::NoGuardActive,
            "no guard is active",
        ),
        names => Finding::new(
            ConditionType::GuardActive,
            true,
            Reason::Guard,
            format!("active: {}", names.join(", ")),
        ),
    }
}

fn fallback(decision: &Decision) -> Finding {
    let falls_back = decision.reason == Decided::Fallback;
    let (reason, message) = match falls_back {
        true => (
            Reason::Fallback,
            "the lag cannot be told, and replicas are the fallback's",
        ),
        false => (Reason::NoFallback, "the fallback does not hold"),
    };
    Finding::new(ConditionType::FallbackActive, falls_back, reason, message)
}

fn paused(observed: &Observed) -> Finding {
    let pauses = observed.pauses;
    let message = match (pauses.all, pauses.scale_in, pauses.scale_out) {
        (true, ..) => "nothing is scaled: sluice.dev/paused",
        (_, true, true) => "nothing is scaled: sluice.dev/paused-scale-in and sluice.dev/paused-scale-out",
        (_, true, false) => "replicas do not fall: sluice.dev/paused-scale-in",
        (_, false, true) => "replicas do not rise: sluice.dev/paused-scale-out",
        (false, false, false) => {
            let message = "no annotation pauses it";
            return Finding::new(ConditionType::ScalingPaused, false, Reason::NotPaused, message);
        }
    };
    Finding::new(ConditionType::ScalingPaused, true, Reason::Paused, message)
}

/// Why it was decided so, in the words of the status.
pub fn reason(decision: &Decision) -> ScalingReason {
    match decision.reason {
        Decided::Lag | Decided::Steady => ScalingReason::Lag,
        Decided::Idle => ScalingReason::Idle,
        Decided::Activated => ScalingReason::Activation,
        Decided::AboveCap => limit(decision.cap_by),
        Decided::BelowMin => ScalingReason::MinReplicas,
        Decided::Disabled => ScalingReason::Disabled,
        Decided::Paused => ScalingReason::Paused,
        Decided::Conflicted | Decided::Contended => ScalingReason::Conflict,
        Decided::RollingOut => ScalingReason::RollingOut,
        Decided::Suspended | Decided::GuardStepDown => ScalingReason::Guard,
        Decided::MetricsMissing => ScalingReason::MetricsMissing,
        Decided::Fallback => ScalingReason::Fallback,
        Decided::ThroughputRegression => ScalingReason::Reverted,
    }
}

/// What limited it, in the words of the status.
pub fn limit(limit: Limit) -> ScalingReason {
    match limit {
        Limit::MinReplicas => ScalingReason::MinReplicas,
        Limit::MaxReplicas => ScalingReason::MaxReplicas,
        Limit::QueueCount => ScalingReason::QueueCount,
        Limit::QueuesWithLag => ScalingReason::QueuesWithLag,
        Limit::Tolerance => ScalingReason::Tolerance,
        Limit::UpWindow | Limit::DownWindow => ScalingReason::StabilizationWindow,
        Limit::Steps => ScalingReason::StepPolicy,
        Limit::Cooldown => ScalingReason::Cooldown,
        Limit::PausedScaleOut | Limit::PausedScaleIn => ScalingReason::Paused,
        Limit::Guard | Limit::GuardUnknown => ScalingReason::Guard,
        Limit::PendingPods => ScalingReason::PendingPods,
        Limit::BackOff => ScalingReason::Reverted,
        Limit::Activation => ScalingReason::Activation,
        Limit::ZeroDelay => ScalingReason::Idle,
    }
}

#[cfg(test)]
mod tests;
