//! Messages in lists: found, sent, received, followed.

use super::message::Message;
use crate::output::{Align, Show, Table};
use crate::units::{self, count, counted};
use serde::Serialize;

/// One message of a stream.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Followed(pub Message);

impl Show for Followed {
    fn text(&self, wide: bool) -> String {
        self.0.block(wide)
    }
}

/// Messages that were found.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The messages, without bodies.
    pub messages: Vec<Message>,
    /// Whether there are more than were asked for.
    pub more: bool,
    /// Messages that may belong here and cannot be read.
    pub unreadable: u64,
    /// Where the index begins, if messages from before may be missing.
    pub index_begins: Option<IndexBegins>,
}

/// Where an index begins that was damaged.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct IndexBegins {
    /// The offset in the log.
    pub offset: u64,
    /// Messages from then on are in it; none where that is not known.
    pub time: Option<String>,
}

impl IndexBegins {
    /// At an offset, and a time in milliseconds since the epoch, which is 0 where it is not known.
    pub fn of((offset, ms): (u64, u64)) -> Self {
        let time = (ms > 0).then(|| units::rfc3339(ms));
        Self { offset, time }
    }
}

impl Show for Found {
    fn text(&self, wide: bool) -> String {
        let mut columns = vec![
            ("STORED", Align::Left),
            ("QUEUE", Align::Right),
            ("OFFSET", Align::Right),
            ("MESSAGE ID", Align::Left),
            ("TAG", Align::Left),
            ("KEYS", Align::Left),
            ("BYTES", Align::Right),
        ];
        if wide {
            columns.extend([
                ("TYPE", Align::Left),
                ("MESSAGE GROUP", Align::Left),
                ("BORN AT", Align::Left),
            ]);
        }
        let mut table = Table::new("no messages", &columns);
        for message in &self.messages {
            let mut row = vec![
                units::moment(message.stored_ms()),
                message.queue.to_string(),
                message.offset.to_string(),
                message.message_id.clone(),
                message.tag.clone().unwrap_or_default(),
                message.keys.join(","),
                count(message.body_bytes),
            ];
            if wide {
                row.extend([
                    message.kind.to_string(),
                    message.message_group.clone().unwrap_or_default(),
                    message.born_host.clone(),
                ]);
            }
            table.row(row);
        }
        let mut text = table.render();
        if self.unreadable > 0 {
            let left_out = counted(
                self.unreadable,
                "message that may belong here cannot be read",
                "messages that may belong here cannot be read",
            );
            text += &format!("\n\n{left_out}: the broker's log says why");
        }
        if let Some(IndexBegins { offset, time }) = &self.index_begins {
            let before = match time {
                Some(time) => format!("before {time}, offset {offset} of the log,"),
                None => format!("before offset {offset} of the log"),
            };
            text += &format!(
                "\n\nmessages that were stored {before} are not found by key: the index was damaged, and began anew there; without --key, \
                 --from and --to find them by time"
            );
        }
        if self.more {
            text += "\n\nthere are more: give --limit, or a smaller span of time";
        }
        text
    }
}

/// Messages that were sent.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SentMessages {
    /// The topic.
    pub topic: String,
    /// In the order in which they were sent.
    pub messages: Vec<SentMessage>,
}

/// One of them.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SentMessage {
    /// Its id.
    pub message_id: String,
    /// Its offset in its queue.
    pub offset: u64,
}

impl Show for SentMessages {
    fn text(&self, wide: bool) -> String {
        let line = |message: &SentMessage| {
            format!(
                "sent {} to {} at offset {}",
                message.message_id, self.topic, message.offset
            )
        };
        match &self.messages[..] {
            [one] => line(one),
            all if wide => all.iter().map(line).collect::<Vec<_>>().join("\n"),
            all => format!("sent {} messages to {}", count(all.len() as u64), self.topic),
        }
    }
}

/// Messages that were received.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ReceivedMessages {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// Whether they are acknowledged once they are shown.
    pub acknowledged: bool,
    /// The messages.
    pub messages: Vec<Message>,
    /// Lost messages that the group was brought past.
    pub lost: u64,
    /// Messages that were left out because they cannot be read at present.
    pub unreadable: u64,
}

impl Show for ReceivedMessages {
    fn text(&self, wide: bool) -> String {
        if self.messages.is_empty() {
            return "no messages came".to_owned();
        }
        let blocks: Vec<String> = self.messages.iter().map(|message| message.block(wide)).collect();
        blocks.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Format, Report as _};
    use crate::views::message::tests::message;
    use serde_json::{Value, json};

    #[test]
    fn found_messages_have_the_documented_shape() {
        let found = Found {
            messages: vec![Message::new(message(b"hello"), false)],
            more: false,
            unreadable: 0,
            index_begins: None,
        };
        let json: Value = serde_json::from_str(&found.render(Format::Json, false)).unwrap();
        let first = &json["messages"][0];
        for (key, value) in [
            ("message_id", json!("01AB")),
            ("topic", json!("orders")),
            ("queue", json!(3)),
            ("offset", json!(17)),
            ("keys", json!(["a", "b"])),
            ("tag", json!(null)),
            ("stored_at", json!("2023-11-14T22:13:20.005Z")),
            ("type", json!("normal")),
        ] {
            assert_eq!(first[key], value, "{key}");
        }
        assert_eq!(first.get("body"), None);
        assert_eq!(
            found.text(false),
            "STORED                     QUEUE   OFFSET   MESSAGE ID   TAG   KEYS   BYTES\n\
             2023-11-14 22:13:20.005Z       3       17   01AB         -     a,b        5"
        );
    }

    #[test]
    fn a_followed_message_is_a_line_and_its_body() {
        let followed = Followed(Message::new(message(b"red \x1b[31m\n"), true));
        assert_eq!(
            followed.text(false),
            "orders/3/17  2023-11-14 22:13:20.005Z  01AB  keys=a,b\nred \u{fffd}[31m"
        );
    }

    #[test]
    fn what_was_sent_is_told_in_one_line() {
        let sent = |count: u64| SentMessages {
            topic: "orders".to_owned(),
            messages: (0..count)
                .map(|offset| SentMessage {
                    message_id: "01AB".to_owned(),
                    offset,
                })
                .collect(),
        };
        assert_eq!(sent(1).text(false), "sent 01AB to orders at offset 0");
        assert_eq!(sent(1000).text(false), "sent 1,000 messages to orders");
        assert_eq!(sent(2).text(true).lines().count(), 2);
    }
}
