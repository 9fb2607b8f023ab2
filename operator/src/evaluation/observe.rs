//! What a decision is made from.

use super::controller::Work;
use super::servers::Source;
use super::{absent, broker_lag, guards};
use crate::autoscale::{Lag, Missing, MissingKind, Observed, Pauses, Said, Target};
use crate::broker::{BrokerAdmin as _, Remote};
use crate::broker_object::ClusterState;
use crate::error::ReconcileError;
use crate::prometheus::{ErrorKind, Question, Selection};
use crate::scaling::{LagQueries, Seen, pods};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use sluice_operator_api::ConsumerGroup;
use sluice_operator_api::consumer_group::{Autoscaling, CapPolicy, Guard, GuardType, LagSource};
use sluice_operator_api::labels;
use std::num::NonZeroU32;
use std::sync::Arc;

/// A pod that no node takes counts as waiting after so long, unless a guard says otherwise.
const PENDING_AFTER_SECONDS: i32 = 60;
/// Of a workload so many pods are looked at.
const PODS_MAX: u32 = 1_000;
/// So much of an annotation's value is enough to tell it from another, and is kept in the status.
const ASKED_CHARS_MAX: usize = 64;

/// All of it, and what is needed to carry it out.
pub struct Observation {
    /// What the decision takes.
    pub observed: Observed,
    /// How old the oldest message is that is not done, where that is known.
    pub age_seconds: Option<u64>,
    /// The broker, where it may be asked.
    pub admin: Option<Arc<Remote>>,
}

/// What is known of the work that there is.
struct Readings {
    lag: Result<Lag, Missing>,
    queues: Option<NonZeroU32>,
    consumed_total: Option<u64>,
    dead_letters_total: Option<u64>,
    age_seconds: Option<u64>,
}

/// Looks at everything.
pub async fn observe(
    group: &ConsumerGroup,
    scaling: &Autoscaling,
    seen: &Seen,
    work: &Work,
    conflict: Option<String>,
    now: Timestamp,
) -> Result<Observation, ReconcileError> {
    let namespace = group.namespace().unwrap_or_default();
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let needs_prometheus = scaling.lag.source == LagSource::Prometheus
        || scaling.guards.iter().any(|guard| guard.prometheus.is_some());
    let source = match needs_prometheus {
        true => work.servers.of(group).await,
        false => Err(Missing {
            kind: MissingKind::NotConfigured,
            detail: "nothing is read from Prometheus".to_owned(),
        }),
    };
    let (state, admin) = work
        .clusters
        .find(&namespace, &group.spec.cluster_ref.name)
        .await?;
    let readings = async {
        match (scaling.lag.source, &source) {
            (LagSource::Broker, _) => {
                of_broker(group, scaling, &state, admin.as_deref(), &work.context.client).await
            }
            (LagSource::Prometheus, Ok(source)) => {
                let read = of_prometheus(group, scaling, source, admin.as_deref(), seconds).await;
                let admin = admin.as_deref().filter(|_| scaling.lag.query.is_none());
                read.with_absent(group, admin, &work.context.client).await
            }
            (LagSource::Prometheus, Err(missing)) => Readings::none(missing.clone()),
        }
    };
    // At one time, so that all of it takes no longer than the slowest answer may.
    let (mut readings, guards, target) = tokio::join!(
        readings,
        guards::readings(&scaling.guards, &source, seconds),
        target(&work.context.client, &namespace, scaling, seen, now)
    );
    if readings.lag.is_ok()
        && let Some(detail) = uncapped(scaling.cap.policy, &readings)
    {
        readings.lag = Err(Missing {
            kind: MissingKind::Empty,
            detail: detail.to_owned(),
        });
    }
    Ok(Observation {
        observed: Observed {
            lag: readings.lag,
            queues: readings.queues,
            target: target?,
            guards,
            consumed_total: readings.consumed_total,
            dead_letters_total: readings.dead_letters_total,
            pauses: pauses(group),
            conflict,
            writer: seen.writer.clone(),
            said: said(group),
        },
        age_seconds: readings.age_seconds,
        admin,
    })
}

/// Why the cap cannot be told from what was read, if it cannot.
fn uncapped(policy: CapPolicy, readings: &Readings) -> Option<&'static str> {
    let single = readings.lag.as_ref().is_ok_and(|lag| !lag.queues.is_empty());
    match policy {
        CapPolicy::QueueCount | CapPolicy::QueuesWithLag if readings.queues.is_none() => {
            Some("the number of queues is not known")
        }
        CapPolicy::QueuesWithLag if !single => Some(
            "the queues with lag, which cap.policy QueuesWithLag counts, are not known: neither Prometheus (the brokers' \
             key queueMetrics) nor the broker tells of single queues",
        ),
        CapPolicy::QueueCount | CapPolicy::QueuesWithLag | CapPolicy::None => None,
    }
}

