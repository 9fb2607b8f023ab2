//! `sluicectl topic …`

use super::{Outcome, shown};
use crate::args::{CreateTopic, DeleteTopic, ListTopics, TopicCommand, TopicTypes, UpdateTopic};
use crate::connect::{Admin, Asked};
use crate::failure::Failure;
use crate::session::Session;
use crate::units::counted;
use crate::views::topic::{ChangedTopic, DeletedTopic, Topic, Topics};
use crate::views::topic_description::{TopicDescription, losses};
use sluice_core::units::write_size;
use sluice_proto::admin::{
    CreateTopicRequest, DeleteTopicRequest, DescribeTopicRequest, GetConfigRequest, ListTopicsRequest,
    TopicSpec, UpdateTopicRequest, UpdateTopicResponse,
};

pub(super) async fn run(command: &TopicCommand, session: &Session) -> Outcome {
    if let TopicCommand::Update(args) = command
        && args.queues.is_none()
        && args.types.is_none()
        && args.retention_hours.is_none()
        && args.retention_bytes.is_none()
    {
        return Err(Failure::usage("nothing is to be changed")
            .about(format!("topic '{}'", args.name))
            .hint("give --queues, --type, --retention-hours or --retention-bytes"));
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
            retention_bytes: args.retention_bytes.unwrap_or(0),
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
        note: None,
    })
}

fn numbers(types: &TopicTypes) -> Vec<i32> {
    types.0.iter().map(|kind| kind.to_topic_type().into()).collect()
}

async fn update(args: &UpdateTopic, admin: &Admin) -> Outcome {
    let brokers = match args.retention_hours {
        Some(hours) if hours > 0 => brokers_hours(admin).await,
        _ => None,
    };
    let edit = |spec: &mut TopicSpec| {
        if let Some(queues) = args.queues {
            spec.queues = queues;
        }
        if let Some(types) = &args.types {
            spec.types = numbers(types);
        }
        if let Some(hours) = args.retention_hours {
            spec.retention_hours = hours;
        }
        if let Some(bytes) = args.retention_bytes {
            spec.retention_bytes = bytes;
        }
    };
    let note = |before: &TopicSpec, after: &TopicSpec| going(before, after, brokers);
    change(&args.name, "updated", admin, edit, note).await
}

async fn set_closed(name: &str, closed: bool, admin: &Admin) -> Outcome {
    let what = if closed { "closed" } else { "opened" };
    change(name, what, admin, |spec| spec.closed = closed, |_, _| None).await
}

/// Reads the topic, changes it and writes it back, unless somebody else has changed it in between. What there is to say of
/// messages that stood there is noted where there are any.
async fn change(
    name: &str,
    what: &str,
    admin: &Admin,
    edit: impl FnOnce(&mut TopicSpec),
    note: impl FnOnce(&TopicSpec, &TopicSpec) -> Option<String>,
) -> Outcome {
    let asked = Asked::topic(name);
    let request = DescribeTopicRequest {
        name: name.to_owned(),
    };
    let found = admin.answer(&asked, admin.topics().describe_topic(request).await)?;
    let has_messages = found.messages > 0;
    let found = found.topic.unwrap_or_default();
    let before = found.spec.unwrap_or_default();
    let mut spec = before.clone();
    edit(&mut spec);
    let note = if has_messages { note(&before, &spec) } else { None };
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

/// Says which messages of a topic go that would have stayed longer. Nothing is said of hours where there were none before and the
/// broker does not tell its own.
fn going(before: &TopicSpec, after: &TopicSpec, brokers_hours: Option<u32>) -> Option<String> {
    let hours_before = match before.retention_hours {
        0 => brokers_hours.unwrap_or(0),
        own => own,
    };
    let bytes_before = match before.retention_bytes {
        0 => u64::MAX,
        own => own,
    };
    let (hours, bytes) = (after.retention_hours, after.retention_bytes);
    let older = (1..hours_before)
        .contains(&hours)
        .then(|| format!("messages older than {}", counted(hours.into(), "hour", "hours")));
    let over = (1..bytes_before)
        .contains(&bytes)
        .then(|| format!("the oldest messages beyond {}", write_size(bytes)));
    let what: Vec<String> = older.into_iter().chain(over).collect();
    (!what.is_empty()).then(|| {
        format!(
            "{} go within ten seconds or so, read or not, but for those that are held or hidden",
            what.join(", and ")
        )
    })
}

/// How long the broker keeps messages, if it tells.
async fn brokers_hours(admin: &Admin) -> Option<u32> {
    let request = GetConfigRequest {
        keys: vec!["retentionHours".to_owned()],
    };
    let answer = admin.broker().get_config(request).await.ok()?.into_inner();
    answer.entries.first()?.value.parse().ok()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_that_would_have_stayed_is_said_and_nothing_else() {
        let kept = |retention_hours, retention_bytes| TopicSpec {
            retention_hours,
            retention_bytes,
            ..TopicSpec::default()
        };
        for (before, after, brokers, says) in [
            (kept(0, 0), kept(240, 0), Some(72), None),
            (kept(0, 0), kept(72, 0), Some(72), None),
            (kept(0, 0), kept(24, 0), None, None),
            (kept(24, 0), kept(48, 0), Some(72), None),
            (kept(24, 1000), kept(0, 0), None, None),
            (kept(0, 10 << 20), kept(0, 1 << 30), None, None),
            (
                kept(0, 0),
                kept(24, 0),
                Some(72),
                Some("messages older than 24 hours go within ten seconds"),
            ),
            (
                kept(48, 0),
                kept(24, 0),
                None,
                Some("messages older than 24 hours go within ten seconds"),
            ),
            (
                kept(0, 0),
                kept(0, 10 << 30),
                None,
                Some("the oldest messages beyond 10GiB go within ten seconds"),
            ),
            (
                kept(48, 1 << 30),
                kept(24, 1 << 20),
                None,
                Some(
                    "messages older than 24 hours, and the oldest messages beyond 1MiB go within ten seconds",
                ),
            ),
        ] {
            let note = going(&before, &after, brokers);
            match says {
                None => assert_eq!(note, None, "{before:?} {after:?}"),
                Some(says) => assert!(
                    note.as_ref().is_some_and(|note| note.starts_with(says)),
                    "{note:?}"
                ),
            }
        }
    }
}
