//! The controller: a cluster is reconciled whenever it or one of its objects changes, when something of it is due, and now and
//! then.

use super::apply::{Outcome, apply};
use super::drift::Landed;
use super::observe::{Kinds, observe};
use super::plan::{Plan, Surroundings, plan};
use super::status::{self, Found};
use crate::backoff::Pace;
use crate::broker::causes;
use crate::context::Context;
use crate::error::ReconcileError;
use crate::settings::Scope;
use crate::shutdown::Shutdown;
use crate::watching::watched;
use crate::writer::{Ahead, Writer};
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt as _;
use kube::runtime::controller::{Action, Config, Controller, Error};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{Predicate as _, PredicateConfig, WatchStreamExt as _, predicates, watcher};
use parking_lot::Mutex;
use ring::rand::{SecureRandom as _, SystemRandom};
use sluice_operator_api::broker_cluster::{ConditionType, Reason};
use sluice_operator_api::conditions;
use sluice_operator_api::{BrokerCluster, labels};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const KIND: &str = "BrokerCluster";
/// Several objects change together: one look is enough.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// What no watch tells of, such as a broker that answers again and a volume that has grown, is looked at this often while something
/// is on its way.
const UNDER_WAY_PAUSE: Duration = Duration::from_secs(10);
/// A Secret that is missing is looked for this often.
const PROBLEM_PAUSE: Duration = Duration::from_secs(30);

/// What came of our last writes, by the clusters' uids and then by the objects'.
type Memory = Mutex<HashMap<String, HashMap<String, Landed>>>;

struct Work {
    context: Arc<Context>,
    store: Store<BrokerCluster>,
    kinds: Kinds,
    ahead: Ahead<BrokerCluster>,
    memory: Memory,
}

/// Reconciles all clusters in the scope until the process stops.
pub async fn run(context: Arc<Context>, scope: Scope, shutdown: Shutdown) {
    let client = || context.client.clone();
    let (store, writer) = reflector::store();
    let work = Arc::new(Work {
        context: Arc::clone(&context),
        store: store.clone(),
        kinds: Kinds::default(),
        ahead: Ahead::default(),
        memory: Memory::default(),
    });
    let forgetting = Arc::clone(&work);
    let happens = move |event: &watcher::Event<BrokerCluster>| {
        if let watcher::Event::Delete(gone) = event {
            forgetting.forget(gone);
        }
    };
    let changes = watched(scope.api::<BrokerCluster>(client()), writer, happens)
        .applied_objects()
        // What only changes the status is our own doing.
        .predicate_filter(
            predicates::generation.combine(predicates::annotations),
            PredicateConfig::default(),
        );
    // Not Secrets: nobody has to be allowed to list them.
    let ours = || {
        let selector = format!("{}={}", labels::APP_MANAGED_BY, labels::APP_MANAGED_BY_VALUE);
        watcher::Config::default().labels(&selector)
    };
    let reconciled = Controller::for_stream(changes, store)
        .owns(scope.api::<StatefulSet>(client()), ours())
        .owns(scope.api::<Service>(client()), ours())
        .owns(scope.api::<ConfigMap>(client()), ours())
        .owns(scope.api::<NetworkPolicy>(client()), ours())
        .owns(scope.api::<PodDisruptionBudget>(client()), ours())
        .with_config(
            Config::default()
                .concurrency(context.concurrency)
                .debounce(DEBOUNCE),
        )
        .graceful_shutdown_on(shutdown.beginning())
        .run(reconcile, retry, work);
    reconciled
        .for_each(|done| async move {
            match done {
                Ok(_) | Err(Error::ObjectNotFound(_) | Error::ReconcilerFailed(..)) => {}
                Err(error) => tracing::warn!(
                    kind = KIND,
                    error = %causes(&error),
                    "cannot watch; see whether the definitions of the resources are installed, and what the operator's roles allow"
                ),
            }
        })
        .await;
}

fn retry(cluster: Arc<BrokerCluster>, error: &ReconcileError, work: Arc<Work>) -> Action {
    let (namespace, name) = (cluster.namespace(), cluster.name_any());
    let failures = &work.context.metrics.failures;
    failures.with_label_values(&[KIND, error.reason()]).inc();
    if error.pace() == Pace::Overtaken {
        tracing::debug!(kind = KIND, namespace, name, %error, "overtaken; looking again");
    } else {
        tracing::warn!(kind = KIND, namespace, name, %error, "cannot reconcile; trying again");
    }
    work.context.retry(KIND, &*cluster, error)
}

async fn reconcile(brought: Arc<BrokerCluster>, work: Arc<Work>) -> Result<Action, ReconcileError> {
    let metrics = Arc::clone(&work.context.metrics);
    metrics.reconciles.with_label_values(&[KIND]).inc();
    let _time = metrics.reconcile_seconds.with_label_values(&[KIND]).start_timer();
    let running = metrics.reconciling.with_label_values(&[KIND]);
    running.inc();
    let cluster = work.ahead.newer(&brought);
    let mut writer = Writer::new(&work.context, KIND, &*cluster);
    let done = converge(&cluster, &work, &mut writer).await;
    work.ahead.keep(&brought, writer.into_latest());
    running.dec();
    if done.is_ok() {
        work.context.succeeded(KIND, &*cluster);
    }
    done
}

