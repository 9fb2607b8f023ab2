//! From what a ConsumerGroup says of its scaling to what the decision takes.
//!
//! The resource's schema refuses most of what is refused here. It is looked at all the same: a resource may be older than the
//! schema.

use crate::autoscale::{
    Bounds, BoundsInvalid, Cap, Fallback, FallbackAction, Guard, GuardAction, GuardRule, LagTarget, Mode,
    Pace, Policy, StepPolicy, StepSize,
};
use sluice_operator_api::consumer_group as api;
use std::num::{NonZeroU32, NonZeroU64};

/// Why a resource's scaling cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyInvalid {
    /// A number that a field cannot have.
    #[error("autoscaling.{field} is {value}: give a number from {least} on")]
    Number {
        /// The field, from `autoscaling` on.
        field: String,
        /// What stands there.
        value: i32,
        /// The least that may.
        least: i32,
    },
    /// Two fields that do not go together: one would do nothing.
    #[error("autoscaling.{field} {why}")]
    Idle {
        /// The field that would do nothing, from `autoscaling` on.
        field: &'static str,
        /// What it belongs to.
        why: &'static str,
    },
    /// Least and greatest number of replicas.
    #[error("autoscaling: {0}")]
    Bounds(#[from] BoundsInvalid),
    /// A guard without what its type needs, or with an action that its type cannot take.
    #[error("autoscaling.guards: the guard {name:?} {why}")]
    Guard {
        /// Its name.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Two guards of one name, or two that look at throughput.
    #[error("autoscaling.guards: the guard {name:?} {why}")]
    GuardRepeated {
        /// Its name.
        name: String,
        /// What is repeated.
        why: &'static str,
    },
    /// A fallback without a number.
    #[error("autoscaling.onMetricsMissing.fallbackReplicas is missing: the action Fallback needs it")]
    NoFallback,
}

impl Policy {
    /// What the resource says.
    ///
    /// # Errors
    /// When it cannot be followed; the error names the field.
    pub fn from_spec(spec: &api::Autoscaling) -> Result<Self, PolicyInvalid> {
        let behavior = &spec.behavior;
        let (up, down) = (&behavior.scale_up, &behavior.scale_down);
        Ok(Self {
            mode: match spec.mode {
                api::Mode::Active => Mode::Active,
                api::Mode::Recommend => Mode::Recommend,
                api::Mode::Disabled => Mode::Disabled,
            },
            bounds: Bounds::new(
                number("minReplicas", spec.min_replicas)?,
                number("maxReplicas", spec.max_replicas)?,
            )?,
            cap: cap(&spec.cap)?,
            consumers_per_pod: positive("cap.consumersPerPod", spec.cap.consumers_per_pod)?,
            lag: lag(&spec.lag)?,
            up: Pace {
                window_seconds: number(
                    "behavior.scaleUp.stabilizationWindowSeconds",
                    up.stabilization_window_seconds,
                )?,
                tolerance_percent: number("behavior.scaleUp.tolerancePercent", up.tolerance_percent)?,
                steps: steps("behavior.scaleUp.stepPolicies", &up.step_policies)?,
            },
            down: Pace {
                window_seconds: number(
                    "behavior.scaleDown.stabilizationWindowSeconds",
                    down.stabilization_window_seconds,
                )?,
                tolerance_percent: number("behavior.scaleDown.tolerancePercent", down.tolerance_percent)?,
                steps: steps("behavior.scaleDown.stepPolicies", &down.step_policies)?,
            },
            cooldown_seconds: number("behavior.cooldownSeconds", behavior.cooldown_seconds)?,
            zero_after_seconds: number(
                "behavior.scaleToZeroAfterSeconds",
                behavior.scale_to_zero_after_seconds,
            )?,
            fallback: fallback(&spec.on_metrics_missing)?,
            guards: guards(&spec.guards)?,
        })
    }
}

fn cap(cap: &api::Cap) -> Result<Cap, PolicyInvalid> {
    let even = cap.even_distribution == api::EvenDistribution::Preferred;
    match cap.policy {
        api::CapPolicy::QueueCount => Ok(Cap::QueueCount { even }),
        _ if even => Err(PolicyInvalid::Idle {
            field: "cap.evenDistribution",
            why: "belongs to the policy QueueCount: take it out, or change cap.policy",
        }),
        api::CapPolicy::QueuesWithLag => Ok(Cap::QueuesWithLag),
        api::CapPolicy::None => Ok(Cap::None),
    }
}

fn lag(lag: &api::Lag) -> Result<LagTarget, PolicyInvalid> {
    let stuck = lag.exclude_stuck_queues_after_seconds;
    if stuck.is_some() && lag.source == api::LagSource::Prometheus {
        return Err(PolicyInvalid::Idle {
            field: "lag.excludeStuckQueuesAfterSeconds",
            why: "needs what is done, which Prometheus does not tell: take it out, or set lag.source to Broker",
        });
    }
    let stuck = stuck.map(|seconds| positive("lag.excludeStuckQueuesAfterSeconds", seconds));
    Ok(LagTarget {
        messages_per_replica: messages("lag.messagesPerReplica", lag.messages_per_replica)?,
        activation_messages: messages("lag.activationMessages", lag.activation_messages)?,
        stuck_after_seconds: stuck.transpose()?,
    })
}

fn steps(field: &str, policies: &[api::StepPolicy]) -> Result<Vec<StepPolicy>, PolicyInvalid> {
    let step = |(index, policy): (usize, &api::StepPolicy)| {
        let value = positive(format!("{field}[{index}].value"), policy.value)?;
        Ok(StepPolicy {
            size: match policy.type_ {
                api::StepType::Pods => StepSize::Pods(value),
                api::StepType::Percent => StepSize::Percent(value),
            },
            period_seconds: positive(format!("{field}[{index}].periodSeconds"), policy.period_seconds)?,
        })
    };
    policies.iter().enumerate().map(step).collect()
}

fn fallback(missing: &api::OnMetricsMissing) -> Result<Option<Fallback>, PolicyInvalid> {
    if missing.action == api::MissingAction::Hold {
        return Ok(None);
    }
    let replicas = missing.fallback_replicas.ok_or(PolicyInvalid::NoFallback)?;
    Ok(Some(Fallback {
        after_seconds: number("onMetricsMissing.afterSeconds", missing.after_seconds)?,
        replicas: number("onMetricsMissing.fallbackReplicas", replicas)?,
        action: match missing.fallback_policy {
            api::FallbackPolicy::KeepIfHigher => FallbackAction::KeepIfHigher,
            api::FallbackPolicy::Exact => FallbackAction::Static,
        },
    }))
}

fn guards(specs: &[api::Guard]) -> Result<Vec<Guard>, PolicyInvalid> {
    let mut guards: Vec<Guard> = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let guard = guard(index, spec)?;
        let regression = |guard: &Guard| matches!(guard.rule, GuardRule::ThroughputRegression { .. });
        let repeated = |why| PolicyInvalid::GuardRepeated {
            name: spec.name.clone(),
            why,
        };
        if guards.iter().any(|other| other.name == guard.name) {
            return Err(repeated("is there twice: give each a name of its own"));
        }
        if regression(&guard) && guards.iter().any(regression) {
            return Err(repeated(
                "is the second of type ThroughputRegression: one is enough",
            ));
        }
        guards.push(guard);
    }
    Ok(guards)
}

