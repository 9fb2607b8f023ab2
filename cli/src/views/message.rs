//! Messages: found, shown, sent, received.

use crate::output::{Fields, Show};
use crate::units::{self, count};
use crate::wire::TypeName;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use sluice_proto::{admin, v2};
use std::collections::BTreeMap;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Its id.
    pub message_id: String,
    /// Its topic.
    pub topic: String,
    /// Its queue.
    pub queue: u32,
    /// Its offset in the queue.
    pub offset: u64,
    /// Its keys.
    pub keys: Vec<String>,
    /// Its tag.
    pub tag: Option<String>,
    /// When the broker took it.
    pub stored_at: String,
    /// Its message group.
    pub message_group: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: TypeName,
    /// When it was made.
    pub born_at: String,
    /// Where.
    pub born_host: String,
    /// Properties of its sender's own.
    pub properties: BTreeMap<String, String>,
    /// Where a dead letter comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_topic: Option<String>,
    /// Which delivery of it this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Bytes of its body.
    pub body_bytes: u64,
    /// Its body, if it was fetched.
    #[serde(flatten)]
    pub body: Option<Body>,
    #[serde(skip)]
    stored_ms: u64,
    #[serde(skip)]
    born_ms: u64,
}

/// A body, as text where it is text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// UTF-8.
    #[serde(rename = "body")]
    Text(String),
    /// Anything else, in Base64.
    #[serde(rename = "body_base64")]
    Binary(String),
}

impl Body {
    fn of(bytes: &Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Binary(STANDARD.encode(bytes)),
        }
    }
}

