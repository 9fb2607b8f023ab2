//! One evaluation: from what there is to what is told of it.

use super::apply::{apply, notes};
use super::beginnings::beginnings;
use super::controller::{Work, workload};
use super::observe::observe;
use super::status::{self, Evaluated};
use crate::autoscale::{Policy, Time, decide};
use crate::error::ReconcileError;
use crate::scaling::TargetError;
use crate::writer::Writer;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use sluice_operator_api::consumer_group::{Autoscaling, ConditionType, Mode, Reason};
use sluice_operator_api::{ConsumerGroup, ConsumerGroupStatus, conditions};
use std::time::Duration;

/// Figures are told of this often; whatever else changes, at once.
const FIGURES_EVERY: Duration = Duration::from_secs(30);

/// When the group is looked at next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// When something of the resource changes.
    Changed,
    /// After the usual time.
    Usual,
    /// Soon: somebody else has changed the workload in between, as this sentence says.
    Overtaken(String),
}

/// Evaluates a group once.
pub async fn evaluate(
    group: &ConsumerGroup,
    work: &Work,
    writer: &mut Writer<'_, ConsumerGroup>,
) -> Result<Next, ReconcileError> {
    let namespace = group.namespace().unwrap_or_default();
    if group.metadata.deletion_timestamp.is_some() {
        work.forget(&namespace, &group.name_any());
        return Ok(Next::Changed);
    }
    let Some(scaling) = &group.spec.autoscaling else {
        work.forget(&namespace, &group.name_any());
        if status::is_told(group) {
            writer.write_status(&ConsumerGroupStatus::default()).await?;
        }
        return Ok(Next::Changed);
    };
    let now = work.context.clock.now();
    let time = seconds(now);
    let unable = |reason: Reason, why: &str| status::unable(group, reason, why, time);
    if scaling.mode == Mode::Disabled {
        work.forget(&namespace, &group.name_any());
        let next = unable(Reason::Disabled, "the mode is Disabled");
        tell(group, work, writer, next, "").await?;
        return Ok(Next::Changed);
    }
    // The older group scales the workload, and this condition is its settings' to tell.
    if group.is_name_taken() {
        work.forget(&namespace, &group.name_any());
        let next = unable(Reason::NameTaken, "an older ConsumerGroup has the name");
        tell(group, work, writer, next, "").await?;
        return Ok(Next::Usual);
    }
    Box::pin(follow(group, scaling, work, writer, now)).await
}

/// Evaluates a group that is to be scaled.
async fn follow(
    group: &ConsumerGroup,
    scaling: &Autoscaling,
    work: &Work,
    writer: &mut Writer<'_, ConsumerGroup>,
    now: Timestamp,
) -> Result<Next, ReconcileError> {
    let namespace = group.namespace().unwrap_or_default();
    let time = seconds(now);
    let unable = |reason: Reason, why: &str| status::unable(group, reason, why, time);
    let policy = match Policy::from_spec(scaling) {
        Ok(policy) => policy,
        Err(error) => {
            let next = unable(Reason::InvalidSpec, &error.to_string());
            refuse(group, work, writer, next).await?;
            return Ok(Next::Changed);
        }
    };
    let seen = match work.targets.read(&namespace, &scaling.scale_target_ref).await {
        Ok(seen) => seen,
        Err(error) => {
            let (reason, why) = refusal(error)?;
            refuse(group, work, writer, unable(reason, &why)).await?;
            return Ok(Next::Usual);
        }
    };
    let others = work.groups.claiming(&workload(group, &scaling.scale_target_ref));
    let conflict = match work.rivals.of(group, &others).await {
        Ok(conflict) => conflict,
        Err(why) => {
            refuse(group, work, writer, unable(Reason::Failed, &why)).await?;
            return Ok(Next::Usual);
        }
    };
    let found = Box::pin(observe(group, scaling, &seen, work, conflict, now)).await?;
    let decision = decide(&policy, &found.observed, &work.memory.of(group), time);
    let applied = Box::pin(apply(group, scaling, &seen, &found, &decision, work, time)).await;
    work.memory.keep(group, applied.history.clone());
    let evaluated = Evaluated {
        scaling,
        policy: &policy,
        found: &found,
        decision: &decision,
        applied: &applied,
    };
    report(group, &evaluated, work, writer, time).await?;
    Ok(match applied.failure {
        Some(changed @ TargetError::Changed { .. }) => Next::Overtaken(changed.to_string()),
        _ => Next::Usual,
    })
}

