//! What is said to people beside received messages: what the receive makes, what does not come, and what comes again.

use crate::args::ReceiveMessages;
use crate::connect::{Admin, Asked, Received};
use crate::session::Session;
use crate::units::{count, counted};
use sluice_core::{limits, names, system_names};
use sluice_proto::admin::{DescribeGroupRequest, DescribeTopicRequest, GetConfigRequest};
use sluice_proto::v2;
use std::collections::HashMap;

/// A name that is a typing mistake makes a group or a topic, which the broker keeps. Where no admin API is needed, none is asked.
/// Answers how many attempts a message has in the group, if that is known.
pub(super) async fn before(args: &ReceiveMessages, session: &Session) -> Option<u32> {
    if session.settings().endpoint.is_some() {
        return None;
    }
    // Whatever else it says, the receive says it too.
    let admin = session.admin().await.ok()?;
    if makes_topic(&args.topic, admin).await {
        let topic = &args.topic;
        session.printer().note(&format!(
            "there is no topic {topic} yet: this makes it, without messages; `sluicectl topic delete {topic}` takes a mistake back"
        ));
    }
    let group = &args.group;
    let request = DescribeGroupRequest { name: group.clone() };
    let answer = admin.groups().describe_group(request).await;
    match admin.answer(&Asked::group(group), answer) {
        Ok(described) => Some(described.group?.spec?.max_attempts).filter(|max| *max > 0),
        Err(failure) => {
            let is_absent = failure.reason.as_deref() == Some("GROUP_NOT_FOUND");
            let is_a_name = names::check("group", group, limits::GROUP_NAME_MAX).is_ok();
            if is_absent && is_a_name && system_names::no_group(group).is_none() {
                session.printer().note(&format!(
                    "there is no group {group} yet: this makes it; `sluicectl group delete {group}` takes a mistake back"
                ));
            }
            None
        }
    }
}

async fn makes_topic(topic: &str, admin: &Admin) -> bool {
    let is_a_name = names::check("topic", topic, limits::TOPIC_NAME_MAX).is_ok();
    if !is_a_name || system_names::is_system_topic(topic) || system_names::group_topic_prefix(topic).is_some()
    {
        return false;
    }
    let request = DescribeTopicRequest {
        name: topic.to_owned(),
    };
    let answer = admin.topics().describe_topic(request).await;
    match admin.answer(&Asked::topic(topic), answer) {
        Err(failure) if failure.reason.as_deref() == Some("TOPIC_NOT_FOUND") => makes_topics(admin).await,
        _ => false,
    }
}

/// Whether the broker makes topics on their first use.
async fn makes_topics(admin: &Admin) -> bool {
    let request = GetConfigRequest {
        keys: vec!["autoCreateTopics".to_owned()],
    };
    let answer = admin.broker().get_config(request).await;
    let entries = answer.map(|answer| answer.into_inner().entries);
    entries.is_ok_and(|entries| entries.iter().any(|entry| entry.value == "true"))
}

/// Says how many messages are not among those that are shown although the group came to them.
pub(super) fn of_unread(args: &ReceiveMessages, received: &Received, session: &Session) {
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

/// Says why no more came than a group may have in flight.
pub(super) fn of_full_queue(args: &ReceiveMessages, messages: &[v2::Message], session: &Session) {
    let is_short = messages.len() < args.max as usize;
    if let Some(queue) = full_queue(messages).filter(|_| is_short) {
        let then = match args.ack {
            true => "receive again for the rest",
            false => "with --ack, and less than that at a time, all of them come",
        };
        session.printer().note(&format!(
            "{} of {} came: {} messages of queue {queue} are in flight for group {}, and a group has no more of a queue in flight; {then}",
            count(messages.len() as u64),
            count(args.max.into()),
            count(limits::IN_FLIGHT_MAX as u64),
            args.group
        ));
    }
}

/// A queue of which as many messages came as a group may have in flight.
fn full_queue(messages: &[v2::Message]) -> Option<i32> {
    if messages.len() < limits::IN_FLIGHT_MAX {
        return None;
    }
    let mut by_queue: HashMap<i32, usize> = HashMap::new();
    for properties in messages
        .iter()
        .filter_map(|message| message.system_properties.as_ref())
    {
        *by_queue.entry(properties.queue_id).or_default() += 1;
    }
    let full = by_queue
        .into_iter()
        .filter(|(_, count)| *count >= limits::IN_FLIGHT_MAX);
    full.map(|(queue, _)| queue).min()
}

/// What becomes of messages that were not acknowledged: they come again, but for those whose attempts are used up.
pub(super) fn not_acknowledged(
    args: &ReceiveMessages,
    messages: &[v2::Message],
    attempts_max: Option<u32>,
) -> String {
    let (group, after) = (&args.group, args.invisible);
    let is_last = |message: &&v2::Message| {
        let attempt = message
            .system_properties
            .as_ref()
            .and_then(|properties| properties.delivery_attempt);
        attempts_max.is_some_and(|max| attempt.is_some_and(|attempt| i64::from(attempt) >= max.into()))
    };
    let last = messages.iter().filter(is_last).count();
    let dead =
        format!("the group's next receive after {after:?} makes dead letters of them, in %DLQ%{group}");
    match last {
        0 => format!(
            "not acknowledged: they come again to group {group} after {after:?}; with --ack they are done"
        ),
        last if last == messages.len() => format!(
            "not acknowledged: this was their last attempt for group {group}, and {dead}; with --ack they are done"
        ),
        last => format!(
            "not acknowledged: they come again to group {group} after {after:?}, but for {} whose last attempt this was: {dead}; with --ack they are done",
            count(last as u64)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command, MessageCommand};
    use clap::Parser as _;

    fn args() -> ReceiveMessages {
        match Cli::try_parse_from(["sluicectl", "message", "receive", "g", "t"])
            .unwrap()
            .command
        {
            Command::Message(MessageCommand::Receive(args)) => args,
            other => unreachable!("{other:?}"),
        }
    }

    fn message(queue_id: i32, attempt: i32) -> v2::Message {
        let system_properties = Some(v2::SystemProperties {
            queue_id,
            delivery_attempt: Some(attempt),
            ..Default::default()
        });
        v2::Message {
            system_properties,
            ..Default::default()
        }
    }

    #[test]
    fn what_was_not_acknowledged_comes_again_or_becomes_a_dead_letter() {
        for (attempts, max, told) in [
            (&[1, 2][..], None, "they come again to group g after 30s; with"),
            (&[1, 2], Some(3), "they come again to group g after 30s; with"),
            (
                &[1, 1],
                Some(1),
                "this was their last attempt for group g, and the group's next receive after 30s makes dead letters of them, in %DLQ%g",
            ),
            (
                &[1, 3],
                Some(3),
                "after 30s, but for 1 whose last attempt this was: the group's next receive",
            ),
        ] {
            let messages: Vec<_> = attempts.iter().map(|attempt| message(0, *attempt)).collect();
            let note = not_acknowledged(&args(), &messages, max);
            assert!(note.contains(told), "{attempts:?} of {max:?}: {note}");
        }
    }

    #[test]
    fn a_queue_with_as_many_messages_as_may_be_in_flight_is_found() {
        let mut messages = vec![message(3, 1); limits::IN_FLIGHT_MAX - 1];
        messages.push(message(4, 1));
        assert_eq!(full_queue(&messages), None);
        messages.push(message(3, 1));
        assert_eq!(full_queue(&messages), Some(3));
    }
}