impl Message {
    /// As the admin API answers; with its body only where that was asked for.
    pub fn new(message: admin::Message, with_body: bool) -> Self {
        Self {
            message_id: message.message_id,
            topic: message.topic,
            queue: message.queue,
            offset: message.offset,
            keys: message.keys,
            tag: message.tag,
            stored_at: units::rfc3339(message.stored_ms),
            message_group: message.message_group,
            kind: TypeName::of_message(message.r#type),
            born_at: units::rfc3339(message.born_ms),
            born_host: message.born_host,
            properties: message.properties.into_iter().collect(),
            origin_topic: message.origin_topic,
            attempt: None,
            body_bytes: message.body_bytes,
            body: with_body.then(|| Body::of(&message.body)),
            stored_ms: message.stored_ms,
            born_ms: message.born_ms,
        }
    }

    /// As a consumer receives it.
    pub fn received(message: v2::Message) -> Self {
        let system = message.system_properties.unwrap_or_default();
        let (born_ms, stored_ms) = (ms(system.born_timestamp), ms(system.store_timestamp));
        let kind = match v2::MessageType::try_from(system.message_type) {
            Ok(v2::MessageType::Normal) => TypeName::Normal,
            Ok(v2::MessageType::Fifo) => TypeName::Fifo,
            _ => TypeName::Unknown,
        };
        Self {
            message_id: system.message_id,
            topic: message.topic.unwrap_or_default().name,
            queue: u32::try_from(system.queue_id).unwrap_or(0),
            offset: system
                .queue_offset
                .and_then(|offset| u64::try_from(offset).ok())
                .unwrap_or(0),
            keys: system.keys,
            tag: system.tag,
            stored_at: units::rfc3339(stored_ms),
            message_group: system.message_group,
            kind,
            born_at: units::rfc3339(born_ms),
            born_host: system.born_host,
            properties: message.user_properties.into_iter().collect(),
            origin_topic: None,
            attempt: system
                .delivery_attempt
                .and_then(|attempt| u32::try_from(attempt).ok()),
            body_bytes: message.body.len() as u64,
            body: Some(Body::of(&message.body)),
            stored_ms,
            born_ms,
        }
    }

    /// When the broker took it, in milliseconds since the epoch.
    pub fn stored_ms(&self) -> u64 {
        self.stored_ms
    }

    /// Place, time and id on one line, and the body below.
    pub(super) fn block(&self, wide: bool) -> String {
        let mut line = vec![
            format!("{}/{}/{}", self.topic, self.queue, self.offset),
            units::moment(self.stored_ms),
            self.message_id.clone(),
        ];
        line.extend(self.tag.iter().map(|tag| format!("tag={tag}")));
        if !self.keys.is_empty() {
            line.push(format!("keys={}", self.keys.join(",")));
        }
        line.extend(self.message_group.iter().map(|group| format!("group={group}")));
        line.extend(
            self.attempt
                .filter(|attempt| *attempt > 1)
                .map(|attempt| format!("attempt={attempt}")),
        );
        if wide {
            line.extend(
                self.properties
                    .iter()
                    .map(|(name, value)| format!("{name}={value}")),
            );
        }
        format!("{}\n{}", printable(&line.join("  ")), self.body_text())
    }

    fn body_text(&self) -> String {
        match &self.body {
            Some(Body::Text(text)) => printable(text.trim_end_matches('\n')),
            Some(Body::Binary(_)) => format!("({} bytes that are no text)", count(self.body_bytes)),
            None => format!("({} bytes)", count(self.body_bytes)),
        }
    }
}

/// What comes from outside must not move a terminal's cursor; lines and tabs may stay.
fn printable(text: &str) -> String {
    let keep = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars()
        .map(|c| if keep(c) { c } else { char::REPLACEMENT_CHARACTER })
        .collect()
}

fn ms(time: Option<prost_types::Timestamp>) -> u64 {
    let Some(time) = time else { return 0 };
    let seconds = u64::try_from(time.seconds).unwrap_or(0);
    seconds
        .saturating_mul(1000)
        .saturating_add(u64::try_from(time.nanos).unwrap_or(0) / 1_000_000)
}

impl Show for Message {
    fn text(&self, _wide: bool) -> String {
        let mut fields = Fields::default()
            .with("message id", &self.message_id)
            .with("topic", &self.topic)
            .with("queue", self.queue.to_string())
            .with("offset", self.offset.to_string())
            .with("type", self.kind.to_string())
            .with("tag", self.tag.clone().unwrap_or_default())
            .with("keys", self.keys.join(", "))
            .with("message group", self.message_group.clone().unwrap_or_default())
            .with(
                "born",
                format!("{} at {}", units::moment(self.born_ms), self.born_host),
            )
            .with("stored", units::moment(self.stored_ms));
        if let Some(origin) = &self.origin_topic {
            fields.add("comes from", origin);
        }
        for (name, value) in &self.properties {
            fields.add(&format!("property {name}"), value);
        }
        fields.add("body", format!("{} bytes", count(self.body_bytes)));
        format!("{}\n\n{}", fields.render(), self.body_text())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::output::{Format, Report as _};
    use serde_json::{Value, json};

    pub(in crate::views) fn message(body: &'static [u8]) -> admin::Message {
        admin::Message {
            message_id: "01AB".to_owned(),
            topic: "orders".to_owned(),
            queue: 3,
            offset: 17,
            keys: vec!["a".to_owned(), "b".to_owned()],
            tag: None,
            stored_ms: 1_700_000_000_005,
            born_ms: 1_700_000_000_000,
            born_host: "10.0.0.7:5000".to_owned(),
            body_bytes: body.len() as u64,
            body: Bytes::from_static(body),
            r#type: admin::MessageType::Normal.into(),
            ..Default::default()
        }
    }

    #[test]
    fn bodies_are_text_where_they_are_text_and_base64_else() {
        let text = Message::new(message(b"hello"), true);
        let binary = Message::new(message(b"\xff\x00"), true);
        let json = |message: &Message| -> Value {
            serde_json::from_str(&message.render(Format::Json, false)).unwrap()
        };
        assert_eq!(json(&text)["body"], json!("hello"));
        assert_eq!(json(&binary)["body_base64"], json!("/wA="));
        assert_eq!(json(&binary).get("body"), None);
        assert!(binary.text(false).ends_with("(2 bytes that are no text)"));
    }
}
