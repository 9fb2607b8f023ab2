//! Where a page ended: opaque to those who hand it back, and read with care, for anybody may have written it.
//!
//! ```text
//! kind u8 | topic varint | by kind: (base64, URL-safe)
//!   1 key:          physical offset varint
//!   2 dead letters: offset varint
//!   3 time:         ms varint | count varint | for each: queue varint, offset varint
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sluice_core::codec::{Malformed, Reader, put_varint};
use sluice_core::ids::{PhysicalOffset, QueueId, QueueOffset, TimeMs, TopicId};

const KEY: u8 = 1;
const DEAD_LETTERS: u8 = 2;
const TIME: u8 = 3;

/// Where a search goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// With what stands before this in the log.
    Key(PhysicalOffset),
    /// With what stands before this in the queue of dead letters.
    DeadLetters(QueueOffset),
    /// With what was put later than `at`, and of what was put at that time, in the queues that had some of it already, from
    /// these offsets on.
    Time {
        /// When the last message was put.
        at: TimeMs,
        /// By queue.
        next: Vec<(QueueId, QueueOffset)>,
    },
}

impl Position {
    /// As it is handed out.
    pub(super) fn encode(&self, topic: TopicId) -> String {
        let kind = match self {
            Self::Key(_) => KEY,
            Self::DeadLetters(_) => DEAD_LETTERS,
            Self::Time { .. } => TIME,
        };
        let mut out = vec![kind];
        put_varint(&mut out, u64::from(topic.0));
        match self {
            Self::Key(before) => put_varint(&mut out, before.0),
            Self::DeadLetters(before) => put_varint(&mut out, before.0),
            Self::Time { at, next } => {
                put_varint(&mut out, *at);
                put_varint(&mut out, next.len() as u64);
                for (queue, offset) in next {
                    put_varint(&mut out, u64::from(queue.0));
                    put_varint(&mut out, offset.0);
                }
            }
        }
        URL_SAFE_NO_PAD.encode(out)
    }

    /// Reads what was handed out by a search in this topic; `None` if it is of another, such as an older one of the name.
    pub(super) fn decode(text: &str, topic: TopicId) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut reader = Reader::new(&bytes);
        let (of, position) = read(&mut reader).ok()?;
        reader.finish().ok()?;
        (of == topic).then_some(position)
    }
}

fn read(reader: &mut Reader<'_>) -> Result<(TopicId, Position), Malformed> {
    let (kind, topic) = (reader.u8()?, TopicId(reader.varint32()?));
    let position = match kind {
        KEY => Position::Key(PhysicalOffset(reader.varint()?)),
        DEAD_LETTERS => Position::DeadLetters(QueueOffset(reader.varint()?)),
        TIME => {
            let at = reader.varint()?;
            let next = (0..reader.count(2)?)
                .map(|_| Ok((QueueId(reader.varint32()?), QueueOffset(reader.varint()?))))
                .collect::<Result<_, Malformed>>()?;
            Position::Time { at, next }
        }
        _ => return Err(Malformed::Range("kind of a position")),
    };
    Ok((topic, position))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: TopicId = TopicId(300);

    fn positions() -> [Position; 5] {
        let queue = |queue, offset| (QueueId(queue), QueueOffset(offset));
        [
            Position::Key(PhysicalOffset(1 << 40)),
            Position::DeadLetters(QueueOffset(0)),
            Position::Time {
                at: 0,
                next: Vec::new(),
            },
            Position::Time {
                at: 1_795_000_000_000,
                next: vec![queue(0, 1), queue(4095, u64::MAX)],
            },
            Position::Time {
                at: u64::MAX,
                next: vec![queue(u32::MAX, 0)],
            },
        ]
    }

    #[test]
    fn a_position_comes_back_for_its_topic_alone() {
        for position in positions() {
            let text = position.encode(TOPIC);
            assert_eq!(Position::decode(&text, TOPIC), Some(position));
            assert_eq!(Position::decode(&text, TopicId(301)), None);
        }
    }

    #[test]
    fn what_is_no_position_is_none() {
        for text in [
            "",
            "AQ",
            "not base64!",
            "BKwCAA",
            &"A".repeat(9999),
            "______________",
        ] {
            assert_eq!(Position::decode(text, TOPIC), None, "{text}");
        }
        for position in positions() {
            let text = position.encode(TOPIC);
            for at in 1..text.len() {
                assert_eq!(
                    Position::decode(&text[..at], TOPIC),
                    None,
                    "{position:?} cut at {at}"
                );
            }
        }
    }
}
