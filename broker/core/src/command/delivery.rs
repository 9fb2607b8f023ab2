//! Commands about deliveries: made, ended, changed, released, given up.
//!
//! Offsets stand as differences, so that a batch of 32 costs a few bytes a message.

use super::envelope::{COMMAND_HEADER_BYTES, EncodedCommand, Kind};
use crate::codec::{
    Malformed, Reader, VARINT_BYTES_MAX, VARINT32_BYTES_MAX, put_bytes, put_varint, put_zigzag,
};
use crate::entry::{ENTRY_BYTES, QueueEntry};
use crate::ids::{DeliveryId, GroupId, GroupQueueId, QueueId, QueueOffset, TimeMs, TopicId, TopicQueue};
use crate::limits;

const AUTO_RENEW: u8 = 1;
const RESUME: u8 = 2;
const IN_ORDER: u8 = 4;
const MOVED: u8 = 8;

/// One message that a `Deliver` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// Its place in the queue.
    pub offset: QueueOffset,
    /// Its message group's hash; matters to FIFO groups only, and is 0 for messages without a message group.
    pub group_hash: u32,
}

/// Offsets `start..start + len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first offset.
    pub start: QueueOffset,
    /// How many.
    pub len: u64,
}

/// What a choice of messages from a queue stands on. It is of use only while the queue's is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether the group was FIFO: a choice without order knows nothing of message groups.
    pub in_order: bool,
    /// How often the group was moved back in this queue, or anew to where it stood: each time messages that were done
    /// come before those that were chosen.
    pub moves: u32,
}

/// Hands messages of one queue to a client. Apply takes what is still ready and evaluates nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliver {
    /// Whose messages.
    pub id: GroupQueueId,
    /// The client's id.
    pub client: String,
    /// Hash of the client's attempt id, 0 for none.
    pub attempt_id: u64,
    /// Whether the broker renews for the client.
    pub auto_renew: bool,
    /// Whether it repeats a delivery whose answer this client lost: the same messages, uncounted.
    pub resume: bool,
    /// What the choice stood on. From level 2 on a queue in which the group stands otherwise now gives nothing.
    pub standing: Standing,
    /// How long the messages stay hidden, counted from the command's time.
    pub invisible_ms: u64,
    /// The messages, in rising order of offsets.
    pub taken: Vec<Take>,
    /// Messages that the group's filter leaves out, in rising order: they count as done.
    pub skipped: Vec<Span>,
}

/// What `Settle` does with its deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The message is done (acknowledged).
    Done,
    /// The message is visible again after this many milliseconds, counted from the command's time.
    VisibleIn(u64),
    /// The message has reached nobody: it is visible again after this many milliseconds, and this delivery does not
    /// count among its attempts.
    HandBack(u64),
}

/// One delivery to settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettleItem {
    /// The message.
    pub offset: QueueOffset,
    /// The delivery that the client holds: an older one is refused.
    pub delivery: DeliveryId,
}

/// Ends deliveries of one queue, or changes how long they last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// Whose messages.
    pub id: GroupQueueId,
    /// What happens to them.
    pub change: Change,
    /// Which.
    pub items: Vec<SettleItem>,
}

/// Makes visible again what a client holds in one queue: it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Whose messages.
    pub id: GroupQueueId,
    /// The client's id.
    pub client: String,
    /// How long they stay hidden yet.
    pub visible_in_ms: u64,
}

/// Links a message into the group's dead-letter topic and counts it as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Whose message.
    pub id: GroupQueueId,
    /// Its place in the queue.
    pub offset: QueueOffset,
    /// The delivery that a client gives up; none when the attempts are used up and the message is visible again.
    pub delivery: Option<DeliveryId>,
    /// The message's entry: apply reads no files.
    pub entry: QueueEntry,
}

pub(super) fn put_id(out: &mut Vec<u8>, id: &GroupQueueId) {
    put_varint(out, u64::from(id.group.0));
    put_varint(out, u64::from(id.at.topic.0));
    put_varint(out, u64::from(id.at.queue.0));
}

pub(super) fn read_id(reader: &mut Reader<'_>) -> Result<GroupQueueId, Malformed> {
    Ok(GroupQueueId {
        group: GroupId(reader.varint32()?),
        at: TopicQueue {
            topic: TopicId(reader.varint32()?),
            queue: QueueId(reader.varint32()?),
        },
    })
}

fn read_client(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    let client = reader.text("client id")?;
    if client.len() > limits::CLIENT_ID_MAX {
        return Err(Malformed::Range("client id"));
    }
    Ok(client.to_owned())
}

fn next_offset(from: u64, gap: u64) -> Result<u64, Malformed> {
    from.checked_add(gap)
        .filter(|offset| *offset < u64::MAX)
        .ok_or(Malformed::Range("queue offset"))
}

/// The longest start of a command: its header, kind and time.
const START_BYTES_MAX: usize = COMMAND_HEADER_BYTES + 1 + VARINT_BYTES_MAX;
/// The longest group, topic and queue.
const ID_BYTES_MAX: usize = 3 * VARINT32_BYTES_MAX;
/// The longest client id with its length.
const CLIENT_BYTES_MAX: usize = 2 + limits::CLIENT_ID_MAX;

