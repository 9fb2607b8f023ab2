//! What every command has in common: length, checksum and kind.

use crate::codec::{Malformed, put_varint};
use crate::ids::TimeMs;
use bytes::Bytes;
use thiserror::Error;

/// Bytes of `len` and `crc32c`.
pub const COMMAND_HEADER_BYTES: usize = 8;

/// A command's kind, as its first byte after the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// See [`super::Command::Level`].
    Level = 1,
    /// See [`super::Command::Membership`].
    Membership = 2,
    /// See [`super::Command::CreateTopic`].
    CreateTopic = 3,
    /// See [`super::Command::CreateGroup`].
    CreateGroup = 4,
    /// See [`super::Command::Subscribe`].
    Subscribe = 5,
    /// See [`super::Command::PutTopic`].
    PutTopic = 6,
    /// See [`super::Command::DeleteTopic`].
    DeleteTopic = 7,
    /// See [`super::Command::PutGroup`].
    PutGroup = 8,
    /// See [`super::Command::DeleteGroup`].
    DeleteGroup = 9,
    /// See [`super::Command::SubscribeAt`].
    SubscribeAt = 10,
    /// See [`super::Command::Fence`].
    Fence = 11,
    /// See [`super::Command::Append`].
    Append = 16,
    /// See [`super::Command::Deliver`].
    Deliver = 17,
    /// See [`super::Command::Settle`].
    Settle = 18,
    /// See [`super::Command::Release`].
    Release = 19,
    /// See [`super::Command::DeadLetter`].
    DeadLetter = 20,
    /// See [`super::Change::HandBack`].
    HandBack = 21,
    /// See [`super::Command::Unanswered`].
    Unanswered = 22,
    /// See [`super::Command::SetFloor`].
    SetFloor = 23,
    /// See [`super::Command::Trim`].
    Trim = 24,
    /// See [`super::Command::Carry`].
    Carry = 25,
    /// See [`super::Command::Expire`].
    Expire = 26,
}

impl Kind {
    /// The kind of this byte.
    pub fn from_byte(byte: u8) -> Result<Self, Malformed> {
        const ALL: [Kind; 22] = [
            Kind::Level,
            Kind::Membership,
            Kind::CreateTopic,
            Kind::CreateGroup,
            Kind::Subscribe,
            Kind::Append,
            Kind::Deliver,
            Kind::Settle,
            Kind::Release,
            Kind::DeadLetter,
            Kind::HandBack,
            Kind::Unanswered,
            Kind::PutTopic,
            Kind::DeleteTopic,
            Kind::PutGroup,
            Kind::DeleteGroup,
            Kind::SubscribeAt,
            Kind::Fence,
            Kind::SetFloor,
            Kind::Trim,
            Kind::Carry,
            Kind::Expire,
        ];
        ALL.into_iter()
            .find(|kind| *kind as u8 == byte)
            .ok_or(Malformed::Range("command kind"))
    }

    /// The lowest level of the log that knows the kind: below it, the kind is unknown.
    pub fn level(self) -> u32 {
        match self {
            Self::PutTopic
            | Self::DeleteTopic
            | Self::PutGroup
            | Self::DeleteGroup
            | Self::SubscribeAt
            | Self::SetFloor
            | Self::Fence => 2,
            Self::Trim | Self::Carry | Self::Expire => 3,
            _ => 0,
        }
    }
}

/// A command ready for a frame: header, checksum and all. Made only by encoders, so its checksum holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedCommand(Bytes);

impl EncodedCommand {
    /// Encodes a command of `kind` at `time`; `body` appends what follows the time.
    pub(crate) fn build(kind: Kind, time: TimeMs, body: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(&[0; COMMAND_HEADER_BYTES]);
        out.push(kind as u8);
        put_varint(&mut out, time);
        body(&mut out);
        Self::seal(out)
    }

    /// Fills in the header that `out` has left room for.
    pub(crate) fn seal(mut out: Vec<u8>) -> Self {
        let header = header(&out);
        out[..COMMAND_HEADER_BYTES].copy_from_slice(&header);
        Self(Bytes::from(out))
    }

    /// The command's bytes, header included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes of the whole command.
    #[expect(clippy::len_without_is_empty, reason = "a command is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is an `Append`: those, unlike the commands that free space, must stop when the disk is full.
    pub fn is_append(&self) -> bool {
        self.0[COMMAND_HEADER_BYTES] == Kind::Append as u8
    }
}

/// The header of a command of these bytes, whatever stands in the place of theirs: how long it is, and its checksum.
pub fn header(command: &[u8]) -> [u8; COMMAND_HEADER_BYTES] {
    let len = (command.len() as u32).to_le_bytes();
    let behind = command.get(COMMAND_HEADER_BYTES..).unwrap_or_default();
    let crc = checksum_of(&len, behind).to_le_bytes();
    let mut header = [0; COMMAND_HEADER_BYTES];
    header[..4].copy_from_slice(&len);
    header[4..].copy_from_slice(&crc);
    header
}

pub(super) fn checksum(command: &[u8]) -> u32 {
    checksum_of(&command[0..4], &command[COMMAND_HEADER_BYTES..])
}

fn checksum_of(len: &[u8], behind: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(len), behind)
}

/// Why bytes are not a whole command.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CommandError {
    /// The length does not fit the bytes.
    #[error("a command's length of {len} does not fit the {room} bytes there")]
    Length {
        /// The length it says.
        len: u32,
        /// The bytes there are.
        room: usize,
    },
    /// The checksum is wrong.
    #[error("a command's checksum is {found:08x}, not {stored:08x}")]
    Checksum {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        found: u32,
    },
}

/// Cuts the command at the front of `bytes` off, by its length; its checksum is not looked at.
pub fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), CommandError> {
    let len = match bytes.first_chunk::<4>() {
        Some(len) => u32::from_le_bytes(*len),
        None => {
            return Err(CommandError::Length {
                len: 0,
                room: bytes.len(),
            });
        }
    };
    if (len as usize) <= COMMAND_HEADER_BYTES || len as usize > bytes.len() {
        return Err(CommandError::Length {
            len,
            room: bytes.len(),
        });
    }
    Ok(bytes.split_at(len as usize))
}

/// Checks that `bytes` are exactly one command whose checksum holds.
pub fn check(bytes: &[u8]) -> Result<(), CommandError> {
    let (command, rest) = split(bytes)?;
    if !rest.is_empty() {
        return Err(CommandError::Length {
            len: command.len() as u32,
            room: bytes.len(),
        });
    }
    let stored = u32::from_le_bytes([command[4], command[5], command[6], command[7]]);
    let found = checksum(command);
    if stored == found {
        Ok(())
    } else {
        Err(CommandError::Checksum { stored, found })
    }
}
