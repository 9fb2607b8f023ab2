//! The operator's own metrics. docs/operator-metrics.md has a row for each; a test compares.

use prometheus::core::{Collector as _, MetricVec, MetricVecBuilder};
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use std::collections::HashMap;

/// From a millisecond to half a minute: a reconciliation is a few requests.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Every metric, and the registry that they are in.
pub struct Metrics {
    registry: Registry,
    /// Whether this replica leads.
    pub leader: IntGauge,
    /// Reconciliations, by kind of resource.
    pub reconciles: IntCounterVec,
    /// Those that failed, by kind and reason.
    pub failures: IntCounterVec,
    /// Their time, by kind.
    pub reconcile_seconds: HistogramVec,
    /// Those that run now, by kind.
    pub reconciling: IntGaugeVec,
    /// Requests to the API server, by verb and resource.
    pub kubernetes_requests: IntCounterVec,
    /// Calls of brokers' admin APIs, by call and outcome.
    pub broker_requests: IntCounterVec,
    /// Open connections to brokers.
    pub broker_connections: IntGauge,
    /// Statuses that were written, by kind.
    pub status_writes: IntCounterVec,
    /// Autoscaling.
    pub scaling: Scaling,
    /// Alerts that come.
    pub alerts: Alerts,
}

/// What comes of an Alertmanager's notifications.
pub struct Alerts {
    /// Requests, by outcome.
    pub requests: IntCounterVec,
    /// Alerts of those that were taken, by outcome.
    pub alerts: IntCounterVec,
    /// Evaluations that they have started, by way.
    pub evaluations: IntCounterVec,
}

impl Alerts {
    fn new() -> prometheus::Result<Self> {
        let counters =
            |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        Ok(Self {
            requests: counters(
                "sluice_operator_alert_requests_total",
                "Requests at the port for alerts",
                "outcome",
            )?,
            alerts: counters("sluice_operator_alerts_total", "Alerts that came", "outcome")?,
            evaluations: counters(
                "sluice_operator_alert_evaluations_total",
                "Evaluations that alerts have started",
                "way",
            )?,
        })
    }

    fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.alerts.clone()))?;
        registry.register(Box::new(self.evaluations.clone()))
    }
}

/// What is decided of workloads.
pub struct Scaling {
    /// Replicas that workloads have, by namespace and name of the ConsumerGroup.
    pub current: IntGaugeVec,
    /// Those that they are to have.
    pub desired: IntGaugeVec,
    /// Those that the lag asks for.
    pub recommended: IntGaugeVec,
    /// The most that they may have.
    pub cap: IntGaugeVec,
    /// Whether the lag can be told.
    pub metrics_available: IntGaugeVec,
    /// Whether something else writes the replicas.
    pub contended: IntGaugeVec,
    /// Whether a guard is active, by its name too.
    pub guard_active: IntGaugeVec,
    /// Changes of replicas, by namespace and name of the ConsumerGroup, direction and reason.
    pub events: IntCounterVec,
}

impl Scaling {
    fn new() -> prometheus::Result<Self> {
        let gauges =
            |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let of_group = &["namespace", "name"];
        Ok(Self {
            current: gauges(
                "sluice_operator_current_replicas",
                "Replicas of a workload",
                of_group,
            )?,
            desired: gauges(
                "sluice_operator_desired_replicas",
                "Replicas that are decided on",
                of_group,
            )?,
            recommended: gauges(
                "sluice_operator_recommended_replicas",
                "Replicas that the lag asks for",
                of_group,
            )?,
            cap: gauges(
                "sluice_operator_cap_replicas",
                "The most replicas that there may be",
                of_group,
            )?,
            metrics_available: gauges(
                "sluice_operator_metrics_available",
                "1 while the lag can be told",
                of_group,
            )?,
            contended: gauges(
                "sluice_operator_replicas_contended",
                "1 while something else writes the replicas",
                of_group,
            )?,
            guard_active: gauges(
                "sluice_operator_guard_active",
                "1 while a guard is active",
                &["namespace", "name", "guard"],
            )?,
            events: IntCounterVec::new(
                Opts::new("sluice_operator_scale_events_total", "Changes of replicas"),
                &["namespace", "name", "direction", "reason"],
            )?,
        })
    }

    /// What there is one of for each group.
    fn of_group(&self) -> [&IntGaugeVec; 6] {
        [
            &self.current,
            &self.desired,
            &self.recommended,
            &self.cap,
            &self.metrics_available,
            &self.contended,
        ]
    }

    /// The group is gone, or is scaled no longer.
    pub fn forget(&self, namespace: &str, name: &str) {
        for gauge in self.of_group().into_iter().chain([&self.guard_active]) {
            forget_in(gauge, namespace, name);
        }
        forget_in(&self.events, namespace, name);
    }

    fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        for gauge in self.of_group().into_iter().chain([&self.guard_active]) {
            registry.register(Box::new(gauge.clone()))?;
        }
        registry.register(Box::new(self.events.clone()))
    }
}

