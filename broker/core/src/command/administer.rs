//! Commands of administrators: topics and groups put and deleted, and the fence between writers. Since level 2.

use super::envelope::{EncodedCommand, Kind};
use super::meta::Types;
use super::spec::{GroupSpec, TopicSpec};
use crate::codec::{Malformed, Reader, put_bytes, put_varint};
use crate::ids::{GroupId, TimeMs, TopicId};
use crate::limits;

/// Under which terms a write is made: decided in the log, together with the write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Only while the topic or group has this generation; 0 stands for one that does not exist.
    pub expected_generation: Option<u64>,
    /// The epoch of the writer's fence; 0 for a writer that has none.
    pub epoch: u64,
}

impl Terms {
    fn put(self, out: &mut Vec<u8>) {
        put_varint(
            out,
            self.expected_generation
                .map_or(0, |generation| generation.saturating_add(1)),
        );
        put_varint(out, self.epoch);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            expected_generation: reader.varint()?.checked_sub(1),
            epoch: reader.varint()?,
        })
    }
}

const CLOSED: u8 = 1;
const KEEP_QUEUES: u8 = 2;
const RETENTION: u8 = 4;
/// How many bytes of its messages are kept follows behind that.
const RETENTION_BYTES: u8 = 8;

/// Gives a topic this specification; makes it if it is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutTopic {
    /// What it is.
    pub spec: TopicSpec,
    /// A topic that exists keeps its number of queues: `spec.queues` is for a new one.
    pub keep_queues: bool,
    /// Under which terms.
    pub terms: Terms,
}

impl PutTopic {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::PutTopic, time, |out| {
            put_bytes(out, self.spec.name.as_bytes());
            put_varint(out, u64::from(self.spec.queues));
            out.push(self.spec.types.to_byte());
            let flag = |set, flag| if set { flag } else { 0 };
            let (hours, bytes) = (self.spec.retention_hours, self.spec.retention_bytes);
            out.push(
                flag(self.spec.closed, CLOSED)
                    | flag(self.keep_queues, KEEP_QUEUES)
                    | flag(hours > 0, RETENTION)
                    | flag(bytes > 0, RETENTION_BYTES),
            );
            if hours > 0 {
                put_varint(out, u64::from(hours));
            }
            if bytes > 0 {
                put_varint(out, bytes);
            }
            self.terms.put(out);
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let name = reader.text("topic name")?.to_owned();
        let queues = reader.varint32()?;
        let types = Types::from_byte(reader.u8()?)?;
        let flags = reader.u8()?;
        if flags & !(CLOSED | KEEP_QUEUES | RETENTION | RETENTION_BYTES) != 0 {
            return Err(Malformed::Range("topic flags"));
        }
        let retention_hours = match flags & RETENTION {
            0 => 0,
            _ => reader.varint32()?,
        };
        let retention_bytes = match flags & RETENTION_BYTES {
            0 => 0,
            _ => reader.varint()?,
        };
        Ok(Self {
            spec: TopicSpec {
                name,
                queues,
                types,
                closed: flags & CLOSED != 0,
                retention_hours,
                retention_bytes,
            },
            keep_queues: flags & KEEP_QUEUES != 0,
            terms: Terms::read(reader)?,
        })
    }
}

/// Gives a consumer group this specification; makes it if it is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutGroup {
    /// What it is.
    pub spec: GroupSpec,
    /// Under which terms.
    pub terms: Terms,
}

impl PutGroup {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::PutGroup, time, |out| {
            self.spec.put(out, true);
            self.spec.put_extras(out);
            self.terms.put(out);
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (mut spec, extras) = GroupSpec::read(reader)?;
        if !extras {
            return Err(Malformed::Range("group flags"));
        }
        spec.read_extras(reader)?;
        Ok(Self {
            spec,
            terms: Terms::read(reader)?,
        })
    }
}

/// Removes a topic, its queues, and the place of every group in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteTopic {
    /// The topic.
    pub topic: TopicId,
    /// Only if it never had a message, or some group reads it and all that do have done every message.
    pub only_if_empty: bool,
    /// Under which terms.
    pub terms: Terms,
}

impl DeleteTopic {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::DeleteTopic, time, |out| {
            put_deletion(out, self.topic.0, self.only_if_empty, self.terms)
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (topic, only_if_empty, terms) = read_deletion(reader)?;
        Ok(Self {
            topic: TopicId(topic),
            only_if_empty,
            terms,
        })
    }
}

/// Removes a consumer group and its place in every topic. Its dead-letter topic stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteGroup {
    /// The group.
    pub group: GroupId,
    /// Only if it has done every message of every topic that it reads.
    pub only_if_empty: bool,
    /// Under which terms.
    pub terms: Terms,
}

impl DeleteGroup {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::DeleteGroup, time, |out| {
            put_deletion(out, self.group.0, self.only_if_empty, self.terms)
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (group, only_if_empty, terms) = read_deletion(reader)?;
        Ok(Self {
            group: GroupId(group),
            only_if_empty,
            terms,
        })
    }
}

fn put_deletion(out: &mut Vec<u8>, id: u32, only_if_empty: bool, terms: Terms) {
    put_varint(out, u64::from(id));
    out.push(u8::from(only_if_empty));
    terms.put(out);
}

fn read_deletion(reader: &mut Reader<'_>) -> Result<(u32, bool, Terms), Malformed> {
    Ok((reader.varint32()?, reader.u8()? != 0, Terms::read(reader)?))
}

/// Gives the next epoch to a writer: from then on writes with an older one are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Who asks, for people.
    pub holder: String,
}

impl Fence {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::Fence, time, |out| put_bytes(out, self.holder.as_bytes()))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let holder = reader.text("fence holder")?;
        if holder.len() > limits::HOLDER_BYTES_MAX {
            return Err(Malformed::Range("fence holder"));
        }
        Ok(Self {
            holder: holder.to_owned(),
        })
    }
}
