//! Load whose every call the checker hears of: producers, some of them in message groups, and consumers of several
//! groups, on as many connections as a small fleet of clients would have.

pub(crate) mod body;
mod consume;
mod gate;
mod plan;
pub(crate) mod produce;
mod rates;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex;
use tokio::task::JoinSet;

pub use gate::Gate;
pub use plan::{Shape, init_yaml};
pub use rates::{Counted, Meter};

use crate::client::Client;
use crate::oracle::{Oracle, Verdict};
use crate::wait;

/// How much later than it must the broker may deliver again.
const LISTEN_BEYOND: Duration = Duration::from_secs(1);

/// What all tasks share.
struct Shared {
    run: u64,
    oracle: Mutex<Oracle>,
    next_number: AtomicU32,
    next_lane: AtomicU32,
    gate: Gate,
    meter: Meter,
    sending: AtomicBool,
    receiving: AtomicBool,
    pushing: AtomicBool,
}

/// Running load.
pub struct Workload {
    shared: Arc<Shared>,
    producers: JoinSet<()>,
    consumers: JoinSet<()>,
    push_consumers: JoinSet<()>,
}

impl Workload {
    /// Starts tasks that wait at the closed gate. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// When the endpoint is malformed.
    pub fn start(endpoint: &str, shape: &Shape, seed: u64) -> Result<Self> {
        let shared = Arc::new(Shared {
            run: seed,
            oracle: Mutex::new(Oracle::new(plan::groups_by_topic())),
            next_number: AtomicU32::new(0),
            next_lane: AtomicU32::new(0),
            gate: Gate::default(),
            meter: Meter::default(),
            sending: AtomicBool::new(true),
            receiving: AtomicBool::new(true),
            pushing: AtomicBool::new(true),
        });
        let mut workload = Self {
            shared,
            producers: JoinSet::new(),
            consumers: JoinSet::new(),
            push_consumers: JoinSet::new(),
        };
        workload.start_producers(endpoint, shape)?;
        workload.start_consumers(endpoint, shape)?;
        Ok(workload)
    }

    fn start_producers(&mut self, endpoint: &str, shape: &Shape) -> Result<()> {
        for (topic, plan) in plan::TOPICS.iter().enumerate() {
            let client = Client::new(endpoint)?;
            for task in 0..shape.producers {
                let producer = produce::Producer {
                    shared: Arc::clone(&self.shared),
                    client: client.clone(),
                    topic,
                    every: shape.send_every(plan),
                    // Spread over the interval, so that the load is even.
                    offset: shape.send_every(plan) * task / shape.producers,
                };
                self.producers.spawn(producer.run());
            }
        }
        Ok(())
    }

    fn start_consumers(&mut self, endpoint: &str, shape: &Shape) -> Result<()> {
        for (topic, plan) in plan::TOPICS.iter().enumerate() {
            for group in plan.groups {
                let client = Client::new(endpoint)?;
                for task in 0..shape.consumers {
                    let consumer = consume::Consumer {
                        shared: Arc::clone(&self.shared),
                        client: client.clone(),
                        topic,
                        group: *group,
                        acknowledges_one_by_one: task == 0,
                        is_push: false,
                    };
                    self.consumers.spawn(consumer.run());
                }
                for _ in 0..shape.push_consumers {
                    let consumer = consume::Consumer {
                        shared: Arc::clone(&self.shared),
                        // What is delivered hangs on who it went to.
                        client: Client::new(endpoint)?,
                        topic,
                        group: *group,
                        acknowledges_one_by_one: false,
                        is_push: true,
                    };
                    self.push_consumers.spawn(consumer.run_until_farewell());
                }
            }
        }
        Ok(())
    }

    /// Lets calls through or holds them back.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// Counts what was done.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    /// How it stands.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.shared.oracle.lock().verdict().clone()
    }

    /// Stops sending and waits until everything acknowledged was delivered to every group, then as long again as the
    /// broker hides what was delivered, for an acknowledgement that was forgotten would show only then; what it hides
    /// for push consumers shows after their farewell. Returns the last word.
    ///
    /// # Errors
    /// When a task panicked.
    pub async fn finish(mut self, deliver_within: Duration) -> Result<Verdict> {
        self.shared.sending.store(false, Ordering::Relaxed);
        while let Some(ended) = self.producers.join_next().await {
            ended?;
        }
        let all_delivered = || self.shared.oracle.lock().verdict().count.undelivered == 0;
        // What is missing at the deadline is for the checker to say.
        let delivered = wait::until_true_async(
            "every acknowledged message is delivered",
            deliver_within,
            all_delivered,
        )
        .await;
        match delivered {
            Ok(()) => {
                self.shared.pushing.store(false, Ordering::Relaxed);
                while let Some(ended) = self.push_consumers.join_next().await {
                    ended?;
                }
                tokio::time::sleep(plan::INVISIBLE + LISTEN_BEYOND).await;
            }
            Err(error) => println!("{error:#}"),
        }
        self.shared.receiving.store(false, Ordering::Relaxed);
        self.push_consumers.shutdown().await;
        self.consumers.shutdown().await;
        let oracle = std::mem::replace(&mut *self.shared.oracle.lock(), Oracle::new(Vec::new()));
        Ok(oracle.finish())
    }
}
