//! What topics give up before the log does, by a time or a size of their own. Since level 3.

use super::envelope::{EncodedCommand, Kind};
use super::retention::{Minimum, put_place, read_place};
use crate::codec::{Malformed, Reader, put_varint};
use crate::ids::{QueueOffset, TimeMs, TopicQueue};
use crate::limits;

/// Topics give up messages. Their records stay where they are until the log goes; nobody is given them any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expire {
    /// Where queues begin that begin later now. What was carried stays below.
    pub minimums: Vec<Minimum>,
    /// Carried messages that go, each below where its queue begins. One that is not carried any more is passed over.
    pub dropped: Vec<(TopicQueue, QueueOffset)>,
}

impl Expire {
    /// Encodes the command: of both together there may be [`limits::TRIM_QUEUES_MAX`].
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        debug_assert!(self.minimums.len() + self.dropped.len() <= limits::TRIM_QUEUES_MAX);
        EncodedCommand::build(Kind::Expire, time, |out| {
            put_varint(out, self.minimums.len() as u64);
            for Minimum { at, first } in &self.minimums {
                put_place(out, *at, *first);
            }
            put_varint(out, self.dropped.len() as u64);
            for (at, offset) in &self.dropped {
                put_place(out, *at, *offset);
            }
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let minimums: Vec<_> = places(reader, limits::TRIM_QUEUES_MAX)?;
        let dropped = places(reader, limits::TRIM_QUEUES_MAX - minimums.len())?;
        let minimums = minimums.into_iter();
        Ok(Self {
            minimums: minimums.map(|(at, first)| Minimum { at, first }).collect(),
            dropped,
        })
    }
}

fn places(reader: &mut Reader<'_>, most: usize) -> Result<Vec<(TopicQueue, QueueOffset)>, Malformed> {
    let count = reader.count(3)?;
    if count > most {
        return Err(Malformed::Range("expired places"));
    }
    (0..count).map(|_| read_place(reader)).collect()
}
