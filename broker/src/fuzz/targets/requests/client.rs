//! What clients' requests are judged by: the checks of the services that ask nobody, one after the other.

use super::told;
use crate::receipt::Receipts;
use crate::service::body_max::BodyMax;
use crate::service::metadata::Caller;
use crate::service::quirks::node::Node;
use crate::service::{
    announcement, convert, digest, endpoints, properties, receive_message, settings, validate,
};
use anyhow::{Context as _, ensure};
use prost::Message as _;
use sluice_core::command::GroupSpec;
use sluice_core::limits;
use sluice_proto::v2::telemetry_command::Command;
use sluice_proto::v2::{
    AckMessageRequest, Endpoints, MessageQueue, ReceiveMessageRequest, Resource, SendMessageRequest,
    Settings, TelemetryCommand,
};
use std::sync::LazyLock;
use tonic::Extensions;
use tonic::metadata::MetadataMap;

/// The shard of the handle that requests usually have.
const UUID: [u8; 16] = [7; 16];
/// What the broker's own settings may add to a client's.
const SETTINGS_BYTES_MORE: usize = 4096;

/// Headers without a namespace, and with one, of a client for Node.js.
static HEADERS: LazyLock<[MetadataMap; 2]> = LazyLock::new(|| {
    let mut bare = MetadataMap::new();
    bare.insert("x-mq-client-id", "c".parse().expect("it is ASCII"));
    let mut within = bare.clone();
    within.insert("x-mq-namespace", "ns".parse().expect("it is ASCII"));
    within.insert("x-mq-language", "NODE_JS".parse().expect("it is ASCII"));
    [bare, within]
});

fn as_callers(judge: impl Fn(&Caller<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let extensions = Extensions::new();
    HEADERS
        .iter()
        .try_for_each(|headers| judge(&Caller::of(headers, &extensions)?))
}

/// A name that has been checked: of known characters, and no longer than the longest.
pub fn internal(name: &str) -> anyhow::Result<()> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"%|_-".contains(&byte);
    let fits = (1..=limits::SYSTEM_TOPIC_NAME_MAX).contains(&name.len());
    let start: String = name.chars().take(80).collect();
    ensure!(
        fits && name.bytes().all(known),
        "'{start}', of {} bytes, passes as a name",
        name.len()
    );
    Ok(())
}

/// The names of a topic and a group. One that is missing is refused.
pub fn names(topic: Option<&Resource>, group: Option<&Resource>) -> anyhow::Result<()> {
    as_callers(|caller| {
        let (sent_to, read) = (told(caller.topic(topic))?, told(caller.readable_topic(topic))?);
        ensure!(
            sent_to.is_none() || sent_to == read,
            "a topic can be sent to and not be read"
        );
        for name in [sent_to, read, told(caller.group(group))?].into_iter().flatten() {
            internal(&name)?;
        }
        Ok(())
    })
}

pub fn queue(queue: Option<&MessageQueue>, group: Option<&Resource>) -> anyhow::Result<()> {
    names(queue.and_then(|queue| queue.topic.as_ref()), group)
}

pub fn route(topic: Option<&Resource>, used: Option<&Endpoints>) -> anyhow::Result<()> {
    names(topic, None)?;
    let local = "10.0.0.2:8081".parse()?;
    if let Some(at) = told(endpoints::for_route(None, used, Some(local)))? {
        let usable = at
            .addresses
            .iter()
            .all(|address| (1..=65535).contains(&address.port));
        ensure!(usable && !at.addresses.is_empty(), "a route leads to {at:?}");
    }
    Ok(())
}

pub fn send(request: &SendMessageRequest) -> anyhow::Result<()> {
    told(validate::count(
        "messages",
        request.messages.len(),
        limits::SEND_MAX,
    ))?;
    for message in &request.messages {
        names(message.topic.as_ref(), None)?;
        if told(validate::message(message, BodyMax::GREATEST))?.is_none() {
            continue;
        }
        let system = message
            .system_properties
            .as_ref()
            .context("a message without an id passes")?;
        if let Some(given) = &system.body_digest {
            told(digest::verify(given, &message.body))?;
        }
        let born = system.born_timestamp.as_ref().and_then(convert::time_ms);
        if let Some(born) = born.map(convert::timestamp) {
            let fits =
                (0..=253_402_300_799).contains(&born.seconds) && (0..1_000_000_000).contains(&born.nanos);
            ensure!(fits, "a time that clients fail on: {born:?}");
        }
        if let Some(stored) = told(properties::encode(message, system))? {
            ensure!(
                stored.len() <= limits::PROPERTIES_BYTES_MAX,
                "{} bytes of properties",
                stored.len()
            );
        }
    }
    Ok(())
}

pub fn receive(request: &ReceiveMessageRequest) -> anyhow::Result<()> {
    queue(request.message_queue.as_ref(), request.group.as_ref())?;
    told(receive_message::filter(request.filter_expression.as_ref()))?;
    let group = GroupSpec::on_first_use("billing");
    if let Some((hidden_ms, told_ms)) = told(receive_message::invisible(request, &group))? {
        let longest = limits::AUTO_RENEW_MS_MAX.max(limits::INVISIBLE_MS_MAX);
        ensure!(
            hidden_ms.max(told_ms) <= longest,
            "messages are hidden for {hidden_ms} ms"
        );
    }
    duration(request.long_polling_timeout.as_ref())
}

pub fn acknowledge(request: &AckMessageRequest) -> anyhow::Result<()> {
    names(request.topic.as_ref(), request.group.as_ref())?;
    told(validate::count(
        "entries",
        request.entries.len(),
        limits::ACKNOWLEDGE_MAX,
    ))?;
    request
        .entries
        .iter()
        .try_for_each(|entry| handle(&entry.receipt_handle))
}

pub fn handle(handle: &str) -> anyhow::Result<()> {
    let receipts = Receipts::new(UUID);
    if let Some(receipt) = receipts.decode(handle) {
        ensure!(
            receipts.decode(&receipts.encode(&receipt)) == Some(receipt),
            "{receipt:?} comes back as another"
        );
    }
    Ok(())
}

pub fn duration(duration: Option<&prost_types::Duration>) -> anyhow::Result<()> {
    if let Some(ms) = duration.and_then(convert::duration_ms) {
        ensure!(
            convert::duration_ms(&convert::proto_duration(ms)) == Some(ms),
            "{ms} ms come back as others"
        );
    }
    Ok(())
}

pub fn telemetry(command: &TelemetryCommand) -> anyhow::Result<()> {
    match &command.command {
        Some(Command::Settings(settings)) => announced(settings),
        _ => Ok(()),
    }
}

fn announced(given: &Settings) -> anyhow::Result<()> {
    as_callers(|caller| {
        let Some(announced) = told(announcement::read(caller, given.clone()))? else {
            return Ok(());
        };
        let read = announced.subscriptions.iter().map(|(topic, _)| topic);
        for name in announced.topics.iter().chain(read).chain(&announced.group) {
            internal(name)?;
        }
        let group = announced.group.as_deref().map(GroupSpec::on_first_use);
        for node in [None, Node::of(caller, given), announced.node] {
            let told = settings::merge(given.clone(), group.as_ref(), node, limits::BODY_BYTES_MAX);
            let bytes = told.encode_to_vec();
            ensure!(
                bytes.len() <= given.encoded_len() + SETTINGS_BYTES_MORE,
                "{} bytes of settings",
                bytes.len()
            );
            Settings::decode(&*bytes)?;
        }
        Ok(())
    })
}
