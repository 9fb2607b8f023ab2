//! What applying a command answers.

use super::group_queue::FloorMove;
use crate::ids::{DeliveryId, GroupId, PhysicalOffset, QueueOffset, TopicId};
use smallvec::SmallVec;
use thiserror::Error;

/// The answer to one command.
pub type Applied = Result<Done, Refused>;

/// The messages that a `Deliver` got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The delivery they are held by.
    pub delivery: DeliveryId,
    /// Offset and attempt (from 1), in rising order; what was no longer ready is missing.
    pub taken: Vec<(QueueOffset, u16)>,
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The level is switched on.
    Level(u32),
    /// The voters are these now.
    Membership,
    /// The topic exists.
    Topic(TopicId),
    /// The group exists.
    Group(GroupId),
    /// The group has its place in the topic's queues.
    Subscribed,
    /// The message has this offset in its queue.
    Appended(QueueOffset),
    /// The messages are handed out.
    Delivered(Delivered),
    /// By item whether its delivery was still held; those that were have been settled, and go on as `delivery`.
    Settled {
        /// The delivery that changed items are held by from now on.
        delivery: DeliveryId,
        /// One flag an item.
        accepted: SmallVec<[bool; 8]>,
    },
    /// This many messages come back.
    Released(u32),
    /// The message stands in the dead-letter topic.
    DeadLettered {
        /// The dead-letter topic.
        topic: TopicId,
        /// The message's offset there.
        offset: QueueOffset,
    },
    /// The topic is as asked.
    TopicPut {
        /// Its id.
        topic: TopicId,
        /// Its generation.
        generation: u64,
        /// What that took.
        how: Put,
    },
    /// The group is as asked.
    GroupPut {
        /// Its id.
        group: GroupId,
        /// Its generation.
        generation: u64,
        /// What that took.
        how: Put,
    },
    /// The topic is gone, and with it this many messages that were not done: each counted once a group; those of a topic
    /// without groups once.
    TopicDeleted(u64),
    /// The group is gone, and had this many messages not done.
    GroupDeleted(u64),
    /// The group stands elsewhere in the queue.
    Moved(Box<FloorMove>),
    /// The writer has this epoch.
    Fenced(u64),
    /// Topics have given up what they should, and groups had not done this many of it.
    Expired(u64),
    /// The log begins where it should, and groups had not done this many of the messages that are gone.
    Trimmed(u64),
    /// The message stands at this many places as this record.
    Carried(u64),
}

/// What it took to make something as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was made.
    Created,
    /// It was changed.
    Changed,
    /// It was so already.
    Unchanged,
}

/// Why a command changed nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// The bytes are no command that this level knows.
    #[error("the command cannot be read: {0}")]
    Malformed(#[from] crate::codec::Malformed),
    /// Levels go up one by one, to at most what the build knows.
    #[error("level {asked} cannot follow level {present}")]
    Level {
        /// The level asked for.
        asked: u32,
        /// The level there is.
        present: u32,
    },
    /// There is a topic of this name.
    #[error("the topic exists already, with id {0}")]
    TopicExists(TopicId),
    /// There is a group of this name.
    #[error("the consumer group exists already, with id {0}")]
    GroupExists(GroupId),
    /// A name or number out of its bounds.
    #[error("{0} is out of its bounds")]
    OutOfBounds(&'static str),
    /// As many of these as may be.
    #[error("the broker has as many {0} as it takes, which is {1}: use those there are, or another broker")]
    Full(&'static str, usize),
    /// No such topic.
    #[error("there is no topic with id {0}")]
    NoTopic(TopicId),
    /// The topic has fewer queues.
    #[error("topic {0} has no queue {1}")]
    NoQueue(TopicId, crate::ids::QueueId),
    /// No such group.
    #[error("there is no consumer group with id {0}")]
    NoGroup(GroupId),
    /// The topic does not take messages of this kind.
    #[error("topic {0} does not take messages of this kind")]
    KindNotTaken(TopicId),
    /// The group has not subscribed to the topic.
    #[error("consumer group {0} has not subscribed to topic {1}")]
    NotSubscribed(GroupId, TopicId),
    /// The delivery is over: settled, expired, or followed by a newer one.
    #[error("the delivery is over: it was settled or has expired")]
    NotHeld,
    /// The topic takes no messages at the moment.
    #[error("topic {0} is closed: nothing can be sent to it until it is opened again")]
    Closed(TopicId),
    /// It is not what the writer has seen.
    #[error(
        "its generation is {present}, not {expected}: look at it again before you change it (0 stands for none)"
    )]
    Generation {
        /// What the writer expects.
        expected: u64,
        /// What there is.
        present: u64,
    },
    /// Another writer has come after this one.
    #[error(
        "epoch {epoch} is not the one that stands, which is {present} of the writer '{holder}': fence again before you write"
    )]
    Epoch {
        /// The writer's.
        epoch: u64,
        /// The one that stands.
        present: u64,
        /// Who has it.
        holder: String,
    },
    /// There is something to do yet.
    #[error("it is not empty: {0} messages are not done; wait for them, or delete it with them")]
    NotEmpty(u64),
    /// Queues are never taken away.
    #[error(
        "the topic has {present} queues, and they never become fewer: ask for {present} or more, not {asked}"
    )]
    QueuesShrink {
        /// How many there are.
        present: u32,
        /// How many were asked for.
        asked: u32,
    },
    /// Order cannot change under messages that are on their way.
    #[error(
        "{0} messages of the consumer group are in flight or wait for a retry: it becomes FIFO, or ceases to be, only when there are none"
    )]
    InUse(u64),
    /// The record is about to leave the log.
    #[error("the record at {0} is about to leave the log: read the message's entry again, and ask again")]
    Leaving(PhysicalOffset),
    /// The log cannot begin there.
    #[error(
        "the log cannot begin at {asked}: it begins at {present}, and from {links_from} on links may stand"
    )]
    Bounds {
        /// Where it was to begin.
        asked: PhysicalOffset,
        /// Where it begins.
        present: PhysicalOffset,
        /// What links may stand at.
        links_from: PhysicalOffset,
    },
}

