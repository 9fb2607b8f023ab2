//! Topics.

use crate::output::{Align, Show, Table};
use crate::units::counted;
use crate::wire::TypeName;
use serde::Serialize;
use sluice_core::units::write_size;
use sluice_proto::admin;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many queues.
    pub queues: u32,
    /// What it takes, listed out.
    pub types: Vec<TypeName>,
    /// Whether it takes nothing at the moment.
    pub closed: bool,
    /// For how many hours its messages are kept, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_hours: Option<u32>,
    /// How many bytes of its messages are kept at most, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_bytes: Option<u64>,
    /// Which change of it this is.
    pub generation: u64,
    /// Its number.
    pub id: u32,
    /// Whether it is a group's dead-letter topic.
    pub system: bool,
}

impl From<admin::Topic> for Topic {
    fn from(topic: admin::Topic) -> Self {
        let spec = topic.spec.unwrap_or_default();
        let mut types: Vec<TypeName> = spec
            .types
            .iter()
            .map(|number| TypeName::of_topic(*number))
            .collect();
        if types.is_empty() {
            types = vec![TypeName::Normal, TypeName::Fifo];
        }
        Self {
            name: topic.name,
            queues: spec.queues,
            types,
            closed: spec.closed,
            retention_hours: Some(spec.retention_hours).filter(|hours| *hours > 0),
            retention_bytes: Some(spec.retention_bytes).filter(|bytes| *bytes > 0),
            generation: topic.generation,
            id: topic.id,
            system: topic.system,
        }
    }
}

impl Topic {
    pub(super) fn types(&self) -> String {
        let names: Vec<String> = self.types.iter().map(ToString::to_string).collect();
        names.join(",")
    }

    /// How long its messages are kept, and how many.
    pub(super) fn kept(&self) -> String {
        let hours = match self.retention_hours {
            None => "as long as the broker keeps any".to_owned(),
            Some(hours) => counted(hours.into(), "hour", "hours"),
        };
        match self.retention_bytes {
            None => hours,
            Some(bytes) => format!("{hours}, {} at most", write_size(bytes)),
        }
    }

    /// The same in a column: empty where it is all as the broker has it.
    fn kept_short(&self) -> String {
        let hours = self.retention_hours.map(|hours| format!("{hours}h"));
        let bytes = self.retention_bytes.map(write_size);
        let both: Vec<String> = hours.into_iter().chain(bytes).collect();
        both.join(",")
    }

    pub(super) fn state(&self) -> String {
        if self.closed { "closed" } else { "open" }.to_owned()
    }
}

/// Topics by name.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Topics(pub Vec<Topic>);

impl Show for Topics {
    fn text(&self, wide: bool) -> String {
        let mut columns = vec![
            ("NAME", Align::Left),
            ("QUEUES", Align::Right),
            ("TYPES", Align::Left),
            ("STATE", Align::Left),
        ];
        if wide {
            columns.extend([
                ("KEPT", Align::Left),
                ("ID", Align::Right),
                ("GENERATION", Align::Right),
            ]);
        }
        let mut table = Table::new("no topics", &columns);
        for topic in &self.0 {
            let mut row = vec![
                topic.name.clone(),
                topic.queues.to_string(),
                topic.types(),
                topic.state(),
            ];
            if wide {
                row.extend([
                    topic.kept_short(),
                    topic.id.to_string(),
                    topic.generation.to_string(),
                ]);
            }
            table.row(row);
        }
        table.render()
    }
}

/// A topic after it was made or changed.
#[derive(Debug, Serialize)]
pub struct ChangedTopic {
    /// What was done, for people.
    #[serde(skip)]
    pub what: String,
    /// The topic as it is now.
    #[serde(flatten)]
    pub topic: Topic,
    /// Whether it was made.
    pub created: bool,
    /// Whether anything is other than before.
    pub changed: bool,
    /// What there is to say about what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Show for ChangedTopic {
    fn text(&self, wide: bool) -> String {
        let Topic {
            name,
            queues,
            generation,
            ..
        } = &self.topic;
        let more = if wide {
            format!(", generation {generation}")
        } else {
            String::new()
        };
        let note = self.note.as_ref().map(|note| format!("\nnote: {note}"));
        let note = note.unwrap_or_default();
        let queues = counted(u64::from(*queues), "queue", "queues");
        let kept = match self.topic.kept_short().is_empty() {
            true => String::new(),
            false => format!(", kept {}", self.topic.kept()),
        };
        format!(
            "topic {name} {}: {queues}, types {}, {}{kept}{more}{note}",
            self.what,
            self.topic.types(),
            self.topic.state()
        )
    }
}

