//! What is told of a group's scaling: the part of the status that evaluations write.

use super::apply::Applied;
use super::memory::{self, at, signed};
use super::observe::Observation;
use crate::autoscale::{Decision, GuardReading, Lasting, Policy, Time};
use crate::scaling::findings::{self, findings};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use sluice_operator_api::conditions::{self, Finding, Status};
use sluice_operator_api::consumer_group::{
    Autoscaling, ConditionType, Decision as Told, Guard, GuardStatus, GuardType, LAST_DECISIONS_MAX,
    LagStatus, Reason, ReplicaStatus, ScalingHistory,
};
use sluice_operator_api::{ConsumerGroup, ConsumerGroupStatus};

/// The greatest length of a message in the schema.
const MESSAGE_CHARS_MAX: usize = 1_024;

/// The conditions that evaluations tell of, but for Conflicted, which is also the name's.
const OURS: &[ConditionType] = &[
    ConditionType::MetricsAvailable,
    ConditionType::ScalingActive,
    ConditionType::ScalingLimited,
    ConditionType::GuardActive,
    ConditionType::ReplicasContended,
    ConditionType::FallbackActive,
    ConditionType::ScalingPaused,
];

/// What an evaluation has come to.
pub struct Evaluated<'a> {
    /// What the resource says.
    pub scaling: &'a Autoscaling,
    /// The same, as it was followed.
    pub policy: &'a Policy,
    /// What was found.
    pub found: &'a Observation,
    /// What was decided.
    pub decision: &'a Decision,
    /// What was done.
    pub applied: &'a Applied,
}

/// The part of a status that is ours.
pub fn ours(group: &ConsumerGroup) -> ConsumerGroupStatus {
    let status = group.status.clone().unwrap_or_default();
    let is_ours = |condition: &Condition| {
        let known = OURS.iter().any(|type_| type_.as_str() == condition.type_);
        known || (condition.type_ == ConditionType::Conflicted.as_str() && !is_of_name(condition))
    };
    ConsumerGroupStatus {
        conditions: status.conditions.into_iter().filter(is_ours).collect(),
        lag: status.lag,
        replicas: status.replicas,
        last_scale: status.last_scale,
        last_decisions: status.last_decisions,
        guards: status.guards,
        history: status.history,
        ..ConsumerGroupStatus::default()
    }
}

/// Whether evaluations have told of anything yet.
pub fn is_told(group: &ConsumerGroup) -> bool {
    let status = ours(group);
    status.history.is_some() || conditions::find(&status.conditions, ConditionType::ScalingActive).is_some()
}

/// Whether a conflict is over the group's name.
fn is_of_name(condition: &Condition) -> bool {
    condition.reason == Reason::NameTaken.as_str()
}

/// The status after nothing could be decided, and why.
pub fn unable(group: &ConsumerGroup, reason: Reason, message: &str, now: Time) -> ConsumerGroupStatus {
    let mut status = ours(group);
    let active = ConditionType::ScalingActive;
    status
        .conditions
        .retain(|condition| condition.type_ == active.as_str());
    let finding = Finding::new(active, Status::False, reason, message);
    conditions::set(
        &mut status.conditions,
        finding,
        group.metadata.generation,
        &at(now),
    );
    ConsumerGroupStatus {
        replicas: None,
        lag: None,
        guards: Vec::new(),
        ..status
    }
}

/// The status after a decision.
pub fn next(group: &ConsumerGroup, evaluated: &Evaluated<'_>, now: Time) -> ConsumerGroupStatus {
    let Evaluated {
        policy,
        found,
        decision,
        applied,
        ..
    } = evaluated;
    let mut status = ours(group);
    for finding in findings(policy.mode, &found.observed, decision) {
        conditions::set(
            &mut status.conditions,
            finding,
            group.metadata.generation,
            &at(now),
        );
    }
    let lasting = applied.history.lasting(now);
    status.guards = evaluated
        .scaling
        .guards
        .iter()
        .map(|guard| told(guard, evaluated, &lasting, now))
        .collect();
    status.lag = lag(found, decision);
    status.replicas = Some(replicas(decision, applied));
    remember(&mut status.last_decisions, decision, status.lag.as_ref(), now);
    if let Some(change) = &applied.change {
        status.last_scale = Some(change.clone());
    }
    // An object without fields is none to the API server, once it had some, and that is refused.
    status.history = Some(memory::kept(&lasting)).filter(|kept| *kept != ScalingHistory::default());
    status
}

