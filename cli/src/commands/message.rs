//! `sluicectl message …`: sending and receiving as clients do. Receiving without an end is in `follow`, looking at messages in
//! `look`, following a topic in `tail`.

mod follow;
mod look;
mod tail;

use super::{Outcome, shown};
use crate::args::{MessageCommand, ReceiveMessages, SendMessages};
use crate::connect::{self, Asked, Client, Receive, Received};
use crate::failure::{Failure, Kind};
use crate::session::Session;
use crate::units::counted;
use crate::views::message::Message;
use crate::views::messages::{ReceivedMessages, SentMessage, SentMessages};
use bytes::Bytes;
use sluice_core::limits;
use sluice_proto::admin::DescribeGroupRequest;
use sluice_proto::v2;
use std::io::Read as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Messages of one request, and bytes of their bodies.
const SEND_AT_ONCE: u64 = 64;
const BYTES_AT_ONCE: u64 = 1 << 20;
/// Messages that one receive may take.
const RECEIVE_AT_ONCE: u32 = 32;
/// Of standard input no more is read.
const INPUT_BYTES_MAX: u64 = 64 << 20;
/// A broker reads no longer request, and breaks the connection off instead of saying what it takes. Up to here it says that.
const BODY_BYTES_MAX: usize = (8 << 20) - (64 << 10);
/// The longest wait that a broker takes.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// How long later receives wait: what there is comes at once.
const WAIT_FOR_MORE: Duration = Duration::from_millis(100);

pub(super) async fn run(command: &MessageCommand, session: &Session) -> Outcome {
    match command {
        MessageCommand::Send(args) => send(args, session).await,
        MessageCommand::Receive(args) => receive(args, session).await,
        MessageCommand::Tail(args) => tail::tail(args, session).await,
        MessageCommand::Get(args) => look::get(args, session).await,
        MessageCommand::Find(args) => look::find(args, session).await,
    }
}

async fn send(args: &SendMessages, session: &Session) -> Outcome {
    different(&args.property)?;
    let body = body(&args.body)?;
    fits(&body, &args.topic)?;
    let mut client = session.client().await?;
    let at_once = (BYTES_AT_ONCE / (body.len() as u64).max(1)).clamp(1, SEND_AT_ONCE);
    let mut messages = Vec::new();
    let mut left = args.count;
    while left > 0 {
        let batch = (0..left.min(at_once)).map(|_| message(args, &body)).collect();
        let sent = client
            .send(&args.topic, batch)
            .await
            .map_err(|failure| match messages.len() {
                0 => failure,
                // What is not told would be sent again by whoever repeats the command.
                done => Failure {
                    message: format!("{} (after {done} messages were sent)", failure.message),
                    ..failure
                },
            })?;
        left -= left.min(at_once);
        messages.extend(sent.into_iter().map(|sent| SentMessage {
            message_id: sent.message_id,
            offset: sent.offset,
        }));
    }
    shown(SentMessages {
        topic: args.topic.clone(),
        messages,
    })
}

/// Of two values for one name, one would be lost without a word.
fn different(properties: &[(String, String)]) -> Result<(), Failure> {
    for (index, (name, _)) in properties.iter().enumerate() {
        if properties[..index].iter().any(|(before, _)| before == name) {
            return Err(
                Failure::usage("is given twice, and a message has one value of it")
                    .about(format!("property '{name}'"))
                    .hint("give --property once for each name"),
            );
        }
    }
    Ok(())
}

fn body(text: &str) -> Result<Bytes, Failure> {
    if text != "-" {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    }
    let mut body = Vec::new();
    let read = std::io::stdin()
        .lock()
        .take(INPUT_BYTES_MAX)
        .read_to_end(&mut body);
    read.map_err(|error| Failure::new(Kind::Failed, format!("standard input cannot be read: {error}")))?;
    Ok(body.into())
}

/// Refuses what no broker reads.
fn fits(body: &[u8], topic: &str) -> Result<(), Failure> {
    if body.len() <= BODY_BYTES_MAX {
        return Ok(());
    }
    let or_more = match body.len() as u64 >= INPUT_BYTES_MAX {
        true => " or more",
        false => "",
    };
    Err(Failure::usage(format!(
        "a body of {} bytes{or_more} is larger than what a broker reads at once: nothing was sent",
        body.len()
    ))
    .about(format!("topic '{topic}'"))
    .hint(format!(
        "a message's body has at most {} MiB, or less where the broker's maxBodySize or its segments are small: send it in parts, or where it can be found",
        limits::BODY_BYTES_MAX >> 20
    )))
}

