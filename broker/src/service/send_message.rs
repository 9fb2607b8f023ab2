//! `SendMessage`: messages of one topic, each into a queue of the broker's choice. This is the hottest call: nothing is
//! copied but into the command, and nothing is looked up twice.

use super::body_max::BodyMax;
use super::invalid::Invalid;
use super::metadata::Caller;
use super::status::{self, Failure};
use super::turns::Turn;
use super::validate;
use super::{Shared, convert, digest, properties, quirks};
use crate::clients::Figures;
use crate::engine::{EngineError, Outgoing};
use sluice_core::command::MessageKind;
use sluice_core::ids::{QueueId, QueueOffset};
use sluice_core::limits;
use sluice_core::state::Topic;
use sluice_proto::v2::{
    Code, Message, MessageType, SendMessageRequest, SendMessageResponse, SendResultEntry, SystemProperties,
};
use std::time::Instant;
use tonic::Request;

pub(super) async fn handle(
    shared: &Shared,
    request: Request<SendMessageRequest>,
) -> Result<SendMessageResponse, Failure> {
    let (metadata, extensions, request) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    send(shared, &caller, request)
        .await
        .map_err(|failure| quirks::rust::known_to(caller.language(), failure))
}

async fn send(
    shared: &Shared,
    caller: &Caller<'_>,
    request: SendMessageRequest,
) -> Result<SendMessageResponse, Failure> {
    let mut messages = request.messages;
    validate::count("messages", messages.len(), limits::SEND_MAX)?;
    let Some((first, others)) = messages.split_first() else {
        return Err(Invalid::Corrupted("the request has no messages").into());
    };
    if others.iter().any(|other| other.topic != first.topic) {
        return Err(Invalid::Corrupted("the messages are of several topics").into());
    }
    let name = caller.topic(first.topic.as_ref())?;
    for message in &messages {
        check(message, shared.body_max)?;
    }
    let bytes = messages.iter().map(|message| message.body.len()).sum();
    let admitted = shared.unanswered.admit(caller.client_id, bytes);
    let _share = admitted.map_err(Invalid::from)?;
    let topic = shared.engine.topic(&name).await?;
    if topic.spec.closed {
        shared.engine.refusals().topic_is_closed();
        return Err(EngineError::TopicClosed(topic.spec.name.clone()).into());
    }
    for message in &messages {
        check_type(message, &topic)?;
    }
    drop(name);
    let turn = shared.turns.of(&topic, &shared.metrics.traffic);
    let sending = Sending {
        shared,
        caller,
        topic: &topic,
        turn: &turn,
    };
    let entries = match messages.as_mut_slice() {
        // Nearly always: nothing is gathered, and the rare case's future lies elsewhere.
        [message] => vec![sending.one(message).await],
        messages => Box::pin(sending.several(messages)).await?,
    };
    count(shared, caller, &entries);
    let status = status::over(entries.iter().map(|entry| &entry.status));
    Ok(SendMessageResponse {
        status: Some(status),
        entries,
    })
}

/// Counts what the client has sent; the topic's and the broker's counters have it already.
fn count(shared: &Shared, caller: &Caller<'_>, entries: &[SendResultEntry]) {
    let is_sent = |entry: &&SendResultEntry| {
        entry
            .status
            .as_ref()
            .is_some_and(|status| status.code == Code::Ok as i32)
    };
    let sent = entries.iter().filter(is_sent).count() as u64;
    if sent > 0 {
        let count = |figures: &Figures| figures.sent(sent, Instant::now());
        shared.clients.count_for(caller.client_id, count);
    }
}

fn check(message: &Message, body_max: BodyMax) -> Result<(), Invalid> {
    validate::message(message, body_max)?;
    match system(message).and_then(|system| system.body_digest.as_ref()) {
        Some(given) => digest::verify(given, &message.body),
        None => Ok(()),
    }
}

