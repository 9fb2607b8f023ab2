//! The status that follows from what was found.

use super::addresses;
use super::children::{ChildKind, replicas};
use super::observed::{Broker, Observed, is_ready, token_place};
use super::plan::{Action, Plan};
use super::storage::VolumeStep;
use super::validate::Problem;
use crate::events::Note;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;
use sluice_operator_api::broker_cluster::{
    Binding, BrokerClusterStatus, BrokerStatus, ConditionType, Reason,
};
use sluice_operator_api::conditions::{self, Finding, Status};
use sluice_operator_api::{BrokerCluster, SecretRef};

/// Used space changes all the time: it is told in steps, so that the status is not written each time.
const DISK_STEP: u64 = 16 << 20;
/// Of a broker's message.
const MESSAGE_CHARS_MAX: usize = 1024;

/// What a reconciliation has come to.
pub struct Found<'a> {
    /// The resource.
    pub cluster: &'a BrokerCluster,
    /// What there was.
    pub observed: &'a Observed,
    /// What was to be done.
    pub plan: &'a Plan,
    /// What was refused.
    pub refused: Option<&'a Problem>,
    /// Why a volume could not grow.
    pub resize_refused: Option<&'a str>,
    /// What went wrong.
    pub failed: Option<&'a str>,
}

/// How the pods' StatefulSet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rollout {
    /// There is none.
    Missing,
    /// Its pods are not all of the newest template.
    Rolling,
    /// They are.
    Done,
}

/// The next status.
pub fn next(found: &Found<'_>, now: &Time) -> BrokerClusterStatus {
    let (cluster, observed, plan) = (found.cluster, found.observed, found.plan);
    let before = cluster.status.clone().unwrap_or_default();
    let brokers = brokers(cluster, observed);
    let services = observed.listener_services(cluster);
    let place = token_place(cluster);
    let binding = cluster.binding_secret_name();
    let has_binding = observed.has_own(cluster, ChildKind::Secret, &binding);
    let mut status = BrokerClusterStatus {
        observed_generation: cluster.metadata.generation,
        conditions: before.conditions.clone(),
        version: observed.broker.status().map(|status| status.version.clone()),
        listeners: addresses::listeners(cluster, |listener| services.get(&listener.name), &observed.pods),
        storage: plan.volumes.status.clone(),
        pending_restart_keys: pending(found, &before),
        binding: has_binding.then_some(Binding {
            secret_ref: SecretRef { name: binding },
        }),
        admin_token_secret_ref: observed.token_file(cluster).map(|_| place),
        next_token_rotation_time: next_exchange(found, &before),
        brokers,
    };
    let findings = [
        ready(found, &status),
        progressing(found, &status),
        configuration(found, &status),
        resizing(found),
        paused(plan),
    ];
    for finding in findings {
        conditions::set(&mut status.conditions, finding, cluster.metadata.generation, now);
    }
    status
}

/// The status of a cluster whose objects could not be looked at: that it is so, and otherwise what was known before.
pub fn unseen(cluster: &BrokerCluster, why: &str, now: &Time) -> BrokerClusterStatus {
    let mut status = cluster.status.clone().unwrap_or_default();
    let message = format!("cannot look at what there is of this cluster: {why}");
    let finding = Finding::new(ConditionType::Ready, Status::False, Reason::Failed, message);
    conditions::set(&mut status.conditions, finding, cluster.metadata.generation, now);
    status
}

/// What is told of conditions that are others than before.
pub fn notes(before: Option<&BrokerClusterStatus>, next: &BrokerClusterStatus) -> Vec<Note> {
    let known = before
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let changed = next.conditions.iter().filter(|condition| {
        let old = known.iter().find(|old| old.type_ == condition.type_);
        old.is_none_or(|old| old.reason != condition.reason)
    });
    changed.filter_map(note).collect()
}

fn note(condition: &Condition) -> Option<Note> {
    let reason = Reason::ALL
        .iter()
        .find(|reason| reason.as_str() == condition.reason)?;
    let warning = match reason {
        Reason::ConfigurationInvalid
        | Reason::SpecInvalid
        | Reason::SecretNotFound
        | Reason::SecretInvalid
        | Reason::NameTaken
        | Reason::ObjectRefused
        | Reason::PodMonitorUnknown
        | Reason::ResizeNotAllowed
        | Reason::BrokerUnreachable
        | Reason::Failed => true,
        Reason::AllBrokersReady | Reason::Rolling | Reason::SizeReached | Reason::Paused => false,
        _ => return None,
    };
    // A problem stands in two conditions, and is told once.
    let twice = warning && condition.type_ == ConditionType::Progressing.as_str();
    (!twice).then(|| Note {
        warning,
        reason: reason.as_str(),
        text: condition.message.clone(),
    })
}