fn guard(index: usize, spec: &api::Guard) -> Result<Guard, PolicyInvalid> {
    let wrong = |why| PolicyInvalid::Guard {
        name: spec.name.clone(),
        why,
    };
    let field = |name: &str| format!("guards[{index}].{name}");
    let action = match spec.action() {
        api::GuardAction::HoldScaleUp => Some(GuardAction::HoldScaleUp),
        api::GuardAction::StepDown => Some(GuardAction::StepDown),
        api::GuardAction::Suspend => Some(GuardAction::Suspend),
        api::GuardAction::RevertLastStep => None,
    };
    let of_state =
        || action.ok_or_else(|| wrong("cannot take back a step: RevertLastStep is for ThroughputRegression"));
    let rule = match spec.type_ {
        api::GuardType::Prometheus if spec.prometheus.is_none() => {
            return Err(wrong("has no query: give prometheus"));
        }
        api::GuardType::Prometheus => GuardRule::Threshold { action: of_state()? },
        api::GuardType::PendingPods => GuardRule::PendingPods { action: of_state()? },
        api::GuardType::DeadLetterRate => {
            let rate = spec.dead_letter_rate.as_ref();
            let rate = rate.ok_or_else(|| wrong("has no rate: give deadLetterRate"))?;
            GuardRule::DeadLetterRate {
                per_minute: messages(field("deadLetterRate.perMinute"), rate.per_minute)?,
                action: of_state()?,
            }
        }
        api::GuardType::ThroughputRegression if action.is_some() => {
            return Err(wrong(
                "takes back the step that made things worse: its action is RevertLastStep",
            ));
        }
        api::GuardType::ThroughputRegression if spec.for_seconds != 0 => {
            return Err(wrong(
                "has forSeconds, which would do nothing: throughputRegression.windowSeconds is its time",
            ));
        }
        api::GuardType::ThroughputRegression => {
            let regression = spec.throughput_regression.clone().unwrap_or_default();
            GuardRule::ThroughputRegression {
                window_seconds: positive(
                    field("throughputRegression.windowSeconds"),
                    regression.window_seconds,
                )?,
                drop_percent: positive(field("throughputRegression.dropPercent"), regression.drop_percent)?,
            }
        }
    };
    Ok(Guard {
        name: spec.name.clone(),
        for_seconds: number(field("forSeconds"), spec.for_seconds)?,
        rule,
    })
}

fn number(field: impl Into<String>, value: i32) -> Result<u32, PolicyInvalid> {
    u32::try_from(value).map_err(|_| PolicyInvalid::Number {
        field: field.into(),
        value,
        least: 0,
    })
}

fn positive(field: impl Into<String>, value: i32) -> Result<NonZeroU32, PolicyInvalid> {
    let number = u32::try_from(value).ok().and_then(NonZeroU32::new);
    number.ok_or_else(|| PolicyInvalid::Number {
        field: field.into(),
        value,
        least: 1,
    })
}

fn messages(field: impl Into<String>, value: i32) -> Result<NonZeroU64, PolicyInvalid> {
    positive(field, value).map(NonZeroU64::from)
}

#[cfg(test)]
mod tests;
