//! The frames of a receive: status, messages, the time of delivery. Messages are made when the transport asks for
//! them; those that it has not asked for when the client goes away are visible to others after a second.

use super::Shared;
use super::convert;
use super::delivery::{self, Frame};
use super::status;
use crate::engine::{Engine, Received};
use crate::metrics::Flow;
use crate::receipt::Receipts;
use sluice_core::command::{Change, SettleItem};
use sluice_core::ids::{GroupQueueId, TimeMs};
use sluice_proto::v2::receive_message_response::Content;
use sluice_proto::v2::{ReceiveMessageResponse, Status};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;
use tokio_stream::Stream;

/// What nobody took is hidden for this long yet.
const HANDED_BACK_AFTER_MS: u64 = 1000;

/// The answer to a receive.
pub struct Frames {
    code: i32,
    status: Option<Status>,
    messages: Option<Messages>,
    delivered_ms: Option<TimeMs>,
}

struct Messages {
    engine: Arc<Engine>,
    receipts: Receipts,
    frame: Frame,
    flow: Arc<Flow>,
    left: vec::IntoIter<Received>,
}

impl Frames {
    /// A status and no messages.
    pub(super) fn only(status: Status) -> Self {
        Self {
            code: status.code,
            status: Some(status),
            messages: None,
            delivered_ms: Some(wall_ms()),
        }
    }

    /// The messages, counted into `flow` as they go.
    pub(super) fn new(shared: &Shared, received: Vec<Received>, frame: Frame, flow: Arc<Flow>) -> Self {
        let messages = Messages {
            engine: Arc::clone(&shared.engine),
            receipts: shared.receipts.clone(),
            frame,
            flow,
            left: received.into_iter(),
        };
        Self {
            messages: Some(messages),
            ..Self::only(status::ok())
        }
    }

    pub(super) fn code(&self) -> i32 {
        self.code
    }

    fn next(&mut self) -> Option<Content> {
        if let Some(status) = self.status.take() {
            return Some(Content::Status(status));
        }
        if let Some(message) = self.messages.as_mut().and_then(Messages::next) {
            return Some(message);
        }
        self.delivered_ms
            .take()
            .map(|ms| Content::DeliveryTimestamp(convert::timestamp(ms)))
    }
}

impl Messages {
    fn next(&mut self) -> Option<Content> {
        for received in self.left.by_ref() {
            match delivery::message(&received, &self.frame, &self.receipts) {
                Ok(message) => {
                    self.flow.count(1, message.body.len() as u64);
                    return Some(Content::Message(message));
                }
                Err(error) => {
                    let (at, offset) = (received.id.at, received.offset.0);
                    tracing::error!(topic = at.topic.0, queue = at.queue.0, offset, %error, "a record is damaged: the message is left out");
                }
            }
        }
        None
    }
}

impl Stream for Frames {
    type Item = Result<ReceiveMessageResponse, tonic::Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let content = self.next();
        Poll::Ready(content.map(|content| {
            Ok(ReceiveMessageResponse {
                content: Some(content),
            })
        }))
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        if self.left.len() == 0 {
            return;
        }
        let (engine, left) = (Arc::clone(&self.engine), std::mem::take(&mut self.left));
        // Outside of the runtime there is nobody to do it: they come back when their time is over.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { hand_back(&engine, left).await });
        }
    }
}

async fn hand_back(engine: &Engine, left: vec::IntoIter<Received>) {
    let mut by_queue: Vec<(GroupQueueId, Vec<SettleItem>)> = Vec::new();
    for message in left {
        let item = SettleItem {
            offset: message.offset,
            delivery: message.delivery,
        };
        match by_queue.iter_mut().find(|(id, _)| *id == message.id) {
            Some((_, items)) => items.push(item),
            None => by_queue.push((message.id, vec![item])),
        }
    }
    for (id, items) in by_queue {
        if let Err(error) = engine
            .settle(id, Change::VisibleIn(HANDED_BACK_AFTER_MS), items)
            .await
        {
            tracing::debug!(%error, "messages that a client did not take stay hidden until their time is over");
        }
    }
}

fn wall_ms() -> TimeMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as TimeMs)
}
