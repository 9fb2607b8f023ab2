//! The queue that a request is about. Calls of clients that keep their own place name one; for a receive it is any.

use super::Shared;
use super::invalid::Invalid;
use super::metadata::Caller;
use sluice_core::excerpt::excerpt;
use sluice_core::ids::QueueId;
use sluice_proto::v2::MessageQueue;
use std::borrow::Cow;

/// A queue, its names checked and not looked up.
pub(super) struct NamedQueue<'r> {
    /// The name under which the broker has the topic.
    pub(super) topic: Cow<'r, str>,
    /// The queue, which the topic need not have.
    pub(super) queue: QueueId,
}

impl<'r> NamedQueue<'r> {
    /// The queue that the request names.
    pub(super) fn of<'a: 'r>(
        shared: &Shared,
        caller: &Caller<'a>,
        queue: Option<&'r MessageQueue>,
    ) -> Result<Self, Invalid> {
        let queue = queue.ok_or(MISSING)?;
        let topic = caller.readable_topic(queue.topic.as_ref())?;
        shared.is_here(queue)?;
        let id = u32::try_from(queue.id);
        let id =
            id.map_err(|_| Invalid::Request("the queue's id is negative: name one queue of the topic"))?;
        Ok(Self {
            topic,
            queue: QueueId(id),
        })
    }
}

/// The request names no queue.
pub(super) const MISSING: Invalid = Invalid::Request("the message queue is missing");

impl Shared {
    /// Whether the queue is of this broker; it is where no broker is named.
    pub(super) fn is_here(&self, queue: &MessageQueue) -> Result<(), Invalid> {
        let broker = queue.broker.as_ref().map_or("", |broker| broker.name.as_str());
        if !broker.trim().is_empty() && broker != self.broker_name {
            return Err(Invalid::Broker(excerpt(broker).into_owned()));
        }
        Ok(())
    }
}