/// What a deletion has done.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct DeletedTopic {
    /// The topic's name.
    pub topic: String,
    /// That it is gone.
    pub deleted: bool,
    /// Messages that some group had not done.
    pub undone_messages: u64,
}

impl Show for DeletedTopic {
    fn text(&self, _wide: bool) -> String {
        match self.undone_messages {
            0 => format!("topic {} deleted", self.topic),
            n => format!(
                "topic {} deleted, and with it {}",
                self.topic,
                counted(n, "message that was not done", "messages that were not done")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Format, Report as _};
    use serde_json::{Value, json};

    fn topic(name: &str, types: &[admin::TopicType], closed: bool) -> Topic {
        Topic::from(admin::Topic {
            name: name.to_owned(),
            spec: Some(admin::TopicSpec {
                queues: 8,
                types: types.iter().map(|kind| (*kind).into()).collect(),
                closed,
                ..admin::TopicSpec::default()
            }),
            generation: 3,
            id: 7,
            system: false,
        })
    }

    #[test]
    fn a_list_is_an_array_with_types_listed_out_in_lower_case() {
        let topics = Topics(vec![
            topic("mixed", &[], false),
            topic("ordered", &[admin::TopicType::Fifo], true),
        ]);
        let json: Value = serde_json::from_str(&topics.render(Format::Json, false)).unwrap();
        assert_eq!(
            json,
            json!([
                {"name": "mixed", "queues": 8, "types": ["normal", "fifo"], "closed": false, "generation": 3, "id": 7, "system": false},
                {"name": "ordered", "queues": 8, "types": ["fifo"], "closed": true, "generation": 3, "id": 7, "system": false},
            ])
        );
        assert_eq!(
            topics.text(false),
            "NAME      QUEUES   TYPES         STATE\n\
             mixed          8   normal,fifo   open\n\
             ordered        8   fifo          closed"
        );
    }

    #[test]
    fn how_long_and_how_much_is_kept_is_shown_where_the_topic_says_it() {
        let mut topics = Topics(
            ["orders", "audit", "traces", "both"]
                .map(|name| topic(name, &[], false))
                .into(),
        );
        topics.0[1].retention_hours = Some(240);
        topics.0[2].retention_bytes = Some(10 << 30);
        topics.0[3].retention_hours = Some(6);
        topics.0[3].retention_bytes = Some(1500);
        assert_eq!(
            topics.text(true),
            "NAME     QUEUES   TYPES         STATE   KEPT       ID   GENERATION\n\
             orders        8   normal,fifo   open    -           7            3\n\
             audit         8   normal,fifo   open    240h        7            3\n\
             traces        8   normal,fifo   open    10GiB       7            3\n\
             both          8   normal,fifo   open    6h,1500B    7            3"
        );
        assert_eq!(
            [0, 1, 2, 3].map(|at| topics.0[at].kept()),
            [
                "as long as the broker keeps any",
                "240 hours",
                "as long as the broker keeps any, 10GiB at most",
                "6 hours, 1500B at most",
            ]
        );
        let told = topics.0.iter().map(|topic| {
            let changed = ChangedTopic {
                what: "updated".to_owned(),
                topic: topic.clone(),
                created: false,
                changed: true,
                note: None,
            };
            changed.text(false)
        });
        let told: Vec<String> = told.collect();
        assert_eq!(told[0], "topic orders updated: 8 queues, types normal,fifo, open");
        assert_eq!(
            told[3],
            "topic both updated: 8 queues, types normal,fifo, open, kept 6 hours, 1500B at most"
        );
        let json: Value = serde_json::from_str(&topics.render(Format::Json, false)).unwrap();
        let kept = |at: usize| (&json[at]["retention_hours"], &json[at]["retention_bytes"]);
        assert_eq!(kept(0), (&Value::Null, &Value::Null));
        assert_eq!(kept(2), (&Value::Null, &json!(10_737_418_240_u64)));
        assert_eq!(kept(3), (&json!(6), &json!(1500)));
    }

    #[test]
    fn a_deletion_says_how_many_messages_were_not_done() {
        for (undone_messages, told) in [
            (0, "topic orders deleted"),
            (1, "topic orders deleted, and with it 1 message that was not done"),
            (
                1500,
                "topic orders deleted, and with it 1,500 messages that were not done",
            ),
        ] {
            let deleted = DeletedTopic {
                topic: "orders".to_owned(),
                deleted: true,
                undone_messages,
            };
            assert_eq!(deleted.text(false), told);
        }
    }
}