fn problem<'a>(found: &Found<'a>) -> Option<&'a Problem> {
    let blocking = found.plan.problems.iter().find(|problem| problem.blocks);
    found.refused.or(blocking)
}

fn ready(found: &Found<'_>, status: &BrokerClusterStatus) -> Finding {
    let not =
        |reason: Reason, message: String| Finding::new(ConditionType::Ready, Status::False, reason, message);
    if let Some(problem) = problem(found).or_else(|| found.plan.problems.first()) {
        return not(problem.reason, problem.message.clone());
    }
    if let Some(why) = found.failed {
        return not(Reason::Failed, why.to_owned());
    }
    let rollout = rollout(found);
    if rollout == Rollout::Missing {
        return not(
            Reason::Starting,
            "the brokers' pods have not been made yet".to_owned(),
        );
    }
    if let Some(broker) = status.brokers.iter().find(|broker| !broker.ready) {
        return not(
            Reason::BrokerNotReady,
            format!("{}: {}", broker.name, broker.message),
        );
    }
    if rollout == Rollout::Rolling {
        return not(
            Reason::Rolling,
            "the brokers are not all as this resource says yet".to_owned(),
        );
    }
    match &found.observed.broker {
        Broker::Silent(why) => not(Reason::BrokerUnreachable, why.clone()),
        Broker::NotAsked => not(Reason::Pending, "no broker has been asked yet".to_owned()),
        Broker::Answers(..) => Finding::new(
            ConditionType::Ready,
            Status::True,
            Reason::AllBrokersReady,
            format!(
                "{} of {} brokers are ready",
                status.brokers.len(),
                status.brokers.len()
            ),
        ),
    }
}

fn progressing(found: &Found<'_>, status: &BrokerClusterStatus) -> Finding {
    let finding = |holds: bool, reason: Reason, message: &str| {
        Finding::new(ConditionType::Progressing, holds, reason, message)
    };
    if let Some(problem) = problem(found) {
        return finding(
            false,
            problem.reason,
            "nothing is done until the problem that Ready tells of is gone",
        );
    }
    match rollout(found) {
        Rollout::Missing => finding(true, Reason::Starting, "the brokers' pods are being made"),
        Rollout::Rolling => finding(
            true,
            Reason::Rolling,
            "the brokers are restarted one after another",
        ),
        Rollout::Done if status.brokers.iter().any(|broker| !broker.ready) => {
            finding(true, Reason::Starting, "a broker starts, or is started again")
        }
        Rollout::Done => finding(false, Reason::Stable, "nothing is on its way"),
    }
}

fn configuration(found: &Found<'_>, status: &BrokerClusterStatus) -> Finding {
    let type_ = ConditionType::ConfigurationApplied;
    let problems = found.plan.problems.iter().chain(found.refused);
    let mut problems = problems.filter(|problem| problem.condition == type_);
    if let Some(problem) = problems.next() {
        return Finding::new(type_, Status::False, problem.reason, problem.message.clone());
    }
    if !status.pending_restart_keys.is_empty() {
        let keys = status.pending_restart_keys.join(", ");
        let message = format!("{keys}: these hold after a restart");
        return Finding::new(type_, Status::False, Reason::RestartPending, message);
    }
    match &found.observed.broker {
        Broker::Answers(..) => Finding::new(
            type_,
            Status::True,
            Reason::Applied,
            "the brokers have the configuration",
        ),
        Broker::NotAsked | Broker::Silent(_) => Finding::new(
            type_,
            Status::Unknown,
            Reason::Pending,
            "no broker tells which configuration it has",
        ),
    }
}

fn resizing(found: &Found<'_>) -> Finding {
    let type_ = ConditionType::StorageResizing;
    let volumes = &found.plan.volumes;
    if let Some(why) = found.resize_refused {
        return Finding::new(type_, Status::False, Reason::ResizeNotAllowed, why);
    }
    if !volumes.growing.is_empty() {
        return Finding::new(type_, Status::True, Reason::Resizing, volumes.growing.join("; "));
    }
    if found.plan.actions.iter().any(enlarges) {
        return Finding::new(
            type_,
            Status::True,
            Reason::Resizing,
            "larger volumes have been asked for",
        );
    }
    if volumes
        .steps
        .iter()
        .any(|step| matches!(step, VolumeStep::Expand { .. }))
    {
        let message = "the volumes are smaller than this resource says, and nothing is done at the moment";
        return Finding::new(type_, Status::Unknown, Reason::Pending, message);
    }
    if volumes.status.is_none() {
        return Finding::new(
            type_,
            Status::Unknown,
            Reason::Pending,
            "there are no volumes yet",
        );
    }
    if !volumes.unbound.is_empty() {
        let message = volumes.unbound.join("; ");
        return Finding::new(type_, Status::Unknown, Reason::Pending, message);
    }
    Finding::new(
        type_,
        Status::False,
        Reason::SizeReached,
        "the volumes have the size that this resource says",
    )
}

