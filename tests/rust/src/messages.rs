//! Messages to and from JSON.

use std::collections::HashMap;

use rocketmq::error::ClientError;
use rocketmq::model::message::{AckMessageEntry as _, Message, MessageBuilder, MessageView};
use serde::Serialize;

use crate::command;

/// Longer bodies are reported by size and checksum only.
const SHOWN_BYTES_MAX: usize = 4096;

/// A message as a consumer got it. The client keeps neither its offset nor its digest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View<'a> {
    message_id: &'a str,
    topic: &'a str,
    attempt: i32,
    size: usize,
    crc32: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_group: Option<&'a str>,
    keys: &'a [String],
    properties: &'a HashMap<String, String>,
    born_host: &'a str,
    born_timestamp: i64,
    handle: String,
    r#ref: usize,
}

impl<'a> View<'a> {
    /// A message and the number that it is settled by.
    pub fn of(message: &'a MessageView, number: usize) -> Self {
        let body = message.body();
        Self {
            message_id: message.message_id(),
            topic: message.topic(),
            attempt: message.delivery_attempt(),
            size: body.len(),
            crc32: crc32fast::hash(body),
            body: (body.len() <= SHOWN_BYTES_MAX).then(|| String::from_utf8_lossy(body).into_owned()),
            tag: message.tag(),
            message_group: message.message_group(),
            keys: message.keys(),
            properties: message.properties(),
            born_host: message.born_host(),
            // The client counts in seconds.
            born_timestamp: message.born_timestamp() * 1000,
            handle: message.receipt_handle(),
            r#ref: number,
        }
    }
}

/// The body is `body`, or `size` bytes of a pattern that the tests know too.
pub fn build(given: &command::Message) -> Result<impl Message + use<>, ClientError> {
    let body = given
        .size
        .map_or_else(|| given.body.clone().into_bytes(), pattern);
    let mut builder = MessageBuilder::builder().set_topic(&given.topic).set_body(body);
    if let Some(tag) = &given.tag {
        builder = builder.set_tag(tag);
    }
    if let Some(keys) = &given.keys {
        builder = builder.set_keys(keys.clone());
    }
    if let Some(group) = &given.message_group {
        builder = builder.set_message_group(group);
    }
    if let Some(properties) = &given.properties {
        builder = builder.set_properties(properties.clone());
    }
    builder.build()
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| (at.wrapping_mul(31) + (at >> 8)) as u8)
        .collect()
}
