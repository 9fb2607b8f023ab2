//! The bytes of a frame. All numbers are little-endian.
//!
//! ```text
//!  0 len u32            the header and the commands, without the padding
//!  4 crc32c u32
//!  8 physical offset u64
//! 16 term u64
//! 24 index u64
//! 32 kind u8            0 Blank, 1 Membership, 2 Commands, 3 Tombstone
//! 33 flags u8           0; of a tombstone 1 if nobody can tell the state behind it
//! 34 count u16          of commands
//! 36 stands for u32     of a tombstone the frames that were lost, else 0
//! 40 commands           each `len u32 · crc32c u32 · …`, one after another
//!    padding            zeros to the next multiple of 8, where the next frame starts
//! ```
//! The frame's CRC starts over the shard's UUID and covers `len`, bytes 8 to 40 and the (len, crc) pair of each
//! command; the rest of a command is covered by its own CRC. So a frame proves its place, its order and how it is
//! cut into commands without its bodies being read, and a command proves itself without its frame.
//!
//! A tombstone takes the place of frames that were lost: its length is all of theirs, its index the first one's, and the
//! next frame's index is the first one behind them. Only its header means anything.

mod build;
mod commands;
mod mend;

pub(crate) use build::{FILL, reseal};
pub use build::{FrameBuilder, Tombstone};
pub use commands::Commands;
pub use mend::Mend;

use bytes::Bytes;
use sluice_core::command::{self, COMMAND_HEADER_BYTES, CommandError};
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::fmt;
use thiserror::Error;

/// Bytes of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 40;
/// Frames start at multiples of this.
pub(super) const ALIGN: usize = 8;
/// (len, crc) pairs gathered before the checksum goes over them.
const PAIRS: usize = 32;

/// The bytes up to the next frame.
pub(super) fn padded(len: usize) -> usize {
    len.next_multiple_of(ALIGN)
}

/// What every file of one shard carries, the same on every replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ShardUuid(pub [u8; 16]);

impl fmt::Display for ShardUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Where every checksum of a shard starts, so that frames of another shard are never taken for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSeed(pub(super) u32);

impl From<ShardUuid> for FrameSeed {
    fn from(uuid: ShardUuid) -> Self {
        Self(crc32c::crc32c(&uuid.0))
    }
}

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// Begins a term; holds nothing.
    Blank = 0,
    /// Holds one `Membership` command.
    Membership = 1,
    /// Holds commands to apply.
    Commands = 2,
    /// Stands for frames that were lost.
    Tombstone = 3,
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// Zeros: nothing was written here.
    #[error("nothing is written there")]
    Empty,
    /// The bytes end before the frame does.
    #[error("the frame is cut off: {have} bytes of {need}")]
    Short {
        /// What there is.
        have: usize,
        /// What the frame needs.
        need: usize,
    },
    /// The length cannot be one.
    #[error("a frame cannot be {0} bytes long")]
    Length(u32),
    /// The checksum is wrong.
    #[error("the frame's checksum is {found:08x}, not {stored:08x}")]
    Checksum {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        found: u32,
    },
    /// The checksum holds, but the frame breaks a rule of the format.
    #[error("the frame breaks the format: {0}")]
    Shape(&'static str),
    /// What stood there is lost.
    #[error(
        "a repair stands there for what was lost, and nobody can tell the state behind it: only a checkpoint behind it can"
    )]
    Lost,
    /// A command of the frame is damaged.
    #[error("command {place} of the frame: {source}")]
    Command {
        /// Which one, from 0.
        place: u16,
        /// What is wrong with it.
        source: CommandError,
    },
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of header and commands.
    pub len: u32,
    /// Where the frame starts in the log.
    pub physical: PhysicalOffset,
    /// The leader's term.
    pub term: Term,
    /// The frame's number.
    pub index: LogIndex,
    /// What it is for.
    pub kind: FrameKind,
    /// Commands in it.
    pub count: u16,
    /// Frames that it is: one, or of a tombstone as many as were lost.
    pub stands_for: u32,
    /// Whether the frames up to here give the state behind them. Not behind a tombstone whose lost frames a checkpoint behind
    /// it counts in.
    pub state_is_known: bool,
    crc: u32,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