impl Refused {
    /// A number for the digest.
    pub(super) fn code(&self) -> u64 {
        match self {
            Self::Malformed(_) => 1,
            Self::Level { .. } => 2,
            Self::TopicExists(_) => 3,
            Self::GroupExists(_) => 4,
            Self::OutOfBounds(_) => 5,
            Self::NoTopic(_) => 6,
            Self::NoQueue(..) => 7,
            Self::NoGroup(_) => 8,
            Self::KindNotTaken(_) => 9,
            Self::NotSubscribed(..) => 10,
            Self::NotHeld => 11,
            Self::Full(..) => 12,
            Self::Closed(_) => 13,
            Self::Generation { .. } => 14,
            Self::Epoch { .. } => 15,
            Self::NotEmpty(_) => 16,
            Self::QueuesShrink { .. } => 17,
            Self::InUse(_) => 18,
            Self::Leaving(_) => 19,
            Self::Bounds { .. } => 20,
        }
    }
}

impl Done {
    /// A number for the digest, that differs where the effect differs.
    pub(super) fn code(&self) -> u64 {
        use crate::hash::mix;
        match self {
            Self::Level(level) => mix(1, u64::from(*level)),
            Self::Membership => 2,
            Self::Topic(id) => mix(3, u64::from(id.0)),
            Self::Group(id) => mix(4, u64::from(id.0)),
            Self::Subscribed => 5,
            Self::Appended(offset) => mix(6, offset.0),
            Self::Delivered(delivered) => delivered
                .taken
                .iter()
                .fold(mix(7, delivered.delivery.0), |digest, (offset, attempt)| {
                    mix(mix(digest, offset.0), u64::from(*attempt))
                }),
            Self::Settled { delivery, accepted } => accepted
                .iter()
                .fold(mix(8, delivery.0), |digest, yes| mix(digest, u64::from(*yes))),
            Self::Released(count) => mix(9, u64::from(*count)),
            Self::DeadLettered { topic, offset } => mix(mix(10, u64::from(topic.0)), offset.0),
            Self::TopicPut {
                topic, generation, ..
            } => mix(mix(11, u64::from(topic.0)), *generation),
            Self::GroupPut {
                group, generation, ..
            } => mix(mix(12, u64::from(group.0)), *generation),
            Self::TopicDeleted(undone) => mix(13, *undone),
            Self::GroupDeleted(undone) => mix(14, *undone),
            Self::Moved(floor) => [floor.from, floor.to]
                .iter()
                .fold(mix(15, floor.voided), |digest, offset| mix(digest, offset.0)),
            Self::Fenced(epoch) => mix(16, *epoch),
            Self::Trimmed(expired) => mix(17, *expired),
            Self::Expired(expired) => mix(19, *expired),
            Self::Carried(places) => mix(18, *places),
        }
    }
}
