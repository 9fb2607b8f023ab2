//! Evaluations of all groups of a scope, each every few seconds.

use super::evaluate::{Next, evaluate};
use super::memory::Memory;
use super::rivals::Rivals;
use super::servers::Servers;
use crate::backoff::Pace;
use crate::broker::causes;
use crate::broker_object::Clusters;
use crate::context::Context;
use crate::error::ReconcileError;
use crate::index::{Claim, Index};
use crate::scaling::Targets;
use crate::settings::Scope;
use crate::shutdown::Shutdown;
use crate::watching::watched;
use crate::writer::{Ahead, Writer};
use futures::StreamExt as _;
use kube::runtime::controller::{Action, Config, Controller, Error};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{Predicate as _, PredicateConfig, WatchStreamExt as _, predicates, watcher};
use kube::{Api, ResourceExt as _};
use sluice_operator_api::consumer_group::{Mode, ScaleTargetRef};
use sluice_operator_api::{ConsumerGroup, labels};
use std::sync::Arc;
use std::time::Duration;

/// What evaluations are counted as.
const KIND: &str = "Autoscaling";
/// The kind of the resource, in what is written.
const RESOURCE: &str = "ConsumerGroup";
/// Evaluations wait for Prometheus for most of their time, so more of them run at once than reconciliations do.
const CONCURRENCY: u16 = 64;
/// At most this part is taken off the time between two evaluations, so that groups do not come in step.
const JITTER: f64 = 0.1;
/// The parts of an evaluation have shorter bounds; this one is for an API server that takes requests and does not answer.
const EVALUATED_WITHIN: Duration = Duration::from_secs(120);

/// What evaluations share.
pub struct Work {
    /// The process's.
    pub context: Arc<Context>,
    /// The brokers.
    pub clusters: Arc<Clusters>,
    /// The groups that write replicas, by their workload.
    pub groups: Index<ConsumerGroup>,
    /// Groups as their last status has left them.
    pub ahead: Ahead<ConsumerGroup>,
    /// The workloads.
    pub targets: Targets,
    /// Who else scales them.
    pub rivals: Rivals,
    /// Where lag is read.
    pub servers: Servers,
    /// What was decided before.
    pub memory: Memory,
}

impl Work {
    /// Nothing is remembered yet.
    pub fn new(
        context: Arc<Context>,
        clusters: Arc<Clusters>,
        store: Store<ConsumerGroup>,
        rivals: Rivals,
    ) -> Self {
        let (client, clock) = (context.client.clone(), context.clock);
        Self {
            targets: Targets::new(client.clone()),
            rivals,
            servers: Servers::new(client, clock, context.prometheus_url.clone()),
            ahead: Ahead::default(),
            memory: Memory::default(),
            context,
            clusters,
            groups: Index::new(store, written),
        }
    }

    /// The group is gone, or is scaled no longer.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.memory.forget(namespace, name);
        self.context.metrics.scaling.forget(namespace, name);
    }

    /// The group is gone.
    fn gone(&self, group: &ConsumerGroup) {
        self.forget(&group.namespace().unwrap_or_default(), &group.name_any());
        self.ahead.forget(group);
        self.context.succeeded(KIND, group);
    }
}

/// A workload of the group's namespace, but for the group of its API: what has two versions of a kind is still one.
pub fn workload(group: &ConsumerGroup, target: &ScaleTargetRef) -> Claim {
    let namespace = group.namespace().unwrap_or_default();
    vec![namespace, target.kind.clone(), target.name.clone()]
}

/// The workload whose replicas a group writes, if it writes any.
fn written(group: &ConsumerGroup) -> Option<Claim> {
    let scaling = group.spec.autoscaling.as_ref()?;
    (scaling.mode == Mode::Active).then(|| workload(group, &scaling.scale_target_ref))
}

/// Evaluates all groups in the scope until the process stops.
pub async fn run(context: Arc<Context>, clusters: Arc<Clusters>, scope: Scope, shutdown: Shutdown) {
    let api: Api<ConsumerGroup> = scope.api(context.client.clone());
    let (store, writer) = reflector::store();
    let rivals = Rivals::watch(&context.client, &scope, &shutdown);
    let pushed = context.pushes.asked(store.clone());
    let work = Arc::new(Work::new(context, clusters, store.clone(), rivals));
    let forgetting = Arc::clone(&work);
    let happens = move |event: &watcher::Event<ConsumerGroup>| {
        forgetting.groups.follow(event);
        if let watcher::Event::Delete(gone) = event {
            forgetting.gone(gone);
        }
    };
    let changes = watched(api, writer, happens)
        .applied_objects()
        // What only changes the status is our own doing.
        .predicate_filter(
            predicates::generation.combine(predicates::annotations),
            PredicateConfig::default(),
        );
    let forgetting = Arc::clone(&work);
    let evaluated = Controller::for_stream(changes, store)
        .reconcile_on(pushed)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(shutdown.beginning())
        .run(reconcile, retry, work);
    evaluated
        .for_each(|done| {
            match done {
                Ok(_) | Err(Error::ReconcilerFailed(..)) => {}
                Err(Error::ObjectNotFound(gone)) => {
                    forgetting.forget(gone.namespace.as_deref().unwrap_or_default(), &gone.name);
                }
                Err(error) => tracing::warn!(
                    kind = KIND,
                    error = %causes(&error),
                    "cannot watch; see whether the definitions of the resources are installed, and what the operator's roles allow"
                ),
            }
            std::future::ready(())
        })
        .await;
}

fn retry(group: Arc<ConsumerGroup>, error: &ReconcileError, work: Arc<Work>) -> Action {
    let (namespace, name) = (group.namespace(), group.name_any());
    let failures = &work.context.metrics.failures;
    failures.with_label_values(&[KIND, error.reason()]).inc();
    if error.pace() == Pace::Overtaken {
        tracing::debug!(kind = KIND, namespace, name, %error, "overtaken; looking again");
    } else {
        tracing::warn!(kind = KIND, namespace, name, %error, "cannot evaluate; trying again");
    }
    work.context.retry(KIND, &*group, error)
}

async fn reconcile(brought: Arc<ConsumerGroup>, work: Arc<Work>) -> Result<Action, ReconcileError> {
    let metrics = &work.context.metrics;
    let group = work.ahead.newer(&brought);
    let mut writer = Writer::new(&work.context, RESOURCE, &*group).named(labels::SCALE_FIELD_MANAGER);
    let done = {
        metrics.reconciles.with_label_values(&[KIND]).inc();
        let _time = metrics.reconcile_seconds.with_label_values(&[KIND]).start_timer();
        let running = metrics.reconciling.with_label_values(&[KIND]);
        running.inc();
        let evaluation = Box::pin(evaluate(&group, &work, &mut writer));
        let done = tokio::time::timeout(EVALUATED_WITHIN, evaluation).await;
        running.dec();
        done
    };
    work.ahead.keep(&brought, writer.into_latest());
    let next = done.map_err(|_| ReconcileError::Slow(EVALUATED_WITHIN))??;
    if let Next::Overtaken(by) = next {
        return Err(ReconcileError::Overtaken(by));
    }
    work.context.succeeded(KIND, &*brought);
    Ok(match next {
        Next::Changed | Next::Overtaken(_) => Action::await_change(),
        Next::Usual => {
            let every = work.context.evaluate_every;
            Action::requeue(every.mul_f64(1.0 - JITTER * fastrand::f64()))
        }
    })
}