impl FrameHeader {
    /// Reads the header at the front of `bytes`, unchecked but for its shape. `max` is the longest frame there is.
    pub fn parse(bytes: &[u8], max: usize) -> Result<Self, FrameError> {
        let Some(bytes) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else {
            return Err(FrameError::Short {
                have: bytes.len(),
                need: FRAME_HEADER_BYTES,
            });
        };
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(FrameError::Empty);
        }
        let len = u32_at(bytes, 0);
        let kind = match bytes[32] {
            0 => FrameKind::Blank,
            1 => FrameKind::Membership,
            2 => FrameKind::Commands,
            3 => FrameKind::Tombstone,
            _ => return Err(FrameError::Shape("its kind is unknown")),
        };
        let is_tombstone = kind == FrameKind::Tombstone;
        let too_long = if is_tombstone {
            !(len as usize).is_multiple_of(ALIGN)
        } else {
            len as usize > max
        };
        if (len as usize) < FRAME_HEADER_BYTES || too_long {
            return Err(FrameError::Length(len));
        }
        let (flags, stands_for) = (bytes[33], u32_at(bytes, 36));
        let index = u64_at(bytes, 24);
        let reserved_is_set = match is_tombstone {
            true => flags > 1 || stands_for == 0 || bytes[34..36] != [0; 2],
            false => flags != 0 || stands_for != 0,
        };
        if reserved_is_set || index.checked_add(u64::from(stands_for)).is_none() {
            return Err(FrameError::Shape("a reserved field is set"));
        }
        let physical = u64_at(bytes, 8);
        if physical.checked_add(padded(len as usize) as u64).is_none() {
            return Err(FrameError::Shape("no frame ends behind its place"));
        }
        Ok(Self {
            len,
            physical: PhysicalOffset(physical),
            term: Term(u64_at(bytes, 16)),
            index: LogIndex(index),
            kind,
            count: u16::from_le_bytes([bytes[34], bytes[35]]),
            stands_for: stands_for.max(1),
            state_is_known: flags == 0,
            crc: u32_at(bytes, 4),
        })
    }

    /// Bytes from this frame's start to the next one's.
    pub fn padded_len(&self) -> u64 {
        padded(self.len as usize) as u64
    }

    /// Where the next frame starts.
    pub fn end(&self) -> PhysicalOffset {
        PhysicalOffset(self.physical.0 + self.padded_len())
    }

    /// The next frame's index.
    pub fn next_index(&self) -> LogIndex {
        LogIndex(self.index.0 + u64::from(self.stands_for))
    }

    /// The last frame's index that it stands for: its own, but for tombstones.
    pub fn last_index(&self) -> LogIndex {
        LogIndex(self.next_index().0 - 1)
    }

    /// Whether it stands for frames that were lost.
    pub fn is_tombstone(&self) -> bool {
        self.kind == FrameKind::Tombstone
    }

    /// Bytes of it that mean something: of a tombstone only the header.
    pub(super) fn checked_len(&self) -> usize {
        if self.is_tombstone() {
            FRAME_HEADER_BYTES
        } else {
            self.len as usize
        }
    }
}

/// The checksum of the frame that `bytes` are. Walks the commands, and fails if they do not fill it exactly.
fn checksum(bytes: &[u8], count: u16, seed: FrameSeed) -> Result<u32, FrameError> {
    let mut crc = crc32c::crc32c_append(seed.0, &bytes[0..4]);
    crc = crc32c::crc32c_append(crc, &bytes[8..FRAME_HEADER_BYTES]);
    let mut pairs = [0_u8; PAIRS * COMMAND_HEADER_BYTES];
    let mut filled = 0;
    let mut at = FRAME_HEADER_BYTES;
    for _ in 0..count {
        let rest = &bytes[at..];
        if rest.len() <= COMMAND_HEADER_BYTES {
            return Err(FrameError::Shape("its commands do not fill it"));
        }
        let len = u32_at(rest, 0) as usize;
        if len <= COMMAND_HEADER_BYTES || len > rest.len() {
            return Err(FrameError::Shape("its commands do not fill it"));
        }
        pairs[filled..filled + COMMAND_HEADER_BYTES].copy_from_slice(&rest[..COMMAND_HEADER_BYTES]);
        filled += COMMAND_HEADER_BYTES;
        if filled == pairs.len() {
            crc = crc32c::crc32c_append(crc, &pairs);
            filled = 0;
        }
        at += len;
    }
    if at != bytes.len() {
        return Err(FrameError::Shape("its commands do not fill it"));
    }
    Ok(crc32c::crc32c_append(crc, &pairs[..filled]))
}

