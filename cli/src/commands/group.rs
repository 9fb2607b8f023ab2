//! `sluicectl group …`: making, changing, deleting and looking. Moving and asking members are in `repair`.

mod repair;
mod spec;

use super::{Outcome, shown};
use crate::args::{CreateGroup, DeleteGroup, GroupCommand, SubscriptionArg, UpdateGroup};
use crate::connect::{Admin, Asked};
use crate::failure::{Failure, Kind};
use crate::session::Session;
use crate::units::{counted, now_ms};
use crate::views::client::Client;
use crate::views::group::GroupDescription;
use crate::views::groups::{ChangedGroup, DeletedGroup, GroupSummary, Groups};
use crate::views::lag::GroupLag;
use crate::views::member::Members;
use crate::views::offsets::Offsets;
use sluice_proto::admin::{
    CreateGroupRequest, DeleteGroupRequest, DescribeGroupRequest, DescribeTopicRequest, GetLagRequest,
    GetOffsetsRequest, GroupSpec, ListGroupsRequest, ListMembersRequest, UpdateGroupRequest,
    UpdateGroupResponse,
};

pub(super) async fn run(command: &GroupCommand, session: &Session) -> Outcome {
    if let GroupCommand::Update(args) = command
        && args.fifo.is_none()
        && args.unsubscribe.is_empty()
        && args.changes.is_empty()
    {
        return Err(Failure::usage("nothing is to be changed")
            .about(format!("group '{}'", args.name))
            .hint("`sluicectl group update --help` shows what can be"));
    }
    let admin = session.admin().await?;
    match command {
        GroupCommand::Create(args) => create(args, session, admin).await,
        GroupCommand::Update(args) => update(args, session, admin).await,
        GroupCommand::Delete(args) => delete(args, admin).await,
        GroupCommand::List { prefix } => shown(list(prefix, admin).await?),
        GroupCommand::Show { name } => shown(describe(name, admin).await?),
        GroupCommand::Lag { group, topic } => shown(lag(group, topic, admin).await?),
        GroupCommand::Members { group } => shown(Members {
            group: group.clone(),
            members: members(group, admin).await?,
        }),
        GroupCommand::Offsets { group, topic } => shown(offsets(group, topic, admin).await?),
        GroupCommand::Reset(args) => repair::reset(args, admin).await,
        GroupCommand::Stack(args) => repair::stacks(args, session, admin).await,
        GroupCommand::Verify(args) => repair::verify(args, session, admin).await,
    }
}

async fn create(args: &CreateGroup, session: &Session, admin: &Admin) -> Outcome {
    let mut spec = GroupSpec {
        fifo: args.fifo,
        ..GroupSpec::default()
    };
    spec::change(&mut spec, &args.changes, now_ms());
    let request = CreateGroupRequest {
        name: args.name.clone(),
        spec: Some(spec),
        epoch: 0,
    };
    let answer = admin.groups().create_group(request).await;
    let group = admin
        .answer(&Asked::group(&args.name), answer)
        .map_err(|failure| {
            if failure.reason.as_deref() == Some("GROUP_EXISTS") {
                failure.hint(format!("`sluicectl group update {}` changes it", args.name))
            } else {
                failure
            }
        })?;
    tell_of_missing(&args.changes.subscribe, session, admin).await;
    shown(ChangedGroup {
        what: "created",
        group: group.into(),
        created: true,
        changed: true,
        clients_told: 0,
    })
}

/// Reads the group, changes it and writes it back, unless somebody else has changed it in between.
async fn update(args: &UpdateGroup, session: &Session, admin: &Admin) -> Outcome {
    let asked = Asked::group(&args.name);
    let request = DescribeGroupRequest {
        name: args.name.clone(),
    };
    let found = admin.answer(&asked, admin.groups().describe_group(request).await)?;
    let found = found.group.unwrap_or_default();
    let mut spec = found.spec.unwrap_or_default();
    if let Some(fifo) = args.fifo {
        spec.fifo = fifo;
    }
    spec.subscriptions
        .retain(|subscription| !args.unsubscribe.contains(&subscription.topic));
    spec::change(&mut spec, &args.changes, now_ms());
    let request = UpdateGroupRequest {
        name: args.name.clone(),
        spec: Some(spec),
        expected_generation: Some(found.generation),
        epoch: 0,
    };
    let UpdateGroupResponse {
        group,
        created,
        changed,
        clients_told,
    } = admin.answer(&asked, admin.groups().update_group(request).await)?;
    tell_of_missing(&args.changes.subscribe, session, admin).await;
    shown(ChangedGroup {
        what: if changed { "updated" } else { "is so already" },
        group: group.unwrap_or_default().into(),
        created,
        changed,
        clients_told,
    })
}