async fn converge(
    cluster: &BrokerCluster,
    work: &Work,
    writer: &mut Writer<'_, BrokerCluster>,
) -> Result<Action, ReconcileError> {
    // Its objects go with it, by their owner.
    if cluster.metadata.deletion_timestamp.is_some() {
        work.ahead.forget(cluster);
        return Ok(Action::await_change());
    }
    let context = &work.context;
    let mut observed = match observe(cluster, context, &work.kinds).await {
        Ok(observed) => observed,
        Err(error) => return Err(unseen(cluster, context, writer, error).await),
    };
    observed.landed = work.recall(cluster);
    let around = Surroundings {
        image_repository: &context.broker_image,
        operator_namespace: &context.operator_namespace,
        now: context.clock.now(),
        fresh_token: &fresh_token()?,
    };
    let plan = plan(cluster, &observed, &around);
    let mut outcome = apply(cluster, context, writer, &observed, &plan).await;
    work.remember(cluster, std::mem::take(&mut outcome.landed));
    let failure = outcome.failure.take();
    // What is looked at again at once is not told of.
    let failed = match failure {
        Some(error) if error.pace() == Pace::Overtaken => return Err(error),
        other => other,
    };
    let why = failed.as_ref().map(ToString::to_string);
    let found = Found {
        cluster,
        observed: &observed,
        plan: &plan,
        refused: outcome.refused.as_ref(),
        resize_refused: outcome.resize_refused.as_deref(),
        failed: why.as_deref(),
    };
    let next = status::next(&found, &context.now());
    for note in status::notes(cluster.status.as_ref(), &next) {
        writer.tell(&note).await;
    }
    if cluster.status.as_ref() != Some(&next) {
        writer.write_status(&next).await?;
    }
    failed.map_or_else(|| Ok(pause(context, &plan, &outcome, &next.conditions)), Err)
}

/// Says on the resource why its objects may not be looked at, as far as that can still be written. Gives the error back.
async fn unseen(
    cluster: &BrokerCluster,
    context: &Context,
    writer: &mut Writer<'_, BrokerCluster>,
    error: ReconcileError,
) -> ReconcileError {
    // What passes by itself is no news: an API server that is away for a moment would flap all conditions.
    if error.pace() != Pace::Refused {
        return error;
    }
    let next = status::unseen(cluster, &error.to_string(), &context.now());
    if cluster.status.as_ref() == Some(&next) {
        return error;
    }
    for note in status::notes(cluster.status.as_ref(), &next) {
        writer.tell(&note).await;
    }
    if let Err(unwritten) = writer.write_status(&next).await {
        tracing::debug!(kind = KIND, error = %unwritten, "cannot write why the cluster could not be looked at");
    }
    error
}

/// When to look again.
fn pause(
    context: &Context,
    plan: &Plan,
    outcome: &Outcome,
    conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition],
) -> Action {
    if plan.paused {
        return context.resync();
    }
    if outcome.refused.is_some() || plan.problems.iter().any(|problem| problem.blocks) {
        return Action::requeue(PROBLEM_PAUSE.min(context.resync_period()));
    }
    let unreachable = conditions::find(conditions, ConditionType::Ready)
        .is_some_and(|ready| ready.reason == Reason::BrokerUnreachable.as_str());
    if unreachable
        || conditions::holds(conditions, ConditionType::Progressing)
        || conditions::holds(conditions, ConditionType::StorageResizing)
    {
        return Action::requeue(UNDER_WAY_PAUSE.min(context.resync_period()));
    }
    match &plan.tokens {
        Some(next) if next.due_in < context.resync_period() => {
            Action::requeue(next.due_in + Duration::from_secs(1))
        }
        _ => context.resync(),
    }
}

impl Work {
    fn recall(&self, cluster: &BrokerCluster) -> HashMap<String, Landed> {
        let uid = cluster.uid().unwrap_or_default();
        self.memory.lock().get(&uid).cloned().unwrap_or_default()
    }

    fn remember(&self, cluster: &BrokerCluster, landed: Vec<(String, Landed)>) {
        if landed.is_empty() {
            return;
        }
        let uid = cluster.uid().unwrap_or_default();
        let mut memory = self.memory.lock();
        if !memory.contains_key(&uid) {
            // Of clusters that are gone.
            let known: std::collections::HashSet<_> = self
                .store
                .state()
                .iter()
                .filter_map(|cluster| cluster.uid())
                .collect();
            memory.retain(|uid, _| known.contains(uid));
        }
        memory.entry(uid).or_default().extend(landed);
    }

    /// The cluster is gone.
    fn forget(&self, gone: &BrokerCluster) {
        self.ahead.forget(gone);
        self.context.succeeded(KIND, gone);
    }
}

/// 256 bits that nobody can guess, in hexadecimal.
fn fresh_token() -> Result<String, ReconcileError> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| ReconcileError::NoRandomness)?;
    Ok(bytes.iter().fold(String::with_capacity(64), |mut token, byte| {
        use std::fmt::Write as _;
        // Writing to a text does not fail.
        let _ = write!(token, "{byte:02x}");
        token
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_such_as_brokers_take_and_never_the_same() {
        let (one, other) = (fresh_token().unwrap(), fresh_token().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
        assert_eq!(super::super::rotation::first(one.as_bytes()), Some(one));
    }
}
