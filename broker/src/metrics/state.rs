//! What stands in state and memory: backlogs, topics, clients, positions. Looked at when somebody asks.

use super::register;
use crate::clients::{Clients, Role};
use crate::engine::Engine;
use crate::engine::lag::{self, Ages, Lag};
use crate::service::validate::is_group_topic;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use sluice_core::ids::QueueId;
use sluice_core::state::{Group, Topic};

const BACKLOG_LABELS: [&str; 4] = ["consumer_group", "topic", "is_retry", "is_system"];

/// The gauges.
#[derive(Debug)]
pub struct StateMetrics {
    lag: IntGaugeVec,
    ready: IntGaugeVec,
    inflight: IntGaugeVec,
    lag_latency: IntGaugeVec,
    dead_letters: IntCounterVec,
    producers: IntGaugeVec,
    consumers: IntGaugeVec,
    topics: IntGauge,
    groups: IntGauge,
    polls: IntGauge,
    wakeups: IntCounter,
    unreadable: IntCounter,
    checkpoints: IntCounter,
    log_bytes: IntGauge,
    flush_behind: IntGauge,
}

impl StateMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let vec = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        let gauge = |name: &str, help: &str| register(registry, IntGauge::new(name, help)?);
        let dlq = Opts::new(
            "rocketmq_send_to_dlq_messages_total",
            "Messages in a group's dead-letter topic, ever",
        );
        let checkpoints = IntCounter::new("sluice_checkpoints_total", "Checkpoints written")?;
        let wakeups = IntCounter::new("sluice_poll_wakeups_total", "Waiting receives that were woken")?;
        let unreadable = IntCounter::new(
            "sluice_unreadable_messages_total",
            "Messages left out of a delivery because they could not be read",
        )?;
        Ok(Self {
            lag: vec(
                "rocketmq_consumer_lag_messages",
                "Messages not done: ready and in flight",
                &BACKLOG_LABELS,
            )?,
            ready: vec(
                "rocketmq_consumer_ready_messages",
                "Messages ready to be delivered",
                &BACKLOG_LABELS,
            )?,
            inflight: vec(
                "rocketmq_consumer_inflight_messages",
                "Messages held by clients, or hidden until a retry",
                &BACKLOG_LABELS,
            )?,
            lag_latency: vec(
                "rocketmq_consumer_lag_latency_milliseconds",
                "Age of the oldest message that is not done; 0 without one",
                &BACKLOG_LABELS,
            )?,
            dead_letters: register(
                registry,
                IntCounterVec::new(dlq, &["consumer_group", "topic", "is_system"])?,
            )?,
            producers: vec("rocketmq_producer_connections", "Producers", &["language"])?,
            consumers: vec(
                "rocketmq_consumer_connections",
                "Consumers",
                &["consumer_group", "language"],
            )?,
            topics: gauge("rocketmq_topic_number", "Topics")?,
            groups: gauge("rocketmq_consumer_group_number", "Consumer groups")?,
            polls: gauge("sluice_polls", "Receives that wait or are being served")?,
            wakeups: register(registry, wakeups)?,
            unreadable: register(registry, unreadable)?,
            checkpoints: register(registry, checkpoints)?,
            log_bytes: gauge("sluice_log_written_bytes", "Bytes ever written to the log")?,
            flush_behind: gauge(
                "rocketmq_storage_flush_behind_bytes",
                "Bytes written to the log and not synced",
            )?,
        })
    }

    /// Looks at everything.
    pub fn refresh(&self, engine: &Engine, clients: &Clients) {
        self.backlogs(engine);
        self.topics(engine);
        self.clients(clients);
        self.polls.set(engine.polls() as i64);
        self.wakeups.reset();
        self.wakeups.inc_by(engine.poll_wakeups());
        self.unreadable.reset();
        self.unreadable.inc_by(engine.unreadable());
        self.checkpoints.reset();
        self.checkpoints.inc_by(engine.store().stats().2.written());
        let positions = engine.store().reader().positions();
        let (written, durable) = (positions.written().0, positions.durable().0);
        self.log_bytes.set(written as i64);
        self.flush_behind.set(written.saturating_sub(durable) as i64);
    }

    fn backlogs(&self, engine: &Engine) {
        [&self.lag, &self.ready, &self.inflight, &self.lag_latency]
            .into_iter()
            .for_each(IntGaugeVec::reset);
        let (tables, now) = (engine.tables(), engine.now());
        for ((group, topic), subscription) in tables.all_subscriptions() {
            let (Some(group), Some(topic)) = (tables.group_by_id(group), tables.topic_by_id(topic)) else {
                continue;
            };
            let queues = engine.store().queues();
            let lags = lag::by_queue(queues, &topic, &subscription, now, &mut Ages::default());
            let lag = lags.into_iter().fold(Lag::default(), Lag::and);
            let labels = labels(&group, &topic);
            self.ready.with_label_values(&labels).set(lag.ready as i64);
            self.inflight.with_label_values(&labels).set(lag.in_flight as i64);
            self.lag.with_label_values(&labels).set(lag.messages() as i64);
            self.lag_latency
                .with_label_values(&labels)
                .set(lag.age_ms(now) as i64);
        }
    }

    fn topics(&self, engine: &Engine) {
        let topics = engine.tables().all_topics();
        self.dead_letters.reset();
        for topic in &topics {
            if let Some(group) = topic.spec.name.strip_prefix("%DLQ%") {
                let ends = (0..topic.spec.queues).filter_map(|queue| topic.tail(QueueId(queue)));
                let labels = [group, topic.spec.name.as_str(), "true"];
                self.dead_letters
                    .with_label_values(&labels)
                    .inc_by(ends.map(|end| end.0).sum());
            }
        }
        self.topics.set(topics.len() as i64);
        self.groups.set(engine.tables().all_groups().len() as i64);
    }

    fn clients(&self, clients: &Clients) {
        self.producers.reset();
        self.consumers.reset();
        for ((role, group, language), count) in clients.count() {
            let gauge = match role {
                Role::Producer => self.producers.with_label_values(&[language]),
                Role::Consumer => self.consumers.with_label_values(&[group.as_str(), language]),
            };
            gauge.set(count as i64);
        }
    }

    /// Makes every metric show itself, so that the test of the documentation sees it.
    #[cfg(test)]
    pub(super) fn touch_all(&self) {
        for vec in [&self.lag, &self.ready, &self.inflight, &self.lag_latency] {
            vec.with_label_values(&["g", "t", "false", "false"]);
        }
        self.dead_letters.with_label_values(&["g", "t", "true"]);
        self.producers.with_label_values(&["JAVA"]);
        self.consumers.with_label_values(&["g", "JAVA"]);
    }
}

fn labels<'a>(group: &'a Group, topic: &'a Topic) -> [&'a str; 4] {
    let is_system = if is_group_topic(&topic.spec.name) {
        "true"
    } else {
        "false"
    };
    [&group.spec.name, &topic.spec.name, "false", is_system]
}
