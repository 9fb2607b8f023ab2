//! A short load with a beginning and an end, for a broker that is to fail in the middle of it: a copy of a folder whose start
//! retention gives up, producers with message groups and without, a consumer; and what must hold of whatever is left.

mod audit;
mod base;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use parking_lot::Mutex;
use sluice_proto::v2;
use tokio::task::JoinSet;

pub use base::{Base, copy};

use crate::client::{Client, Receive, code, fifo_message, message};
use crate::oracle::{Delivery, Group, Lane, Number, Oracle, Place, Topic, Verdict};
use crate::workload::body;
use crate::workload::produce::{Answer, judge};

/// Bounds on bodies: with them a few dozen sends fill a segment of the smallest size.
const BODY_BYTES: std::ops::RangeInclusive<u64> = 1_000..=9_000;
/// Producers of each of the two topics.
const PRODUCERS: usize = 2;
const SENDS_OF_EACH: usize = 28;
/// Message groups that a producer sends to in turn.
const LANES: usize = 3;
/// How long a receive waits for a message.
const POLL: Duration = Duration::from_millis(200);
/// How long the broker hides what was delivered: the shortest time it takes.
const INVISIBLE: Duration = Duration::from_secs(10);

/// The topics that are sent to.
const TOPICS: [&str; 2] = ["orders", "ledger"];
const LEDGER: Topic = 1;
/// Those who get everything in the end, a group for each topic.
const AUDITORS: [&str; 2] = ["orders-audit", "ledger-audit"];
/// Consumes the first topic while it is sent to.
const WORKER: Group = 2;
const GROUPS: [&str; 3] = [AUDITORS[0], AUDITORS[1], "worker"];
/// Has a message that retention must leave.
const HOLDER: &str = "holder";
/// Fills the folder, and is nothing to the checker.
pub const OLD: &str = "old";

/// The topics and groups for the broker's `--init`.
#[must_use]
pub fn init_yaml() -> String {
    let fifo = |name: &str| name.starts_with(TOPICS[LEDGER]);
    let topics = [(TOPICS[0], "NORMAL"), (TOPICS[1], "FIFO"), (OLD, "NORMAL")];
    let topics = topics.map(|(name, kind)| format!("  - {{name: {name}, queues: 2, types: [{kind}]}}\n"));
    let groups = [GROUPS[0], GROUPS[1], GROUPS[2], HOLDER];
    let groups =
        groups.map(|name| format!("  - {{name: {name}, fifo: {}, maxAttempts: 1000}}\n", fifo(name)));
    format!("topics:\n{}groups:\n{}", topics.concat(), groups.concat())
}

/// One run of it.
#[derive(Clone)]
pub struct Script {
    run: u64,
    oracle: Arc<Mutex<Oracle>>,
    next_number: Arc<AtomicU32>,
    next_lane: Arc<AtomicU32>,
    sending: Arc<AtomicBool>,
    /// Whether what was in flight all the time has been acknowledged.
    is_released: Arc<AtomicBool>,
}