/// The type follows from what the message has, transaction before delay before order, as in RocketMQ. A type that promises more
/// than what the message has, or than the broker has, is refused by its name as well: it would be taken for a lesser one.
fn check_type(message: &Message, topic: &Topic) -> Result<(), Invalid> {
    let system = system(message);
    let has = |part: fn(&SystemProperties) -> bool| system.is_some_and(part);
    let refuse = |kind| {
        Err(Invalid::Type {
            topic: topic.spec.name.clone(),
            kind,
        })
    };
    let number = system.map_or(0, |system| system.message_type);
    let called = MessageType::try_from(number).map_err(|_| Invalid::TypeUnknown(number))?;
    if called == MessageType::Transaction {
        return refuse("TRANSACTION");
    }
    if called == MessageType::Delay || has(|system| system.delivery_timestamp.is_some()) {
        return refuse("DELAY");
    }
    if called == MessageType::Lite || has(|system| system.lite_topic.is_some()) {
        return refuse("LITE");
    }
    if called == MessageType::Priority || has(|system| system.priority.is_some()) {
        return refuse("PRIORITY");
    }
    let fifo = has(|system| system.message_group.is_some());
    if called == MessageType::Fifo && !fifo {
        return Err(Invalid::NoMessageGroup);
    }
    let (kind, name) = if fifo {
        (MessageKind::Fifo, "FIFO")
    } else {
        (MessageKind::Normal, "NORMAL")
    };
    if topic.spec.types.take(kind) {
        Ok(())
    } else {
        refuse(name)
    }
}

fn system(message: &Message) -> Option<&SystemProperties> {
    message.system_properties.as_ref()
}

/// What the messages of one request have in common.
struct Sending<'a> {
    shared: &'a Shared,
    caller: &'a Caller<'a>,
    topic: &'a Topic,
    turn: &'a Turn,
}

impl Sending<'_> {
    async fn one(&self, message: &mut Message) -> SendResultEntry {
        let sent = self.append(message).await;
        entry(message, sent)
    }

    async fn append(&self, message: &Message) -> Result<QueueOffset, Failure> {
        let properties = encoded_properties(message)?;
        let (queue, outgoing) = self.outgoing(message, &properties);
        let offset = self.shared.engine.send(self.topic, queue, outgoing).await?;
        self.count(message);
        Ok(offset)
    }

    /// A message that cannot be stored refuses them all: taken without it, the others would have overtaken it.
    async fn several(&self, messages: &mut [Message]) -> Result<Vec<SendResultEntry>, Failure> {
        let encode = |message: &Message| {
            let properties = encoded_properties(message)?;
            let (queue, outgoing) = self.outgoing(message, &properties);
            Ok(self.shared.engine.encode(self.topic, queue, outgoing))
        };
        let commands: Result<Vec<_>, Failure> = messages.iter().map(encode).collect();
        let sent = self.shared.engine.send_all(self.topic, commands?).await;
        let entries = messages.iter_mut().zip(sent).map(|(message, sent)| {
            if sent.is_ok() {
                self.count(message);
            }
            entry(message, sent.map_err(Failure::from))
        });
        Ok(entries.collect())
    }

    fn outgoing<'m>(&self, message: &'m Message, properties: &'m [u8]) -> (QueueId, Outgoing<'m>) {
        let system = system(message);
        let message_group = system.and_then(|system| system.message_group.as_deref());
        let born_ms = system
            .and_then(|system| system.born_timestamp.as_ref())
            .and_then(convert::time_ms);
        let outgoing = Outgoing {
            tag: system.and_then(|system| system.tag.as_deref()),
            message_group,
            properties,
            body: &message.body,
            born_ms: born_ms.unwrap_or_else(|| self.shared.engine.now()),
            born_host: self.caller.remote(),
        };
        (self.turn.queue(self.topic, message_group), outgoing)
    }

    fn count(&self, message: &Message) {
        let is_fifo = system(message).is_some_and(|system| system.message_group.is_some());
        self.turn.count(is_fifo, message.body.len());
    }
}

fn encoded_properties(message: &Message) -> Result<Vec<u8>, Invalid> {
    let system = system(message).ok_or(Invalid::MessageId)?;
    properties::encode(message, system)
}

/// Takes the message's id along.
fn entry(message: &mut Message, sent: Result<QueueOffset, Failure>) -> SendResultEntry {
    let (status, offset) = match sent {
        Ok(offset) => (status::ok(), offset.0 as i64),
        Err(failure) => (failure.into_status(), 0),
    };
    let system = message.system_properties.as_mut();
    let message_id = system
        .map(|system| std::mem::take(&mut system.message_id))
        .unwrap_or_default();
    SendResultEntry {
        status: Some(status),
        message_id,
        offset,
        ..Default::default()
    }
}