fn seconds(now: Timestamp) -> Time {
    Time(u64::try_from(now.as_second()).unwrap_or_default())
}

/// Shows and tells what was decided and done.
async fn report(
    group: &ConsumerGroup,
    evaluated: &Evaluated<'_>,
    work: &Work,
    writer: &mut Writer<'_, ConsumerGroup>,
    time: Time,
) -> Result<(), ReconcileError> {
    let next = status::next(group, evaluated, time);
    show(group, &next, work);
    for note in notes(evaluated.decision, evaluated.applied) {
        writer.tell(&note).await;
    }
    tell(group, work, writer, next, &evaluated.decision.sentence).await
}

/// Shows and tells that nothing can be decided.
async fn refuse(
    group: &ConsumerGroup,
    work: &Work,
    writer: &mut Writer<'_, ConsumerGroup>,
    next: ConsumerGroupStatus,
) -> Result<(), ReconcileError> {
    show(group, &next, work);
    tell(group, work, writer, next, "").await
}

/// Writes the status, if it is worth it, and then what begins with it. `sentence` is why it was decided so.
async fn tell(
    group: &ConsumerGroup,
    work: &Work,
    writer: &mut Writer<'_, ConsumerGroup>,
    next: ConsumerGroupStatus,
    sentence: &str,
) -> Result<(), ReconcileError> {
    let before = status::ours(group);
    let now = work.context.clock.since_start();
    let early = work
        .memory
        .told(group)
        .is_some_and(|told| now < told + FIGURES_EVERY);
    if before == next || (early && status::only_figures_differ(&before, &next)) {
        return Ok(());
    }
    writer.write_status(&next).await?;
    work.memory.tell(group, now);
    for note in beginnings(&before, &next, sentence) {
        writer.tell(&note).await;
    }
    Ok(())
}

/// Why the workload cannot be scaled; an error where that is only for now.
fn refusal(error: TargetError) -> Result<(Reason, String), ReconcileError> {
    let why = error.to_string();
    match error {
        TargetError::NotFound { .. } => Ok((Reason::TargetNotFound, why)),
        TargetError::UnknownKind { .. } | TargetError::NotScalable { .. } | TargetError::Forbidden { .. } => {
            Ok((Reason::TargetNotScalable, why))
        }
        TargetError::Changed { .. } => Ok((Reason::Failed, why)),
        TargetError::Api { error, .. } => Err(ReconcileError::Kubernetes(error)),
    }
}

/// As metrics.
fn show(group: &ConsumerGroup, status: &ConsumerGroupStatus, work: &Work) {
    let (namespace, name) = (group.namespace().unwrap_or_default(), group.name_any());
    let labels = [&*namespace, &*name];
    let scaling = &work.context.metrics.scaling;
    let replicas = status.replicas.clone().unwrap_or_default();
    let stands = |condition: ConditionType| {
        let found = conditions::find(&status.conditions, condition)?;
        (found.status != "Unknown").then(|| i32::from(found.status == "True"))
    };
    for (gauge, value) in [
        (&scaling.current, replicas.current),
        (&scaling.desired, replicas.desired),
        (&scaling.recommended, replicas.recommended),
        (&scaling.cap, replicas.cap),
        (
            &scaling.metrics_available,
            stands(ConditionType::MetricsAvailable),
        ),
        (&scaling.contended, stands(ConditionType::ReplicasContended)),
    ] {
        match value {
            Some(value) => gauge.with_label_values(&labels).set(i64::from(value)),
            // It may never have been there.
            None => drop(gauge.remove_label_values(&labels)),
        }
    }
    for gone in group.status.iter().flat_map(|before| &before.guards) {
        if !status.guards.iter().any(|told| told.name == gone.name) {
            // It may never have been there.
            let _ = scaling
                .guard_active
                .remove_label_values(&[&*namespace, &*name, &*gone.name]);
        }
    }
    for guard in guard_names(group.spec.autoscaling.as_ref()) {
        let active = status.guards.iter().any(|told| told.name == guard && told.active);
        let labels = [&*namespace, &*name, guard];
        scaling
            .guard_active
            .with_label_values(&labels)
            .set(i64::from(active));
    }
}

fn guard_names(scaling: Option<&Autoscaling>) -> impl Iterator<Item = &str> {
    let guards = scaling.into_iter().flat_map(|scaling| &scaling.guards);
    guards.map(|guard| &*guard.name)
}
