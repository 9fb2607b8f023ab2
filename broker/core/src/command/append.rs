//! `Append`: a message for a queue.
//!
//! ```text
//! kind u8 | message kind u8 | flags u16 | topic u32 | queue u32 | time ms u64 | tag hash i32 |
//! message group hash u32 | record …
//! ```
//! The hashes stand beside the record so that apply never reads it.

use super::envelope::{COMMAND_HEADER_BYTES, EncodedCommand, Kind};
use crate::codec::{Malformed, Reader};
use crate::entry::{GROUPED, QueueEntry, TAGGED};
use crate::hash;
use crate::ids::{PhysicalOffset, QueueId, TimeMs, TopicId, TopicQueue};
use crate::record::NewRecord;

/// Where the record starts, counted from the start of the command.
pub const APPEND_RECORD_AT: usize = COMMAND_HEADER_BYTES + 28;

/// What kind of message it is, in RocketMQ's sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageKind {
    /// No order asked for.
    Normal = 1,
    /// In order within its message group.
    Fifo = 2,
}

impl MessageKind {
    fn from_byte(byte: u8) -> Result<Self, Malformed> {
        match byte {
            1 => Ok(Self::Normal),
            2 => Ok(Self::Fifo),
            _ => Err(Malformed::Range("message kind")),
        }
    }
}

/// A message that a client sends, checked and ready to encode.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// The topic's id.
    pub topic: TopicId,
    /// The tag, if any.
    pub tag: Option<&'a str>,
    /// The message group, if any; its presence makes the message a FIFO one.
    pub message_group: Option<&'a str>,
    /// Everything that is stored; its `queue` and `store_ms` are the command's too.
    pub record: NewRecord<'a>,
}

impl NewMessage<'_> {
    /// Encodes the command.
    pub fn encode(&self) -> EncodedCommand {
        let kind = if self.message_group.is_some() {
            MessageKind::Fifo
        } else {
            MessageKind::Normal
        };
        let flags = if self.tag.is_some() { TAGGED } else { 0 }
            | if self.message_group.is_some() { GROUPED } else { 0 };
        let mut out = Vec::with_capacity(APPEND_RECORD_AT + self.record.encoded_len());
        out.extend_from_slice(&[0; COMMAND_HEADER_BYTES]);
        out.push(Kind::Append as u8);
        out.push(kind as u8);
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&self.topic.0.to_le_bytes());
        out.extend_from_slice(&self.record.queue.to_le_bytes());
        out.extend_from_slice(&self.record.store_ms.to_le_bytes());
        out.extend_from_slice(&self.tag.map_or(0, hash::java_string).to_le_bytes());
        out.extend_from_slice(&self.message_group.map_or(0, hash::message_group).to_le_bytes());
        self.record.encode(&mut out);
        EncodedCommand::seal(out)
    }
}

/// A decoded `Append`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Append<'a> {
    /// What kind of message it is.
    pub kind: MessageKind,
    /// [`TAGGED`], [`GROUPED`].
    pub flags: u16,
    /// Where it goes.
    pub at: TopicQueue,
    /// When the broker took it.
    pub time: TimeMs,
    /// Java's hash of its tag.
    pub tag_hash: i32,
    /// Its message group's hash.
    pub group_hash: u32,
    /// RocketMQ's record.
    pub record: &'a [u8],
}

impl<'a> Append<'a> {
    /// The entry of the message in its queue, if it is taken at `now`: its command stands at `physical` and has `size` bytes.
    pub fn entry(&self, physical: PhysicalOffset, size: u32, now: TimeMs) -> QueueEntry {
        QueueEntry {
            physical,
            put_ms: now,
            waiting_since_ms: now,
            tag_hash: self.tag_hash,
            group_hash: self.group_hash,
            size,
            attempt: 0,
            flags: self.flags,
        }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let kind = MessageKind::from_byte(reader.u8()?)?;
        let flags = reader.u16()?;
        if flags & !(TAGGED | GROUPED) != 0 {
            return Err(Malformed::Range("append flags"));
        }
        Ok(Self {
            kind,
            flags,
            at: TopicQueue {
                topic: TopicId(reader.u32()?),
                queue: QueueId(reader.u32()?),
            },
            time: reader.u64()?,
            tag_hash: reader.u32()? as i32,
            group_hash: reader.u32()?,
            record: reader.rest(),
        })
    }
}