impl Deliver {
    /// The longest command that takes nothing and skips nothing.
    pub const BYTES_MAX: usize =
        START_BYTES_MAX + ID_BYTES_MAX + CLIENT_BYTES_MAX + 1 + VARINT32_BYTES_MAX + 8 + 3 * VARINT_BYTES_MAX;
    /// What one more taken message adds at most.
    pub const TAKEN_BYTES_MAX: usize = VARINT_BYTES_MAX + VARINT32_BYTES_MAX;
    /// What one more skipped span adds at most.
    pub const SKIPPED_BYTES_MAX: usize = 2 * VARINT_BYTES_MAX;

    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::Deliver, time, |out| {
            put_id(out, &self.id);
            put_bytes(out, self.client.as_bytes());
            let flag = |set, flag| if set { flag } else { 0 };
            let Standing { in_order, moves } = self.standing;
            out.push(
                flag(self.auto_renew, AUTO_RENEW)
                    | flag(self.resume, RESUME)
                    | flag(in_order, IN_ORDER)
                    | flag(moves != 0, MOVED),
            );
            if moves != 0 {
                put_varint(out, u64::from(moves));
            }
            out.extend_from_slice(&self.attempt_id.to_le_bytes());
            put_varint(out, self.invisible_ms);
            put_varint(out, self.taken.len() as u64);
            let mut next = 0;
            for take in &self.taken {
                debug_assert!(take.offset.0 >= next, "taken offsets rise");
                put_varint(out, take.offset.0 - next);
                put_varint(out, u64::from(take.group_hash));
                next = take.offset.0 + 1;
            }
            put_varint(out, self.skipped.len() as u64);
            let mut next = 0;
            for span in &self.skipped {
                debug_assert!(span.start.0 >= next && span.len > 0, "skipped spans rise");
                put_varint(out, span.start.0 - next);
                put_varint(out, span.len);
                next = span.start.0 + span.len;
            }
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let id = read_id(reader)?;
        let client = read_client(reader)?;
        let flags = reader.u8()?;
        let moves = match flags & MOVED {
            0 => 0,
            _ => reader.varint32()?,
        };
        let attempt_id = reader.u64()?;
        let invisible_ms = reader.varint()?;
        let mut next = 0;
        let mut taken = Vec::with_capacity(reader.clone().count(2)?);
        for _ in 0..reader.count(2)? {
            let offset = next_offset(next, reader.varint()?)?;
            taken.push(Take {
                offset: QueueOffset(offset),
                group_hash: reader.varint32()?,
            });
            next = offset + 1;
        }
        let mut next = 0;
        let mut skipped = Vec::with_capacity(reader.clone().count(2)?);
        for _ in 0..reader.count(2)? {
            let start = next_offset(next, reader.varint()?)?;
            let len = reader.varint()?;
            next = next_offset(start, len)?;
            skipped.push(Span {
                start: QueueOffset(start),
                len,
            });
        }
        Ok(Self {
            id,
            client,
            attempt_id,
            auto_renew: flags & AUTO_RENEW != 0,
            resume: flags & RESUME != 0,
            standing: Standing {
                in_order: flags & IN_ORDER != 0,
                moves,
            },
            invisible_ms,
            taken,
            skipped,
        })
    }
}

impl Settle {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        let (kind, how) = match self.change {
            // 0 is "done"; anything else is a delay of one less, so that a lone acknowledgement stays small.
            Change::Done => (Kind::Settle, 0),
            Change::VisibleIn(ms) => (Kind::Settle, ms.saturating_add(1)),
            Change::HandBack(ms) => (Kind::HandBack, ms),
        };
        EncodedCommand::build(kind, time, |out| {
            put_id(out, &self.id);
            put_varint(out, how);
            put_varint(out, self.items.len() as u64);
            let (mut offset, mut delivery) = (0_u64, 0_u64);
            for item in &self.items {
                put_zigzag(out, item.offset.0.wrapping_sub(offset) as i64);
                put_zigzag(out, item.delivery.0.wrapping_sub(delivery) as i64);
                (offset, delivery) = (item.offset.0, item.delivery.0);
            }
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::read_as(reader, |how| match how {
            0 => Change::Done,
            ms => Change::VisibleIn(ms - 1),
        })
    }

    pub(super) fn read_hand_back(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::read_as(reader, Change::HandBack)
    }

    fn read_as(reader: &mut Reader<'_>, change: impl FnOnce(u64) -> Change) -> Result<Self, Malformed> {
        let id = read_id(reader)?;
        let change = change(reader.varint()?);
        let n = reader.count(2)?;
        let mut items = Vec::with_capacity(n);
        let (mut offset, mut delivery) = (0_u64, 0_u64);
        for _ in 0..n {
            offset = offset.wrapping_add(reader.zigzag()? as u64);
            delivery = delivery.wrapping_add(reader.zigzag()? as u64);
            items.push(SettleItem {
                offset: QueueOffset(offset),
                delivery: DeliveryId(delivery),
            });
        }
        Ok(Self { id, change, items })
    }
}

impl Release {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::Release, time, |out| {
            put_id(out, &self.id);
            put_bytes(out, self.client.as_bytes());
            put_varint(out, self.visible_in_ms);
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            id: read_id(reader)?,
            client: read_client(reader)?,
            visible_in_ms: reader.varint()?,
        })
    }
}

impl DeadLetter {
    /// The longest command.
    pub const BYTES_MAX: usize = START_BYTES_MAX + ID_BYTES_MAX + 2 * VARINT_BYTES_MAX + ENTRY_BYTES;

    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::DeadLetter, time, |out| {
            put_id(out, &self.id);
            put_varint(out, self.offset.0);
            put_varint(
                out,
                self.delivery.map_or(0, |delivery| delivery.0.saturating_add(1)),
            );
            out.extend_from_slice(&self.entry.encode());
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            id: read_id(reader)?,
            offset: QueueOffset(reader.varint()?),
            delivery: reader.varint()?.checked_sub(1).map(DeliveryId),
            entry: QueueEntry::read(reader)?,
        })
    }
}
