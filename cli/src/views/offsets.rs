//! Where a group stands, and where it is moved.

use crate::output::{Align, Show, Table};
use crate::units::count;
use serde::Serialize;
use sluice_proto::admin;

/// Where a group stands in each queue.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Offsets {
    /// The group.
    pub group: String,
    /// By topic and queue.
    pub queues: Vec<QueueOffsets>,
}

/// Where it stands in a queue.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct QueueOffsets {
    /// The topic.
    pub topic: String,
    /// The queue.
    pub queue: u32,
    /// The offset of the queue's first message.
    pub min_offset: u64,
    /// The offset behind its last message.
    pub max_offset: u64,
    /// Everything below is done.
    pub floor: u64,
    /// Messages from the floor on that are done.
    pub done_above: u64,
    /// Messages that clients hold.
    pub inflight: u64,
}

impl Offsets {
    /// Of a group, as the API answers.
    pub fn new(group: &str, response: admin::GetOffsetsResponse) -> Self {
        let queue = |queue: admin::QueueOffsets| QueueOffsets {
            topic: queue.topic,
            queue: queue.queue,
            min_offset: queue.min_offset,
            max_offset: queue.max_offset,
            floor: queue.floor,
            done_above: queue.done_above,
            inflight: queue.inflight,
        };
        Self {
            group: group.to_owned(),
            queues: response.queues.into_iter().map(queue).collect(),
        }
    }
}

impl Show for Offsets {
    fn text(&self, _wide: bool) -> String {
        let mut table = Table::new(
            "the group reads no topic yet",
            &[
                ("TOPIC", Align::Left),
                ("QUEUE", Align::Right),
                ("FROM", Align::Right),
                ("STANDS AT", Align::Right),
                ("TO", Align::Right),
                ("DONE ABOVE", Align::Right),
                ("IN FLIGHT", Align::Right),
            ],
        );
        for queue in &self.queues {
            let numbers = [
                u64::from(queue.queue),
                queue.min_offset,
                queue.floor,
                queue.max_offset,
                queue.done_above,
                queue.inflight,
            ];
            let mut row = vec![queue.topic.clone()];
            row.extend(numbers.map(|number| number.to_string()));
            table.row(row);
        }
        table.render()
    }
}

/// What a reset does, or would do.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Reset {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// Whether it was done.
    pub applied: bool,
    /// By number.
    pub queues: Vec<QueueReset>,
    /// The offset that was asked for, if it was one. Queues that do not have it are moved to the nearest that they have.
    #[serde(skip)]
    pub asked: Option<u64>,
}

/// What it does in a queue.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct QueueReset {
    /// The queue.
    pub queue: u32,
    /// The offset of the queue's first message.
    pub min_offset: u64,
    /// The offset behind its last message.
    pub max_offset: u64,
    /// Where the group stood.
    pub from: u64,
    /// Where it stands then.
    pub to: u64,
    /// Messages that were not done and never will be.
    pub skipped: u64,
    /// Messages that were done and come again.
    pub repeated: u64,
    /// Deliveries under way that are void.
    pub voided: u64,
}

impl Reset {
    /// Of a group in a topic, as the API answers.
    pub fn new(group: &str, topic: &str, asked: Option<u64>, response: admin::ResetOffsetsResponse) -> Self {
        let queue = |queue: admin::QueueReset| QueueReset {
            queue: queue.queue,
            min_offset: queue.min_offset,
            max_offset: queue.max_offset,
            from: queue.from,
            to: queue.to,
            skipped: queue.skipped,
            repeated: queue.repeated,
            voided: queue.voided,
        };
        Self {
            group: group.to_owned(),
            topic: topic.to_owned(),
            applied: response.applied,
            queues: response.queues.into_iter().map(queue).collect(),
            asked,
        }
    }

    /// Which queues do not have the offset that was asked for.
    fn beside(&self) -> String {
        let Some(asked) = self.asked else {
            return String::new();
        };
        let of = |is_so: fn(u64, &QueueReset) -> bool| {
            let queues = self.queues.iter().filter(|queue| is_so(asked, queue));
            let queues: Vec<String> = queues.map(|queue| queue.queue.to_string()).collect();
            queues.join(", ")
        };
        let mut text = String::new();
        let behind = of(|asked, queue| asked > queue.max_offset);
        if !behind.is_empty() {
            text += &format!("offset {asked} lies behind the end: to the end of queue {behind}\n\n");
        }
        let before = of(|asked, queue| asked < queue.min_offset);
        if !before.is_empty() {
            text += &format!("offset {asked} is gone already: to the first message of queue {before}\n\n");
        }
        text
    }
}

impl Show for Reset {
    fn text(&self, _wide: bool) -> String {
        let mut table = Table::new(
            "no queues",
            &[
                ("QUEUE", Align::Right),
                ("FROM", Align::Right),
                ("TO", Align::Right),
                ("SKIPPED", Align::Right),
                ("COME AGAIN", Align::Right),
                ("VOID DELIVERIES", Align::Right),
            ],
        );
        for queue in &self.queues {
            let mut row = vec![
                queue.queue.to_string(),
                queue.from.to_string(),
                queue.to.to_string(),
            ];
            row.extend([queue.skipped, queue.repeated, queue.voided].map(count));
            table.row(row);
        }
        let end = if self.applied {
            format!("group {} was moved in topic {}", self.group, self.topic)
        } else {
            "nothing was changed: with --yes it is done".to_owned()
        };
        format!("{}\n\n{}{end}", table.render(), self.beside())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Format, Report as _};

    #[test]
    fn a_preview_says_that_nothing_was_changed() {
        let queue = admin::QueueReset {
            queue: 1,
            min_offset: 0,
            max_offset: 2000,
            from: 1500,
            to: 2000,
            skipped: 490,
            repeated: 0,
            voided: 10,
        };
        let response = |applied| admin::ResetOffsetsResponse {
            queues: vec![queue],
            applied,
        };
        let preview = Reset::new("readers", "orders", Some(2000), response(false));
        assert_eq!(
            preview.text(false),
            "QUEUE   FROM     TO   SKIPPED   COME AGAIN   VOID DELIVERIES\n    \
             1   1500   2000       490            0                10\n\n\
             nothing was changed: with --yes it is done"
        );
        assert_eq!(
            preview.render(Format::Json, true),
            r#"{"group":"readers","topic":"orders","applied":false,"queues":[{"queue":1,"min_offset":0,"max_offset":2000,"from":1500,"to":2000,"skipped":490,"repeated":0,"voided":10}]}"#
        );
        let done = Reset::new("readers", "orders", Some(999_999), response(true)).text(false);
        assert!(
            done.ends_with(
                "offset 999999 lies behind the end: to the end of queue 1\n\n\
                 group readers was moved in topic orders"
            ),
            "{done}"
        );
    }

    #[test]
    fn offsets_are_exact_numbers() {
        let queue = admin::QueueOffsets {
            topic: "orders".to_owned(),
            queue: 0,
            min_offset: 0,
            max_offset: 12_345,
            floor: 12_000,
            done_above: 5,
            inflight: 2,
        };
        let offsets = Offsets::new("readers", admin::GetOffsetsResponse { queues: vec![queue] });
        assert_eq!(
            offsets.text(false),
            "TOPIC    QUEUE   FROM   STANDS AT      TO   DONE ABOVE   IN FLIGHT\n\
             orders       0      0       12000   12345            5           2"
        );
    }
}
