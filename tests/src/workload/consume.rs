//! A consumer: receives, acknowledges, and tells the checker.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sluice_proto::v2;
use tokio::time::sleep;

use super::plan::{GROUPS, INVISIBLE, TOPICS, UNANSWERED};
use super::{Shared, body};
use crate::client::{Client, Receive, code};
use crate::oracle::{Delivery, Group, Place, Topic};

const POLL: Duration = Duration::from_secs(5);
/// A call and its answer take no longer, or nothing is said of it.
const ON_THE_WAY: Duration = Duration::from_secs(1);
/// The gate closes a moment after the broker was killed; a call that failed waits as long before it looks.
const AFTER_FAILURE: Duration = Duration::from_millis(20);

pub(super) struct Consumer {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    pub(super) topic: Topic,
    pub(super) group: Group,
    /// As SDKs do; others acknowledge all that one receive brought in one call.
    pub(super) acknowledges_one_by_one: bool,
    /// The broker renews its deliveries, and it repeats an acknowledgement until there is an answer, as SDKs do.
    pub(super) is_push: bool,
}

impl Consumer {
    /// Then gives back what it holds: what it acknowledged must not be among that.
    pub(super) async fn run_until_farewell(self) {
        let client = self.client.clone();
        self.run().await;
        if let Err(error) = client.farewell().await {
            println!("a push consumer's farewell: {error:#}");
        }
    }

    pub(super) async fn run(self) {
        let receive = Receive {
            invisible: INVISIBLE,
            auto_renew: self.is_push,
            poll: POLL,
            ..Receive::new(GROUPS[self.group].name, TOPICS[self.topic].name)
        };
        while self.goes_on() {
            self.shared.gate.pass().await;
            let mut messages = Vec::new();
            let asked = Instant::now();
            let received = self
                .client
                .receive_each(&receive, |message| {
                    self.tell(&message);
                    messages.push(message);
                })
                .await;
            let at_a_time = if self.acknowledges_one_by_one {
                1
            } else {
                messages.len().max(1)
            };
            let settled = self.acknowledge_all(&messages, at_a_time, asked).await;
            let served = matches!(received, Ok(Some(v2::Code::Ok | v2::Code::MessageNotFound)));
            if !(served && settled) {
                sleep(AFTER_FAILURE).await;
            }
        }
    }

    fn goes_on(&self) -> bool {
        let Shared {
            receiving, pushing, ..
        } = &*self.shared;
        let flag = if self.is_push { pushing } else { receiving };
        flag.load(Ordering::Relaxed)
    }

    fn tell(&self, message: &v2::Message) {
        let delivery = Delivery {
            group: self.group,
            place: self.place(message),
            number: body::number(self.shared.run, &message.body),
            hash: body::hash(&message.body),
        };
        self.shared.oracle.lock().delivered(delivery);
        self.shared.meter.receives.fetch_add(1, Ordering::Relaxed);
    }

    /// Acknowledges what was received just now, asked for then. Tells whether there were answers.
    async fn acknowledge_all(&self, messages: &[v2::Message], at_a_time: usize, asked: Instant) -> bool {
        let mut answered = true;
        for some in messages.chunks(at_a_time) {
            answered &= self.acknowledge(some, asked).await;
        }
        answered
    }

    async fn acknowledge(&self, messages: &[v2::Message], asked: Instant) -> bool {
        let (group, topic) = (GROUPS[self.group].name, TOPICS[self.topic].name);
        let mut response = self.client.ack(group, topic, messages).await;
        let repeated = response.is_err();
        while response.is_err() && self.is_push && self.goes_on() {
            sleep(AFTER_FAILURE).await;
            self.shared.gate.pass().await;
            response = self.client.ack(group, topic, messages).await;
        }
        let Ok(response) = response else {
            return false;
        };
        let hidden = if self.is_push { UNANSWERED } else { INVISIBLE };
        // The one before may have worked, and only its answer was lost: then this one is refused. A broker that stood still has hidden
        // the messages since before their answer came, but not since before they were asked for.
        let must_work = !repeated && asked.elapsed() < hidden - ON_THE_WAY;
        let mut oracle = self.shared.oracle.lock();
        for (message, entry) in messages.iter().zip(&response.entries) {
            match code(entry.status.as_ref()) {
                Some(v2::Code::Ok) => {
                    oracle.delivery_acknowledged(self.group, self.place(message));
                    self.shared.meter.acknowledgements.fetch_add(1, Ordering::Relaxed);
                }
                Some(v2::Code::InvalidReceiptHandle) if must_work => {
                    oracle.delivery_forgotten(self.group, self.place(message));
                }
                _ => {}
            }
        }
        true
    }

    fn place(&self, message: &v2::Message) -> Place {
        let properties = message.system_properties.as_ref();
        let topic = message.topic.as_ref().map(|topic| topic.name.as_str());
        let offset = properties.and_then(|properties| properties.queue_offset);
        Place {
            // A topic by a name that nobody gave is none of ours.
            topic: TOPICS
                .iter()
                .position(|plan| Some(plan.name) == topic)
                .unwrap_or(usize::MAX),
            queue: properties
                .and_then(|properties| u16::try_from(properties.queue_id).ok())
                .unwrap_or(u16::MAX),
            offset: offset
                .and_then(|offset| u32::try_from(offset).ok())
                .unwrap_or(u32::MAX),
        }
    }
}
