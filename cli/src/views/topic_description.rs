//! A topic with its queues and who reads it.

use super::topic::Topic;
use crate::output::{Align, Fields, Show, Table};
use crate::units::{self, Seconds, at_most, count, counted, seconds};
use serde::Serialize;
use sluice_proto::admin;

/// A topic with everything about it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct TopicDescription {
    /// The topic.
    #[serde(flatten)]
    pub topic: Topic,
    /// Messages in all queues.
    pub messages: u64,
    /// Clients that have announced that they send to it.
    pub producers: u32,
    /// Its queues, by number.
    pub by_queue: Vec<Queue>,
    /// Who reads it, by name.
    pub groups: Vec<TopicGroup>,
}

/// A queue.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// Its number.
    pub queue: u32,
    /// The offset of its first message.
    pub min_offset: u64,
    /// The offset behind its last message.
    pub max_offset: u64,
    /// Messages there.
    pub messages: u64,
    /// When the last one came.
    pub last_put_at: Option<String>,
    #[serde(skip)]
    last_put_ms: Option<u64>,
}

/// A group that reads the topic.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct TopicGroup {
    /// Its name.
    pub group: String,
    /// Messages that wait.
    pub ready: u64,
    /// Messages that clients hold.
    pub inflight: u64,
    /// Both.
    pub lag: u64,
    /// Age of the oldest.
    pub age_seconds: Seconds,
    /// Messages of those that the tags were not asked about yet: they count as if they were taken.
    #[serde(skip_serializing_if = "is_zero")]
    pub uncounted: u64,
}

impl From<admin::TopicDescription> for TopicDescription {
    fn from(description: admin::TopicDescription) -> Self {
        let queue = |queue: admin::TopicQueue| Queue {
            queue: queue.queue,
            min_offset: queue.min_offset,
            max_offset: queue.max_offset,
            messages: queue.messages,
            last_put_at: queue.last_put_ms.map(units::rfc3339),
            last_put_ms: queue.last_put_ms,
        };
        let group = |group: admin::TopicGroup| TopicGroup {
            group: group.group,
            ready: group.ready,
            inflight: group.inflight,
            lag: group.lag,
            age_seconds: seconds(group.age_ms),
            uncounted: group.uncounted,
        };
        Self {
            topic: description.topic.unwrap_or_default().into(),
            messages: description.messages,
            producers: description.producers,
            by_queue: description.queues.into_iter().map(queue).collect(),
            groups: description.groups.into_iter().map(group).collect(),
        }
    }
}

impl Show for TopicDescription {
    fn text(&self, _wide: bool) -> String {
        let topic = &self.topic;
        let fields = Fields::default()
            .with("name", &topic.name)
            .with("queues", topic.queues.to_string())
            .with("types", topic.types())
            .with("state", topic.state())
            .with("kept", topic.kept())
            .with("messages", count(self.messages))
            .with("producers", self.producers.to_string())
            .with("generation", topic.generation.to_string())
            .with("id", topic.id.to_string());
        let mut queues = Table::new(
            "no queues",
            &[
                ("QUEUE", Align::Right),
                ("FROM", Align::Right),
                ("TO", Align::Right),
                ("MESSAGES", Align::Right),
                ("LAST CAME", Align::Left),
            ],
        );
        let now = units::now_ms();
        for queue in &self.by_queue {
            queues.row([
                queue.queue.to_string(),
                queue.min_offset.to_string(),
                queue.max_offset.to_string(),
                count(queue.messages),
                queue
                    .last_put_ms
                    .map_or_else(String::new, |ms| units::ago(ms, now)),
            ]);
        }
        let mut groups = Table::new("no groups read it", &columns_of_lag("GROUP"));
        for group in &self.groups {
            let numbers = [group.ready, group.inflight, group.lag];
            let [ready, inflight, lag] = numbers_of_lag(numbers, group.uncounted);
            groups.row([
                group.group.clone(),
                ready,
                inflight,
                lag,
                group.age_seconds.to_string(),
            ]);
        }
        format!(
            "{}\n\n{}\n\n{}",
            fields.render(),
            queues.render(),
            groups.render()
        )
    }
}

/// A name and its lag.
pub fn columns_of_lag(name: &'static str) -> [(&'static str, Align); 5] {
    [
        (name, Align::Left),
        ("READY", Align::Right),
        ("IN FLIGHT", Align::Right),
        ("LAG", Align::Right),
        ("OLDEST", Align::Right),
    ]
}

/// Ready, in flight and both, as they stand in those columns.
pub fn numbers_of_lag([ready, inflight, lag]: [u64; 3], uncounted: u64) -> [String; 3] {
    [
        at_most(ready, uncounted),
        count(inflight),
        at_most(lag, uncounted),
    ]
}

/// Whether a number is left out of JSON.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What a deletion would lose, for its refusal.
pub fn losses(description: &TopicDescription) -> String {
    let groups: Vec<String> = description
        .groups
        .iter()
        .filter(|group| group.lag > 0)
        .map(|group| {
            format!(
                "{} has {} to do (oldest {})",
                group.group,
                count(group.lag),
                group.age_seconds
            )
        })
        .collect();
    match groups[..] {
        [] if description.groups.is_empty() => {
            format!(
                "it has {} that no group reads",
                counted(description.messages, "message", "messages")
            )
        }
        [] => "messages came in between".to_owned(),
        _ => format!(
            "of its {} {}",
            counted(description.messages, "message", "messages"),
            groups.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Format, Report as _};
    use serde_json::{Value, json};

    #[test]
    fn a_description_has_queues_and_groups() {
        let description = TopicDescription::from(admin::TopicDescription {
            topic: Some(admin::Topic::default()),
            queues: vec![admin::TopicQueue {
                queue: 0,
                min_offset: 0,
                max_offset: 1500,
                last_put_ms: Some(1_700_000_000_000),
                messages: 1200,
            }],
            groups: vec![admin::TopicGroup {
                group: "readers".to_owned(),
                ready: 5,
                inflight: 2,
                lag: 7,
                age_ms: 1_500,
                uncounted: 0,
            }],
            messages: 1200,
            producers: 1,
        });
        let json: Value = serde_json::from_str(&description.render(Format::Json, false)).unwrap();
        assert_eq!(
            json["groups"],
            json!([{"group": "readers", "ready": 5, "inflight": 2, "lag": 7, "age_seconds": 1.5}])
        );
        assert_eq!(
            json["by_queue"][0]["last_put_at"],
            json!("2023-11-14T22:13:20.000Z")
        );
        let text = description.text(false);
        assert!(
            text.contains("readers       5           2     7     1.5s"),
            "{text}"
        );
        assert!(text.contains("1500      1,200 "), "{text}");
        assert!(losses(&description).contains("readers has 7 to do (oldest 1.5s)"));
    }
}
