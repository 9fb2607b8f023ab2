//! Commands of retention: the log gives up what stands at its start, and what still waits there stands in it anew. Since
//! level 3.
//!
//! A `Carry` begins as an `Append` does, so that the record stands at the same place in both:
//!
//! ```text
//! kind u8 | 0 u8 | places u16 | topic u32 | time ms u64 | old physical offset u64 | record length u32 | record … |
//! places × (topic u32 | queue u32 | queue offset u64 | entry 40 bytes)
//! ```

use super::append::APPEND_RECORD_AT;
use super::envelope::{COMMAND_HEADER_BYTES, EncodedCommand, Kind};
use crate::codec::{Malformed, Reader, VARINT_BYTES_MAX, VARINT32_BYTES_MAX, put_varint};
use crate::entry::{ENTRY_BYTES, QueueEntry};
use crate::ids::{PhysicalOffset, QueueId, QueueOffset, TimeMs, TopicId, TopicQueue};
use crate::limits;

const PLACE_BYTES: usize = 4 + 4 + 8 + ENTRY_BYTES;

/// Where a queue begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minimum {
    /// The queue.
    pub at: TopicQueue,
    /// The first offset whose entry the queue keeps; below it only what was carried.
    pub first: QueueOffset,
}

/// The log is going to begin later. Apply moves minimum offsets and groups; files go afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Where the log begins. What was carried and stands before it goes.
    pub start: PhysicalOffset,
    /// Nothing may be linked any more that stands before this. The log begins no later than what the command before said
    /// here: whoever looks for links after that one is applied finds all of them.
    pub links_from: PhysicalOffset,
    /// Where queues begin that begin later now; at most [`limits::TRIM_QUEUES_MAX`].
    pub minimums: Vec<Minimum>,
}

impl Trim {
    /// The longest command that moves no queue.
    pub const BYTES_MAX: usize = COMMAND_HEADER_BYTES + 1 + 4 * VARINT_BYTES_MAX;
    /// What one more queue adds at most.
    pub const QUEUE_BYTES_MAX: usize = 2 * VARINT32_BYTES_MAX + VARINT_BYTES_MAX;

    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::Trim, time, |out| {
            put_varint(out, self.start.0);
            put_varint(out, self.links_from.0);
            put_varint(out, self.minimums.len() as u64);
            for Minimum { at, first } in &self.minimums {
                put_place(out, *at, *first);
            }
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (start, links_from) = (reader.varint()?, reader.varint()?);
        let count = reader.count(3)?;
        if count > limits::TRIM_QUEUES_MAX {
            return Err(Malformed::Range("trimmed queues"));
        }
        let minimum = |reader: &mut Reader<'_>| {
            let (at, first) = read_place(reader)?;
            Ok(Minimum { at, first })
        };
        Ok(Self {
            start: PhysicalOffset(start),
            links_from: PhysicalOffset(links_from),
            minimums: (0..count).map(|_| minimum(reader)).collect::<Result<_, _>>()?,
        })
    }
}

pub(super) fn put_place(out: &mut Vec<u8>, at: TopicQueue, offset: QueueOffset) {
    put_varint(out, u64::from(at.topic.0));
    put_varint(out, u64::from(at.queue.0));
    put_varint(out, offset.0);
}

pub(super) fn read_place(reader: &mut Reader<'_>) -> Result<(TopicQueue, QueueOffset), Malformed> {
    let at = TopicQueue {
        topic: TopicId(reader.varint32()?),
        queue: QueueId(reader.varint32()?),
    };
    Ok((at, QueueOffset(reader.varint()?)))
}

/// A place in a queue where a message stands, with its entry: apply reads no files, and a replay that begins behind the old
/// record has the entry from nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The queue.
    pub at: TopicQueue,
    /// The offset in it.
    pub offset: QueueOffset,
    /// The entry as it is now, with the old record's place and size.
    pub entry: QueueEntry,
}

