//! `Unanswered`: deliveries whose answer may never have left the broker.

use super::envelope::{EncodedCommand, Kind};
use crate::codec::{Malformed, Reader, put_varint};
use crate::ids::{GroupId, GroupQueueId, QueueId, TimeMs, TopicId, TopicQueue};

/// Bounds how long deliveries of one queue stay hidden that the broker renews and that were made last: the broker went
/// down before anyone can tell whether they were answered. They stay the deliveries that they were, so that clients
/// which do have them settle them as ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// Whose messages.
    pub id: GroupQueueId,
    /// Only what is hidden until then, or longer: of deliveries that the broker renews, the later ones.
    pub hidden_until_min: TimeMs,
    /// How long they stay hidden at most, counted from the command's time.
    pub visible_in_ms: u64,
}

impl Unanswered {
    /// Encodes the command.
    pub fn encode(&self, time: TimeMs) -> EncodedCommand {
        EncodedCommand::build(Kind::Unanswered, time, |out| {
            put_varint(out, u64::from(self.id.group.0));
            put_varint(out, u64::from(self.id.at.topic.0));
            put_varint(out, u64::from(self.id.at.queue.0));
            put_varint(out, self.hidden_until_min);
            put_varint(out, self.visible_in_ms);
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let group = GroupId(reader.varint32()?);
        let at = TopicQueue {
            topic: TopicId(reader.varint32()?),
            queue: QueueId(reader.varint32()?),
        };
        Ok(Self {
            id: GroupQueueId { group, at },
            hidden_until_min: reader.varint()?,
            visible_in_ms: reader.varint()?,
        })
    }
}