impl Script {
    /// A run whose bodies follow from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            run: seed,
            // The worker need not get everything.
            oracle: Arc::new(Mutex::new(Oracle::of(vec![vec![0], vec![LEDGER]], GROUPS.len()))),
            next_number: Arc::default(),
            next_lane: Arc::default(),
            sending: Arc::default(),
            is_released: Arc::default(),
        }
    }

    /// Sends and consumes until everything is sent, or the broker is gone.
    ///
    /// # Errors
    /// When the endpoint is malformed, or a task panicked.
    pub async fn run(&self, endpoint: &str) -> Result<()> {
        self.sending.store(true, Ordering::Relaxed);
        let mut senders = JoinSet::new();
        for topic in 0..TOPICS.len() {
            for _ in 0..PRODUCERS {
                senders.spawn(self.clone().send_all(Client::new(endpoint)?, topic));
            }
        }
        let worker = tokio::spawn(self.clone().work(Client::new(endpoint)?));
        while let Some(ended) = senders.join_next().await {
            ended?;
        }
        self.sending.store(false, Ordering::Relaxed);
        Ok(worker.await?)
    }

    /// The same, to go on apart from this one: of one run several copies can be tried.
    #[must_use]
    pub fn fork(&self) -> Self {
        let number = |from: &AtomicU32| Arc::new(AtomicU32::new(from.load(Ordering::Relaxed)));
        Self {
            run: self.run,
            oracle: Arc::new(Mutex::new(self.oracle.lock().clone())),
            next_number: number(&self.next_number),
            next_lane: number(&self.next_lane),
            sending: Arc::default(),
            is_released: Arc::new(AtomicBool::new(self.is_released.load(Ordering::Relaxed))),
        }
    }

    /// How it stands.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.oracle.lock().verdict().clone()
    }

    async fn send_all(self, client: Client, topic: Topic) {
        let lanes: Vec<_> = (0..LANES).map(|_| self.new_lane(topic)).collect();
        for turn in 0..SENDS_OF_EACH {
            if !self.send(&client, topic, lanes[turn % LANES]).await {
                // The message may still be stored, behind its successors: there are to be none.
                return;
            }
        }
    }

    fn new_lane(&self, topic: Topic) -> Option<Lane> {
        (topic == LEDGER).then(|| self.next_lane.fetch_add(1, Ordering::Relaxed))
    }

    /// Tells whether there was an answer.
    async fn send(&self, client: &Client, topic: Topic, lane: Option<Lane>) -> bool {
        let number: Number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let body = body::sized(self.run, number, BODY_BYTES);
        let hash = body::hash(&body);
        let message = match lane {
            Some(lane) => fifo_message(TOPICS[topic], &format!("lane-{lane}"), body),
            None => message(TOPICS[topic], body),
        };
        self.oracle.lock().send_begins(number, topic, lane, hash);
        let answer = client.send(vec![message]).await;
        let answer = answer.map_or(Answer::Lost, |response| judge(&response));
        let mut oracle = self.oracle.lock();
        match answer {
            Answer::Acknowledged(offset) => oracle.send_acknowledged(number, offset),
            Answer::Refused => oracle.send_refused(number),
            Answer::Lost => oracle.send_lost_its_answer(number),
        }
        !matches!(answer, Answer::Lost)
    }

    /// Consumes the first topic until nothing is sent any more, or a call fails.
    async fn work(self, client: Client) {
        while self.sending.load(Ordering::Relaxed) {
            let Ok(messages) = self.receive(&client, WORKER, 0).await else {
                return;
            };
            if !messages.is_empty() && self.acknowledge(&client, WORKER, 0, &messages).await.is_err() {
                return;
            }
        }
    }

    /// One receive, of which the checker hears.
    async fn receive(&self, client: &Client, group: Group, topic: Topic) -> Result<Vec<v2::Message>> {
        let receive = Receive {
            invisible: INVISIBLE,
            poll: POLL,
            ..Receive::new(GROUPS[group], TOPICS[topic])
        };
        let mut messages = Vec::new();
        let told = |message: v2::Message| {
            self.oracle.lock().delivered(Delivery {
                group,
                place: place(&message),
                number: body::number(self.run, &message.body),
                hash: body::hash(&message.body),
            });
            messages.push(message);
        };
        client.receive_each(&receive, told).await?;
        Ok(messages)
    }

    async fn acknowledge(
        &self,
        client: &Client,
        group: Group,
        topic: Topic,
        messages: &[v2::Message],
    ) -> Result<()> {
        let received = Instant::now();
        let answer = client.ack(GROUPS[group], TOPICS[topic], messages).await?;
        let must_work = received.elapsed() < INVISIBLE / 2;
        let mut oracle = self.oracle.lock();
        for (message, entry) in messages.iter().zip(&answer.entries) {
            match code(entry.status.as_ref()) {
                Some(v2::Code::Ok) => oracle.delivery_acknowledged(group, place(message)),
                Some(v2::Code::InvalidReceiptHandle) if must_work => {
                    oracle.delivery_forgotten(group, place(message));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn place(message: &v2::Message) -> Place {
    let properties = message.system_properties.as_ref();
    let topic = message.topic.as_ref().map(|topic| topic.name.as_str());
    let offset = properties.and_then(|properties| properties.queue_offset);
    let queue = properties.and_then(|properties| u16::try_from(properties.queue_id).ok());
    Place {
        // A topic by a name that nobody gave is none of ours.
        topic: TOPICS
            .iter()
            .position(|name| Some(*name) == topic)
            .unwrap_or(usize::MAX),
        queue: queue.unwrap_or(u16::MAX),
        offset: offset
            .and_then(|offset| u32::try_from(offset).ok())
            .unwrap_or(u32::MAX),
    }
}
