//! A stored message as the admin API shows it.

use super::convert;
use super::properties;
use crate::engine::find::Found;
use sluice_core::codec::Malformed;
use sluice_proto::{admin, v2};

/// The message; with its body only if that is wanted.
pub fn message(found: &Found, with_body: bool) -> Result<admin::Message, Malformed> {
    let record = found.record()?;
    let (mut system, mut user) = (v2::SystemProperties::default(), Default::default());
    properties::decode(&record, &mut system, &mut user);
    let kind = if system.message_group.is_some() {
        admin::MessageType::Fifo
    } else {
        admin::MessageType::Normal
    };
    let born_host = if system.born_host.is_empty() {
        convert::host(record.born_host)
    } else {
        system.born_host
    };
    Ok(admin::Message {
        message_id: system.message_id,
        topic: found.topic.spec.name.clone(),
        queue: found.queue.0,
        offset: found.offset.0,
        keys: system.keys,
        tag: system.tag,
        message_group: system.message_group,
        properties: user,
        born_ms: record.born_ms,
        // When it came to this queue, which is what searches by time go by.
        stored_ms: found.entry.put_ms,
        born_host,
        body_bytes: record.body.len() as u64,
        body: if with_body {
            found.body()?
        } else {
            Default::default()
        },
        origin_topic: found.origin_topic().map(str::to_owned),
        r#type: kind.into(),
    })
}
