//! The bytes of state's parts: canonical, so that equal parts are equal bytes.

use super::State;
use super::carried;
use super::group_queue::{Delivery, GroupQueue, Pending};
use super::range_set::RangeSet;
use super::snapshot::ShardView;
use super::tables::{Group, LogBounds, Topic};
use crate::codec::{Malformed, Reader, put_bytes, put_varint};
use crate::command::{GroupSpec, Membership, Standing, TopicSpec, Types, Voter};
use crate::ids::{DeliveryId, GroupId, LogIndex, PhysicalOffset, Term, TopicId};
use crate::limits;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// In the byte of a topic's types: what a topic of level 1 cannot have follows the ends of its queues.
const EXTRAS: u8 = 0x80;
/// In the byte of a topic's extras: it is closed.
const CLOSED: u8 = 1;
/// In the same byte: how long its messages are kept follows.
const RETENTION: u8 = 2;
/// In the same byte: how many bytes of its messages are kept follows.
const RETENTION_BYTES: u8 = 4;
/// In the first byte of a group's hold on a queue: the group is FIFO.
const FIFO: u8 = 1;
/// In the same byte: how often the group was moved back follows.
const MOVED: u8 = 2;
/// In the same byte: how many messages retention took from the group follows.
const EXPIRED: u8 = 4;
/// In the byte of a topic's types: where its queues begin follows, before the extras. Not all of them at 0.
const TRIMMED: u8 = 0x40;

impl ShardView {
    /// Appends the part's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Topic(topic, tails, firsts) => topic.encode(tails, firsts, out),
            Self::Group(group) => group.encode(out),
            Self::GroupQueue(queue) => queue.encode(out),
            Self::Carried(entries) => carried::encode(entries, out),
        }
    }
}

impl Topic {
    /// A topic that could be one of level 1 has the bytes that it had there.
    fn encode(&self, tails: &[u64], firsts: &[u64], out: &mut Vec<u8>) {
        let (hours, bytes) = (self.spec.retention_hours, self.spec.retention_bytes);
        let extras = self.generation > 1 || self.spec.closed || hours > 0 || bytes > 0;
        let trimmed = firsts.iter().any(|first| *first > 0);
        let flag = |set, flag| if set { flag } else { 0 };
        put_bytes(out, self.spec.name.as_bytes());
        out.push(self.spec.types.to_byte() | flag(extras, EXTRAS) | flag(trimmed, TRIMMED));
        put_varint(out, tails.len() as u64);
        tails.iter().for_each(|tail| put_varint(out, *tail));
        if trimmed {
            firsts.iter().for_each(|first| put_varint(out, *first));
        }
        if extras {
            put_varint(out, self.generation);
            out.push(
                flag(self.spec.closed, CLOSED)
                    | flag(hours > 0, RETENTION)
                    | flag(bytes > 0, RETENTION_BYTES),
            );
            if hours > 0 {
                put_varint(out, u64::from(hours));
            }
            if bytes > 0 {
                put_varint(out, bytes);
            }
        }
    }

    pub(super) fn decode(id: TopicId, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let name = reader.text("topic name")?.to_owned();
        let types = reader.u8()?;
        let queues = reader.count(1)?;
        let offsets = |reader: &mut Reader<'_>| {
            let offset = |_| reader.varint().map(|offset| Arc::new(AtomicU64::new(offset)));
            (0..queues).map(offset).collect::<Result<Vec<_>, _>>()
        };
        let tails = offsets(reader)?;
        let firsts = match types & TRIMMED {
            0 => tails.iter().map(|_| Arc::default()).collect(),
            _ => offsets(reader)?,
        };
        let (generation, flags) = match types & EXTRAS {
            0 => (1, 0),
            _ => (reader.varint()?, reader.u8()?),
        };
        let retention_hours = match flags & RETENTION {
            0 => 0,
            _ => reader.varint32()?,
        };
        let retention_bytes = match flags & RETENTION_BYTES {
            0 => 0,
            _ => reader.varint()?,
        };
        reader.clone().finish()?;
        let spec = TopicSpec {
            name,
            queues: queues as u32,
            types: Types::from_byte(types & !(EXTRAS | TRIMMED))?,
            closed: flags & CLOSED != 0,
            retention_hours,
            retention_bytes,
        };
        Ok(Self {
            tails,
            firsts,
            generation,
            ..Self::new(id, spec)
        })
    }
}

impl Group {
    /// A group that could be one of level 1 has the bytes that it had there.
    fn encode(&self, out: &mut Vec<u8>) {
        let extras = self.generation > 1 || !self.spec.is_plain();
        self.spec.put(out, extras);
        if extras {
            put_varint(out, self.generation);
            self.spec.put_extras(out);
        }
    }

    pub(super) fn decode(id: GroupId, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (mut spec, extras) = GroupSpec::read(reader)?;
        let mut generation = 1;
        if extras {
            generation = reader.varint()?;
            spec.read_extras(reader)?;
        }
        reader.clone().finish()?;
        Ok(Self { id, spec, generation })
    }
}

