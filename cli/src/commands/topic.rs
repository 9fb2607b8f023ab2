//! `sluicectl topic …`

use super::{Outcome, shown};
use crate::args::{CreateTopic, DeleteTopic, ListTopics, TopicCommand, TopicTypes, UpdateTopic};
use crate::connect::{Admin, Asked};
use crate::failure::Failure;
use crate::session::Session;
use crate::views::topic::{ChangedTopic, DeletedTopic, Topic, Topics};
use crate::views::topic_description::{TopicDescription, losses};
use sluice_proto::admin::{
    CreateTopicRequest, DeleteTopicRequest, DescribeTopicRequest, GetConfigRequest, ListTopicsRequest,
    TopicSpec, UpdateTopicRequest, UpdateTopicResponse,
};

pub(super) async fn run(command: &TopicCommand, session: &Session) -> Outcome {
    if let TopicCommand::Update(args) = command
        && args.queues.is_none()
        && args.types.is_none()
        && args.retention_hours.is_none()
    {
        return Err(Failure::usage("nothing is to be changed")
            .about(format!("topic '{}'", args.name))
            .hint("give --queues, --type or --retention-hours"));
    }
    let admin = session.admin().await?;
    match command {
        TopicCommand::Create(args) => create(args, admin).await,
        TopicCommand::Update(args) => update(args, admin).await,
        TopicCommand::Delete(args) => delete(args, admin).await,
        TopicCommand::List(args) => shown(list(args, admin).await?),
        TopicCommand::Show { name } => shown(describe(name, admin).await?),
        TopicCommand::Close { name } => set_closed(name, true, admin).await,
        TopicCommand::Open { name } => set_closed(name, false, admin).await,
    }
}

async fn create(args: &CreateTopic, admin: &Admin) -> Outcome {
    let request = CreateTopicRequest {
        name: args.name.clone(),
        spec: Some(TopicSpec {
            queues: args.queues.unwrap_or(0),
            types: numbers(&args.types),
            closed: false,
            retention_hours: args.retention_hours.unwrap_or(0),
        }),
        epoch: 0,
    };
    let asked = Asked::topic(&args.name);
    let topic = admin
        .answer(&asked, admin.topics().create_topic(request).await)
        .map_err(|failure| {
            if failure.reason.as_deref() == Some("TOPIC_EXISTS") {
                failure.hint(format!("`sluicectl topic update {}` changes it", args.name))
            } else {
                failure
            }
        })?;
    shown(ChangedTopic {
        what: "created".to_owned(),
        topic: topic.into(),
        created: true,
        changed: true,
        note: shorter(args.retention_hours, admin).await,
    })
}

fn numbers(types: &TopicTypes) -> Vec<i32> {
    types.0.iter().map(|kind| kind.to_topic_type().into()).collect()
}

async fn update(args: &UpdateTopic, admin: &Admin) -> Outcome {
    let note = shorter(args.retention_hours, admin).await;
    change(&args.name, "updated", note, admin, |spec| {
        if let Some(queues) = args.queues {
            spec.queues = queues;
        }
        if let Some(types) = &args.types {
            spec.types = numbers(types);
        }
        if let Some(hours) = args.retention_hours {
            spec.retention_hours = hours;
        }
    })
    .await
}

async fn set_closed(name: &str, closed: bool, admin: &Admin) -> Outcome {
    let what = if closed { "closed" } else { "opened" };
    change(name, what, None, admin, |spec| spec.closed = closed).await
}

/// Reads the topic, changes it and writes it back, unless somebody else has changed it in between.
async fn change(
    name: &str,
    what: &str,
    note: Option<String>,
    admin: &Admin,
    edit: impl FnOnce(&mut TopicSpec),
) -> Outcome {
    let asked = Asked::topic(name);
    let request = DescribeTopicRequest {
        name: name.to_owned(),
    };
    let found = admin.answer(&asked, admin.topics().describe_topic(request).await)?;
    let found = found.topic.unwrap_or_default();
    let mut spec = found.spec.unwrap_or_default();
    edit(&mut spec);
    let request = UpdateTopicRequest {
        name: name.to_owned(),
        spec: Some(spec),
        expected_generation: Some(found.generation),
        epoch: 0,
    };
    let UpdateTopicResponse {
        topic,
        created,
        changed,
    } = admin.answer(&asked, admin.topics().update_topic(request).await)?;
    shown(ChangedTopic {
        what: if changed { what } else { "is so already" }.to_owned(),
        topic: topic.unwrap_or_default().into(),
        created,
        changed,
        note,
    })
}

/// Says that a topic's own hours change nothing where they are fewer than the broker's: they only lengthen. Nothing is said where
/// the broker does not tell its own.
async fn shorter(hours: Option<u32>, admin: &Admin) -> Option<String> {
    let hours = hours.filter(|hours| *hours > 0)?;
    let request = GetConfigRequest {
        keys: vec![BROKERS_HOURS.to_owned()],
    };
    let answer = admin.broker().get_config(request).await.ok()?.into_inner();
    let brokers: u32 = answer.entries.first()?.value.parse().ok()?;
    (hours < brokers).then(|| {
        format!(
            "{hours} hours have no effect for now: the broker keeps all messages for {brokers} ({BROKERS_HOURS}), and a topic's own hours only lengthen that"
        )
    })
}

const BROKERS_HOURS: &str = "retentionHours";

async fn delete(args: &DeleteTopic, admin: &Admin) -> Outcome {
    let asked = Asked::topic(&args.name);
    let request = DeleteTopicRequest {
        name: args.name.clone(),
        only_if_empty: !args.yes,
        expected_generation: None,
        epoch: 0,
    };
    match admin.answer(&asked, admin.topics().delete_topic(request).await) {
        Ok(deleted) => shown(DeletedTopic {
            topic: args.name.clone(),
            deleted: true,
            undone_messages: deleted.undone_messages,
        }),
        Err(failure) if failure.is_not_empty() && !args.if_empty => {
            let lost = losses(&describe(&args.name, admin).await?);
            Err(Failure {
                message: format!("messages would be lost: {lost}"),
                hint: Some(format!(
                    "`sluicectl topic delete {} --yes` deletes it nevertheless",
                    args.name
                )),
                ..failure
            })
        }
        Err(failure) => Err(failure),
    }
}

async fn list(args: &ListTopics, admin: &Admin) -> Result<Topics, Failure> {
    let mut topics = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListTopicsRequest {
            prefix: args.prefix.clone(),
            with_system: args.all,
            page_size: 0,
            page_token,
        };
        let page = admin.answer(&Asked::broker(), admin.topics().list_topics(request).await)?;
        topics.extend(page.topics.into_iter().map(Topic::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Topics(topics));
        }
    }
}

async fn describe(name: &str, admin: &Admin) -> Result<TopicDescription, Failure> {
    let request = DescribeTopicRequest {
        name: name.to_owned(),
    };
    let answer = admin.topics().describe_topic(request).await;
    Ok(admin.answer(&Asked::topic(name), answer)?.into())
}
