//! Hashes that are part of the stored formats. They never change.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Java's `String.hashCode`, as RocketMQ uses it for tags: over UTF-16 units, wrapping.
pub fn java_string(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// A message group's hash as queue entries carry it. Two groups with one hash wait for
/// each other, which costs them speed and never order.
pub fn message_group(group: &str) -> u32 {
    let hash = xxh3_64(group.as_bytes());
    (hash ^ (hash >> 32)) as u32
}

/// The queue (of `queues`) that a message group lives on.
pub fn queue_of_message_group(group: &str, queues: u32) -> u32 {
    (xxh3_64(group.as_bytes()) % u64::from(queues.max(1))) as u32
}

/// What the index files a message id under: independent of the topic, for an id is looked up alone.
pub fn message_id_key(id: &[u8]) -> u64 {
    xxh3_64_with_seed(id, 1)
}

/// What the index files a message key of a topic under.
pub fn message_key(topic: crate::ids::TopicId, key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, 2 | (u64::from(topic.0) << 8))
}

/// A client's attempt id, or 0 for none.
pub fn attempt_id(text: &str) -> u64 {
    if text.is_empty() {
        0
    } else {
        xxh3_64(text.as_bytes()).max(1)
    }
}

/// Folds `value` into a rolling digest. Order matters; equal digests of equal lengths mean equal histories.
pub fn mix(digest: u64, value: u64) -> u64 {
    let mut z = (digest ^ value).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_hash_is_javas() {
        assert_eq!(java_string(""), 0);
        assert_eq!(java_string("TagA"), 2_598_919);
        assert_eq!(java_string("hello"), 99_162_322);
        assert_eq!(
            java_string("größe"),
            "größe"
                .encode_utf16()
                .fold(0i32, |h, c| h.wrapping_mul(31) + c as i32)
        );
    }

    #[test]
    fn stored_hashes_are_pinned() {
        assert_eq!(message_group("order-1"), message_group("order-1"));
        assert_ne!(message_id_key(b"x"), message_key(crate::ids::TopicId(0), b"x"));
        assert_ne!(
            message_key(crate::ids::TopicId(1), b"x"),
            message_key(crate::ids::TopicId(2), b"x")
        );
        assert_eq!(mix(0, 0), 0xe220_a839_7b1d_cdaf);
    }
}
