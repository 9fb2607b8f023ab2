//! The lines of the input.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

/// What is to be done. A field that the command at hand does not need is left out.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Command {
    /// What the answer is recognised by.
    pub id: u64,
    /// The name of the command.
    pub r#do: String,
    /// The name of the client.
    pub name: String,
    /// Where the broker is.
    pub endpoints: String,
    /// Whether to use TLS; the client decides if it is left out.
    pub ssl: Option<bool>,
    /// The namespace of all names, if they have one.
    pub namespace: String,
    /// How long a call may take.
    pub request_timeout_ms: Option<u64>,
    /// The topics that a producer declares.
    pub topics: Option<Vec<String>>,
    /// The consumer's group.
    pub group: String,
    /// The topics of a consumer with their tag expressions.
    pub subscriptions: BTreeMap<String, String>,
    /// How long a receive waits for a message.
    pub await_ms: Option<u64>,
    /// What to send.
    pub messages: Vec<Message>,
    /// Whether to send all at once.
    pub r#async: bool,
    /// How many messages to receive at most.
    pub max: i32,
    /// How long received messages are hidden.
    pub invisible_ms: u64,
    /// Which received message is meant.
    pub r#ref: usize,
}

/// A message to send.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Message {
    /// Where to.
    pub topic: String,
    /// The body as text.
    pub body: String,
    /// The length of a body that is a pattern instead.
    pub size: Option<usize>,
    /// What consumers filter by.
    pub tag: Option<String>,
    /// What the message is found by.
    pub keys: Option<Vec<String>>,
    /// What the message keeps its order in.
    pub message_group: Option<String>,
    /// The sender's own properties.
    pub properties: Option<HashMap<String, String>>,
}
