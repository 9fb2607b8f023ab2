//! An entry as it stands in a file: 40 bytes, with a checksum that knows the entry's place.
//!
//! ```text
//! physical offset u64 | put time ms u48 | waiting since ms u48 | tag hash i32 | message group hash u32 |
//! size u32 | attempt u16 | flags u16 | crc32c u32                                          (little-endian)
//! ```
//! The checksum is over `topic id u32 | queue u32 | queue offset u64` and then the 36 bytes before it: an entry that was
//! copied from another place is as wrong as one with a flipped bit. Without it, damage to a tag's hash would keep a
//! message from its consumers, and nothing would ever show.

use sluice_core::codec::Reader;
use sluice_core::entry::{ENTRY_BYTES, QueueEntry};
use sluice_core::ids::{PhysicalOffset, TimeMs, TopicQueue};

const CRC_AT: usize = ENTRY_BYTES - 4;
/// Times are kept in 48 bits: the year 10889.
const TIME_MAX: TimeMs = (1 << 48) - 1;

/// The bytes of `entry` at this offset of the queue.
pub(super) fn encode(at: TopicQueue, offset: u64, entry: &QueueEntry) -> [u8; ENTRY_BYTES] {
    let mut out = [0; ENTRY_BYTES];
    out[0..8].copy_from_slice(&entry.physical.0.to_le_bytes());
    out[8..14].copy_from_slice(&entry.put_ms.min(TIME_MAX).to_le_bytes()[..6]);
    out[14..20].copy_from_slice(&entry.waiting_since_ms.min(TIME_MAX).to_le_bytes()[..6]);
    out[20..24].copy_from_slice(&entry.tag_hash.to_le_bytes());
    out[24..28].copy_from_slice(&entry.group_hash.to_le_bytes());
    out[28..32].copy_from_slice(&entry.size.to_le_bytes());
    out[32..34].copy_from_slice(&entry.attempt.to_le_bytes());
    out[34..36].copy_from_slice(&entry.flags.to_le_bytes());
    let crc = checksum(at, offset, &out[..CRC_AT]);
    out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The entry at this offset of the queue, unless its bytes are damaged or belong elsewhere.
pub(super) fn decode(at: TopicQueue, offset: u64, bytes: &[u8]) -> Option<QueueEntry> {
    let (fields, crc) = bytes.split_at_checked(CRC_AT)?;
    if crc != checksum(at, offset, fields).to_le_bytes() {
        return None;
    }
    let mut reader = Reader::new(fields);
    Some(QueueEntry {
        physical: PhysicalOffset(reader.u64().ok()?),
        put_ms: time(&mut reader)?,
        waiting_since_ms: time(&mut reader)?,
        tag_hash: reader.u32().ok()? as i32,
        group_hash: reader.u32().ok()?,
        size: reader.u32().ok()?,
        attempt: reader.u16().ok()?,
        flags: reader.u16().ok()?,
    })
}

fn time(reader: &mut Reader<'_>) -> Option<TimeMs> {
    let (low, high) = (reader.u32().ok()?, reader.u16().ok()?);
    Some(TimeMs::from(low) | TimeMs::from(high) << 32)
}

fn checksum(at: TopicQueue, offset: u64, fields: &[u8]) -> u32 {
    let mut place = [0; 16];
    place[0..4].copy_from_slice(&at.topic.0.to_le_bytes());
    place[4..8].copy_from_slice(&at.queue.0.to_le_bytes());
    place[8..16].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::entry::{GROUPED, TAGGED};
    use sluice_core::ids::{QueueId, TopicId};

    const AT: TopicQueue = TopicQueue {
        topic: TopicId(3),
        queue: QueueId(1),
    };

    fn entry() -> QueueEntry {
        QueueEntry {
            physical: PhysicalOffset(0x0102_0304_0506_0708),
            put_ms: 0x0A0B_0C0D_0E0F,
            waiting_since_ms: 2,
            tag_hash: -3,
            group_hash: 4,
            size: 5,
            attempt: 6,
            flags: TAGGED | GROUPED,
        }
    }

    #[test]
    fn an_entry_comes_back_from_its_place() {
        let bytes = encode(AT, 7, &entry());
        assert_eq!(
            bytes[..14],
            [8, 7, 6, 5, 4, 3, 2, 1, 0xF, 0xE, 0xD, 0xC, 0xB, 0xA]
        );
        assert_eq!(decode(AT, 7, &bytes), Some(entry()));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let bytes = encode(AT, 7, &entry());
        for bit in 0..ENTRY_BYTES * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(AT, 7, &damaged), None, "bit {bit}");
        }
        assert_eq!(decode(AT, 7, &bytes[..39]), None);
        assert_eq!(decode(AT, 7, &[0; ENTRY_BYTES]), None);
    }

    #[test]
    fn an_entry_of_another_place_is_not_taken() {
        let bytes = encode(AT, 7, &entry());
        let (mut topic, mut queue) = (AT, AT);
        topic.topic.0 += 1;
        queue.queue.0 += 1;
        for (at, offset) in [(AT, 8), (topic, 7), (queue, 7)] {
            assert_eq!(decode(at, offset, &bytes), None, "{at:?} {offset}");
        }
    }
}
