//! Sending as a client does, many at a time; what ends it midway says how many were sent.

use super::super::{Outcome, shown};
use crate::args::SendMessages;
use crate::connect::{self, Sending};
use crate::failure::{Failure, Kind};
use crate::session::Session;
use crate::units::{count, counted};
use crate::views::messages::{SentMessage, SentMessages};
use bytes::Bytes;
use sluice_core::limits;
use sluice_proto::v2;
use std::io::Read as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Messages of one request, and bytes of their bodies.
const SEND_AT_ONCE: u64 = 64;
const BYTES_AT_ONCE: u64 = 1 << 20;
/// Of standard input no more is read.
const INPUT_BYTES_MAX: u64 = 64 << 20;
/// A broker reads no longer request, and breaks the connection off instead of saying what it takes. Up to here it says that.
const BODY_BYTES_MAX: usize = (8 << 20) - (64 << 10);

pub(super) async fn send(args: &SendMessages, session: &Session) -> Outcome {
    different(&args.property)?;
    let body = body(&args.body)?;
    fits(&body, &args.topic)?;
    let mut client = session.client().await?;
    let at_once = (BYTES_AT_ONCE / (body.len() as u64).max(1)).clamp(1, SEND_AT_ONCE);
    let mut messages = Vec::new();
    let mut left = args.count;
    while left > 0 {
        let batch = (0..left.min(at_once)).map(|_| message(args, &body)).collect();
        let Sending {
            sent,
            in_doubt,
            failure,
        } = client.send(&args.topic, batch).await;
        messages.extend(sent.into_iter().map(|sent| SentMessage {
            message_id: sent.message_id,
            offset: sent.offset,
        }));
        if let Some(failure) = failure {
            return Err(so_far(failure, messages.len() as u64, in_doubt as u64));
        }
        left -= left.min(at_once);
    }
    shown(SentMessages {
        topic: args.topic.clone(),
        messages,
    })
}

/// The failure with how much was done before: what is not told would be sent again by whoever repeats the command.
fn so_far(failure: Failure, sent: u64, in_doubt: u64) -> Failure {
    let were = |number| counted(number, "message was sent", "messages were sent");
    let so_far = match (sent, in_doubt) {
        (0, 0) => return failure,
        (sent, 0) => format!("after {}", were(sent)),
        (0, in_doubt) => format!(
            "{} may have been sent nevertheless",
            counted(in_doubt, "message", "messages")
        ),
        (sent, in_doubt) => format!(
            "after at least {}; {} more may have been",
            were(sent),
            count(in_doubt)
        ),
    };
    Failure {
        message: format!("{} ({so_far})", failure.message),
        ..failure
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command, MessageCommand};
    use clap::Parser as _;

    fn args(line: &[&str]) -> SendMessages {
        let line = ["sluicectl", "message", "send"].iter().chain(line);
        match Cli::try_parse_from(line).unwrap().command {
            Command::Message(MessageCommand::Send(args)) => args,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn a_send_that_ends_midway_says_how_many_were_sent_and_how_many_are_in_doubt() {
        for (sent, in_doubt, told) in [
            (0, 0, "error: the disk is full"),
            (1, 0, "error: the disk is full (after 1 message was sent)"),
            (
                4_711,
                0,
                "error: the disk is full (after 4,711 messages were sent)",
            ),
            (
                0,
                1,
                "error: the disk is full (1 message may have been sent nevertheless)",
            ),
            (
                64,
                40,
                "error: the disk is full (after at least 64 messages were sent; 40 more may have been)",
            ),
        ] {
            let failure = Failure::new(Kind::Failed, "the disk is full");
            assert_eq!(so_far(failure, sent, in_doubt).to_string(), told);
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