/// Takes a group's series out.
fn forget_in<B: MetricVecBuilder>(series: &MetricVec<B>, namespace: &str, name: &str) {
    for family in series.collect() {
        for metric in family.get_metric() {
            let labels = metric.get_label().iter();
            let labels: HashMap<_, _> = labels.map(|label| (label.name(), label.value())).collect();
            if labels.get("namespace") == Some(&namespace) && labels.get("name") == Some(&name) {
                // Nobody else takes series out meanwhile, and it would be no loss.
                let _ = series.remove(&labels);
            }
        }
    }
}

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// Only where two metrics have one name.
    pub fn new() -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| IntGauge::new(name, help);
        let counters =
            |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let metrics = Self {
            registry: Registry::new(),
            leader: gauge("sluice_operator_leader", "1 while this replica leads")?,
            reconciles: counters(
                "sluice_operator_reconcile_runs_total",
                "Reconciliations of a resource",
                &["kind"],
            )?,
            failures: counters(
                "sluice_operator_reconcile_failures_total",
                "Reconciliations that failed and are tried again",
                &["kind", "reason"],
            )?,
            reconcile_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "sluice_operator_reconcile_duration_seconds",
                    "Time of a reconciliation",
                )
                .buckets(SECONDS.to_vec()),
                &["kind"],
            )?,
            reconciling: IntGaugeVec::new(
                Opts::new(
                    "sluice_operator_reconciles_running",
                    "Reconciliations that run now",
                ),
                &["kind"],
            )?,
            kubernetes_requests: counters(
                "sluice_operator_kubernetes_requests_total",
                "Requests to the API server",
                &["verb", "resource"],
            )?,
            broker_requests: counters(
                "sluice_operator_broker_requests_total",
                "Calls of brokers' admin APIs",
                &["call", "outcome"],
            )?,
            broker_connections: gauge(
                "sluice_operator_broker_connections",
                "Brokers that are connected to",
            )?,
            status_writes: counters(
                "sluice_operator_status_writes_total",
                "Statuses that had changed and were written",
                &["kind"],
            )?,
            scaling: Scaling::new()?,
            alerts: Alerts::new()?,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> prometheus::Result<()> {
        let registry = &self.registry;
        registry.register(Box::new(self.leader.clone()))?;
        registry.register(Box::new(self.reconciles.clone()))?;
        registry.register(Box::new(self.failures.clone()))?;
        registry.register(Box::new(self.reconcile_seconds.clone()))?;
        registry.register(Box::new(self.reconciling.clone()))?;
        registry.register(Box::new(self.kubernetes_requests.clone()))?;
        registry.register(Box::new(self.broker_requests.clone()))?;
        registry.register(Box::new(self.broker_connections.clone()))?;
        registry.register(Box::new(self.status_writes.clone()))?;
        self.scaling.register(registry)?;
        self.alerts.register(registry)?;
        registry.register(Box::new(ProcessCollector::for_self()))
    }

    /// All of them in Prometheus's text format.
    ///
    /// # Errors
    /// Where a metric cannot be written.
    pub fn page(&self) -> prometheus::Result<String> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        String::from_utf8(page).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::proto::MetricType;
    use std::collections::BTreeSet;

    const PAGE: &str = include_str!("../../docs/operator-metrics.md");

    /// One series of each, so that all are gathered.
    fn touched() -> Metrics {
        let metrics = Metrics::new().unwrap();
        for vec in [&metrics.reconciles, &metrics.status_writes] {
            vec.with_label_values(&["Topic"]).inc();
        }
        for vec in [
            &metrics.failures,
            &metrics.kubernetes_requests,
            &metrics.broker_requests,
        ] {
            vec.with_label_values(&["a", "b"]).inc();
        }
        metrics
            .reconcile_seconds
            .with_label_values(&["Topic"])
            .observe(0.1);
        metrics.reconciling.with_label_values(&["Topic"]).set(1);
        let alerts = &metrics.alerts;
        for vec in [&alerts.requests, &alerts.alerts, &alerts.evaluations] {
            vec.with_label_values(&["Ok"]).inc();
        }
        let scaling = &metrics.scaling;
        for vec in scaling.of_group() {
            vec.with_label_values(&["shop", "billing"]).set(1);
        }
        scaling
            .guard_active
            .with_label_values(&["shop", "billing", "load"])
            .set(1);
        scaling
            .events
            .with_label_values(&["shop", "billing", "Up", "Lag"])
            .inc();
        metrics
    }

    #[test]
    fn the_page_has_a_row_for_each_metric_and_no_others() {
        let rows: BTreeSet<_> = PAGE
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.split(" | ").take(3).collect::<Vec<_>>().join(" | "))
            .collect();
        let families = touched().registry.gather();
        let wanted: BTreeSet<_> = families
            .iter()
            .map(|family| {
                let labels: Vec<_> = family.get_metric()[0]
                    .get_label()
                    .iter()
                    .map(|label| format!("`{}`", label.name()))
                    .collect();
                let kind = match family.get_field_type() {
                    MetricType::COUNTER => "counter",
                    MetricType::GAUGE => "gauge",
                    MetricType::HISTOGRAM => "histogram",
                    other => panic!("{other:?}"),
                };
                format!("| `{}` | {kind} | {}", family.name(), labels.join(", "))
            })
            .collect();
        assert_eq!(rows, wanted);
    }
}
