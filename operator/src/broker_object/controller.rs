//! A kind of resource, reconciled whenever it or its cluster changes, and now and then.

use super::apply::apply;
use super::observe::observe;
use super::plan::{State, plan};
use super::{BrokerObject, Clusters, Found};
use crate::backoff::Pace;
use crate::broker::causes;
use crate::context::Context;
use crate::error::ReconcileError;
use crate::index::{Claim, Index};
use crate::settings::Scope;
use crate::shutdown::Shutdown;
use crate::watching::watched;
use crate::writer::{Ahead, Writer};
use futures::StreamExt as _;
use kube::runtime::controller::{Action, Config, Controller, Error};
use kube::runtime::{Predicate as _, PredicateConfig, WatchStreamExt as _, predicates, reflector, watcher};
use kube::{Api, ResourceExt as _};
use std::sync::Arc;
use std::time::Duration;

/// A resource whose name is taken is looked at again after this: when the owner goes, it has to be noticed.
const NAME_TAKEN_PAUSE: Duration = Duration::from_secs(15);
/// One whose cluster has no token yet is, too: its Secret is not watched.
const CLUSTER_NOT_READY_PAUSE: Duration = Duration::from_secs(5);

/// What reconciliations of a kind share.
struct Work<K: BrokerObject> {
    context: Arc<Context>,
    clusters: Arc<Clusters>,
    /// All resources of the kind, by the cluster's name and the object's.
    index: Index<K>,
    ahead: Ahead<K>,
}

impl<K: BrokerObject> Work<K> {
    /// The resource is gone.
    fn forget(&self, gone: &K) {
        self.ahead.forget(gone);
        self.context.succeeded(K::KIND, gone);
    }
}

/// The object that a resource stands for.
fn object<K: BrokerObject>(resource: &K) -> Claim {
    let namespace = resource.namespace().unwrap_or_default();
    vec![namespace, resource.cluster().to_owned(), resource.object_name()]
}

/// Reconciles all resources of the kind in the scope until the process stops.
pub async fn run<K: BrokerObject>(
    context: Arc<Context>,
    clusters: Arc<Clusters>,
    scope: Scope,
    shutdown: Shutdown,
) {
    let api: Api<K> = scope.api(context.client.clone());
    let (store, writer) = reflector::store();
    let work = Arc::new(Work {
        context: Arc::clone(&context),
        clusters: Arc::clone(&clusters),
        index: Index::new(store.clone(), |resource| Some(object(resource))),
        ahead: Ahead::default(),
    });
    let forgetting = Arc::clone(&work);
    let happens = move |event: &watcher::Event<K>| {
        forgetting.index.follow(event);
        if let watcher::Event::Delete(gone) = event {
            forgetting.forget(gone);
        }
    };
    let changes = watched(api, writer, happens)
        .applied_objects()
        // What only changes the status is our own doing.
        .predicate_filter(
            predicates::generation
                .combine(predicates::annotations)
                .combine(predicates::finalizers),
            PredicateConfig::default(),
        );
    let reconciled = Controller::for_stream(changes, store.clone())
        .reconcile_on(clusters.changed(store))
        .with_config(Config::default().concurrency(context.concurrency))
        .graceful_shutdown_on(shutdown.beginning())
        .run(reconcile, retry, work);
    reconciled
        .for_each(|done| async move {
            match done {
                Ok(_) | Err(Error::ObjectNotFound(_) | Error::ReconcilerFailed(..)) => {}
                Err(error) => tracing::warn!(
                    kind = K::KIND,
                    error = %causes(&error),
                    "cannot watch; see whether the definitions of the resources are installed, and what the operator's roles allow"
                ),
            }
        })
        .await;
}

fn retry<K: BrokerObject>(resource: Arc<K>, error: &ReconcileError, work: Arc<Work<K>>) -> Action {
    let (namespace, name) = (resource.namespace(), resource.name_any());
    let metrics = &work.context.metrics;
    metrics
        .failures
        .with_label_values(&[K::KIND, error.reason()])
        .inc();
    if error.pace() == Pace::Overtaken {
        tracing::debug!(kind = K::KIND, namespace, name, %error, "overtaken; looking again");
    } else {
        tracing::warn!(kind = K::KIND, namespace, name, %error, "cannot reconcile; trying again");
    }
    work.context.retry(K::KIND, &*resource, error)
}

async fn reconcile<K: BrokerObject>(resource: Arc<K>, work: Arc<Work<K>>) -> Result<Action, ReconcileError> {
    let metrics = Arc::clone(&work.context.metrics);
    metrics.reconciles.with_label_values(&[K::KIND]).inc();
    let _time = metrics
        .reconcile_seconds
        .with_label_values(&[K::KIND])
        .start_timer();
    let running = metrics.reconciling.with_label_values(&[K::KIND]);
    running.inc();
    let done = steps(&resource, &work).await;
    running.dec();
    if done.is_ok() {
        work.context.succeeded(K::KIND, &*resource);
    }
    done
}

async fn steps<K: BrokerObject>(brought: &Arc<K>, work: &Work<K>) -> Result<Action, ReconcileError> {
    let resource = work.ahead.newer(brought);
    let mut writer = Writer::new(&work.context, K::KIND, &*resource);
    let done = converge(&*resource, work, &mut writer).await;
    let latest = writer.into_latest();
    match &done {
        Ok(State::Deleted) => work.ahead.forget(&resource),
        _ => work.ahead.keep(brought, latest),
    }
    Ok(match done? {
        State::Deleted => Action::await_change(),
        State::NameTaken(_) => Action::requeue(NAME_TAKEN_PAUSE),
        State::ClusterNotReady(_) => Action::requeue(CLUSTER_NOT_READY_PAUSE),
        _ => work.context.resync(),
    })
}

async fn converge<K: BrokerObject>(
    resource: &K,
    work: &Work<K>,
    writer: &mut Writer<'_, K>,
) -> Result<State, ReconcileError> {
    let mut observation = observe(resource, &work.index.claiming(&object(resource)), &work.clusters).await?;
    let (facts, observed) = (&observation.facts, &observation.observed);
    let plan = plan(facts, &resource.wanted(), observed, K::difference);
    let (state, failure) = apply(writer, &mut observation, plan).await?;
    let failure = failure.map(ReconcileError::from);
    if state == State::Deleted {
        return Ok(state);
    }
    // What is looked at again at once is not told of.
    if failure
        .as_ref()
        .is_some_and(|error| error.pace() == Pace::Overtaken)
    {
        return failure.map_or(Ok(state), Err);
    }
    let found = Found {
        description: observation.description.take(),
        state,
    };
    let next = resource.next_status(&found, &work.context.now());
    if resource.status() != Some(&next) {
        writer.write_status(&resource.written(&next)).await?;
    }
    failure.map_or(Ok(found.state), Err)
}
