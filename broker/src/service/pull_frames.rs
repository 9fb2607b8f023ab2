//! The frames of a pull: status, messages, the offset at which the next pull goes on. Messages are made when the transport asks
//! for them.

use super::delivery;
use super::frames::Counters;
use super::status;
use crate::budget::Share;
use crate::engine::Pulled;
use crate::engine::find::Found;
use sluice_core::ids::QueueOffset;
use sluice_proto::v2::pull_message_response::Content;
use sluice_proto::v2::{PullMessageResponse, Resource, Status};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_stream::Stream;
use tonic::Status as Refusal;

/// The answer to a pull.
pub struct PullFrames {
    code: i32,
    status: Option<Status>,
    messages: Option<Messages>,
    next: Option<QueueOffset>,
}

/// What the client calls the messages' topic.
pub(super) struct Labels {
    /// The topic as it was named.
    pub(super) topic: Resource,
    /// The namespace that its names are in.
    pub(super) namespace: String,
}

struct Messages {
    labels: Labels,
    counters: Counters,
    share: Option<Share>,
    left: std::vec::IntoIter<Found>,
}

impl PullFrames {
    /// A status, and nothing to go on with.
    pub(super) fn only(status: Status) -> Self {
        Self {
            code: status.code,
            status: Some(status),
            messages: None,
            next: None,
        }
    }

    /// A status and where to go on.
    pub(super) fn without_messages(status: Status, next: QueueOffset) -> Self {
        Self {
            next: Some(next),
            ..Self::only(status)
        }
    }

    /// The messages, counted as they go.
    pub(super) fn new(pulled: Pulled, labels: Labels, counters: Counters) -> Self {
        let messages = Messages {
            labels,
            counters,
            share: pulled.share,
            left: pulled.messages.into_iter(),
        };
        Self {
            messages: Some(messages),
            ..Self::without_messages(status::ok(), pulled.next)
        }
    }

    pub(super) fn code(&self) -> i32 {
        self.code
    }

    /// What holds the messages, which the answer as a whole takes over.
    pub(super) fn unread(&mut self) -> Option<Share> {
        self.messages.as_mut()?.share.take()
    }

    fn next(&mut self) -> Option<Result<Content, Refusal>> {
        if let Some(status) = self.status.take() {
            return Some(Ok(Content::Status(status)));
        }
        if let Some(message) = self.messages.as_mut().and_then(Messages::next) {
            return Some(message);
        }
        let next = self.next.take()?;
        Some(Ok(Content::NextOffset(next.0 as i64)))
    }
}

impl Messages {
    fn next(&mut self) -> Option<Result<Content, Refusal>> {
        let found = self.left.next()?;
        let message = delivery::unsettled(&found, self.labels.topic.clone(), &self.labels.namespace);
        // The engine has looked at the record. Were it wrong all the same, an offset behind it would hide that.
        let content =
            message.map_err(|error| Refusal::data_loss(format!("message {}: {error}", found.offset)));
        if let Ok(message) = &content {
            self.counters.count(message.body.len() as u64);
        }
        Some(content.map(Content::Message))
    }
}

impl Stream for PullFrames {
    type Item = Result<PullMessageResponse, Refusal>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let content = self.next();
        Poll::Ready(content.map(|content| {
            content.map(|content| PullMessageResponse {
                content: Some(content),
            })
        }))
    }
}
