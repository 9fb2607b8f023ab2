//! The consumer used by `consume` and `latency`: receive loops that hand what they got to `acknowledge`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use parking_lot::Mutex;
use sluice_proto::v2;
use sluice_proto::v2::receive_message_response::Content;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::args::{Consumer, Reception, Target};
use crate::client::{Client, Failure, check};
use crate::message::{Maker, resource};
use crate::progress::Live;
use crate::settings::everything;
use crate::tally::Tally;

const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// How deliveries are timed: by what this run's producer put into the bodies.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Knows its own bodies.
    pub maker: Arc<Maker>,
    /// The producer's start.
    pub start: Instant,
}

/// Everything the receive loops share.
#[derive(Debug)]
pub struct Receiver {
    clients: Vec<Client>,
    queues: Vec<v2::MessageQueue>,
    pub(crate) reception: Reception,
    pub(crate) topic: String,
    pub(crate) request_timeout: Duration,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) live: Arc<Live>,
    /// Set once the start of measuring is known.
    clock: Mutex<(Option<Instant>, Option<Clock>)>,
    pub(crate) tally: Mutex<Tally>,
    attempts: AtomicU64,
    stop: watch::Sender<bool>,
}

impl Receiver {
    /// A consumer of these queues that has not begun.
    ///
    /// # Errors
    /// When an option leaves nothing to receive with.
    pub fn new(
        clients: Vec<Client>,
        queues: Vec<v2::MessageQueue>,
        reception: &Reception,
        target: &Target,
        live: Arc<Live>,
    ) -> Result<Arc<Self>> {
        ensure!(
            reception.receivers > 0,
            "--receivers 0 receives nothing: take 1 at least"
        );
        ensure!(
            (1..=Semaphore::MAX_PERMITS).contains(&reception.ack_in_flight),
            "--ack-in-flight {} is out of range: take 1 at least",
            reception.ack_in_flight
        );
        let tally = Tally::new()?;
        Ok(Arc::new(Self {
            clients,
            queues,
            reception: reception.clone(),
            topic: target.topic.clone(),
            request_timeout: target.request_timeout,
            permits: Arc::new(Semaphore::new(reception.ack_in_flight)),
            live,
            clock: Mutex::new((None, None)),
            tally: Mutex::new(tally),
            attempts: AtomicU64::new(0),
            stop: watch::Sender::new(false),
        }))
    }

    /// Measures from here on.
    pub fn measure(&self, from: Instant, clock: Option<Clock>) {
        *self.clock.lock() = (Some(from), clock);
    }

    /// Starts the receive loops.
    pub fn start(self: &Arc<Self>) -> JoinSet<()> {
        let mut loops = JoinSet::new();
        for (number, client) in (0..self.reception.receivers).zip(self.clients.iter().cycle()) {
            loops.spawn(Arc::clone(self).receive_loop(client.clone(), number));
        }
        loops
    }

    /// Ends the loops, waits for acknowledgements under way and returns what was counted.
    ///
    /// # Errors
    /// When a loop panicked.
    pub async fn finish(self: Arc<Self>, mut loops: JoinSet<()>) -> Result<Tally> {
        self.stop.send_replace(true);
        while let Some(ended) = loops.join_next().await {
            ended.context("a receive loop panicked")?;
        }
        let all = u32::try_from(self.reception.ack_in_flight).unwrap_or(u32::MAX);
        let acks_done = self.permits.acquire_many(all).await;
        drop(acks_done);
        let empty = Tally::new()?;
        Ok(std::mem::replace(&mut *self.tally.lock(), empty))
    }

    /// Messages of this run's producer received so far.
    #[must_use]
    pub fn own(&self) -> u64 {
        self.tally.lock().own
    }

    async fn receive_loop(self: Arc<Self>, mut client: Client, number: usize) {
        let mut stop = self.stop.subscribe();
        for turn in number.. {
            let began = Instant::now();
            let queue = &self.queues[turn % self.queues.len()];
            let outcome = tokio::select! {
                outcome = self.receive(&mut client, queue) => outcome,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            match outcome {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => {
                    self.count(&messages, began);
                    self.acknowledge(&client, messages).await;
                }
                Err(failure) => {
                    self.live.fail("receive", &failure);
                    self.tally.lock().receive.fail(failure.key);
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
            if *stop.borrow() {
                return;
            }
        }
    }

    async fn receive(
        &self,
        client: &mut Client,
        queue: &v2::MessageQueue,
    ) -> Result<Vec<v2::Message>, Failure> {
        let reception = &self.reception;
        let push = reception.consumer == Consumer::Push;
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let invisible = (!push)
            .then(|| prost_types::Duration::try_from(reception.invisible).ok())
            .flatten();
        let body = v2::ReceiveMessageRequest {
            group: Some(resource(&reception.group)),
            message_queue: Some(queue.clone()),
            filter_expression: Some(everything()),
            batch_size: reception.batch,
            invisible_duration: invisible,
            auto_renew: push,
            long_polling_timeout: prost_types::Duration::try_from(reception.long_poll).ok(),
            attempt_id: push.then(|| format!("{}-{attempt:x}", std::process::id())),
        };
        let request = client.request(body, reception.long_poll + self.request_timeout);
        let mut frames = client.stub.receive_message(request).await?.into_inner();
        let mut messages = Vec::new();
        while let Some(frame) = frames.message().await? {
            match frame.content {
                Some(Content::Status(status)) if status.code == i32::from(v2::Code::MessageNotFound) => {}
                Some(Content::Status(status)) => check(Some(&status))?,
                Some(Content::Message(message)) => {
                    self.time_delivery(&message);
                    messages.push(message);
                }
                Some(Content::DeliveryTimestamp(_)) | None => {}
            }
        }
        Ok(messages)
    }

    fn time_delivery(&self, message: &v2::Message) {
        let (from, clock) = &*self.clock.lock();
        let (Some(from), Some(clock)) = (from, clock) else {
            return;
        };
        let Some(due) = clock.maker.due(&message.body) else {
            return;
        };
        let due = clock.start + due;
        let mut tally = self.tally.lock();
        tally.own += 1;
        if due >= *from {
            tally.delivery.record(due.elapsed());
        }
    }

    pub(crate) fn measuring(&self) -> bool {
        self.clock.lock().0.is_some_and(|from| Instant::now() >= from)
    }

    fn count(&self, messages: &[v2::Message], began: Instant) {
        Live::add(&self.live.received, messages.len() as u64);
        if !self.measuring() {
            return;
        }
        let again = |message: &&v2::Message| {
            message
                .system_properties
                .as_ref()
                .and_then(|properties| properties.delivery_attempt)
                > Some(1)
        };
        let mut tally = self.tally.lock();
        tally.receive.record(began.elapsed());
        tally.received += messages.len() as u64;
        tally.redelivered += messages.iter().filter(again).count() as u64;
    }
}