fn message(args: &SendMessages, body: &Bytes) -> v2::Message {
    let kind = if args.group_key.is_some() {
        v2::MessageType::Fifo
    } else {
        v2::MessageType::Normal
    };
    let system = v2::SystemProperties {
        tag: args.tag.clone(),
        keys: args.key.clone(),
        message_id: connect::message_id(),
        body_encoding: v2::Encoding::Identity.into(),
        message_type: kind.into(),
        born_timestamp: Some(now()),
        born_host: std::env::var("HOSTNAME").unwrap_or_default(),
        message_group: args.group_key.clone(),
        ..Default::default()
    };
    v2::Message {
        topic: Some(v2::Resource {
            resource_namespace: String::new(),
            name: args.topic.clone(),
        }),
        user_properties: args.property.iter().cloned().collect(),
        system_properties: Some(system),
        body: body.clone(),
    }
}

fn now() -> prost_types::Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    prost_types::Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
    }
}

async fn receive(args: &ReceiveMessages, session: &Session) -> Outcome {
    tell_of_new(&args.group, session).await;
    let mut client = session.client().await?;
    if args.follow {
        return follow::follow(args, &mut client, session).await;
    }
    let (received, failure) = receive_up_to(args, &mut client).await?;
    let report = report(args, &received);
    tell_of_unread(args, &received, session);
    if args.ack || failure.is_some() {
        let shown = session.printer().show(&report);
        settle(args, &received.messages, shown, &mut client).await?;
        return failure.map_or(Ok(None), Err);
    }
    if !received.messages.is_empty() {
        session.printer().note(&format!(
            "not acknowledged: they come again to group {} after {:?}; with --ack they are done",
            args.group, args.invisible
        ));
    }
    shown(report)
}

/// A name that is a typing mistake makes a group, which the broker keeps. Where no admin API is needed, none is asked.
async fn tell_of_new(group: &str, session: &Session) {
    if session.settings().endpoint.is_some() {
        return;
    }
    // Whatever else it says, the receive says it too.
    let Ok(admin) = session.admin().await else {
        return;
    };
    let request = DescribeGroupRequest {
        name: group.to_owned(),
    };
    let answer = admin.groups().describe_group(request).await;
    if let Err(failure) = admin.answer(&Asked::group(group), answer)
        && failure.reason.as_deref() == Some("GROUP_NOT_FOUND")
    {
        session.printer().note(&format!(
            "there is no group {group} yet: this makes it; `sluicectl group delete {group}` takes a mistake back"
        ));
    }
}

/// Says how many messages are not among those that are shown although the group came to them.
fn tell_of_unread(args: &ReceiveMessages, received: &Received, session: &Session) {
    if received.lost > 0 {
        session.printer().note(&format!(
            "{}: the records are damaged, and group {} goes on without them; the broker's log says which they are",
            counted(received.lost, "message is lost", "messages are lost"),
            args.group
        ));
    }
    if received.unreadable > 0 {
        session.printer().note(&format!(
            "{} cannot be read at present, and may come again in a minute; the broker's log says why. What the disk has failed to read \
             for four minutes counts as lost, and the group goes on without it",
            counted(received.unreadable, "message", "messages")
        ));
    }
}

fn report(args: &ReceiveMessages, received: &Received) -> ReceivedMessages {
    ReceivedMessages {
        group: args.group.clone(),
        topic: args.topic.clone(),
        acknowledged: args.ack,
        messages: received.messages.iter().cloned().map(Message::received).collect(),
        lost: received.lost,
        unreadable: received.unreadable,
    }
}

/// Acknowledges them, if that was asked for. First they are shown: what nobody has seen must come again.
async fn settle(
    args: &ReceiveMessages,
    received: &[v2::Message],
    shown: Result<(), Failure>,
    client: &mut Client,
) -> Result<(), Failure> {
    if !args.ack {
        return shown;
    }
    shown.map_err(|failure| {
        if failure.is_closed_output() && !received.is_empty() {
            Failure::new(
                Kind::Failed,
                "nobody reads standard output: nothing was acknowledged",
            )
            .about(format!("group '{}'", args.group))
            .hint("the messages come again to the group")
        } else {
            failure
        }
    })?;
    for some in received.chunks(RECEIVE_AT_ONCE as usize) {
        client.acknowledge(&args.group, &args.topic, some).await?;
    }
    Ok(())
}