/// A whole frame whose own checksum holds; see [`Frame::check_commands`] for its commands'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    header: FrameHeader,
    bytes: Bytes,
    mended: Option<Mend>,
}

impl Frame {
    /// The frame at the front of `bytes`, checked. `max` is the longest frame there is.
    pub fn check(bytes: &Bytes, seed: FrameSeed, max: usize) -> Result<Self, FrameError> {
        let header = FrameHeader::parse(bytes, max)?;
        let len = header.checked_len();
        if bytes.len() < len {
            return Err(FrameError::Short {
                have: bytes.len(),
                need: len,
            });
        }
        let found = checksum(&bytes[..len], header.count, seed)?;
        if found != header.crc {
            return Err(FrameError::Checksum {
                stored: header.crc,
                found,
            });
        }
        Ok(Self {
            header,
            bytes: bytes.slice(..len),
            mended: None,
        })
    }

    /// As [`Frame::check`]; but where all that is damaged is the header of one command, that is as it was: see [`Frame::mended`].
    pub fn check_or_mend(bytes: &Bytes, seed: FrameSeed, max: usize) -> Result<Self, FrameError> {
        let bad = match Self::check(bytes, seed, max) {
            Err(bad @ (FrameError::Checksum { .. } | FrameError::Shape(_))) => bad,
            checked => return checked,
        };
        let header = FrameHeader::parse(bytes, max)?;
        let damaged = &bytes[..header.checked_len()];
        let mend = mend::find(damaged, &header, seed).ok_or(bad)?;
        let bytes = Bytes::from(mend.applied(damaged));
        let mended = Some(mend);
        Ok(Self {
            header,
            bytes,
            mended,
        })
    }

    /// What of it is not as it stands in the file.
    pub fn mended(&self) -> Option<Mend> {
        self.mended
    }

    /// A frame that a [`FrameBuilder`] has just made.
    pub(super) fn built(header: FrameHeader, bytes: Bytes) -> Self {
        debug_assert_eq!(bytes.len(), header.len as usize);
        let mended = None;
        Self {
            header,
            bytes,
            mended,
        }
    }

    /// The header.
    pub fn header(&self) -> &FrameHeader {
        &self.header
    }

    /// Header and commands, without the padding.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Where the frame starts.
    pub fn start(&self) -> PhysicalOffset {
        self.header.physical
    }

    /// Where the next frame starts.
    pub fn end(&self) -> PhysicalOffset {
        self.header.end()
    }

    /// The frame's number.
    pub fn index(&self) -> LogIndex {
        self.header.index
    }

    /// The commands: each one's place, where it starts in the log, and its bytes, sharing the frame's memory.
    pub fn commands(&self) -> Commands {
        Commands::of(self.clone())
    }

    /// Checks that state can be folded over the frame: not over what was lost while a checkpoint behind it counts it in.
    pub fn check_state(&self) -> Result<(), FrameError> {
        let is_lost = |bytes: &Bytes| bytes.get(COMMAND_HEADER_BYTES) == Some(&command::LOST);
        if !self.header.state_is_known || self.commands().any(|(_, _, bytes)| is_lost(&bytes)) {
            return Err(FrameError::Lost);
        }
        Ok(())
    }

    /// Checks every command's own checksum.
    pub fn check_commands(&self) -> Result<(), FrameError> {
        let mut rest = &self.bytes[FRAME_HEADER_BYTES..];
        for place in 0..self.header.count {
            let damaged = |source| FrameError::Command { place, source };
            let (command, tail) = command::split(rest).map_err(damaged)?;
            command::check(command).map_err(damaged)?;
            rest = tail;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
