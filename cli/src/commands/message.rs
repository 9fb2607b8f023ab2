//! `sluicectl message …`: receiving as a client does. Receiving without an end is in `follow`, sending in `send`, looking at
//! messages in `look`, following a topic in `tail`; what is said beside received messages is in `notes`.

mod follow;
mod look;
mod notes;
mod send;
mod tail;

use super::{Outcome, shown};
use crate::args::{MessageCommand, ReceiveMessages};
use crate::connect::{Client, Receive, Received};
use crate::failure::{Failure, Kind};
use crate::session::Session;
use crate::views::message::Message;
use crate::views::messages::ReceivedMessages;
use sluice_proto::v2;
use std::time::{Duration, Instant};

/// Messages that one receive may take.
const RECEIVE_AT_ONCE: u32 = 32;
/// The longest wait that a broker takes.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// How long later receives wait: what there is comes at once.
const WAIT_FOR_MORE: Duration = Duration::from_millis(100);

pub(super) async fn run(command: &MessageCommand, session: &Session) -> Outcome {
    match command {
        MessageCommand::Send(args) => send::send(args, session).await,
        MessageCommand::Receive(args) => receive(args, session).await,
        MessageCommand::Tail(args) => tail::tail(args, session).await,
        MessageCommand::Get(args) => look::get(args, session).await,
        MessageCommand::Find(args) => look::find(args, session).await,
    }
}

async fn receive(args: &ReceiveMessages, session: &Session) -> Outcome {
    let attempts_max = notes::before(args, session).await;
    let mut client = session.client().await?;
    if args.follow {
        return follow::follow(args, &mut client, session).await;
    }
    let (received, failure) = receive_up_to(args, &mut client).await?;
    let report = report(args, &received);
    notes::of_unread(args, &received, session);
    notes::of_full_queue(args, &received.messages, session);
    if args.ack || failure.is_some() {
        let shown = session.printer().show(&report);
        settle(args, &received.messages, shown, &mut client).await?;
        return failure.map_or(Ok(None), Err);
    }
    if !received.messages.is_empty() {
        let note = notes::not_acknowledged(args, &received.messages, attempts_max);
        session.printer().note(&note);
    }
    shown(report)
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
