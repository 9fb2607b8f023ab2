//! What every controller is given.

use crate::broker::{BrokerError, Brokers};
use crate::clock::Clock;
use crate::error::ReconcileError;
use crate::evaluation::Pushes;
use crate::events::{Events, Note};
use crate::leadership::Leadership;
use crate::metrics::Metrics;
use crate::settings::Settings;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::controller::Action;
use kube::{Client, ResourceExt};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Statuses and events that are written at one time. More would only wait in the API server, and the renewal of the lease behind
/// them.
const WRITES_AT_ONCE: usize = 16;
/// Of each pause between two looks, at most this part is left out, so that resources do not come in step.
const RESYNC_JITTER: f64 = 0.2;

/// Clients, clocks and counters of the process.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Connections to brokers.
    pub brokers: Brokers,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Time.
    pub clock: Clock,
    /// Reconciliations of a kind at one time.
    pub concurrency: u16,
    /// Admin APIs that are elsewhere than their Services, by NAMESPACE/CLUSTER.
    pub admin_addresses: BTreeMap<String, String>,
    /// Where the brokers' image is from unless a cluster says otherwise.
    pub broker_image: String,
    /// Where the operator's pods are.
    pub operator_namespace: String,
    /// Whether this process may write.
    pub leadership: Arc<Leadership>,
    /// By which evaluations are asked for.
    pub pushes: Pushes,
    /// From one evaluation of a group's replicas to the next.
    pub evaluate_every: Duration,
    /// The Prometheus of groups that name none.
    pub prometheus_url: Option<String>,
    resync: Duration,
    events: Events,
    writes: Semaphore,
    /// Failures in a row, by kind, namespace and name; only of what fails.
    failures: Mutex<HashMap<(&'static str, String, String), u32>>,
}

impl Context {
    /// Of a process that leads.
    pub fn new(
        client: Client,
        metrics: Arc<Metrics>,
        brokers: Brokers,
        leadership: Arc<Leadership>,
        clock: Clock,
        settings: &Settings,
        identity: String,
    ) -> Self {
        let own_namespace = || client.default_namespace().to_owned();
        Self {
            writes: Semaphore::new(WRITES_AT_ONCE),
            events: Events::new(client.clone(), identity, clock),
            operator_namespace: settings.lease_namespace.clone().unwrap_or_else(own_namespace),
            broker_image: settings.broker_image.clone(),
            client,
            brokers,
            metrics,
            clock,
            concurrency: settings.concurrency,
            admin_addresses: settings.admin_addresses.clone(),
            leadership,
            pushes: Pushes::new(settings.scopes.len()),
            evaluate_every: settings.evaluate_every,
            prometheus_url: settings.prometheus_url.clone(),
            resync: settings.resync,
            failures: Mutex::default(),
        }
    }

    /// The same, with evaluations asked for by these.
    pub fn pushed_by(self, pushes: Pushes) -> Self {
        Self { pushes, ..self }
    }

    /// Whether this process leads, to be asked directly before each write.
    ///
    /// # Errors
    /// When it does not, or no longer.
    pub fn leading(&self) -> Result<(), ReconcileError> {
        match self.leadership.holds() {
            true => Ok(()),
            false => Err(BrokerError::NotLeading.into()),
        }
    }

    /// The time of day as it stands in statuses.
    pub fn now(&self) -> Time {
        Time(self.clock.now())
    }

    /// Nothing is left to do until something changes; still, look again after a while.
    pub fn resync(&self) -> Action {
        Action::requeue(self.resync.mul_f64(1.0 - RESYNC_JITTER * fastrand::f64()))
    }

    /// How long at most nothing is looked at again.
    pub fn resync_period(&self) -> std::time::Duration {
        self.resync
    }

    /// When to try again after a failure of this resource.
    pub fn retry(&self, kind: &'static str, resource: &impl ResourceExt, error: &ReconcileError) -> Action {
        let mut failures = self.failures.lock();
        let failures = failures.entry(failing(kind, resource)).or_insert(0);
        *failures = failures.saturating_add(1);
        Action::requeue(error.pace().pause(*failures, fastrand::f64()))
    }

    /// The resource fails no longer, or is gone.
    pub fn succeeded(&self, kind: &'static str, resource: &impl ResourceExt) {
        self.failures.lock().remove(&failing(kind, resource));
    }

    /// Waits until one more may write to the API server, for as long as what is returned is kept.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.writes.acquire().await.ok()
    }

    /// Writes an event. That it cannot be written stops nothing.
    pub async fn tell(&self, about: &ObjectReference, note: &Note) {
        let _turn = self.turn().await;
        if let Err(error) = self.events.publish(about, note).await {
            let name = about.name.as_deref().unwrap_or_default();
            tracing::warn!(%error, name, reason = note.reason, "cannot write an event");
        }
    }
}

/// By what failures of a resource are counted.
fn failing(kind: &'static str, resource: &impl ResourceExt) -> (&'static str, String, String) {
    (
        kind,
        resource.namespace().unwrap_or_default(),
        resource.name_any(),
    )
}
