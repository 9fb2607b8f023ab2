//! Identifiers and positions. One type an idea, so that an offset in a queue is never taken for one in the log.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A topic's id: given at creation, never used again, also when a topic of the same name is made anew.
    TopicId,
    u32
);
number!(
    /// A consumer group's id: given at creation, never used again.
    GroupId,
    u32
);
number!(
    /// A queue's number within its topic, from 0.
    QueueId,
    u32
);
number!(
    /// A message's place in its queue, from 0, without holes.
    QueueOffset,
    u64
);
number!(
    /// A byte's place in the CommitLog, counted from the first byte ever written.
    PhysicalOffset,
    u64
);
number!(
    /// A leadership period. It never falls along the log.
    Term,
    u64
);
number!(
    /// A frame's number in the log, from 0, without holes.
    LogIndex,
    u64
);

/// Milliseconds since the Unix epoch.
pub type TimeMs = u64;

/// A delivery: which command handed the message out (or last changed its invisibility).
///
/// It is the frame's log index and the command's place in the frame in one number, and
/// so unique in the log: a receipt handle of an older delivery never settles a newer one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

impl DeliveryId {
    /// Commands a frame may hold; see [`crate::limits::BATCH_COMMANDS_MAX`].
    const PER_FRAME: u64 = crate::limits::BATCH_COMMANDS_MAX as u64;

    /// The delivery made by the command at `place` (from 0) in the frame at `index`.
    pub fn new(index: LogIndex, place: u16) -> Self {
        debug_assert!(u64::from(place) < Self::PER_FRAME);
        Self(index.0 * Self::PER_FRAME + u64::from(place))
    }

    /// The log index of the command's frame.
    pub fn index(self) -> LogIndex {
        LogIndex(self.0 / Self::PER_FRAME)
    }

    /// The command's place in the frame.
    pub fn place(self) -> u16 {
        (self.0 % Self::PER_FRAME) as u16
    }
}

/// One queue of one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicQueue {
    /// The topic.
    pub topic: TopicId,
    /// The queue within it.
    pub queue: QueueId,
}

/// What one consumer group holds of one queue: the unit of delivery state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupQueueId {
    /// The consumer group.
    pub group: GroupId,
    /// The queue.
    pub at: TopicQueue,
}
