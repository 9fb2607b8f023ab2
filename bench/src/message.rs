//! Makes the messages that are sent.

use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use bytes::Bytes;
use prost_types::Timestamp;
use sluice_proto::v2::{Encoding, Message, MessageType, Resource, SendMessageRequest, SystemProperties};

use crate::args::Shape;
use crate::units::nanos;

/// RocketMQ refuses larger bodies.
const BODY_BYTES_MAX: u64 = 4 << 20;
const STAMP_BYTES: usize = 16;

/// A number that differs from run to run.
#[must_use]
pub fn entropy() -> u64 {
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

/// A resource without a namespace.
#[must_use]
pub fn resource(name: &str) -> Resource {
    Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    }
}

/// Makes send requests of one shape.
#[derive(Debug)]
pub struct Maker {
    /// Taken in turns.
    topics: Vec<Resource>,
    shape: Shape,
    body: Bytes,
    /// First half of each message id: this run's own.
    id_prefix: String,
    run: u64,
}

impl Maker {
    /// A maker for a topic.
    ///
    /// # Errors
    /// When the body is empty or too large.
    pub fn new(topic: &str, shape: &Shape) -> Result<Self> {
        ensure!(
            (1..=BODY_BYTES_MAX).contains(&shape.size),
            "--size {} is no body the protocol takes: give 1 to {BODY_BYTES_MAX} bytes",
            shape.size
        );
        let run = entropy();
        let body = noise(run, usize::try_from(shape.size)?);
        // Version 01, then what an SDK fills with its MAC address, process and start time.
        let id_prefix = format!("01{run:016X}{:08X}", std::process::id());
        Ok(Self {
            topics: vec![resource(topic)],
            shape: shape.clone(),
            body,
            id_prefix,
            run,
        })
    }

    /// The same maker for so many topics, called like its own with a number; for its own alone if it is one.
    #[must_use]
    pub fn over_topics(mut self, topics: u16) -> Self {
        if let ([topic], 2..) = (self.topics.as_slice(), topics) {
            self.topics = (0..topics)
                .map(|number| resource(&format!("{}-{number}", topic.name)))
                .collect();
        }
        self
    }

    /// The request of this number; `due` goes into the body when delivery is to be timed.
    #[must_use]
    pub fn make(&self, number: u64, due: Option<Duration>) -> SendMessageRequest {
        let body = due.map_or_else(|| self.body.clone(), |due| self.stamped(due));
        let named = if self.shape.same_id_and_key { 0 } else { number };
        let keys = match (self.shape.same_id_and_key, self.shape.keys) {
            (true, _) => vec!["key-0".to_owned()],
            (false, 0) => Vec::new(),
            (false, keys) => vec![format!("key-{}", number % keys)],
        };
        let groups = self.shape.message_groups;
        let message_group = (groups > 0).then(|| format!("group-{}", number % groups));
        let message_type = if groups > 0 {
            MessageType::Fifo
        } else {
            MessageType::Normal
        };
        let properties = SystemProperties {
            keys,
            message_id: format!("{}{:08X}", self.id_prefix, named & u64::from(u32::MAX)),
            body_encoding: Encoding::Identity.into(),
            message_type: message_type.into(),
            born_timestamp: Some(now()),
            born_host: "sluice-bench".to_owned(),
            // SDKs choose a queue as well; servers choose again.
            queue_id: i32::try_from(number % 4).unwrap_or(0),
            message_group,
            ..Default::default()
        };
        let message = Message {
            topic: self
                .topics
                .get((number % self.topics.len() as u64) as usize)
                .cloned(),
            user_properties: Default::default(),
            system_properties: Some(properties),
            body,
        };
        SendMessageRequest {
            messages: vec![message],
        }
    }

    /// When the message was due, counted from the run's start; nothing for a message of another run.
    #[must_use]
    pub fn due(&self, body: &[u8]) -> Option<Duration> {
        let (run, rest) = body.split_first_chunk::<8>()?;
        let due = rest.first_chunk::<8>()?;
        (u64::from_le_bytes(*run) == self.run).then(|| Duration::from_nanos(u64::from_le_bytes(*due)))
    }

    fn stamped(&self, due: Duration) -> Bytes {
        let mut body = Vec::with_capacity(self.body.len().max(STAMP_BYTES));
        body.extend_from_slice(&self.run.to_le_bytes());
        body.extend_from_slice(&nanos(due).to_le_bytes());
        body.extend_from_slice(self.body.get(STAMP_BYTES..).unwrap_or_default());
        body.into()
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
    }
}

/// Bytes no file system or network compresses away (xorshift64).
fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            size: 64,
            keys: 0,
            message_groups: 0,
            same_id_and_key: false,
        }
    }

    fn properties(maker: &Maker, number: u64) -> SystemProperties {
        maker
            .make(number, None)
            .messages
            .remove(0)
            .system_properties
            .unwrap()
    }

    #[test]
    fn message_ids_are_34_hex_digits_and_differ() {
        let maker = Maker::new("t", &shape()).unwrap();
        let (one, two) = (properties(&maker, 1).message_id, properties(&maker, 2).message_id);
        assert_eq!(one.len(), 34);
        assert!(one.starts_with("01") && one.chars().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(one, two);
    }

    #[test]
    fn same_id_and_key_repeats_both() {
        let maker = Maker::new(
            "t",
            &Shape {
                same_id_and_key: true,
                ..shape()
            },
        )
        .unwrap();
        let (one, two) = (properties(&maker, 1), properties(&maker, 2));
        assert_eq!((one.message_id, one.keys), (two.message_id, two.keys.clone()));
        assert_eq!(two.keys, ["key-0"]);
    }

    #[test]
    fn keys_and_message_groups_repeat_after_their_number() {
        let maker = Maker::new(
            "t",
            &Shape {
                keys: 3,
                message_groups: 2,
                ..shape()
            },
        )
        .unwrap();
        let five = properties(&maker, 5);
        assert_eq!(
            (five.keys, five.message_group.as_deref()),
            (vec!["key-2".to_owned()], Some("group-1"))
        );
        assert_eq!(five.message_type, i32::from(MessageType::Fifo));
    }

    #[test]
    fn a_stamp_is_read_back_by_its_own_run_only() {
        let maker = Maker::new("t", &shape()).unwrap();
        let body = maker
            .make(1, Some(Duration::from_micros(5)))
            .messages
            .remove(0)
            .body;
        assert_eq!(body.len(), 64);
        assert_eq!(maker.due(&body), Some(Duration::from_micros(5)));
        assert_eq!(Maker::new("t", &shape()).unwrap().due(&body), None);
        assert_eq!(maker.due(b"short"), None);
    }

    #[test]
    fn a_size_without_meaning_is_refused() {
        for size in [0, BODY_BYTES_MAX + 1] {
            assert!(Maker::new("t", &Shape { size, ..shape() }).is_err());
        }
    }
}
