//! Queue entries: what a ConsumeQueue holds for each message, and their 40 bytes in commands. In files they have a checksum:
//! there the frame does not protect them.
//!
//! ```text
//! physical offset u64 | put time ms u64 | waiting since ms u64 | tag hash i32 | message group hash u32 |
//! size u32 | attempt u16 | flags u16                                              (little-endian)
//! ```
//! The physical offset is that of the command that holds the record, and the size is that of the whole command.

use crate::codec::{Malformed, Reader};
use crate::ids::{PhysicalOffset, TimeMs};

/// Bytes of an encoded entry.
pub const ENTRY_BYTES: usize = 40;

/// The message stands here by a link: its record belongs to another queue.
pub const LINKED: u16 = 1;
/// The message has a tag, whose hash is in the entry.
pub const TAGGED: u16 = 2;
/// The message has a message group, whose hash is in the entry.
pub const GROUPED: u16 = 4;

/// The message was carried: its record stands in the log behind those of its neighbours.
pub const CARRIED: u16 = 8;

/// One message's entry in its queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueEntry {
    /// Where the command with the record starts.
    pub physical: PhysicalOffset,
    /// When the entry was made; never falls within a queue.
    pub put_ms: TimeMs,
    /// Since when the message waits, for the age of a lag; a link keeps that of its origin.
    pub waiting_since_ms: TimeMs,
    /// Java's hash of the tag; means nothing without [`TAGGED`].
    pub tag_hash: i32,
    /// The message group's hash; 0 without [`GROUPED`].
    pub group_hash: u32,
    /// Bytes of the command with the record.
    pub size: u32,
    /// Deliveries counted before the message came here.
    pub attempt: u16,
    /// [`LINKED`], [`TAGGED`], [`GROUPED`], [`CARRIED`].
    pub flags: u16,
}

impl QueueEntry {
    /// The entry as it stands in a command.
    pub fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut out = [0; ENTRY_BYTES];
        out[0..8].copy_from_slice(&self.physical.0.to_le_bytes());
        out[8..16].copy_from_slice(&self.put_ms.to_le_bytes());
        out[16..24].copy_from_slice(&self.waiting_since_ms.to_le_bytes());
        out[24..28].copy_from_slice(&self.tag_hash.to_le_bytes());
        out[28..32].copy_from_slice(&self.group_hash.to_le_bytes());
        out[32..36].copy_from_slice(&self.size.to_le_bytes());
        out[36..38].copy_from_slice(&self.attempt.to_le_bytes());
        out[38..40].copy_from_slice(&self.flags.to_le_bytes());
        out
    }

    /// Reads an entry off `reader`. Every 40 bytes are an entry.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            physical: PhysicalOffset(reader.u64()?),
            put_ms: reader.u64()?,
            waiting_since_ms: reader.u64()?,
            tag_hash: reader.u32()? as i32,
            group_hash: reader.u32()?,
            size: reader.u32()?,
            attempt: reader.u16()?,
            flags: reader.u16()?,
        })
    }

    /// Whether the message has a tag with this hash.
    pub fn has_tag(&self, hash: i32) -> bool {
        self.flags & TAGGED != 0 && self.tag_hash == hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_from_its_forty_bytes() {
        let entry = QueueEntry {
            physical: PhysicalOffset(0x0102_0304_0506_0708),
            put_ms: 1,
            waiting_since_ms: 2,
            tag_hash: -3,
            group_hash: 4,
            size: 5,
            attempt: 6,
            flags: TAGGED | GROUPED,
        };
        let bytes = entry.encode();
        assert_eq!(bytes[0], 8, "little-endian");
        assert_eq!(QueueEntry::read(&mut Reader::new(&bytes)), Ok(entry));
        assert_eq!(
            QueueEntry::read(&mut Reader::new(&bytes[..39])),
            Err(Malformed::Short(1))
        );
    }
}