/// A subscription to a topic that is not there is kept, for the topic may come. People who mistyped it are told.
async fn tell_of_missing(subscriptions: &[SubscriptionArg], session: &Session, admin: &Admin) {
    for SubscriptionArg { topic, .. } in subscriptions {
        let request = DescribeTopicRequest { name: topic.clone() };
        let found = admin.topics().describe_topic(request).await;
        match admin.answer(&Asked::topic(topic), found) {
            Err(failure) if failure.kind == Kind::NotFound => session.printer().note(&format!(
                "note: there is no topic '{topic}' yet: its messages count from when it is made"
            )),
            // The group is made: what else is wrong with the topic stands against nothing here.
            _ => {}
        }
    }
}

async fn delete(args: &DeleteGroup, admin: &Admin) -> Outcome {
    let request = DeleteGroupRequest {
        name: args.name.clone(),
        only_if_empty: !args.yes,
        expected_generation: None,
        epoch: 0,
    };
    let answer = admin.groups().delete_group(request).await;
    match admin.answer(&Asked::group(&args.name), answer) {
        Ok(deleted) => shown(DeletedGroup {
            group: args.name.clone(),
            deleted: true,
            undone_messages: deleted.undone_messages,
        }),
        Err(failure) if failure.is_not_empty() && !args.if_empty => {
            let lag = lag(&args.name, "", admin).await?;
            let undone: u64 = lag.topics.iter().map(|topic| topic.lag).sum();
            Err(Failure {
                message: format!("it has {} to do", counted(undone, "message", "messages")),
                hint: Some(format!(
                    "`sluicectl group delete {} --yes` deletes it nevertheless",
                    args.name
                )),
                ..failure
            })
        }
        Err(failure) => Err(failure),
    }
}

async fn list(prefix: &str, admin: &Admin) -> Result<Groups, Failure> {
    let mut groups = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListGroupsRequest {
            prefix: prefix.to_owned(),
            page_size: 0,
            page_token,
        };
        let page = admin.answer(&Asked::broker(), admin.groups().list_groups(request).await)?;
        groups.extend(page.groups.into_iter().map(GroupSummary::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Groups(groups));
        }
    }
}

async fn describe(name: &str, admin: &Admin) -> Result<GroupDescription, Failure> {
    let request = DescribeGroupRequest {
        name: name.to_owned(),
    };
    let answer = admin.groups().describe_group(request).await;
    Ok(admin.answer(&Asked::group(name), answer)?.into())
}

async fn lag(group: &str, topic: &str, admin: &Admin) -> Result<GroupLag, Failure> {
    let request = GetLagRequest {
        group: group.to_owned(),
        topic: topic.to_owned(),
    };
    let answer = admin.groups().get_lag(request).await;
    Ok(admin.answer(&Asked::group(group), answer)?.into())
}

async fn offsets(group: &str, topic: &str, admin: &Admin) -> Result<Offsets, Failure> {
    let request = GetOffsetsRequest {
        group: group.to_owned(),
        topic: topic.to_owned(),
    };
    let answer = admin.groups().get_offsets(request).await;
    Ok(Offsets::new(group, admin.answer(&Asked::group(group), answer)?))
}

async fn members(group: &str, admin: &Admin) -> Result<Vec<Client>, Failure> {
    let request = ListMembersRequest {
        group: group.to_owned(),
    };
    let answer = admin.groups().list_members(request).await;
    let members = admin.answer(&Asked::group(group), answer)?.members;
    Ok(members
        .into_iter()
        .map(|member| Client::of_member(group, member))
        .collect())
}