impl Readings {
    fn none(missing: Missing) -> Self {
        Self {
            lag: Err(missing),
            queues: None,
            consumed_total: None,
            dead_letters_total: None,
            age_seconds: None,
        }
    }

    /// With what the cap needs and Prometheus does not have: one that an own query is for need not have the brokers' series.
    async fn completed(mut self, policy: CapPolicy, admin: Option<&Remote>, group: &str) -> Self {
        let lacks_count = policy != CapPolicy::None && self.queues.is_none();
        let lacks_single =
            policy == CapPolicy::QueuesWithLag && self.lag.as_ref().is_ok_and(|lag| lag.queues.is_empty());
        if !(lacks_count || lacks_single) {
            return self;
        }
        let found = match admin {
            Some(admin) => admin.lag(group).await.ok().flatten(),
            None => None,
        };
        if let Some(found) = found {
            self.queues = self.queues.or_else(|| broker_lag::queues(&found));
            if let (true, Ok(lag)) = (lacks_single, &mut self.lag) {
                lag.queues = broker_lag::lag(&found, None).queues;
            }
        }
        self
    }

    /// With what the broker says of topics that Prometheus does not tell of: where it tells of nothing, or of single queues and not
    /// of every topic.
    async fn with_absent(mut self, group: &ConsumerGroup, admin: Option<&Remote>, client: &Client) -> Self {
        let Some(admin) = admin else {
            return self;
        };
        match &mut self.lag {
            Ok(lag) if !lag.queues.is_empty() => {
                let queues = &lag.queues;
                let answered = |topic: &str| {
                    queues
                        .iter()
                        .any(|queue| queue.queue.split('/').nth(1) == Some(topic))
                };
                let absent = absent::sentence(group, admin, client, answered).await;
                lag.left_out = absent;
            }
            Err(missing) if missing.kind == MissingKind::Empty => {
                let found = admin.lag(&group.group_name()).await.ok().flatten();
                let answered = |topic: &str| {
                    found
                        .as_ref()
                        .is_some_and(|found| broker_lag::has_topic(found, topic))
                };
                if let Some(absent) = absent::sentence(group, admin, client, answered).await {
                    missing.detail = absent;
                }
            }
            _ => {}
        }
        self
    }
}

async fn of_broker(
    group: &ConsumerGroup,
    scaling: &Autoscaling,
    state: &ClusterState,
    admin: Option<&Remote>,
    client: &Client,
) -> Readings {
    let Some(admin) = admin else {
        return Readings::none(Missing {
            kind: MissingKind::Broker,
            detail: unreachable(state, &group.spec.cluster_ref.name),
        });
    };
    let name = group.group_name();
    let found = match admin.lag(&name).await {
        Ok(Some(found)) if found.topics.is_empty() && group.spec.subscriptions.is_empty() => {
            return Readings::none(broker_lag::no_topics(&name));
        }
        Ok(Some(found)) => found,
        Ok(None) => return Readings::none(broker_lag::unknown_group(&name)),
        Err(error) => return Readings::none(broker_lag::missing(&error)),
    };
    let answered = |topic: &str| broker_lag::has_topic(&found, topic);
    let absent = absent::sentence(group, admin, client, answered).await;
    if found.topics.is_empty() {
        return Readings::none(broker_lag::unread(&name, absent));
    }
    let looks_at_done = scaling.lag.exclude_stuck_queues_after_seconds.is_some()
        || has_guard(scaling, GuardType::ThroughputRegression);
    let offsets = match looks_at_done {
        // What is done only refines the decision, which can be made without.
        true => admin.offsets(&name).await.ok(),
        false => None,
    };
    let dead_letters = match has_guard(scaling, GuardType::DeadLetterRate) {
        true => admin.group(&name).await.ok().flatten(),
        false => None,
    };
    Readings {
        lag: Ok(Lag {
            left_out: absent,
            ..broker_lag::lag(&found, offsets.as_deref())
        }),
        queues: broker_lag::queues(&found),
        consumed_total: offsets.as_deref().map(broker_lag::done_total),
        dead_letters_total: dead_letters.map(|group| group.dead_letters),
        age_seconds: broker_lag::age_seconds(&found),
    }
}

