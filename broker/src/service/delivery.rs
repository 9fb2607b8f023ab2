//! A delivered message as the client sees it, made from the record without copying the body.

use super::convert;
use super::metadata::without_namespace;
use super::properties;
use crate::engine::Received;
use crate::engine::find::Found;
use crate::receipt::{Receipt, Receipts};
use bytes::Bytes;
use md5::{Digest as _, Md5};
use sluice_core::codec::Malformed;
use sluice_core::command::{APPEND_RECORD_AT, record_of};
use sluice_core::entry::{LINKED, QueueEntry};
use sluice_core::ids::{QueueId, QueueOffset, Term, TimeMs};
use sluice_core::record::{Record, property};
use sluice_proto::v2;
use std::collections::HashMap;

/// What all messages of one receive have in common.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The topic as the client named it.
    pub topic: v2::Resource,
    /// The namespace that its names are in.
    pub namespace: String,
    /// How long the messages are hidden, as the client is told.
    pub invisible_ms: u64,
    /// The term that they were delivered in.
    pub term: Term,
    /// When they were delivered.
    pub delivered_ms: TimeMs,
}

/// The record inside a delivered command.
pub fn record(received: &Received) -> Result<Record<'_>, Malformed> {
    Record::parse(record_of(&received.command)?)
}

/// The message for the client.
pub fn message(received: &Received, frame: &Frame, receipts: &Receipts) -> Result<v2::Message, Malformed> {
    let stored = Stored {
        record: record(received)?,
        command: &received.command,
        queue: received.id.at.queue,
        offset: received.offset,
        entry: received.entry,
    };
    let (mut message, mut system) = stored.message(frame.topic.clone(), &frame.namespace);
    system.receipt_handle = Some(receipts.encode(&Receipt {
        term: frame.term,
        delivery: received.delivery,
        id: received.id,
        offset: received.offset,
        delivered_ms: Some(frame.delivered_ms),
    }));
    system.invisible_duration = Some(convert::proto_duration(frame.invisible_ms));
    system.delivery_attempt = Some(i32::from(received.attempt));
    message.system_properties = Some(system);
    Ok(message)
}

/// The message as a first delivery would bring it, but for what would settle it: for a trial, or for a client that pulls.
pub fn unsettled(found: &Found, topic: v2::Resource, namespace: &str) -> Result<v2::Message, Malformed> {
    let stored = Stored {
        record: found.record()?,
        command: found.command(),
        queue: found.queue,
        offset: found.offset,
        entry: found.entry,
    };
    let (mut message, mut system) = stored.message(topic, namespace);
    system.delivery_attempt = Some(1);
    message.system_properties = Some(system);
    Ok(message)
}

/// What the log has of a message, and where it stands.
struct Stored<'a> {
    record: Record<'a>,
    command: &'a Bytes,
    queue: QueueId,
    offset: QueueOffset,
    entry: QueueEntry,
}

impl Stored<'_> {
    fn message(self, topic: v2::Resource, namespace: &str) -> (v2::Message, v2::SystemProperties) {
        let Self { record, command, .. } = self;
        let (start, end) = (
            APPEND_RECORD_AT + record.body_range.start,
            APPEND_RECORD_AT + record.body_range.end,
        );
        let body = command.slice(start..end);
        let mut system = v2::SystemProperties {
            body_digest: Some(digest(&body)),
            body_encoding: v2::Encoding::Identity.into(),
            message_type: v2::MessageType::Normal.into(),
            born_timestamp: Some(convert::timestamp(record.born_ms)),
            // When it came to this queue, as the admin API says and searches go by: a dead letter's record has its origin's.
            store_timestamp: Some(convert::timestamp(self.entry.put_ms)),
            store_host: convert::host(record.store_host),
            queue_id: self.queue.0 as i32,
            queue_offset: Some(self.offset.0 as i64),
            ..Default::default()
        };
        let mut user_properties = HashMap::new();
        properties::decode(&record, &mut system, &mut user_properties);
        if system.message_group.is_some() {
            system.message_type = v2::MessageType::Fifo.into();
        }
        if system.born_host.is_empty() {
            system.born_host = convert::host(record.born_host);
        }
        if self.entry.flags & LINKED != 0 {
            system.dead_letter_queue = Some(v2::DeadLetterQueue {
                topic: without_namespace(namespace, record.topic).to_owned(),
                message_id: system.message_id.clone(),
            });
        }
        let message = v2::Message {
            topic: Some(topic),
            user_properties,
            system_properties: None,
            body,
        };
        (message, system)
    }
}

/// The tag of a delivered message.
pub fn tag(received: &Received) -> Result<Option<&str>, Malformed> {
    Ok(record(received)?.property(property::TAG))
}

/// MD5 in upper-case hexadecimal: the one digest that all clients write and read alike.
fn digest(body: &Bytes) -> v2::Digest {
    v2::Digest {
        r#type: v2::DigestType::Md5.into(),
        checksum: hex_upper(&Md5::digest(body)),
    }
}

