//! What is to be done, from what there is: no clock, no chance, no request.

use super::addresses::{self, Advertised};
use super::children::{self, Blueprint, Child, ChildKind};
use super::configuration::Configuration;
use super::drift::{self, Need};
use super::observed::{Observed, token_place};
use super::rotation;
use super::storage::{self, VolumeStep, Volumes};
use super::validate::{self, Problem};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::Value;
use sluice_operator_api::{BrokerCluster, labels};
use sluice_proto::admin::ConfigChange;

/// What the operator brings along.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// Where the brokers' image is from unless the resource says otherwise.
    pub image_repository: &'a str,
    /// Where the operator's pods are.
    pub operator_namespace: &'a str,
    /// The time.
    pub now: Timestamp,
    /// A token that nobody has seen.
    pub fresh_token: &'a str,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The running broker takes this at once; its file, which it follows, says so later.
    Configure(Vec<ConfigChange>),
    /// An object is to be so.
    Apply(Child, Change),
    /// An object is not to be any more.
    Delete(ChildKind, String, String),
    /// A volume.
    Volume(VolumeStep),
    /// The StatefulSet of this name and uid is made anew: deleted without its pods, here.
    Renew(String, String),
}

/// Why an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is not there.
    Created,
    /// It is to be something else than before.
    Updated,
    /// Somebody has changed it.
    Corrected,
}

/// What is to be done, and what follows from what there is.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// In this order.
    pub actions: Vec<Action>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// The annotation stands on the resource.
    pub paused: bool,
    /// The configuration, if it can be used.
    pub configuration: Option<Configuration>,
    /// The volumes.
    pub volumes: Volumes,
    /// The operator's own token.
    pub tokens: Option<rotation::Next>,
}

impl Plan {
    /// Whether the StatefulSet, and with it perhaps the pods, is about to change.
    pub fn touches_pods(&self) -> bool {
        self.actions.iter().any(|action| match action {
            // What a correction comes to shows when it is looked at next.
            Action::Apply(child, change) => {
                child.kind == ChildKind::StatefulSet && *change != Change::Corrected
            }
            Action::Renew(..) => true,
            Action::Configure(_) | Action::Delete(..) | Action::Volume(_) => false,
        })
    }
}

/// Plans.
pub fn plan(cluster: &BrokerCluster, observed: &Observed, around: &Surroundings<'_>) -> Plan {
    let set: Option<StatefulSet> = observed.find(ChildKind::StatefulSet, &cluster.stateful_set_name());
    let volumes = storage::volumes(
        cluster,
        &observed.claims,
        set.as_ref().and_then(template_size).as_deref(),
    );
    let (configuration, problems) = validate::validate(cluster, observed);
    let mut plan = Plan {
        paused: is_paused(cluster),
        tokens: tokens(cluster, observed, around),
        problems,
        configuration,
        volumes,
        ..Plan::default()
    };
    let deleting = cluster.metadata.deletion_timestamp.is_some();
    if plan.paused || deleting || plan.problems.iter().any(|problem| problem.blocks) {
        return plan;
    }
    let Some(configuration) = plan.configuration.clone() else {
        return plan;
    };
    let services = observed.listener_services(cluster);
    let advertised = addresses::advertised(cluster, |listener| services.get(&listener.name));
    let (wanted, complete) = wanted(cluster, observed, around, &plan, configuration, advertised);
    let taken = wanted.iter().filter_map(|child| {
        let live = observed.live.get(&(child.kind, child.name.clone()))?;
        validate::name_taken(cluster, child.kind, &child.name, live)
    });
    let taken: Vec<_> = taken.collect();
    if !taken.is_empty() {
        plan.problems.extend(taken);
        return plan;
    }
    plan.actions = actions(cluster, observed, &plan, wanted, complete);
    plan
}

/// Whether the annotation stands on the resource.
pub fn is_paused(cluster: &BrokerCluster) -> bool {
    cluster
        .annotations()
        .get(labels::PAUSED)
        .is_some_and(|value| value == "true")
}

fn tokens(cluster: &BrokerCluster, observed: &Observed, around: &Surroundings<'_>) -> Option<rotation::Next> {
    if cluster.spec.admin.token_secret_ref.is_some() {
        return None;
    }
    let place = token_place(cluster);
    let present = observed.find(ChildKind::Secret, &place.name);
    let period = cluster.spec.admin.token_rotation_period_seconds();
    Some(rotation::next(
        present.as_ref(),
        &place.key,
        period,
        around.now,
        around.fresh_token,
    ))
}

