//! The bytes of a frame, as the broker's log has them: a header of 40 bytes, then the commands, all 8-aligned.
//!
//! ```text
//! header   len u32 · crc32c u32 · physical offset u64 · term u64 · index u64 · kind u8 · flags u8 · count u16 · reserved u32
//! command  len u32 · crc32c u32 · kind u8 · fields · padding to 8
//! ```
//! A command's CRC covers what follows it; the frame's CRC covers its header and each command's `len` and CRC, so a
//! log thread never touches the bodies.

use sluice_proto::v2::Message;

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 40;
/// A frame is closed at this size, or holds one larger command.
pub const FRAME_BYTES_MAX: usize = 256 * 1024;
/// A frame is closed at this number of commands.
pub const FRAME_COMMANDS_MAX: usize = 1024;

const DIGEST_BYTES: usize = 8;
const KIND_COMMANDS: u8 = 2;
const KIND_SEND: u8 = 1;
const ALIGNMENT: usize = 8;
/// Stands for the UUID of a shard, which seeds the CRC of its frames.
const SEED: u32 = 0x51_C1_CE_00;

/// Encodes a message as one command, padding included.
#[must_use]
pub fn encode_command(message: &Message) -> Vec<u8> {
    let properties = message.system_properties.as_ref();
    let topic = message.topic.as_ref().map_or("", |topic| topic.name.as_str());
    let id = properties.map_or("", |properties| properties.message_id.as_str());
    let tag = properties
        .and_then(|properties| properties.tag.as_deref())
        .unwrap_or_default();
    let keys = properties.map_or(&[][..], |properties| properties.keys.as_slice());
    // One allocation in nearly all cases; names and properties are short beside the body.
    let mut bytes = Vec::with_capacity(message.body.len() + topic.len() + id.len() + 192);
    bytes.extend_from_slice(&[0; DIGEST_BYTES]);
    bytes.push(KIND_SEND);
    for text in [topic, id, tag] {
        put(&mut bytes, text.as_bytes());
    }
    for key in keys {
        put(&mut bytes, key.as_bytes());
    }
    for (name, value) in &message.user_properties {
        put(&mut bytes, name.as_bytes());
        put(&mut bytes, value.as_bytes());
    }
    put(&mut bytes, &message.body);
    let length = low_u32(bytes.len() - DIGEST_BYTES);
    let crc = crc32c::crc32c(&bytes[DIGEST_BYTES..]);
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..DIGEST_BYTES].copy_from_slice(&crc.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    bytes
}

fn put(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.extend_from_slice(&low_u32(field.len()).to_le_bytes());
    bytes.extend_from_slice(field);
}

/// Encodes the header of a frame that holds these commands.
#[must_use]
pub fn encode_header<'a>(
    commands: impl Iterator<Item = &'a [u8]>,
    physical_offset: u64,
    index: u64,
) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let (mut count, mut length, mut crc) = (0_u16, HEADER_BYTES, SEED);
    for command in commands {
        count += 1;
        length += command.len();
        crc = crc32c::crc32c_append(crc, &command[..DIGEST_BYTES]);
    }
    header[..4].copy_from_slice(&low_u32(length).to_le_bytes());
    header[8..16].copy_from_slice(&physical_offset.to_le_bytes());
    header[16..24].copy_from_slice(&1_u64.to_le_bytes());
    header[24..32].copy_from_slice(&index.to_le_bytes());
    header[32] = KIND_COMMANDS;
    header[34..36].copy_from_slice(&count.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &header);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
    header
}

/// gRPC's own limit keeps every length below 4 GiB.
fn low_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u32_at(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn a_command_is_aligned_and_carries_its_length_and_crc() {
        for size in 0..20 {
            let command = encode_command(&Message {
                body: vec![7; size].into(),
                ..Default::default()
            });
            assert_eq!(command.len() % ALIGNMENT, 0);
            let length = u32_at(&command, 0) as usize;
            assert_eq!(length, 1 + 4 * 4 + size);
            assert_eq!(u32_at(&command, 4), crc32c::crc32c(&command[8..8 + length]));
        }
    }

    #[test]
    fn a_header_counts_its_commands_and_changes_with_any_of_them() {
        let one = encode_command(&Message {
            body: vec![1; 10].into(),
            ..Default::default()
        });
        let two = encode_command(&Message {
            body: vec![2; 10].into(),
            ..Default::default()
        });
        let header = encode_header([one.as_slice(), &two].into_iter(), 4096, 9);
        assert_eq!(u32_at(&header, 0) as usize, HEADER_BYTES + one.len() + two.len());
        assert_eq!(header[34], 2);
        let other = encode_header([one.as_slice(), &one].into_iter(), 4096, 9);
        assert_ne!(header[4..8], other[4..8]);
    }
}