/// A record on its way from the log's start to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCarry<'a> {
    /// The topic under which the index has its keys.
    pub topic: TopicId,
    /// Where the command with the old record starts.
    pub old: PhysicalOffset,
    /// RocketMQ's record, as it was.
    pub record: &'a [u8],
    /// Where the message stands that still waits; at most [`limits::CARRY_PLACES_MAX`].
    pub places: &'a [Place],
}

impl NewCarry<'_> {
    /// The bytes of the command.
    pub fn encoded_len(&self) -> usize {
        APPEND_RECORD_AT + self.record.len() + PLACE_BYTES * self.places.len()
    }

    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        debug_assert!(self.places.len() <= limits::CARRY_PLACES_MAX);
        let mut out = Vec::with_capacity(self.encoded_len());
        out.extend_from_slice(&[0; COMMAND_HEADER_BYTES]);
        out.push(Kind::Carry as u8);
        out.push(0);
        out.extend_from_slice(&(self.places.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.topic.0.to_le_bytes());
        out.extend_from_slice(&time.to_le_bytes());
        out.extend_from_slice(&self.old.0.to_le_bytes());
        out.extend_from_slice(&(self.record.len() as u32).to_le_bytes());
        debug_assert_eq!(out.len(), APPEND_RECORD_AT);
        out.extend_from_slice(self.record);
        for Place { at, offset, entry } in self.places {
            out.extend_from_slice(&at.topic.0.to_le_bytes());
            out.extend_from_slice(&at.queue.0.to_le_bytes());
            out.extend_from_slice(&offset.0.to_le_bytes());
            out.extend_from_slice(&entry.encode());
        }
        EncodedCommand::seal(out)
    }
}

/// A decoded `Carry`: appends a record again, and moves to it the places where the message waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carry<'a> {
    /// The topic under which the index has its keys.
    pub topic: TopicId,
    /// When it was proposed.
    pub time: TimeMs,
    /// Where the command with the old record starts.
    pub old: PhysicalOffset,
    /// RocketMQ's record.
    pub record: &'a [u8],
    /// Where the message stands.
    pub places: Vec<Place>,
}

impl<'a> Carry<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let head = Head::read(reader)?;
        if head.places > limits::CARRY_PLACES_MAX || head.zero != 0 {
            return Err(Malformed::Range("carried places"));
        }
        let record = reader.take(head.record)?;
        if reader.rest().len() != head.places * PLACE_BYTES {
            return Err(Malformed::Range("carried places"));
        }
        let place = |reader: &mut Reader<'_>| {
            let at = TopicQueue {
                topic: TopicId(reader.u32()?),
                queue: QueueId(reader.u32()?),
            };
            let offset = QueueOffset(reader.u64()?);
            let entry = QueueEntry::read(reader)?;
            Ok(Place { at, offset, entry })
        };
        Ok(Self {
            topic: head.topic,
            time: head.time,
            old: head.old,
            record,
            places: (0..head.places)
                .map(|_| place(reader))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// What stands before the record, behind the kind.
struct Head {
    zero: u8,
    places: usize,
    topic: TopicId,
    time: TimeMs,
    old: PhysicalOffset,
    record: usize,
}

impl Head {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            zero: reader.u8()?,
            places: usize::from(reader.u16()?),
            topic: TopicId(reader.u32()?),
            time: reader.u64()?,
            old: PhysicalOffset(reader.u64()?),
            record: reader.u32()? as usize,
        })
    }
}

/// The record in the command that a queue entry points to, an `Append` or a `Carry`. Its checksum has been checked.
pub fn record_of(command: &[u8]) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(command.get(COMMAND_HEADER_BYTES..).ok_or(Malformed::Short(1))?);
    match Kind::from_byte(reader.u8()?)? {
        Kind::Append => {
            reader.take(APPEND_RECORD_AT - COMMAND_HEADER_BYTES - 1)?;
            Ok(reader.rest())
        }
        Kind::Carry => {
            let head = Head::read(&mut reader)?;
            reader.take(head.record)
        }
        _ => Err(Malformed::Range("a record's command")),
    }
}
