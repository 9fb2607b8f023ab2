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
fn what_topics_give_up_comes_back() {
    let at = id().at;
    let expire = |minimums: u64, dropped: u64| Expire {
        minimums: (0..minimums)
            .map(|first| Minimum {
                at,
                first: QueueOffset(u64::MAX - first),
            })
            .collect(),
        dropped: (0..dropped)
            .map(|offset| (at, QueueOffset(u64::MAX - offset)))
            .collect(),
    };
    let most = limits::TRIM_QUEUES_MAX as u64;
    for (minimums, dropped) in [(0, 0), (3, 0), (0, 3), (most - 1, 1), (0, most)] {
        let bytes = expire(minimums, dropped).encode(NOW);
        assert!(bytes.len() < 96 << 10, "fits the smallest segments");
        comes_back(&bytes, Command::Expire(expire(minimums, dropped)));
    }
}

#[test]
fn a_topic_comes_back_with_the_hours_and_the_bytes_that_it_is_kept() {
    let topic = |retention_hours, retention_bytes| PutTopic {
        spec: TopicSpec {
            name: "orders".into(),
            queues: 8,
            types: Types::FIFO,
            closed: true,
            retention_hours,
            retention_bytes,
        },
        keep_queues: true,
        terms: Terms::default(),
    };
    for (hours, bytes) in [(0, 0), (1, 0), (u32::MAX, u64::MAX), (0, 1)] {
        let topic = topic(hours, bytes);
        comes_back(&topic.encode(NOW), Command::PutTopic(topic));
    }
}
