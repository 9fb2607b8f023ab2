//! Receipt handles: what a client shows to settle a delivery.
//!
//! ```text
//! version u8 | shard: first 4 bytes of its UUID | term varint | delivery varint | group varint | topic varint |
//! queue varint | offset varint | from version 2 on: ms of the delivery varint |
//! crc32c u32 little-endian, seeded with the whole UUID                                       (then base64, URL-safe)
//! ```
//! Clients keep handles over a restart of the broker, and so over an upgrade: version 1 is still read.
//!
//! The checksum is no signature, but a handle of another shard or a made-up one does not pass it by accident.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sluice_core::codec::{Reader, put_varint};
use sluice_core::ids::{
    DeliveryId, GroupId, GroupQueueId, QueueId, QueueOffset, Term, TimeMs, TopicId, TopicQueue,
};

const VERSION: u8 = 2;
/// Without the time of the delivery.
const VERSION_1: u8 = 1;
const SHARD_TAG_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 4;
/// The longest handle in bytes, before base64.
const BYTES_MAX: usize = 1 + SHARD_TAG_BYTES + 4 * 10 + 3 * 5 + CHECKSUM_BYTES;

/// A delivery of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The term that it was made in.
    pub term: Term,
    /// What holds the message.
    pub delivery: DeliveryId,
    /// Whose message, of which queue.
    pub id: GroupQueueId,
    /// Its place in the queue.
    pub offset: QueueOffset,
    /// When it was delivered, if that is known; changing how long it is hidden is no new delivery.
    pub delivered_ms: Option<TimeMs>,
}

/// Makes and reads the handles of one shard.
#[derive(Clone, Debug)]
pub struct Receipts {
    shard: [u8; SHARD_TAG_BYTES],
    seed: u32,
}

impl Receipts {
    /// The handles of the shard with this UUID.
    pub fn new(uuid: [u8; 16]) -> Self {
        let [a, b, c, d, ..] = uuid;
        Self {
            shard: [a, b, c, d],
            seed: crc32c::crc32c(&uuid),
        }
    }

    /// The handle for a delivery.
    pub fn encode(&self, receipt: &Receipt) -> String {
        let mut out = Vec::with_capacity(BYTES_MAX);
        out.push(match receipt.delivered_ms {
            Some(_) => VERSION,
            None => VERSION_1,
        });
        out.extend_from_slice(&self.shard);
        put_varint(&mut out, receipt.term.0);
        put_varint(&mut out, receipt.delivery.0);
        put_varint(&mut out, u64::from(receipt.id.group.0));
        put_varint(&mut out, u64::from(receipt.id.at.topic.0));
        put_varint(&mut out, u64::from(receipt.id.at.queue.0));
        put_varint(&mut out, receipt.offset.0);
        if let Some(ms) = receipt.delivered_ms {
            put_varint(&mut out, ms);
        }
        let checksum = crc32c::crc32c_append(self.seed, &out);
        out.extend_from_slice(&checksum.to_le_bytes());
        URL_SAFE_NO_PAD.encode(&out)
    }

    /// Reads a handle; `None` if it is none of this shard's.
    pub fn decode(&self, handle: &str) -> Option<Receipt> {
        let mut buffer = [0; BYTES_MAX + 2];
        let len = URL_SAFE_NO_PAD.decode_slice(handle, &mut buffer).ok()?;
        let (content, checksum) = buffer.get(..len)?.split_last_chunk::<CHECKSUM_BYTES>()?;
        if crc32c::crc32c_append(self.seed, content) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut reader = Reader::new(content);
        let version = reader.u8().ok()?;
        if !matches!(version, VERSION | VERSION_1) || reader.take(SHARD_TAG_BYTES).ok()? != self.shard {
            return None;
        }
        let receipt = Receipt {
            term: Term(reader.varint().ok()?),
            delivery: DeliveryId(reader.varint().ok()?),
            id: GroupQueueId {
                group: GroupId(reader.varint32().ok()?),
                at: TopicQueue {
                    topic: TopicId(reader.varint32().ok()?),
                    queue: QueueId(reader.varint32().ok()?),
                },
            },
            offset: QueueOffset(reader.varint().ok()?),
            delivered_ms: match version {
                VERSION_1 => None,
                _ => Some(reader.varint().ok()?),
            },
        };
        reader.finish().ok()?;
        Some(receipt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(number: u64) -> Receipt {
        let small = number as u32;
        Receipt {
            term: Term(number),
            delivery: DeliveryId(number),
            id: GroupQueueId {
                group: GroupId(small),
                at: TopicQueue {
                    topic: TopicId(small),
                    queue: QueueId(small),
                },
            },
            offset: QueueOffset(number),
            delivered_ms: Some(number),
        }
    }

    #[test]
    fn a_handle_of_the_first_version_is_still_read() {
        let handle = "AQcHBwcDiCcCCQHwogS4xvxX";
        let receipt = Receipt {
            term: Term(3),
            delivery: DeliveryId(5000),
            id: GroupQueueId {
                group: GroupId(2),
                at: TopicQueue {
                    topic: TopicId(9),
                    queue: QueueId(1),
                },
            },
            offset: QueueOffset(70_000),
            delivered_ms: None,
        };
        let receipts = Receipts::new([7; 16]);
        assert_eq!(receipts.decode(handle), Some(receipt));
        assert_eq!(
            receipts.encode(&receipt),
            handle,
            "its successor knows no time either"
        );
    }

    #[test]
    fn a_handle_names_its_delivery_in_printable_characters() {
        let receipts = Receipts::new([7; 16]);
        for number in [0, 1, 127, 128, 1 << 20, u64::from(u32::MAX), u64::MAX] {
            let handle = receipts.encode(&receipt(number));
            assert!(
                handle
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            );
            assert_eq!(receipts.decode(&handle), Some(receipt(number)), "{number}");
        }
        let usual = Receipt {
            delivered_ms: Some(1_795_000_000_000),
            ..receipt(1000)
        };
        assert!(receipts.encode(&usual).len() < 48);
    }

    #[test]
    fn a_handle_of_another_shard_is_none() {
        let mut other = [7; 16];
        other[15] = 8;
        let handle = Receipts::new([7; 16]).encode(&receipt(5));
        assert_eq!(
            Receipts::new(other).decode(&handle),
            None,
            "the same tag, another UUID"
        );
        assert_eq!(Receipts::new([9; 16]).decode(&handle), None);
    }

    #[test]
    fn a_handle_changed_or_cut_anywhere_is_none() {
        let receipts = Receipts::new([7; 16]);
        let handle = receipts.encode(&receipt(300));
        for at in 0..handle.len() {
            assert_eq!(receipts.decode(&handle[..at]), None, "cut at {at}");
            let mut changed = handle.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_ne!(receipts.decode(&changed), Some(receipt(300)), "changed at {at}");
        }
        for text in ["", "x", "no handle at all", &"A".repeat(5000), "äöü"] {
            assert_eq!(receipts.decode(text), None, "{text}");
        }
    }
}
