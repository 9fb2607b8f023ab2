//! What a group has not done.

use super::topic_description::{columns_of_lag, is_zero, numbers_of_lag};
use crate::output::{Align, Show, Table};
use crate::units::{Seconds, seconds};
use serde::Serialize;
use sluice_proto::admin;

/// A group's lag, by topic and queue.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct GroupLag {
    /// The group.
    pub group: String,
    /// What it reads, by name.
    pub topics: Vec<TopicLag>,
}

/// Its lag in a topic.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct TopicLag {
    /// The topic.
    pub topic: String,
    /// Messages that wait.
    pub ready: u64,
    /// Messages that clients hold.
    pub inflight: u64,
    /// Both.
    pub lag: u64,
    /// Age of the oldest of them; 0 without any.
    pub age_seconds: Seconds,
    /// Messages of those that the tags were not asked about yet: they count as if they were taken.
    #[serde(skip_serializing_if = "is_zero")]
    pub uncounted: u64,
    /// By number; every queue is there.
    pub queues: Vec<QueueLag>,
    /// The tags that count.
    pub expression: String,
}

/// Its lag in a queue.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct QueueLag {
    /// The queue.
    pub queue: u32,
    /// Messages that wait.
    pub ready: u64,
    /// Messages that clients hold.
    pub inflight: u64,
    /// Both.
    pub lag: u64,
    /// Age of the oldest of them; 0 without any.
    pub age_seconds: Seconds,
    /// Messages of those that the tags were not asked about yet: they count as if they were taken.
    #[serde(skip_serializing_if = "is_zero")]
    pub uncounted: u64,
}

impl From<admin::GroupLag> for GroupLag {
    fn from(lag: admin::GroupLag) -> Self {
        Self {
            group: lag.group,
            topics: lag.topics.into_iter().map(TopicLag::from).collect(),
        }
    }
}

impl From<admin::TopicLag> for TopicLag {
    fn from(lag: admin::TopicLag) -> Self {
        let queue = |lag: admin::QueueLag| QueueLag {
            queue: lag.queue,
            ready: lag.ready,
            inflight: lag.inflight,
            lag: lag.lag,
            age_seconds: seconds(lag.age_ms),
            uncounted: lag.uncounted,
        };
        Self {
            topic: lag.topic,
            ready: lag.ready,
            inflight: lag.inflight,
            lag: lag.lag,
            age_seconds: seconds(lag.age_ms),
            uncounted: lag.uncounted,
            queues: lag.queues.into_iter().map(queue).collect(),
            expression: lag.expression,
        }
    }
}

impl Show for GroupLag {
    fn text(&self, wide: bool) -> String {
        let [topic, numbers @ ..] = columns_of_lag("TOPIC");
        let mut columns = vec![topic];
        if wide {
            columns.push(("QUEUE", Align::Right));
        }
        columns.extend(numbers);
        if wide {
            columns.push(("TAGS", Align::Left));
        }
        let mut table = Table::new("the group reads no topic yet", &columns);
        for topic in &self.topics {
            let all = numbers_of_lag([topic.ready, topic.inflight, topic.lag], topic.uncounted);
            let mut row = vec![topic.topic.clone()];
            if wide {
                row.push("all".to_owned());
            }
            row.extend(all);
            row.push(topic.age_seconds.to_string());
            if wide {
                row.push(topic.expression.clone());
            }
            table.row(row);
            for queue in topic.queues.iter().filter(|_| wide) {
                let numbers = [queue.ready, queue.inflight, queue.lag];
                let [ready, inflight, lag] = numbers_of_lag(numbers, queue.uncounted);
                let (number, age) = (queue.queue.to_string(), queue.age_seconds.to_string());
                let (name, tags) = (topic.topic.clone(), topic.expression.clone());
                table.row([name, number, ready, inflight, lag, age, tags]);
            }
        }
        table.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Format, Report as _};

    fn lag() -> GroupLag {
        let queue = |queue, ready, inflight, age_ms| admin::QueueLag {
            queue,
            ready,
            inflight,
            lag: ready + inflight,
            age_ms,
            uncounted: 0,
        };
        GroupLag::from(admin::GroupLag {
            group: "readers".to_owned(),
            topics: vec![admin::TopicLag {
                topic: "orders".to_owned(),
                ready: 1200,
                inflight: 3,
                lag: 1203,
                age_ms: 61_500,
                queues: vec![queue(0, 1200, 3, 61_500), queue(1, 0, 0, 0)],
                expression: "*".to_owned(),
                uncounted: 0,
            }],
        })
    }

    #[test]
    fn json_is_the_documented_shape() {
        assert_eq!(
            lag().render(Format::Json, true),
            r#"{"group":"readers","topics":[{"topic":"orders","ready":1200,"inflight":3,"lag":1203,"age_seconds":61.5,"queues":[{"queue":0,"ready":1200,"inflight":3,"lag":1203,"age_seconds":61.5},{"queue":1,"ready":0,"inflight":0,"lag":0,"age_seconds":0}],"expression":"*"}]}"#
        );
    }

    #[test]
    fn what_was_not_counted_yet_is_shown_as_an_upper_bound() {
        let mut lag = lag();
        lag.topics[0].uncounted = 7;
        lag.topics[0].queues[0].uncounted = 7;
        let json = lag.render(Format::Json, true);
        assert_eq!(
            json.matches(r#""age_seconds":61.5,"uncounted":7"#).count(),
            2,
            "{json}"
        );
        assert_eq!(
            lag.text(true),
            "TOPIC    QUEUE    READY   IN FLIGHT      LAG   OLDEST   TAGS\n\
             orders     all   ≤1,200           3   ≤1,203     1m1s   *\n\
             orders       0   ≤1,200           3   ≤1,203     1m1s   *\n\
             orders       1        0           0        0        -   *"
        );
    }

    #[test]
    fn the_table_has_topics_and_the_wide_one_queues_too() {
        assert_eq!(
            lag().text(false),
            "TOPIC    READY   IN FLIGHT     LAG   OLDEST\n\
             orders   1,200           3   1,203     1m1s"
        );
        assert_eq!(
            lag().text(true),
            "TOPIC    QUEUE   READY   IN FLIGHT     LAG   OLDEST   TAGS\n\
             orders     all   1,200           3   1,203     1m1s   *\n\
             orders       0   1,200           3   1,203     1m1s   *\n\
             orders       1       0           0       0        -   *"
        );
    }
}
