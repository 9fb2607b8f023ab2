//! The commands of level 3.

use super::*;
use crate::limits;

#[test]
fn every_command_of_level_3_comes_back_and_a_record_is_found_in_each_kind() {
    let at = id().at;
    let trim = |queues: u64| Trim {
        start: PhysicalOffset(u64::MAX / 2),
        links_from: PhysicalOffset(u64::MAX),
        minimums: (0..queues)
            .map(|first| Minimum {
                at,
                first: QueueOffset(u64::MAX - first),
            })
            .collect(),
    };
    comes_back(&trim(3).encode(NOW), Command::Trim(trim(3)));
    let most = trim(limits::TRIM_QUEUES_MAX as u64);
    let bytes = most.encode(NOW);
    let bound = Trim::BYTES_MAX + limits::TRIM_QUEUES_MAX * Trim::QUEUE_BYTES_MAX;
    assert!(
        bytes.len() <= bound && bound < 96 << 10,
        "fits the smallest segments"
    );
    comes_back(&bytes, Command::Trim(most));
    let more = trim(limits::TRIM_QUEUES_MAX as u64 + 1).encode(NOW);
    assert!(Command::decode(more.as_bytes()).is_err());

    let places: Vec<Place> = (0..limits::CARRY_PLACES_MAX as u64)
        .map(|n| Place {
            at,
            offset: QueueOffset(n),
            entry: QueueEntry {
                physical: PhysicalOffset(77),
                size: 5,
                ..QueueEntry::default()
            },
        })
        .collect();
    for places in [&places[..], &places[..1], &[]] {
        let carry = NewCarry {
            topic: TopicId(9),
            old: PhysicalOffset(77),
            record: b"a record",
            places,
        };
        let bytes = carry.encode(NOW);
        assert_eq!(bytes.len(), carry.encoded_len());
        assert_eq!(record_of(bytes.as_bytes()), Ok(&b"a record"[..]));
        assert_eq!(&bytes.as_bytes()[APPEND_RECORD_AT..][..8], b"a record");
        let decoded = Carry {
            topic: TopicId(9),
            time: NOW,
            old: PhysicalOffset(77),
            record: b"a record",
            places: places.to_vec(),
        };
        comes_back(&bytes, Command::Carry(decoded));
        for end in COMMAND_HEADER_BYTES..bytes.len() {
            assert!(Command::decode(&bytes.as_bytes()[..end]).is_err(), "cut at {end}");
        }
    }
    assert!(record_of(trim(1).encode(NOW).as_bytes()).is_err());
}

#[test]
fn a_topic_comes_back_with_the_hours_that_it_is_kept() {
    let topic = |retention_hours| PutTopic {
        spec: TopicSpec {
            name: "orders".into(),
            queues: 8,
            types: Types::FIFO,
            closed: true,
            retention_hours,
            retention_bytes: 0,
        },
        keep_queues: true,
        terms: Terms::default(),
    };
    for hours in [0, 1, u32::MAX] {
        comes_back(&topic(hours).encode(NOW), Command::PutTopic(topic(hours)));
    }
}
