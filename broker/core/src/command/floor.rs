//! Commands that put a group where an administrator wants it: at its first subscription, or later. Since level 2.

use super::delivery::{put_id, read_id};
use super::envelope::{EncodedCommand, Kind};
use crate::codec::{Malformed, Reader, put_varint};
use crate::ids::{GroupId, GroupQueueId, QueueOffset, TimeMs, TopicId};
use crate::limits;

/// Fixes where a group starts in every queue of a topic, at offsets that the proposer has found: apply reads no entries.
/// Answered alike, and nothing changed, when the group has subscribed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeAt {
    /// The group.
    pub group: GroupId,
    /// The topic.
    pub topic: TopicId,
    /// By queue; 0 in queues that are not named, and nowhere beyond the last message.
    pub floors: Vec<QueueOffset>,
}

impl SubscribeAt {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::SubscribeAt, time, |out| {
            put_varint(out, u64::from(self.group.0));
            put_varint(out, u64::from(self.topic.0));
            put_varint(out, self.floors.len() as u64);
            self.floors.iter().for_each(|floor| put_varint(out, floor.0));
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (group, topic) = (GroupId(reader.varint32()?), TopicId(reader.varint32()?));
        let count = reader.count(1)?;
        if count > limits::QUEUES_MAX as usize {
            return Err(Malformed::Range("floors"));
        }
        let floors = (0..count)
            .map(|_| reader.varint().map(QueueOffset))
            .collect::<Result<_, _>>()?;
        Ok(Self { group, topic, floors })
    }
}

/// Where a group is put in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To this offset, within what there is. Not above where it stands: everything from there on comes again, what is
    /// done and what is in flight.
    Offset(QueueOffset),
    /// Behind the last message.
    Latest,
    /// Forward, so that only this many of the newest messages are left; never back.
    Newest(u64),
}

/// Moves a group in a queue. Forward, what lies above keeps its place; back, everything is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetFloor {
    /// The group and the queue.
    pub id: GroupQueueId,
    /// Where to.
    pub target: Target,
    /// The epoch of the writer's fence; 0 for a writer that has none.
    pub epoch: u64,
}

impl SetFloor {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::SetFloor, time, |out| {
            put_id(out, &self.id);
            put_varint(out, self.epoch);
            let (how, number) = match self.target {
                Target::Offset(offset) => (0, offset.0),
                Target::Latest => (1, 0),
                Target::Newest(count) => (2, count),
            };
            out.push(how);
            put_varint(out, number);
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let id = read_id(reader)?;
        let epoch = reader.varint()?;
        let (how, number) = (reader.u8()?, reader.varint()?);
        let target = match how {
            0 => Target::Offset(QueueOffset(number)),
            1 => Target::Latest,
            2 => Target::Newest(number),
            _ => return Err(Malformed::Range("floor target")),
        };
        Ok(Self { id, target, epoch })
    }
}
