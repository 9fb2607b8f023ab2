//! What topics and groups are: the part of them that an administrator decides.

use super::meta::{Backoff, CreateGroup, CreateTopic, StartFrom, Types};
use crate::codec::{Malformed, Reader, put_bytes, put_varint};
use crate::limits;

/// What a topic is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many queues it has; at most [`limits::QUEUES_MAX`]. It never falls.
    pub queues: u32,
    /// What it takes.
    pub types: Types,
    /// Nothing can be sent to it, while consumers go on (B6).
    pub closed: bool,
    /// Its messages are kept for so many hours (F8), at most [`limits::RETENTION_HOURS_MAX`]; 0 is as long as the broker keeps
    /// any. Since level 3.
    pub retention_hours: u32,
    /// No more bytes of its messages are kept (F8), at most [`limits::RETENTION_BYTES_MAX`]; 0 is any number. Since level 3.
    pub retention_bytes: u64,
}

impl From<CreateTopic> for TopicSpec {
    fn from(made: CreateTopic) -> Self {
        Self {
            name: made.name,
            queues: made.queues,
            types: made.types,
            closed: false,
            retention_hours: 0,
            retention_bytes: 0,
        }
    }
}

/// A topic that a group reads whether or not it has clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticSubscription {
    /// The topic's name; there need not be one yet.
    pub topic: String,
    /// Which tags, such as `a || b`; `*` is all. Messages that it leaves out are no lag.
    pub expression: String,
}

/// What a consumer group is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSpec {
    /// Its name.
    pub name: String,
    /// Whether a message group's later messages wait for its earlier ones.
    pub fifo: bool,
    /// Deliveries of a message before it goes to the dead-letter topic.
    pub max_attempts: u16,
    /// Delays between attempts.
    pub backoff: Backoff,
    /// Where it starts in a topic that it has never read.
    pub start_from: StartFrom,
    /// How many messages a push consumer takes at a time.
    pub receive_batch: u8,
    /// How long a push consumer waits for messages.
    pub long_poll_ms: u64,
    /// How long messages are hidden from others where the client does not say.
    pub invisible_ms: u64,
    /// What it reads in any case; at most [`limits::SUBSCRIPTIONS_MAX`], each topic once.
    pub subscriptions: Vec<StaticSubscription>,
}

impl From<CreateGroup> for GroupSpec {
    fn from(made: CreateGroup) -> Self {
        Self {
            name: made.name,
            fifo: made.fifo,
            max_attempts: made.max_attempts,
            backoff: made.backoff,
            start_from: made.start_from,
            receive_batch: limits::RECEIVE_MAX as u8,
            long_poll_ms: limits::LONG_POLL_MS_MAX,
            invisible_ms: limits::INVISIBLE_MS_DEFAULT,
            subscriptions: Vec::new(),
        }
    }
}

const FIFO: u8 = 1;
/// What a group of level 1 cannot have follows.
const EXTRAS: u8 = 2;

impl GroupSpec {
    /// A group as made on first use: not FIFO, RocketMQ's retries, from the earliest message.
    pub fn on_first_use(name: &str) -> Self {
        CreateGroup::on_first_use(name).into()
    }

    /// The tag expression of the group's static subscription to a topic, if it has one.
    pub fn expression(&self, topic: &str) -> Option<&str> {
        let mut subscriptions = self.subscriptions.iter();
        let found = subscriptions.find(|subscription| subscription.topic == topic);
        found.map(|subscription| subscription.expression.as_str())
    }

    /// Whether it could be a group of level 1, but for the start at a time.
    pub(crate) fn is_plain(&self) -> bool {
        usize::from(self.receive_batch) == limits::RECEIVE_MAX
            && self.long_poll_ms == limits::LONG_POLL_MS_MAX
            && self.invisible_ms == limits::INVISIBLE_MS_DEFAULT
            && self.subscriptions.is_empty()
    }

    /// Appends what groups have since level 1; `extras` says whether [`Self::put_extras`] follows.
    pub(crate) fn put(&self, out: &mut Vec<u8>, extras: bool) {
        put_bytes(out, self.name.as_bytes());
        out.push(if self.fifo { FIFO } else { 0 } | if extras { EXTRAS } else { 0 });
        put_varint(out, u64::from(self.max_attempts));
        self.backoff.put(out);
        self.start_from.put(out);
    }

    /// Reads what [`Self::put`] wrote, and whether extras follow.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<(Self, bool), Malformed> {
        let name = reader.text("group name")?.to_owned();
        let flags = reader.u8()?;
        if flags & !(FIFO | EXTRAS) != 0 {
            return Err(Malformed::Range("group flags"));
        }
        let plain = CreateGroup {
            name,
            fifo: flags & FIFO != 0,
            max_attempts: u16::try_from(reader.varint()?).map_err(|_| Malformed::Range("attempts"))?,
            backoff: Backoff::read(reader)?,
            start_from: StartFrom::read(reader)?,
        };
        Ok((plain.into(), flags & EXTRAS != 0))
    }

    pub(crate) fn put_extras(&self, out: &mut Vec<u8>) {
        out.push(self.receive_batch);
        put_varint(out, self.long_poll_ms);
        put_varint(out, self.invisible_ms);
        put_varint(out, self.subscriptions.len() as u64);
        for subscription in &self.subscriptions {
            put_bytes(out, subscription.topic.as_bytes());
            put_bytes(out, subscription.expression.as_bytes());
        }
    }

    pub(crate) fn read_extras(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        self.receive_batch = reader.u8()?;
        self.long_poll_ms = reader.varint()?;
        self.invisible_ms = reader.varint()?;
        let count = reader.count(2)?;
        if count > limits::SUBSCRIPTIONS_MAX {
            return Err(Malformed::Range("static subscriptions"));
        }
        for _ in 0..count {
            self.subscriptions.push(StaticSubscription {
                topic: reader.text("topic name")?.to_owned(),
                expression: reader.text("tag expression")?.to_owned(),
            });
        }
        Ok(())
    }
}
