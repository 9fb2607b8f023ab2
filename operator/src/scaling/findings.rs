//! A decision as conditions. Their words have no figures that change from look to look: a status is written only when
//! something has happened.

use super::{conflict, contention};
use crate::autoscale::{Decision, Limit, Missing, MissingKind, Mode, Observed, Reason as Decided};
use sluice_operator_api::conditions::{Finding, Status};
use sluice_operator_api::consumer_group::{ConditionType, Reason, ScalingReason};
use sluice_operator_api::labels::FORCE_SYNC;

/// What is found by a decision about what was observed.
pub fn findings(mode: Mode, observed: &Observed, decision: &Decision) -> Vec<Finding> {
    let conflict = observed.conflict.as_ref();
    let conflicted = conflict.map_or_else(
        || "nothing else scales the workload".to_owned(),
        |other| format!("{other} scales the same workload: remove one of the two"),
    );
    let either = |holds: bool, yes: Reason, no: Reason| if holds { yes } else { no };
    vec![
        metrics(observed, decision),
        active(mode, observed, decision),
        limited(mode, observed, decision),
        guards(decision),
        Finding::new(
            ConditionType::Conflicted,
            conflict.is_some(),
            either(conflict.is_some(), other(observed), Reason::NoOtherAutoscaler),
            conflicted,
        ),
        contended(observed, decision),
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

fn metrics(observed: &Observed, decision: &Decision) -> Finding {
    let unread = decision.guard_unknown.clone();
    let (status, reason, message) = match &observed.lag {
        Ok(lag) => unread.map_or_else(
            || {
                let told = lag.left_out.as_ref().map_or_else(
                    || "the lag can be told".to_owned(),
                    |left_out| format!("the lag can be told, but not all of it: {left_out}"),
                );
                (Status::True, Reason::MetricsRead, told)
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
    let only_shown = (Reason::RecommendOnly, "replicas are shown and not written");
    let is_only_shown = mode == Mode::Recommend && decision.reason != Decided::Disabled;
    let hold = is_only_shown
        .then_some(only_shown)
        .or_else(|| hold(observed, decision));
    let (reason, message) = hold.unwrap_or((Reason::Scaling, "replicas follow the lag"));
    Finding::new(
        ConditionType::ScalingActive,
        reason == Reason::Scaling,
        reason,
        message,
    )
}

/// Why nothing is asked for, whatever the bounds are.
fn hold(observed: &Observed, decision: &Decision) -> Option<(Reason, &'static str)> {
    let hold = match decision.reason {
        Decided::Disabled => Some((Reason::Disabled, "the mode is Disabled")),
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
    hold.or(missing)
}

fn limited(mode: Mode, observed: &Observed, decision: &Decision) -> Finding {
    let type_ = ConditionType::ScalingLimited;
    if let Some((reason, why)) = hold(observed, decision) {
        let message = format!("what a bound would allow is not looked at: {why}");
        return Finding::new(type_, Status::Unknown, reason, message);
    }
    let (reason, message) = match decision.limited_by {
        None => (
            Reason::NotLimited,
            within_bounds(mode, decision.reason).to_owned(),
        ),
        // No bound, but too little to act on.
        Some(Limit::Tolerance) => (
            Reason::NotLimited,
            "replicas are within the tolerance of what the lag asks for".to_owned(),
        ),
        Some(Limit::Activation) => (
            Reason::NotLimited,
            "the lag is too small to bring the first replica".to_owned(),
        ),
        Some(Limit::ZeroDelay) => (
            Reason::NotLimited,
            "the last replica waits for the lag to stay at none".to_owned(),
        ),
        Some(Limit::MinReplicas) => (
            Reason::MinReplicas,
            "the lag asks for fewer than there are to be".to_owned(),
        ),
        Some(Limit::MaxReplicas) => (
            Reason::MaxReplicas,
            format!("the lag asks for more than maxReplicas {}", decision.cap),
        ),
        Some(Limit::QueueCount) if decision.reason == Decided::Fallback => (
            Reason::QueueCount,
            "the fallback is more than the queues that were known last allow".to_owned(),
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
    Finding::new(type_, reason != Reason::NotLimited, reason, message)
}

/// What replicas are where no bound keeps them from it.
fn within_bounds(mode: Mode, reason: Decided) -> &'static str {
    match reason {
        Decided::Fallback => "replicas are the fallback's",
        Decided::AboveCap => "replicas come down to the greatest number that there can be",
        Decided::BelowMin => "replicas go up to the least number that there is to be",
        Decided::GuardStepDown => "a guard takes replicas away",
        Decided::ThroughputRegression => "the last step up is taken back",
        _ if mode == Mode::Recommend => "the recommended replicas are what the lag asks for",
        _ => "replicas are what the lag asks for",
    }
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

/// Who puts replicas back, what to do about it, and how the hold ends.
fn contended(observed: &Observed, decision: &Decision) -> Finding {
    let type_ = ConditionType::ReplicasContended;
    if decision.reason != Decided::Contended {
        let message = "nothing else writes the replicas";
        return Finding::new(type_, false, Reason::NotContended, message);
    }
    let writer = observed.writer.as_ref();
    let who = writer.map_or_else(
        || "by whom managedFields of the workload do not say".to_owned(),
        |writer| format!("last by {}", contention::words(writer)),
    );
    let message = format!(
        "replicas were put back three times within five minutes, {who}: {}; they are left alone for half an hour, or until \
         this resource's spec changes or its annotation {FORCE_SYNC} has a new value",
        contention::advice(writer)
    );
    Finding::new(type_, true, Reason::ReplicasReverted, message)
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
