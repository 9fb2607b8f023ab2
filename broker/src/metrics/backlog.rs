//! What groups have not done: of each topic always, of each queue where that is asked for.
//!
//! The labels of a series are made when its subscription is first seen, and go with it: a look at thousands of
//! subscriptions hashes numbers and writes text. Only a broker that leads its log has subscriptions to tell of.

use super::page::{Common, Family, Labels, Page};
use crate::engine::Engine;
use crate::engine::lag::Lag;
use crate::service::validate::is_group_topic;
use sluice_core::ids::{GroupId, PhysicalOffset, TimeMs, TopicId};
use sluice_core::state::{Group, GroupQueue, Subscription, Topic};
use std::collections::HashMap;

const LABELS: &[&str] = &["consumer_group", "topic", "is_retry", "is_system"];
const SHORT: &[&str] = &["consumer_group", "topic"];
const QUEUE: &[&str] = &["consumer_group", "topic", "queue_id"];

static LAG: Family = Family::gauge(
    "rocketmq_consumer_lag_messages",
    LABELS,
    "Messages not done: ready and in flight",
);
static READY: Family = Family::gauge(
    "rocketmq_consumer_ready_messages",
    LABELS,
    "Messages ready to be delivered",
);
static IN_FLIGHT: Family = Family::gauge(
    "rocketmq_consumer_inflight_messages",
    LABELS,
    "Messages held by clients, or hidden until a retry",
);
static LAG_LATENCY: Family = Family::gauge(
    "rocketmq_consumer_lag_latency_milliseconds",
    LABELS,
    "Age of the oldest message that is not done; 0 without one",
);
static QUEUEING_LATENCY: Family = Family::gauge(
    "rocketmq_consumer_queueing_latency_milliseconds",
    LABELS,
    "Age of the oldest message that is ready and that nobody has taken; 0 without one",
);
static EXPIRED: Family = Family::counter(
    "sluice_consumer_expired_unconsumed_messages_total",
    SHORT,
    "Messages that retention took before the group had done them, since it reads the topic",
);
static DEPTH: Family = Family::gauge(
    "sluice_consumer_unread_depth_bytes",
    SHORT,
    "Bytes of log from the group's oldest ready message on: with more than the log may keep, it is taken unread",
);
static TOPIC_DEPTH: Family = Family::gauge(
    "sluice_consumer_unread_topic_bytes",
    SHORT,
    "Bytes of a topic that keeps no more than a bound, from the group's oldest ready message on: with more than the bound, it is taken unread",
);
static QUEUE_LAG_MAX: Family = Family::gauge(
    "sluice_consumer_queue_lag_messages_max",
    SHORT,
    "Messages not done in the queue that has most of them",
);
static QUEUE_LAG: Family = Family::gauge(
    "rocketmq_consumer_queue_lag_messages",
    QUEUE,
    "Messages of a queue that are not done",
);
static QUEUE_AGE: Family = Family::gauge(
    "sluice_consumer_queue_lag_age_seconds",
    QUEUE,
    "Age of a queue's oldest message that is not done; 0 without one",
);

/// After so many subscriptions whoever waits for the processor gets it once, as with [`Page`]'s text.
const GIVE_WAY_EVERY: usize = 64;

/// The subscriptions seen by the last look.
#[derive(Debug)]
pub(super) struct Backlogs {
    common: Common,
    known: HashMap<(GroupId, TopicId), Known>,
    look: u64,
}

/// What is kept of a subscription from look to look.
#[derive(Debug)]
struct Known {
    labels: Labels,
    short: Labels,
    /// One a queue, if series of queues were ever asked for.
    queues: Vec<Labels>,
    by_queue: Vec<Lag>,
    /// What retention took before it was done.
    expired: u64,
    look: u64,
}

impl Known {
    fn is_counted(&self) -> bool {
        self.by_queue.iter().all(|lag| lag.uncounted == 0)
    }
}

impl Backlogs {
    pub(super) fn new(common: Common) -> Self {
        Self {
            common,
            known: HashMap::new(),
            look: 0,
        }
    }