/// Whether only figures differ, which may wait until they are told.
pub fn only_figures_differ(before: &ConsumerGroupStatus, next: &ConsumerGroupStatus) -> bool {
    let bare = |status: &ConsumerGroupStatus| {
        let mut status = status.clone();
        status.lag = status.lag.map(|_| LagStatus::default());
        if let Some(replicas) = &mut status.replicas {
            replicas.recommended = replicas.recommended.map(|_| 0);
        }
        // Consumers that keep up are idle now and then.
        if let Some(history) = &mut status.history {
            history.idle_since = None;
        }
        status.history = status
            .history
            .filter(|history| *history != ScalingHistory::default());
        status
    };
    bare(before) == bare(next)
}

fn lag(found: &Observation, decision: &Decision) -> Option<LagStatus> {
    let lag = found.observed.lag.as_ref().ok()?;
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let with_lag = lag.queues.iter().filter(|queue| queue.ready > 0).count();
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    Some(LagStatus {
        messages: number(lag.ready.saturating_add(lag.inflight)),
        ready: Some(number(lag.ready)),
        inflight: Some(number(lag.inflight)),
        age_seconds: found.age_seconds.map(number),
        queues_with_lag: (!lag.queues.is_empty()).then(|| count(with_lag)),
        stuck_queues: (decision.stuck_queues > 0).then(|| signed(decision.stuck_queues)),
    })
}

fn replicas(decision: &Decision, applied: &Applied) -> ReplicaStatus {
    let written = applied.change.as_ref().map(|change| change.to);
    ReplicaStatus {
        current: Some(written.unwrap_or_else(|| signed(decision.current))),
        desired: Some(signed(decision.replicas)),
        recommended: decision.recommended.map(signed),
        cap: Some(signed(decision.cap)),
        cap_reason: Some(findings::limit(decision.cap_by).as_str().to_owned()),
    }
}

/// Puts the decision in front, unless it is the one that is there.
fn remember(decisions: &mut Vec<Told>, decision: &Decision, lag: Option<&LagStatus>, now: Time) {
    let told = Told {
        time: at(now),
        from: signed(decision.current),
        to: signed(decision.replicas),
        recommended: decision.recommended.map(signed),
        reason: findings::reason(decision).as_str().to_owned(),
        limited_by: decision
            .limited_by
            .map(|limit| findings::limit(limit).as_str().to_owned()),
        lag: lag.map(|lag| lag.messages),
        message: decision.sentence.chars().take(MESSAGE_CHARS_MAX).collect(),
    };
    let is_same = |before: &Told| {
        (before.from, before.to, &before.reason, &before.limited_by)
            == (told.from, told.to, &told.reason, &told.limited_by)
    };
    if !decisions.first().is_some_and(is_same) {
        decisions.insert(0, told);
        decisions.truncate(LAST_DECISIONS_MAX);
    }
}

fn told(guard: &Guard, evaluated: &Evaluated<'_>, lasting: &Lasting, now: Time) -> GuardStatus {
    let message = match evaluated.found.observed.guards.get(&guard.name) {
        Some(GuardReading::Beyond(words)) => words.clone(),
        Some(GuardReading::Missing(why)) => format!("it cannot be read: {why}"),
        Some(GuardReading::Within) | None => String::new(),
    };
    let waits = lasting.back_off.is_some_and(|back_off| now < back_off.until);
    GuardStatus {
        name: guard.name.clone(),
        active: evaluated.decision.guards_tripped.contains(&guard.name)
            || (guard.type_ == GuardType::ThroughputRegression && waits),
        action: guard.action(),
        since: lasting.guards_held.get(&guard.name).copied().map(at),
        message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
    }
}