/// Bytes in upper-case hexadecimal.
pub fn hex_upper(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::command::NewMessage;
    use sluice_core::ids::{DeliveryId, GroupId, GroupQueueId, TopicId, TopicQueue};
    use sluice_core::record::{NewRecord, put_property};

    fn received(topic: &str, flags: u16, message_group: Option<&str>) -> Received {
        let mut properties = Vec::new();
        put_property(&mut properties, property::MESSAGE_ID, "01AB");
        put_property(&mut properties, property::TAG, "red");
        put_property(&mut properties, "colour", "blue");
        if let Some(group) = message_group {
            put_property(&mut properties, property::MESSAGE_GROUP, group);
        }
        let record = NewRecord {
            topic,
            queue: 3,
            body: b"hello",
            properties: &properties,
            born_ms: 1500,
            born_host: "10.0.0.1:4000".parse().unwrap(),
            store_ms: 2500,
            store_host: "10.0.0.2:8081".parse().unwrap(),
        };
        let command = NewMessage {
            topic: TopicId(1),
            tag: Some("red"),
            message_group,
            record,
        }
        .encode();
        let at = TopicQueue {
            topic: TopicId(1),
            queue: QueueId(3),
        };
        Received {
            id: GroupQueueId {
                group: GroupId(2),
                at,
            },
            offset: QueueOffset(7),
            delivery: DeliveryId(9),
            attempt: 2,
            entry: QueueEntry {
                put_ms: 3500,
                flags,
                ..Default::default()
            },
            command: Bytes::copy_from_slice(command.as_bytes()),
        }
    }

    fn frame() -> Frame {
        let topic = v2::Resource {
            resource_namespace: "ns".into(),
            name: "t".into(),
        };
        Frame {
            topic,
            namespace: "ns".into(),
            invisible_ms: 30_000,
            term: Term(4),
            delivered_ms: 5000,
        }
    }

    // Quirks node-digest, python-encoding.
    #[test]
    fn a_message_has_everything_that_clients_rely_on() {
        let receipts = Receipts::new([1; 16]);
        let received = received("ns%t", 0, Some("g"));
        let message = message(&received, &frame(), &receipts).unwrap();
        assert_eq!(message.topic, Some(frame().topic));
        assert_eq!(&message.body[..], b"hello");
        assert_eq!(
            message.user_properties,
            HashMap::from([("colour".to_owned(), "blue".to_owned())])
        );
        let system = message.system_properties.unwrap();
        assert_eq!(
            (system.message_id.as_str(), system.tag.as_deref()),
            ("01AB", Some("red"))
        );
        let digest = system.body_digest.unwrap();
        assert_eq!(digest.r#type, v2::DigestType::Md5 as i32);
        assert_eq!(digest.checksum, "5D41402ABC4B2A76B9719D911017C592");
        assert_eq!(system.body_encoding, v2::Encoding::Identity as i32);
        assert_eq!(system.message_type, v2::MessageType::Fifo as i32);
        assert_eq!(system.message_group.as_deref(), Some("g"));
        assert_eq!(system.born_timestamp, Some(convert::timestamp(1500)));
        assert_eq!(system.store_timestamp, Some(convert::timestamp(3500)));
        assert_eq!(
            (system.born_host.as_str(), system.store_host.as_str()),
            ("10.0.0.1:4000", "10.0.0.2:8081")
        );
        assert_eq!(
            (system.queue_id, system.queue_offset, system.delivery_attempt),
            (3, Some(7), Some(2))
        );
        assert_eq!(system.invisible_duration, Some(convert::proto_duration(30_000)));
        assert_eq!(system.dead_letter_queue, None);
        let receipt = receipts.decode(&system.receipt_handle.unwrap()).unwrap();
        assert_eq!(
            (receipt.id, receipt.offset, receipt.delivery),
            (received.id, QueueOffset(7), DeliveryId(9))
        );
        assert_eq!((receipt.term, receipt.delivered_ms), (Term(4), Some(5000)));
    }

    #[test]
    fn the_body_is_shared_and_not_copied() {
        let received = received("t", 0, None);
        let message = message(&received, &frame(), &Receipts::new([1; 16])).unwrap();
        let whole = received.command.as_ptr_range();
        assert!(whole.contains(&message.body.as_ptr()));
    }

    #[test]
    fn a_linked_message_names_where_it_came_from() {
        let message = message(
            &received("ns%orders", LINKED, None),
            &frame(),
            &Receipts::new([1; 16]),
        )
        .unwrap();
        let system = message.system_properties.unwrap();
        let origin = v2::DeadLetterQueue {
            topic: "orders".into(),
            message_id: "01AB".into(),
        };
        assert_eq!(system.dead_letter_queue, Some(origin));
        assert_eq!(system.message_type, v2::MessageType::Normal as i32);
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        let mut received = received("t", 0, None);
        received.command.truncate(APPEND_RECORD_AT + 10);
        assert!(message(&received, &frame(), &Receipts::new([1; 16])).is_err());
        received.command.truncate(3);
        assert!(tag(&received).is_err());
    }
}