/// Waits for the first message as long as was asked for, however short the broker's longest wait is; then takes what is
/// there. Lost messages are no end, however many stand one behind the other: each answer brings the group past some.
/// A failure that ends it comes beside what was received before.
async fn receive_up_to(
    args: &ReceiveMessages,
    client: &mut Client,
) -> Result<(Received, Option<Failure>), Failure> {
    let until = Instant::now() + args.wait;
    let mut received = Received::default();
    loop {
        let left = args
            .max
            .saturating_sub(u32::try_from(received.messages.len()).unwrap_or(u32::MAX));
        if left == 0 {
            return Ok((received, None));
        }
        let wait_left = until.saturating_duration_since(Instant::now());
        let receive = Receive {
            group: args.group.clone(),
            topic: args.topic.clone(),
            tags: args.tags.clone(),
            max: left.min(RECEIVE_AT_ONCE),
            invisible: args.invisible,
            wait: if received.messages.is_empty() {
                // Behind lost ones there is something at once, or nothing.
                let least = if received.lost > 0 {
                    WAIT_FOR_MORE
                } else {
                    Duration::ZERO
                };
                wait_left.min(WAIT_MAX).max(least)
            } else {
                WAIT_FOR_MORE
            },
        };
        match client.receive(&receive).await {
            Ok(more) => {
                let ended = more.messages.is_empty() && more.lost == 0;
                let waits = received.messages.is_empty() && wait_left > WAIT_MAX;
                received.lost += more.lost;
                received.unreadable += more.unreadable;
                received.messages.extend(more.messages);
                if ended && !waits {
                    return Ok((received, None));
                }
            }
            // What came is hidden from others already: it is better shown than lost sight of.
            Err(failure) if !received.messages.is_empty() => return Ok((received, Some(failure))),
            Err(failure) => return Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser as _;

    fn args(line: &[&str]) -> SendMessages {
        let line = ["sluicectl", "message", "send"].iter().chain(line);
        match Cli::try_parse_from(line).unwrap().command {
            Command::Message(MessageCommand::Send(args)) => args,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn a_message_has_what_was_asked_for() {
        let args = args(&[
            "orders",
            "-x",
            "--tag",
            "t",
            "--key",
            "a",
            "--key",
            "b",
            "--group-key",
            "g",
            "--property",
            "p=q=r",
        ]);
        let message = message(&args, &body(&args.body).unwrap());
        let system = message.system_properties.unwrap();
        assert_eq!(message.body, "-x");
        assert_eq!(
            (system.tag.as_deref(), system.keys),
            (Some("t"), vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(system.message_type, v2::MessageType::Fifo as i32);
        assert_eq!(message.user_properties["p"], "q=r");
    }

    #[test]
    fn what_is_longer_than_any_request_is_not_sent_and_the_limit_is_told() {
        const { assert!(BODY_BYTES_MAX > limits::BODY_BYTES_MAX) };
        fits(&vec![0; BODY_BYTES_MAX], "orders").unwrap();
        for (bytes, told) in [
            (BODY_BYTES_MAX + 1, "8323073 bytes is larger"),
            (INPUT_BYTES_MAX as usize, "67108864 bytes or more is larger"),
        ] {
            let text = fits(&vec![0; bytes], "orders").unwrap_err().to_string();
            assert!(text.contains("topic 'orders'") && text.contains(told), "{text}");
            assert!(text.contains("at most 4 MiB"), "{text}");
        }
    }

    #[test]
    fn a_property_with_two_values_is_refused_by_its_name() {
        let args = |properties: &[&str]| {
            let flags = properties.iter().flat_map(|property| ["--property", *property]);
            args(&["orders", "x"].into_iter().chain(flags).collect::<Vec<_>>())
        };
        different(&args(&["a=1", "b=1", "A=1"]).property).unwrap();
        for properties in [&["a=1", "b=2", "a=3"], &["b=1", "a=2", "a=2"]] {
            let failure = different(&args(properties).property).unwrap_err();
            assert_eq!(failure.kind, Kind::Usage);
            let text = failure.to_string();
            assert!(text.contains("property 'a'") && text.contains("twice"), "{text}");
        }
    }
}
