//! Commands: everything that may change state, and how each stands in a frame.
//!
//! ```text
//! len u32 | crc32c u32 | kind u8 | …
//! ```
//! `len` counts the whole command. The CRC covers `len` and everything after the CRC, so that a command read alone
//! proves itself. `Append` and `Carry` have fixed-width fields and RocketMQ's record ([`crate::record`]); all others
//! are variable-length numbers after `kind u8 | time varint`. All numbers are little-endian.
//!
//! | kind | command | kind | command |
//! |---|---|---|---|
//! | 1 | Level | 16 | Append |
//! | 2 | Membership | 17 | Deliver |
//! | 3 | CreateTopic | 18 | Settle |
//! | 4 | CreateGroup | 19 | Release |
//! | 5 | Subscribe | 20 | DeadLetter |
//! | 6 | PutTopic | 21 | HandBack |
//! | 7 | DeleteTopic | 22 | Unanswered |
//! | 8 | PutGroup | 23 | SetFloor |
//! | 9 | DeleteGroup | 24 | Trim |
//! | 10 | SubscribeAt | 25 | Carry |
//! | 11 | Fence | 26 | Expire |
//!
//! 254 and 255 are no commands: they stand where a repair has taken one away ([`LOST`], [`VOID`]).
//!
//! Kinds are never given a second meaning. What an unknown kind does is decided by the level of the log
//! ([`crate::state::LEVEL`]): a broker refuses to apply a log whose level it does not know.

mod administer;
mod append;
mod delivery;
mod envelope;
mod expire;
mod floor;
mod lost;
mod meta;
mod retention;
mod spec;
mod unanswered;

pub use administer::{DeleteGroup, DeleteTopic, Fence, PutGroup, PutTopic, Terms};
pub use append::{APPEND_RECORD_AT, Append, MessageKind, NewMessage};
pub use delivery::{Change, DeadLetter, Deliver, Release, Settle, SettleItem, Span, Standing, Take};
pub use envelope::{COMMAND_HEADER_BYTES, CommandError, EncodedCommand, Kind, check, header, split};
pub use expire::Expire;
pub use floor::{SetFloor, SubscribeAt, Target};
pub use lost::{LOST, VOID, holds_behind_a_loss, make_void, put_lost};
pub use meta::{Backoff, CreateGroup, CreateTopic, Membership, StartFrom, Subscribe, Types, Voter};
pub use retention::{Carry, Minimum, NewCarry, Place, Trim, record_of};
pub use spec::{GroupSpec, StaticSubscription, TopicSpec};
pub use unanswered::Unanswered;

use crate::codec::{Malformed, Reader};
use crate::ids::TimeMs;

/// A decoded command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command<'a> {
    /// Switches behaviour on: what apply does may depend on the level, and on nothing else of the build.
    Level(u32),
    /// Who votes in this log.
    Membership(Membership),
    /// Makes a topic.
    CreateTopic(CreateTopic),
    /// Makes a consumer group.
    CreateGroup(CreateGroup),
    /// Gives a group its place in every queue of a topic.
    Subscribe(Subscribe),
    /// Adds a message to a queue.
    Append(Append<'a>),
    /// Hands messages to a client for a time.
    Deliver(Deliver),
    /// Ends deliveries, or changes how long they last.
    Settle(Settle),
    /// Makes what a client held visible again.
    Release(Release),
    /// Moves a message to the group's dead-letter topic.
    DeadLetter(DeadLetter),
    /// Bounds how long deliveries stay hidden whose answer may be lost.
    Unanswered(Unanswered),
    /// Makes a topic, or changes it.
    PutTopic(PutTopic),
    /// Removes a topic with its queues and what groups hold of them.
    DeleteTopic(DeleteTopic),
    /// Makes a consumer group, or changes it.
    PutGroup(PutGroup),
    /// Removes a consumer group with its place in every topic.
    DeleteGroup(DeleteGroup),
    /// Gives a group its place in every queue of a topic, at offsets that the proposer has found.
    SubscribeAt(SubscribeAt),
    /// Moves a group in a queue.
    SetFloor(SetFloor),
    /// Gives the next epoch to a writer.
    Fence(Fence),
    /// The log is going to begin later.
    Trim(Trim),
    /// Appends a record again that still waits where the log is going to lose it.
    Carry(Carry<'a>),
    /// Topics give up their oldest messages before the log does.
    Expire(Expire),
}

impl<'a> Command<'a> {
    /// The kind of the command that `bytes` are.
    pub fn kind(bytes: &[u8]) -> Result<Kind, Malformed> {
        let kind = bytes.get(COMMAND_HEADER_BYTES).ok_or(Malformed::Short(1))?;
        Kind::from_byte(*kind)
    }

    /// Reads the command that `bytes` are (with its header, whose CRC the caller has checked), and its time.
    pub fn decode(bytes: &'a [u8]) -> Result<(TimeMs, Self), Malformed> {
        let mut reader = Reader::new(bytes.get(COMMAND_HEADER_BYTES..).ok_or(Malformed::Short(1))?);
        let kind = Kind::from_byte(reader.u8()?)?;
        if kind == Kind::Append {
            let append = Append::read(&mut reader)?;
            return Ok((append.time, Self::Append(append)));
        }
        if kind == Kind::Carry {
            let carry = Carry::read(&mut reader)?;
            return Ok((carry.time, Self::Carry(carry)));
        }
        let time = reader.varint()?;
        let command = match kind {
            Kind::Append | Kind::Carry => return Err(Malformed::Range("command kind")),
            Kind::Level => Self::Level(reader.varint32()?),
            Kind::Membership => Self::Membership(Membership::read(&mut reader)?),
            Kind::CreateTopic => Self::CreateTopic(CreateTopic::read(&mut reader)?),
            Kind::CreateGroup => Self::CreateGroup(CreateGroup::read(&mut reader)?),
            Kind::Subscribe => Self::Subscribe(Subscribe::read(&mut reader)?),
            Kind::Deliver => Self::Deliver(Deliver::read(&mut reader)?),
            Kind::Settle => Self::Settle(Settle::read(&mut reader)?),
            Kind::HandBack => Self::Settle(Settle::read_hand_back(&mut reader)?),
            Kind::Release => Self::Release(Release::read(&mut reader)?),
            Kind::DeadLetter => Self::DeadLetter(DeadLetter::read(&mut reader)?),
            Kind::Unanswered => Self::Unanswered(Unanswered::read(&mut reader)?),
            Kind::PutTopic => Self::PutTopic(PutTopic::read(&mut reader)?),
            Kind::DeleteTopic => Self::DeleteTopic(DeleteTopic::read(&mut reader)?),
            Kind::PutGroup => Self::PutGroup(PutGroup::read(&mut reader)?),
            Kind::DeleteGroup => Self::DeleteGroup(DeleteGroup::read(&mut reader)?),
            Kind::SubscribeAt => Self::SubscribeAt(SubscribeAt::read(&mut reader)?),
            Kind::SetFloor => Self::SetFloor(SetFloor::read(&mut reader)?),
            Kind::Fence => Self::Fence(Fence::read(&mut reader)?),
            Kind::Trim => Self::Trim(Trim::read(&mut reader)?),
            Kind::Expire => Self::Expire(Expire::read(&mut reader)?),
        };
        reader.finish()?;
        Ok((time, command))
    }
}

/// Encodes `Level(level)` at `time`.
pub fn encode_level(time: TimeMs, level: u32) -> EncodedCommand {
    EncodedCommand::build(Kind::Level, time, |out| {
        crate::codec::put_varint(out, u64::from(level))
    })
}

#[cfg(test)]
mod tests;
