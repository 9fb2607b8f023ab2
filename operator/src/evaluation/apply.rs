//! Carrying a decision out.

use super::controller::Work;
use super::observe::{self, Observation};
use super::{broker_lag, memory};
use crate::autoscale::{Decision, History, Time};
use crate::broker::BrokerAdmin as _;
use crate::events::Note;
use crate::scaling::{Seen, TargetError, findings, pods};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use sluice_operator_api::ConsumerGroup;
use sluice_operator_api::Switch;
use sluice_operator_api::consumer_group::{Autoscaling, ScaleChange};
use sluice_operator_api::labels::{POD_DELETION_COST, SCALE_FIELD_MANAGER};

/// Pods that are marked before one change; the others are as likely to go as any.
const MARKINGS_MAX: usize = 100;

/// What came of a decision.
pub struct Applied {
    /// What to remember.
    pub history: History,
    /// The change, if one was written.
    pub change: Option<ScaleChange>,
    /// Why it was not, if it was to be.
    pub failure: Option<TargetError>,
}

/// Writes the scale, if it is to be written, and only on top of what was seen.
pub async fn apply(
    group: &ConsumerGroup,
    scaling: &Autoscaling,
    seen: &Seen,
    found: &Observation,
    decision: &Decision,
    work: &Work,
    now: Time,
) -> Applied {
    let unchanged = |failure| Applied {
        history: decision.history.clone(),
        change: None,
        failure,
    };
    let Some(replicas) = decision.to_write() else {
        return unchanged(None);
    };
    let namespace = group.namespace().unwrap_or_default();
    let idle_first = scaling.behavior.scale_down.prefer_idle_pods == Switch::Enabled;
    if idle_first && replicas < decision.current && replicas > 0 {
        mark(group, &namespace, seen, found, work).await;
    }
    // The lease may have gone while everything was looked at.
    if !work.context.leadership.holds() {
        return unchanged(None);
    }
    let target = &scaling.scale_target_ref;
    if let Err(error) = work.targets.write(&namespace, target, seen, replicas).await {
        return unchanged(Some(error));
    }
    let direction = if replicas > decision.current { "Up" } else { "Down" };
    let reason = findings::reason(decision).as_str();
    work.context
        .metrics
        .scaling
        .events
        .with_label_values(&[&*namespace, &*group.name_any(), direction, reason])
        .inc();
    Applied {
        history: decision.written(now),
        change: Some(ScaleChange {
            time: memory::at(now),
            from: memory::signed(decision.current),
            to: memory::signed(replicas),
            reason: reason.to_owned(),
        }),
        failure: None,
    }
}

/// Has pods whose consumers hold nothing go first. That it cannot be done stops nothing: then others go.
async fn mark(group: &ConsumerGroup, namespace: &str, seen: &Seen, found: &Observation, work: &Work) {
    let Some(admin) = &found.admin else { return };
    let name = group.name_any();
    let held = match admin.members(&group.group_name()).await {
        Ok(members) => broker_lag::held(members),
        Err(error) => {
            tracing::debug!(namespace, name, %error, "cannot tell which pods are idle");
            return;
        }
    };
    if let Err(error) = mark_pods(&work.context.client, namespace, seen, &held).await {
        tracing::warn!(namespace, name, %error, "cannot mark pods that may go first");
    }
}

async fn mark_pods(
    client: &Client,
    namespace: &str,
    seen: &Seen,
    held: &std::collections::BTreeMap<String, u64>,
) -> Result<(), kube::Error> {
    if held.is_empty() || seen.selector.is_empty() {
        return Ok(());
    }
    let all = observe::pods(client, namespace, seen).await?;
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    let parameters = PatchParams {
        field_manager: Some(SCALE_FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    for marking in pods::markings(&all, held).into_iter().take(MARKINGS_MAX) {
        let patch = json!({ "metadata": { "annotations": { POD_DELETION_COST: marking.cost } } });
        match api
            .patch_metadata(&marking.pod, &parameters, &Patch::Merge(patch))
            .await
        {
            Ok(_) => {}
            // It is gone already.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What people are told of: a change, or one that was refused.
pub fn notes(decision: &Decision, applied: &Applied) -> Vec<Note> {
    let change = applied.change.as_ref().map(|change| Note {
        warning: false,
        reason: if change.to > change.from {
            "ScaledUp"
        } else {
            "ScaledDown"
        },
        text: format!(
            "replicas from {} to {}: {}",
            change.from, change.to, decision.sentence
        ),
    });
    let refused = applied
        .failure
        .as_ref()
        .filter(|error| !matches!(error, TargetError::Changed { .. }));
    let refused = refused.map(|error| Note {
        warning: true,
        reason: "ScaleFailed",
        text: format!("replicas stay at {}: {error}", decision.current),
    });
    change.into_iter().chain(refused).collect()
}
