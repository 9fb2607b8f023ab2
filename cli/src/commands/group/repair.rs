//! Moving a group, and asking its members.

use super::{Outcome, members, shown};
use crate::args::{ResetGroup, StackGroup, Target, VerifyGroup};
use crate::connect::{Admin, Asked};
use crate::failure::{Failure, Kind};
use crate::session::Session;
use crate::units::now_ms;
use crate::views::member::{Stack, Stacks, Trial};
use crate::views::offsets::Reset;
use sluice_proto::admin::reset_offsets_request::Target as ResetTarget;
use sluice_proto::admin::{GetThreadStacksRequest, ResetOffsetsRequest, VerifyMessageRequest};

pub(super) async fn reset(args: &ResetGroup, admin: &Admin) -> Outcome {
    let target = match args.to {
        Target::Earliest => ResetTarget::Earliest(true),
        Target::Latest => ResetTarget::Latest(true),
        Target::Offset(offset) => ResetTarget::Offset(offset),
        Target::Time(moment) => ResetTarget::TimeMs(moment.resolve(now_ms())),
        Target::Skip(newest) => ResetTarget::SkipToNewest(newest),
    };
    let request = ResetOffsetsRequest {
        group: args.group.clone(),
        topic: args.topic.clone(),
        target: Some(target),
        queues: args.queue.clone(),
        preview: !args.yes,
        epoch: 0,
    };
    let answer = admin.groups().reset_offsets(request).await;
    let response = admin.answer(&Asked::group(&args.group), answer)?;
    let offset = match args.to {
        Target::Offset(offset) => Some(offset),
        _ => None,
    };
    shown(Reset::new(&args.group, &args.topic, offset, response))
}

/// Shorter than the call itself may take, so that the broker's word on a silent client arrives.
fn client_timeout_ms(session: &Session) -> u64 {
    let ms = session.settings().timeout.as_millis() / 2;
    u64::try_from(ms).unwrap_or(u64::MAX).clamp(1, 60_000)
}

pub(super) async fn stacks(args: &StackGroup, session: &Session, admin: &Admin) -> Outcome {
    let asked = match &args.client {
        Some(client) => vec![client.clone()],
        None => connected(&args.group, admin).await?,
    };
    let mut clients = Vec::new();
    let mut first_failure = None;
    for client_id in asked {
        let request = GetThreadStacksRequest {
            client_id: client_id.clone(),
            timeout_ms: client_timeout_ms(session),
        };
        let answer = admin.clients().get_thread_stacks(request).await;
        let (stacks, error) = match admin.answer(&Asked::client(&client_id), answer) {
            Ok(answer) => (Some(answer.stacks), None),
            Err(failure) => {
                let text = failure.message.clone();
                first_failure.get_or_insert(failure);
                (None, Some(text))
            }
        };
        clients.push(Stack {
            client_id,
            stacks,
            error,
        });
    }
    match first_failure {
        // Nobody has answered at all: that is the failure of the command.
        Some(failure) if clients.iter().all(|client| client.stacks.is_none()) => Err(failure),
        _ => shown(Stacks {
            group: args.group.clone(),
            clients,
        }),
    }
}

pub(super) async fn verify(args: &VerifyGroup, session: &Session, admin: &Admin) -> Outcome {
    let client_id = match &args.client {
        Some(client) => client.clone(),
        None => connected(&args.group, admin).await?.swap_remove(0),
    };
    let request = VerifyMessageRequest {
        client_id: client_id.clone(),
        topic: args.topic.clone(),
        message_id: args.message_id.clone(),
        timeout_ms: client_timeout_ms(session),
    };
    let answer = admin.clients().verify_message(request).await;
    let answer = admin.answer(&Asked::message(&args.message_id), answer)?;
    shown(Trial {
        client_id,
        message_id: args.message_id.clone(),
        code: answer.code,
        message: answer.message,
    })
}

/// The connected members, of which there must be one.
async fn connected(group: &str, admin: &Admin) -> Result<Vec<String>, Failure> {
    let members = members(group, admin).await?;
    let connected = members.into_iter().filter(|member| member.connected);
    let connected: Vec<String> = connected.map(|member| member.client_id).collect();
    if connected.is_empty() {
        return Err(Failure::new(Kind::NotFound, "it has no connected members")
            .about(format!("group '{group}'"))
            .hint("start a consumer of the group first"));
    }
    Ok(connected)
}
