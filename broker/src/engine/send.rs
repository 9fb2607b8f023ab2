//! Sending: one message becomes one `Append`.

use super::{Engine, EngineError};
use sluice_core::command::NewMessage;
use sluice_core::ids::{QueueId, QueueOffset, TimeMs};
use sluice_core::record::NewRecord;
use sluice_core::state::{Done, Topic};
use std::net::SocketAddr;

/// A checked message of a client.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The tag, if any.
    pub tag: Option<&'a str>,
    /// The message group, if any.
    pub message_group: Option<&'a str>,
    /// Properties as [`sluice_core::record::put_property`] makes them.
    pub properties: &'a [u8],
    /// The body.
    pub body: &'a [u8],
    /// When the client made it.
    pub born_ms: TimeMs,
    /// Where the client is.
    pub born_host: SocketAddr,
}

impl Engine {
    /// Appends `message` to a queue of `topic`; answers, once it is as durable as the flush mode promises, its offset.
    pub async fn send(
        &self,
        topic: &Topic,
        queue: QueueId,
        message: Outgoing<'_>,
    ) -> Result<QueueOffset, EngineError> {
        let record = NewRecord {
            topic: &topic.spec.name,
            queue: queue.0,
            body: message.body,
            properties: message.properties,
            born_ms: message.born_ms,
            born_host: message.born_host,
            store_ms: self.now(),
            store_host: self.options.store_host,
        };
        let Outgoing {
            tag, message_group, ..
        } = message;
        let command = NewMessage {
            topic: topic.id,
            tag,
            message_group,
            record,
        }
        .encode();
        match self.propose_one(command).await?? {
            Done::Appended(offset) => Ok(offset),
            _ => Err(EngineError::Unknown),
        }
    }
}
