//! The frames of a receive: status, messages, the time of delivery. Messages are made when the transport asks for
//! them; those that it has not asked for when the client goes away are visible to others after a second, and have not
//! cost them an attempt.

use super::Shared;
use super::convert;
use super::delivery::{self, Frame};
use super::status;
use crate::budget::Share;
use crate::clients::Figures;
use crate::engine::{Passed, Taken};
use crate::metrics::Outflow;
use crate::receipt::Receipts;
use sluice_core::ids::TimeMs;
use sluice_proto::v2::receive_message_response::Content;
use sluice_proto::v2::{Code, ReceiveMessageResponse, Status};
use sluice_proto::{LOST_HEADER, UNREADABLE_HEADER};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio_stream::Stream;
use tonic::metadata::MetadataMap;

/// What the transport has not taken is hidden for this long yet, so that a client that breaks off each answer does not
/// keep the broker busy with it.
const HANDED_BACK_AFTER_MS: u64 = 1000;

/// The answer to a receive.
pub struct Frames {
    code: i32,
    status: Option<Status>,
    messages: Option<Messages>,
    delivered_ms: Option<TimeMs>,
    passed: Passed,
}

struct Messages {
    receipts: Receipts,
    frame: Frame,
    counters: Counters,
    left: Taken,
}

/// What delivered messages count into.
pub(super) struct Counters {
    /// The topic's and the group's, if the group is there.
    pub(super) flow: Option<Arc<Outflow>>,
    /// The client's.
    pub(super) figures: Arc<Figures>,
}

impl Counters {
    /// A message with a body of so many bytes is on its way.
    pub(super) fn count(&self, bytes: u64) {
        if let Some(flow) = &self.flow {
            flow.count(bytes);
        }
        self.figures.delivered(Instant::now());
    }
}

impl Frames {
    /// A status and no messages.
    pub(super) fn only(status: Status) -> Self {
        Self {
            code: status.code,
            status: Some(status),
            messages: None,
            delivered_ms: Some(wall_ms()),
            passed: Passed::default(),
        }
    }

    /// No messages came.
    pub(super) fn nothing(passed: Passed) -> Self {
        Self {
            passed,
            ..Self::only(status::plain(Code::MessageNotFound))
        }
    }

    /// The messages, counted as they go.
    pub(super) fn new(shared: &Shared, received: Taken, frame: Frame, counters: Counters) -> Self {
        let passed = received.passed();
        let messages = Messages {
            receipts: shared.receipts.clone(),
            frame,
            counters,
            left: received.hidden_for(HANDED_BACK_AFTER_MS),
        };
        Self {
            messages: Some(messages),
            passed,
            ..Self::only(status::ok())
        }
    }

    pub(super) fn code(&self) -> i32 {
        self.code
    }

    /// Says how many messages were come to and are not brought, for which the protocol has no place. RocketMQ's clients do not
    /// look at it.
    pub(super) fn write_headers(&self, headers: &mut MetadataMap) {
        let Passed { lost, unreadable } = self.passed;
        for (name, count) in [(LOST_HEADER, lost), (UNREADABLE_HEADER, unreadable)] {
            if count > 0 {
                headers.insert(name, count.into());
            }
        }
    }

    /// What holds the messages, which the answer as a whole takes over.
    pub(super) fn unread(&mut self) -> Option<Share> {
        self.messages.as_mut()?.left.share()
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
                    self.counters.count(message.body.len() as u64);
                    return Some(Content::Message(message));
                }
                Err(error) => {
                    tracing::error!(
                        topic = self.frame.topic.name,
                        queue = received.id.at.queue.0,
                        offset = received.offset.0,
                        %error,
                        "a record is damaged: the message is left out"
                    );
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

fn wall_ms() -> TimeMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as TimeMs)
}