impl GroupQueue {
    fn encode(&self, out: &mut Vec<u8>) {
        let Standing { in_order, moves } = self.standing();
        let flag = |set, flag| if set { flag } else { 0 };
        out.push(flag(in_order, FIFO) | flag(moves != 0, MOVED) | flag(self.expired() != 0, EXPIRED));
        if moves != 0 {
            put_varint(out, u64::from(moves));
        }
        if self.expired() != 0 {
            put_varint(out, self.expired());
        }
        put_varint(out, self.floor().0);
        put_varint(out, self.settled().iter().count() as u64);
        let mut last = self.floor().0;
        for (start, end) in self.settled().iter() {
            put_varint(out, start - last);
            put_varint(out, end - start);
            last = end;
        }
        put_varint(out, self.deliveries().count() as u64);
        for (id, delivery) in self.deliveries() {
            put_varint(out, id.0);
            put_bytes(out, delivery.client.as_bytes());
            out.push(u8::from(delivery.auto_renew));
            out.extend_from_slice(&delivery.attempt_id.to_le_bytes());
        }
        put_varint(out, self.pending_len() as u64);
        let mut last = self.floor().0;
        for (offset, pending) in self.all_pending() {
            put_varint(out, offset.0 - last);
            put_varint(out, pending.visible_at);
            put_varint(out, pending.delivery.0);
            put_varint(out, u64::from(pending.group_hash));
            put_varint(out, u64::from(pending.attempt));
            last = offset.0;
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let flags = reader.u8()?;
        let standing = Standing {
            in_order: flags & FIFO != 0,
            moves: match flags & MOVED {
                0 => 0,
                _ => reader.varint32()?,
            },
        };
        let expired = match flags & EXPIRED {
            0 => 0,
            _ => reader.varint()?,
        };
        let floor = reader.varint()?;
        let mut settled = RangeSet::default();
        let mut last = floor;
        for _ in 0..reader.count(2)? {
            let start = last
                .checked_add(reader.varint()?)
                .ok_or(Malformed::Range("settled range"))?;
            last = start
                .checked_add(reader.varint()?)
                .ok_or(Malformed::Range("settled range"))?;
            settled.insert(start, last);
        }
        let mut deliveries = BTreeMap::new();
        for _ in 0..reader.count(11)? {
            let id = DeliveryId(reader.varint()?);
            let client = Arc::from(reader.text("client id")?);
            let auto_renew = reader.u8()? != 0;
            let attempt_id = reader.u64()?;
            deliveries.insert(
                id,
                Delivery {
                    client,
                    attempt_id,
                    auto_renew,
                    left: 0,
                },
            );
        }
        let mut queue = Self::restored(standing, expired, floor, settled);
        let mut last = floor;
        for _ in 0..reader.count(5)? {
            last = last
                .checked_add(reader.varint()?)
                .ok_or(Malformed::Range("pending offset"))?;
            let visible_at = reader.varint()?;
            let delivery = DeliveryId(reader.varint()?);
            let group_hash = reader.varint32()?;
            let attempt = u16::try_from(reader.varint()?).map_err(|_| Malformed::Range("attempt"))?;
            let template = deliveries
                .get(&delivery)
                .ok_or(Malformed::Range("delivery of a pending message"))?;
            queue.put(
                last,
                Pending {
                    visible_at,
                    delivery,
                    group_hash,
                    attempt,
                },
                template,
            );
        }
        reader.clone().finish()?;
        Ok(queue)
    }
}

impl State {
    pub(super) fn encode_header(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, u64::from(self.level));
        put_varint(&mut out, self.now);
        out.extend_from_slice(&self.digest.to_le_bytes());
        put_varint(&mut out, self.term.0);
        put_varint(&mut out, self.next_index.0);
        put_varint(&mut out, u64::from(self.tables.topics.read().next));
        put_varint(&mut out, u64::from(self.tables.groups.read().next));
        put_varint(&mut out, self.membership.voters.len() as u64);
        for voter in &self.membership.voters {
            put_varint(&mut out, voter.node);
            put_bytes(&mut out, voter.name.as_bytes());
        }
        if self.level >= 2 {
            let fenced = self.tables.fenced.read();
            put_varint(&mut out, fenced.epoch);
            put_bytes(&mut out, fenced.holder.as_bytes());
        }
        if self.level >= 3 {
            let bounds = self.tables.bounds.read();
            put_varint(&mut out, bounds.start.0);
            put_varint(&mut out, bounds.links_from.0);
        }
        out
    }

    pub(super) fn decode_header(&mut self, header: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(header);
        self.level = reader.varint32()?;
        self.tables.level.store(self.level, Ordering::Release);
        self.now = reader.varint()?;
        self.tables.now.store(self.now, Ordering::Release);
        self.digest = reader.u64()?;
        let term = Term(reader.varint()?);
        let next_index = LogIndex(reader.varint()?);
        self.tables.topics.write().next = reader.varint32()?;
        self.tables.groups.write().next = reader.varint32()?;
        let mut membership = Membership::default();
        for _ in 0..reader.count(2)? {
            let node = reader.varint()?;
            membership.voters.push(Voter {
                node,
                name: reader.text("voter name")?.to_owned(),
            });
        }
        if self.level >= 2 {
            let mut fenced = self.tables.fenced.write();
            fenced.epoch = reader.varint()?;
            let holder = reader.text("fence holder")?;
            if holder.len() > limits::HOLDER_BYTES_MAX {
                return Err(Malformed::Range("fence holder"));
            }
            holder.clone_into(&mut fenced.holder);
        }
        if self.level >= 3 {
            *self.tables.bounds.write() = LogBounds {
                start: PhysicalOffset(reader.varint()?),
                links_from: PhysicalOffset(reader.varint()?),
            };
        }
        self.set_position(term, next_index, membership);
        reader.finish()
    }
}