    /// Writes the series of all subscriptions, and forgets those of subscriptions that are gone.
    pub(super) fn write(&mut self, page: &mut Page<'_>, engine: &Engine, with_queues: bool) {
        self.look += 1;
        let (tables, now) = (engine.tables(), engine.now());
        let mut present = Vec::new();
        for ((group, topic), subscription) in tables.all_subscriptions() {
            // One of them can be gone since a moment ago.
            if let (Some(group), Some(topic)) = (tables.group_by_id(group), tables.topic_by_id(topic)) {
                self.look_at(engine, &group, &topic, &subscription, now, with_queues);
                present.push((group.id, topic.id));
                if present.len().is_multiple_of(GIVE_WAY_EVERY) {
                    std::thread::yield_now();
                }
            }
        }
        let look = self.look;
        self.known.retain(|_, known| known.look == look);
        let known = present.iter().filter_map(|id| self.known.get(id));
        // A series cannot say that it is an upper bound: rather none until it is counted.
        let known: Vec<&Known> = known.filter(|known| known.is_counted()).collect();
        write_topics(page, &known, now);
        // After the places: none of them is ahead of it.
        write_depths(page, &known, engine.store().log().positions().written());
        page.begin(&TOPIC_DEPTH);
        for id in &present {
            if let Some((known, bytes)) = self.known.get(id).zip(engine.retention().unread(id.0, id.1)) {
                page.line(&TOPIC_DEPTH, &known.short, bytes);
            }
        }
        if with_queues {
            write_queues(page, &known, now);
        }
    }

    fn look_at(
        &mut self,
        engine: &Engine,
        group: &Group,
        topic: &Topic,
        subscription: &Subscription,
        now: TimeMs,
        with_queues: bool,
    ) {
        let common = &self.common;
        let (group_name, topic_name) = (group.spec.name.as_str(), topic.spec.name.as_str());
        let known = self.known.entry((group.id, topic.id)).or_insert_with(|| {
            let is_system = super::yes_or_no(is_group_topic(topic_name));
            Known {
                labels: common.and(LABELS, &[group_name, topic_name, "false", is_system]),
                short: common.and(SHORT, &[group_name, topic_name]),
                queues: Vec::new(),
                by_queue: Vec::new(),
                expired: 0,
                look: 0,
            }
        });
        known.look = self.look;
        let shards = subscription.shards.iter();
        known.expired = shards.map(|shard| shard.read(GroupQueue::expired)).sum();
        known.by_queue = engine.lag_by_queue(group, topic, subscription, now);
        if !with_queues {
            known.queues = Vec::new();
        }
        while with_queues && known.queues.len() < known.by_queue.len() {
            let queue = known.queues.len().to_string();
            known
                .queues
                .push(common.and(QUEUE, &[group_name, topic_name, &queue]));
        }
    }
}

/// What a series says of a lag.
type Value<'a> = &'a dyn Fn(&Lag) -> u64;

fn write_topics(page: &mut Page<'_>, known: &[&Known], now: TimeMs) {
    let sums = known
        .iter()
        .map(|known| known.by_queue.iter().copied().fold(Lag::default(), Lag::and));
    let sums: Vec<Lag> = sums.collect();
    let values: [(&Family, Value<'_>); 5] = [
        (&LAG, &Lag::messages),
        (&READY, &|lag| lag.ready),
        (&IN_FLIGHT, &|lag| lag.in_flight),
        (&LAG_LATENCY, &|lag| lag.age_ms(now)),
        (&QUEUEING_LATENCY, &|lag| lag.ready_age_ms(now)),
    ];
    for (family, value) in values {
        page.begin(family);
        for (known, sum) in known.iter().zip(&sums) {
            page.line(family, &known.labels, value(sum));
        }
    }
    page.begin(&EXPIRED);
    for known in known {
        page.line(&EXPIRED, &known.short, known.expired);
    }
    page.begin(&QUEUE_LAG_MAX);
    for known in known {
        let most = known.by_queue.iter().map(Lag::messages).max();
        page.line(&QUEUE_LAG_MAX, &known.short, most.unwrap_or(0));
    }
}

fn write_depths(page: &mut Page<'_>, known: &[&Known], end: PhysicalOffset) {
    page.begin(&DEPTH);
    for known in known {
        let oldest = known.by_queue.iter().filter_map(|lag| lag.ready_at).min();
        page.line(
            &DEPTH,
            &known.short,
            oldest.map_or(0, |at| end.0.saturating_sub(at.0)),
        );
    }
}

fn write_queues(page: &mut Page<'_>, known: &[&Known], now: TimeMs) {
    let queues = || {
        let queues = known.iter().map(|known| known.queues.iter().zip(&known.by_queue));
        queues.flatten()
    };
    page.begin(&QUEUE_LAG);
    queues().for_each(|(labels, lag)| page.line(&QUEUE_LAG, labels, lag.messages()));
    page.begin(&QUEUE_AGE);
    queues().for_each(|(labels, lag)| page.line(&QUEUE_AGE, labels, lag.age_ms(now) as f64 / 1000.0));
}