/// All objects, in the order in which they are written; or, without a port that Kubernetes has yet to choose, those that do not
/// need it.
fn wanted(
    cluster: &BrokerCluster,
    observed: &Observed,
    around: &Surroundings<'_>,
    plan: &Plan,
    configuration: Configuration,
    advertised: Advertised,
) -> (Vec<Child>, bool) {
    let advertised = match advertised {
        Advertised::NotYet => return (children::services(cluster), false),
        Advertised::AsUsed => None,
        Advertised::Address(address) => Some(address),
    };
    let tls = cluster.spec.tls.is_some();
    let configuration = configuration.with_own(&cluster.name_any(), advertised, tls);
    let ca = observed.tls(cluster, "ca.crt");
    let blueprint = Blueprint {
        cluster,
        image_repository: around.image_repository,
        operator_namespace: around.operator_namespace,
        configuration: &configuration,
        token: token_place(cluster),
        ca: ca.and_then(|ca| String::from_utf8(ca.to_vec()).ok()),
        volume_size: &plan.volumes.template_size,
        pod_monitors: observed.pod_monitors,
    };
    let mut wanted = children::children(&blueprint);
    wanted.extend(
        plan.tokens
            .iter()
            .map(|next| children::token_secret(cluster, &next.tokens)),
    );
    wanted.sort_by_key(|child| child.kind);
    (wanted, true)
}

fn actions(
    cluster: &BrokerCluster,
    observed: &Observed,
    plan: &Plan,
    wanted: Vec<Child>,
    complete: bool,
) -> Vec<Action> {
    let mut actions = Vec::new();
    let running = observed.broker.running();
    let changes = running
        .zip(plan.configuration.as_ref())
        .map(|(running, configuration)| configuration.changes(running));
    actions.extend(
        changes
            .filter(|changes| !changes.is_empty())
            .map(Action::Configure),
    );
    if complete {
        actions.extend(switched_off(cluster, observed, &wanted));
    }
    actions.extend(plan.volumes.steps.iter().cloned().map(Action::Volume));
    for child in wanted {
        let live = observed.live.get(&(child.kind, child.name.clone()));
        let going = live.is_some_and(|live| live.pointer("/metadata/deletionTimestamp").is_some());
        // It is made anew once it is gone.
        if going {
            continue;
        }
        if child.kind == ChildKind::StatefulSet
            && let Some(live) = live
            && plan.volumes.renew
        {
            actions.push(Action::Renew(child.name, uid(live)));
            continue;
        }
        actions.extend(change(&child, live, observed).map(|change| Action::Apply(child, change)));
    }
    actions
}

fn change(child: &Child, live: Option<&Value>, observed: &Observed) -> Option<Change> {
    let Some(live) = live else {
        return Some(Change::Created);
    };
    match drift::need(child, live, observed.landed.get(&uid(live))) {
        Need::Nothing => None,
        Need::Update => Some(Change::Updated),
        Need::Correct => Some(Change::Corrected),
    }
}

/// Objects of ours that the resource asks for no longer.
fn switched_off(cluster: &BrokerCluster, observed: &Observed, wanted: &[Child]) -> Vec<Action> {
    let is_wanted = |kind: ChildKind, name: &str| {
        wanted
            .iter()
            .any(|child| child.kind == kind && child.name == name)
    };
    let live = observed.live.iter();
    live.filter(|((kind, name), live)| !is_wanted(*kind, name) && validate::is_ours(cluster, live))
        .filter(|(_, live)| live.pointer("/metadata/deletionTimestamp").is_none())
        .map(|((kind, name), live)| Action::Delete(*kind, name.clone(), uid(live)))
        .collect()
}

fn template_size(set: &StatefulSet) -> Option<String> {
    let template = set.spec.as_ref()?.volume_claim_templates.as_ref()?.first()?;
    let requests = template.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    requests.get("storage").map(|size| size.0.clone())
}

fn uid(live: &Value) -> String {
    let uid = live.pointer("/metadata/uid").and_then(Value::as_str);
    uid.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
