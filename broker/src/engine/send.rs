//! Sending: one message becomes one `Append`, and what is sent together stays in order.

use super::{Engine, EngineError};
use sluice_core::command::{EncodedCommand, NewMessage};
use sluice_core::ids::{QueueId, QueueOffset, TimeMs};
use sluice_core::limits;
use sluice_core::log::Batch;
use sluice_core::record::NewRecord;
use sluice_core::state::{Applied, Done, Refused, Topic};
use std::iter::Peekable;
use std::net::SocketAddr;
use std::vec::IntoIter;

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
        let command = self.encode(topic, queue, message);
        offset(self.propose_one(command).await?).map_err(|error| named(error, topic))
    }

    /// Appends messages of `topic` in their order, as many at a time as one frame takes; answers their offsets in that order. A
    /// frame is taken whole or not at all, and after one that was not nothing more is proposed: no message overtakes
    /// one before it. What was not proposed has the error of what stopped it.
    pub async fn send_all(
        &self,
        topic: &Topic,
        messages: Vec<EncodedCommand>,
    ) -> Vec<Result<QueueOffset, EngineError>> {
        let count = messages.len();
        let mut messages = messages.into_iter().peekable();
        let mut answers = Vec::with_capacity(count);
        while messages.peek().is_some() {
            match self.propose(self.next_frame(&mut messages)).await {
                Ok(results) => {
                    let answer = |applied| offset(applied).map_err(|error| named(error, topic));
                    answers.extend(results.into_iter().map(answer));
                }
                Err(error) => {
                    answers.resize(count, Err(error));
                    break;
                }
            }
        }
        answers
    }

    fn next_frame(&self, messages: &mut Peekable<IntoIter<EncodedCommand>>) -> Batch {
        let bytes_max = self.store.log().command_bytes_max();
        let (mut batch, mut bytes) = (Batch::new(), 0);
        while let Some(message) = messages.next_if(|next| {
            batch.is_empty() || (bytes + next.len() <= bytes_max && batch.len() < limits::BATCH_COMMANDS_MAX)
        }) {
            bytes += message.len();
            batch.push(message);
        }
        batch
    }

    /// The command that appends `message`.
    pub fn encode(&self, topic: &Topic, queue: QueueId, message: Outgoing<'_>) -> EncodedCommand {
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
        NewMessage {
            topic: topic.id,
            tag,
            message_group,
            record,
        }
        .encode()
    }
}

/// What became of the topic between its look-up and apply, by its name.
fn named(error: EngineError, topic: &Topic) -> EngineError {
    match error {
        EngineError::Refused(Refused::NoTopic(_)) => EngineError::TopicDeleted(topic.spec.name.clone()),
        EngineError::Refused(Refused::Closed(_)) => EngineError::TopicClosed(topic.spec.name.clone()),
        other => other,
    }
}

fn offset(applied: Applied) -> Result<QueueOffset, EngineError> {
    match applied? {
        Done::Appended(offset) => Ok(offset),
        _ => Err(EngineError::Unknown),
    }
}
