//! Commands that make topics, groups and subscriptions, and say who votes.

use super::append::MessageKind;
use super::envelope::{EncodedCommand, Kind};
use crate::codec::{Malformed, Reader, put_bytes, put_varint};
use crate::ids::{GroupId, TimeMs, TopicId};
use crate::limits;

/// The message kinds that a topic takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Types(u8);

impl Types {
    /// No order.
    pub const NORMAL: Self = Self(1);
    /// Order within a message group.
    pub const FIFO: Self = Self(2);
    /// Every kind that this level of the log knows.
    pub const ALL: Self = Self(1 | 2);

    /// Both sets together.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a message of this kind is taken.
    pub fn take(self, kind: MessageKind) -> bool {
        let bit = match kind {
            MessageKind::Normal => Self::NORMAL,
            MessageKind::Fifo => Self::FIFO,
        };
        self.0 & bit.0 != 0
    }

    pub(crate) fn to_byte(self) -> u8 {
        self.0
    }

    pub(crate) fn from_byte(byte: u8) -> Result<Self, Malformed> {
        if byte == 0 || byte & !Self::ALL.0 != 0 {
            return Err(Malformed::Range("topic types"));
        }
        Ok(Self(byte))
    }
}

/// Makes a topic, unless one of this name exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTopic {
    /// Its name.
    pub name: String,
    /// How many queues it has; at most [`limits::QUEUES_MAX`].
    pub queues: u32,
    /// What it takes.
    pub types: Types,
}

impl CreateTopic {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::CreateTopic, time, |out| {
            put_bytes(out, self.name.as_bytes());
            put_varint(out, u64::from(self.queues));
            out.push(self.types.to_byte());
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            name: reader.text("topic name")?.to_owned(),
            queues: reader.varint32()?,
            types: Types::from_byte(reader.u8()?)?,
        })
    }
}

/// Delays between a failed attempt and the next, as clients are told them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// One delay an attempt, in milliseconds; the last one serves all further attempts.
    Customized(Vec<u64>),
    /// Grows by a factor from `initial_ms` to `max_ms`.
    Exponential {
        /// The first delay.
        initial_ms: u64,
        /// The longest delay.
        max_ms: u64,
        /// The factor in thousandths: no floats in what is applied.
        multiplier_milli: u32,
    },
}

impl Default for Backoff {
    /// RocketMQ's: 1 s, 5 s, 10 s, 30 s, 1 to 10 min, 20 min, 30 min, 1 h, 2 h.
    fn default() -> Self {
        let seconds = [1, 5, 10, 30]
            .into_iter()
            .chain((1..=10).map(|m| m * 60))
            .chain([1200, 1800, 3600, 7200]);
        Self::Customized(seconds.map(|s: u64| s * 1000).collect())
    }
}

impl Backoff {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Customized(steps) => {
                out.push(0);
                put_varint(out, steps.len() as u64);
                steps.iter().for_each(|step| put_varint(out, *step));
            }
            Self::Exponential {
                initial_ms,
                max_ms,
                multiplier_milli,
            } => {
                out.push(1);
                put_varint(out, *initial_ms);
                put_varint(out, *max_ms);
                put_varint(out, u64::from(*multiplier_milli));
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            0 => {
                let n = reader.count(1)?;
                if n == 0 || n > limits::BACKOFF_STEPS_MAX {
                    return Err(Malformed::Range("back-off steps"));
                }
                Ok(Self::Customized(
                    (0..n).map(|_| reader.varint()).collect::<Result<_, _>>()?,
                ))
            }
            1 => Ok(Self::Exponential {
                initial_ms: reader.varint()?,
                max_ms: reader.varint()?,
                multiplier_milli: reader.varint32()?,
            }),
            _ => Err(Malformed::Range("back-off")),
        }
    }
}

/// Where a group starts in a queue that it has never read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartFrom {
    /// At the earliest message there is.
    #[default]
    Earliest,
    /// Behind the latest message.
    Latest,
    /// At the first message that came then or later. Only [`super::SubscribeAt`] finds it: for `Subscribe`, which reads no
    /// entries, it is the earliest message.
    Time(TimeMs),
}

impl StartFrom {
    pub(crate) fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Earliest => out.push(0),
            Self::Latest => out.push(1),
            Self::Time(time) => {
                out.push(2);
                put_varint(out, time);
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            0 => Ok(Self::Earliest),
            1 => Ok(Self::Latest),
            2 => Ok(Self::Time(reader.varint()?)),
            _ => Err(Malformed::Range("start position")),
        }
    }
}

/// Makes a consumer group, unless one of this name exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateGroup {
    /// Its name.
    pub name: String,
    /// Whether a message group's later messages wait for its earlier ones.
    pub fifo: bool,
    /// Deliveries of a message before it goes to the dead-letter topic.
    pub max_attempts: u16,
    /// Delays between attempts.
    pub backoff: Backoff,
    /// Where it starts; not at a time, which this command is too old for.
    pub start_from: StartFrom,
}

impl CreateGroup {
    /// A group as made on first use: not FIFO, RocketMQ's retries, from the earliest message.
    pub fn on_first_use(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            fifo: false,
            max_attempts: limits::ATTEMPTS_DEFAULT,
            backoff: Backoff::default(),
            start_from: StartFrom::Earliest,
        }
    }

    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::CreateGroup, time, |out| {
            put_bytes(out, self.name.as_bytes());
            out.push(u8::from(self.fifo));
            put_varint(out, u64::from(self.max_attempts));
            self.backoff.put(out);
            self.start_from.put(out);
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let spec = Self {
            name: reader.text("group name")?.to_owned(),
            fifo: reader.u8()? != 0,
            max_attempts: u16::try_from(reader.varint()?).map_err(|_| Malformed::Range("attempts"))?,
            backoff: Backoff::read(reader)?,
            start_from: StartFrom::read(reader)?,
        };
        match spec.start_from {
            StartFrom::Time(_) => Err(Malformed::Range("start position")),
            _ => Ok(spec),
        }
    }
}

/// Fixes where a group starts in every queue of a topic. Answered alike when it did so before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// The group.
    pub group: GroupId,
    /// The topic.
    pub topic: TopicId,
}

impl Subscribe {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::Subscribe, time, |out| {
            put_varint(out, u64::from(self.group.0));
            put_varint(out, u64::from(self.topic.0));
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            group: GroupId(reader.varint32()?),
            topic: TopicId(reader.varint32()?),
        })
    }
}

/// One voting node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// The node's number.
    pub node: u64,
    /// The broker name it serves.
    pub name: String,
}

/// Who votes in this log. A single node's log begins with itself as the only voter, so that replication
/// needs no migration later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// The voters, in order of their numbers.
    pub voters: Vec<Voter>,
}

impl Membership {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::Membership, time, |out| {
            put_varint(out, self.voters.len() as u64);
            for voter in &self.voters {
                put_varint(out, voter.node);
                put_bytes(out, voter.name.as_bytes());
            }
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let n = reader.count(2)?;
        let voter = |reader: &mut Reader<'_>| {
            Ok(Voter {
                node: reader.varint()?,
                name: reader.text("voter name")?.to_owned(),
            })
        };
        Ok(Self {
            voters: (0..n).map(|_| voter(reader)).collect::<Result<_, _>>()?,
        })
    }
}