fn enlarges(action: &Action) -> bool {
    matches!(
        action,
        Action::Renew(..) | Action::Volume(VolumeStep::Expand { .. })
    )
}

fn paused(plan: &Plan) -> Finding {
    let type_ = ConditionType::ReconciliationPaused;
    if plan.paused {
        let message = "the annotation sluice.dev/paused stands on this resource: nothing is changed until it is taken away";
        Finding::new(type_, Status::True, Reason::Paused, message)
    } else {
        Finding::new(
            type_,
            Status::False,
            Reason::NotPaused,
            "the resource is reconciled",
        )
    }
}

fn rollout(found: &Found<'_>) -> Rollout {
    let name = found.cluster.stateful_set_name();
    let Some(set) = found.observed.find::<StatefulSet>(ChildKind::StatefulSet, &name) else {
        return Rollout::Missing;
    };
    let state = set.status.unwrap_or_default();
    if state.observed_generation.is_none() {
        return Rollout::Missing;
    }
    let seen = state.observed_generation >= set.metadata.generation;
    let updated = state.updated_replicas.unwrap_or(0) >= replicas(found.cluster);
    // With one revision pods are missing, and none is of an older template.
    let current = updated || state.current_revision == state.update_revision;
    if seen && current && !found.plan.touches_pods() {
        Rollout::Done
    } else {
        Rollout::Rolling
    }
}

fn pending(found: &Found<'_>, before: &BrokerClusterStatus) -> Vec<String> {
    match (found.observed.broker.running(), &found.plan.configuration) {
        (Some(running), Some(configuration)) => configuration.pending(running),
        // Nobody tells: what waited waits until somebody does.
        _ => before.pending_restart_keys.clone(),
    }
}

/// While nothing is done nothing is due.
fn next_exchange(found: &Found<'_>, before: &BrokerClusterStatus) -> Option<Time> {
    let next = found.plan.tokens.as_ref()?;
    if found.plan.paused || problem(found).is_some() {
        return before.next_token_rotation_time.clone();
    }
    Some(Time(whole_seconds(next.next_exchange)))
}

fn brokers(cluster: &BrokerCluster, observed: &Observed) -> Vec<BrokerStatus> {
    let name = |ordinal: i32| format!("{}-{ordinal}", cluster.stateful_set_name());
    let brokers = (0..replicas(cluster)).map(|ordinal| {
        let pod = observed.pods.iter().find(|pod| pod.name_any() == name(ordinal));
        let ready = pod.is_some_and(is_ready);
        let status = observed.broker.status();
        let disk = status.and_then(|status| status.disk.as_ref());
        let used = disk.map(|disk| {
            disk.total_bytes
                .saturating_sub(disk.free_bytes)
                .next_multiple_of(DISK_STEP)
        });
        BrokerStatus {
            name: name(ordinal),
            ready,
            version: status.map(|status| status.version.clone()),
            disk_used_bytes: used.and_then(|used| i64::try_from(used).ok()),
            disk_capacity_bytes: disk.and_then(|disk| i64::try_from(disk.total_bytes).ok()),
            message: if ready { String::new() } else { why_not_ready(pod) },
        }
    });
    brokers.collect()
}

/// The first of what can keep a pod from being ready.
fn why_not_ready(pod: Option<&Pod>) -> String {
    let Some(pod) = pod else {
        return "its pod is not there".to_owned();
    };
    if pod.metadata.deletion_timestamp.is_some() {
        return "its pod ends".to_owned();
    }
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let waiting = containers
        .iter()
        .find_map(|container| container.state.as_ref()?.waiting.as_ref());
    let ended = containers
        .iter()
        .find_map(|container| container.last_state.as_ref()?.terminated.as_ref());
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    let mut why = if let Some(waiting) = waiting {
        let reason = waiting.reason.as_deref().unwrap_or("waiting");
        format!(
            "its container waits: {reason} {}",
            waiting.message.as_deref().unwrap_or_default()
        )
    } else if let Some(condition) = unscheduled {
        format!(
            "its pod has no node: {}",
            condition.message.as_deref().unwrap_or_default()
        )
    } else {
        "it starts".to_owned()
    };
    if let Some(ended) = ended {
        why = format!(
            "{}; it ended with code {} before",
            why.trim_end(),
            ended.exit_code
        );
    }
    why.trim_end().chars().take(MESSAGE_CHARS_MAX).collect()
}

fn whole_seconds(time: k8s_openapi::jiff::Timestamp) -> k8s_openapi::jiff::Timestamp {
    k8s_openapi::jiff::Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
