//! A consumer: receives, acknowledges, and tells the checker.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sluice_proto::v2;
use tokio::time::sleep;

use super::plan::{GROUPS, INVISIBLE, TOPICS};
use super::{Shared, body};
use crate::client::{Client, Receive, code};
use crate::oracle::{Delivery, Group, Place, Topic};

const POLL: Duration = Duration::from_secs(5);
/// The gate closes a moment after the broker was killed; a call that failed waits as long before it looks.
const AFTER_FAILURE: Duration = Duration::from_millis(20);

pub(super) struct Consumer {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    pub(super) topic: Topic,
    pub(super) group: Group,
    /// As SDKs do; others acknowledge all that one receive brought in one call.
    pub(super) acknowledges_one_by_one: bool,
}

impl Consumer {
    pub(super) async fn run(self) {
        let receive = Receive {
            invisible: INVISIBLE,
            poll: POLL,
            ..Receive::new(GROUPS[self.group].name, TOPICS[self.topic].name)
        };
        while self.shared.receiving.load(Ordering::Relaxed) {
            self.shared.gate.pass().await;
            let mut messages = Vec::new();
            let received = self
                .client
                .receive_each(&receive, |message| {
                    self.tell(&message);
                    messages.push(message);
                })
                .await;
            let settled = if self.acknowledges_one_by_one {
                self.acknowledge_each(&messages).await
            } else {
                messages.is_empty() || self.acknowledge(&messages).await
            };
            if received.is_err() || !settled {
                sleep(AFTER_FAILURE).await;
            }
        }
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

    async fn acknowledge_each(&self, messages: &[v2::Message]) -> bool {
        let mut settled = true;
        for message in messages {
            settled &= self.acknowledge(std::slice::from_ref(message)).await;
        }
        settled
    }

    /// Tells whether there was an answer.
    async fn acknowledge(&self, messages: &[v2::Message]) -> bool {
        let (group, topic) = (GROUPS[self.group].name, TOPICS[self.topic].name);
        let Ok(response) = self.client.ack(group, topic, messages).await else {
            return false;
        };
        let mut oracle = self.shared.oracle.lock();
        for (message, entry) in messages.iter().zip(&response.entries) {
            if code(entry.status.as_ref()) == Some(v2::Code::Ok) {
                oracle.delivery_acknowledged(self.group, self.place(message));
                self.shared.meter.acknowledgements.fetch_add(1, Ordering::Relaxed);
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