async fn of_prometheus(
    group: &ConsumerGroup,
    scaling: &Autoscaling,
    source: &Source,
    admin: Option<&Remote>,
    now: u64,
) -> Readings {
    let name = group.group_name();
    // Brokers of all clusters have the same names, and clusters of other namespaces may.
    let Ok(whole) = Selection::new(&name, &[("cluster", &*group.spec.cluster_ref.name)]) else {
        return Readings::none(Missing {
            kind: MissingKind::Refused,
            detail: "the consumer group has no name".to_owned(),
        });
    };
    let whole = whole.of_namespace(&group.namespace().unwrap_or_default());
    let of_group = LagQueries {
        selection: whole.clone(),
        own: scaling.lag.query.clone(),
        max_age_seconds: source.max_age_seconds,
    };
    let total = async |type_: GuardType, query: String| match has_guard(scaling, type_) {
        true => Some(total(source, query, now).await),
        false => None,
    };
    let (lag, queues, age_seconds, consumed, dead_letters) = tokio::join!(
        of_group.lag(&source.client, now),
        of_group.queues(&source.client, now),
        of_group.age_seconds(&source.client, now),
        total(GuardType::ThroughputRegression, whole.delivered()),
        total(GuardType::DeadLetterRate, whole.dead_letters())
    );
    let queues = queues.ok().flatten();
    let counted = |total: Option<Result<u64, ErrorKind>>| match total? {
        Ok(total) => Some(total),
        // The group is known by the brokers' series: then a counter without a sample has counted nothing yet.
        Err(kind) => (queues.is_some() && kind == ErrorKind::Empty).then_some(0),
    };
    let (consumed_total, dead_letters_total) = (counted(consumed), counted(dead_letters));
    let readings = Readings {
        lag,
        queues,
        consumed_total,
        dead_letters_total,
        age_seconds,
    };
    readings.completed(scaling.cap.policy, admin, &name).await
}

/// A counter; before the first of what it counts there is no sample.
async fn total(source: &Source, query: String, now: u64) -> Result<u64, ErrorKind> {
    let question = Question {
        query,
        age_query: None,
        max_age_seconds: source.max_age_seconds,
    };
    let count = source.client.count(&question, now).await;
    count.map_err(|error| error.kind)
}

fn has_guard(scaling: &Autoscaling, type_: GuardType) -> bool {
    scaling.guards.iter().any(|guard| guard.type_ == type_)
}

fn unreachable(state: &ClusterState, cluster: &str) -> String {
    match state {
        ClusterState::Missing => format!("there is no BrokerCluster {cluster} in the namespace"),
        ClusterState::Deleting => format!("the BrokerCluster {cluster} is being deleted"),
        ClusterState::NotReady(why) => why.clone(),
        ClusterState::Ready => format!("the BrokerCluster {cluster} cannot be asked"),
    }
}

/// Pods are looked at only while some of them do not work: most of the time all do.
async fn target(
    client: &Client,
    namespace: &str,
    scaling: &Autoscaling,
    seen: &Seen,
    now: Timestamp,
) -> Result<Target, ReconcileError> {
    let mut target = Target {
        replicas: seen.replicas,
        ready: seen.ready.unwrap_or_default(),
        pending: 0,
        rolling_out: seen.rolling_out,
    };
    // Without replicas a workload does not say how many are ready.
    if seen.ready.unwrap_or_default() != seen.replicas && !seen.selector.is_empty() {
        let pods = self::pods(client, namespace, seen).await?;
        let counted = pods::counted(&pods, pending_after(&scaling.guards), now);
        (target.ready, target.pending) = (counted.ready, counted.pending);
    }
    Ok(target)
}

/// The pods of the workload.
pub async fn pods(client: &Client, namespace: &str, seen: &Seen) -> Result<Vec<Pod>, kube::Error> {
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    let parameters = ListParams::default().labels(&seen.selector).limit(PODS_MAX);
    Ok(pods.list(&parameters).await?.items)
}

fn pending_after(guards: &[Guard]) -> u32 {
    let of_guard = guards.iter().find_map(|guard| guard.pending_pods.as_ref());
    let seconds = of_guard.map_or(PENDING_AFTER_SECONDS, |guard| guard.after_seconds);
    u32::try_from(seconds).unwrap_or_default()
}

fn pauses(group: &ConsumerGroup) -> Pauses {
    let is_set = |name: &str| group.annotations().get(name).is_some_and(|value| value == "true");
    Pauses {
        all: is_set(labels::PAUSED),
        scale_in: is_set(labels::PAUSED_SCALE_IN),
        scale_out: is_set(labels::PAUSED_SCALE_OUT),
    }
}

/// What people have said last; what an alert asks by is not theirs.
fn said(group: &ConsumerGroup) -> Said {
    let asked = group.annotations().get(labels::FORCE_SYNC);
    let asked = asked.filter(|value| !value.starts_with(labels::FORCE_SYNC_BY_ALERT));
    Said {
        generation: group.metadata.generation.unwrap_or_default(),
        asked: asked.map(|value| value.chars().take(ASKED_CHARS_MAX).collect()),
    }
}
