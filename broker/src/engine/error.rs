//! Why a use case could not be done.

use super::floors::{QueueReset, sums};
use crate::budget::Exceeded;
use sluice_core::ids::QueueOffset;
use sluice_core::log::NotProposed;
use sluice_core::state::{Group, Refused, Topic};
use std::time::Duration;
use thiserror::Error;

/// What comes of a topic that belongs to a group.
fn of_group(name: &str) -> &'static str {
    match name.starts_with("%RETRY%") {
        true => ", and there will be none: a message is tried again in the topic that it was sent to",
        false => {
            " yet: the broker makes a group's dead-letter topic itself, with the group's first dead letter"
        }
    }
}

/// What callers can tell apart.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EngineError {
    /// Too much waits for the log.
    #[error("the broker is busy: try again after a moment")]
    Busy,
    /// The messages waited for the log for as long as they may.
    #[error(
        "more is sent than the broker's disk takes, and the message was not written within {0:?}: send it again after a moment, or send less"
    )]
    Late(Duration),
    /// The disk is full.
    #[error("the broker's disk is full: messages are taken again when there is room on it")]
    NoSpace,
    /// The system lets the broker make or write no files.
    #[error(
        "the broker may not make or write files in its data folder (mode, owner, or an attribute as by chattr +i): messages are taken again when that is put right"
    )]
    NotPermitted,
    /// As many files are open as may be.
    #[error(
        "the broker can open no more files: messages are taken again when it can, or may open more (ulimit -n, LimitNOFILE)"
    )]
    NoDescriptors,
    /// The disk is fuller than messages may make it.
    #[error(
        "the broker's disk is nearly full: messages are taken again when retention or somebody else has made room on it"
    )]
    NearlyFull,
    /// The message does not fit the log.
    #[error("the message takes {size} bytes in the log, and at most {max} fit")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// What fits.
        max: usize,
    },
    /// The broker is stopping.
    #[error("the broker is stopping")]
    Stopping,
    /// Another node leads.
    #[error("this broker does not lead its shard{}", .0.as_deref().map(|at| format!(": ask {at}")).unwrap_or_default())]
    NotLeader(Option<String>),
    /// Nobody knows whether it was done.
    #[error("the outcome is not known: the command may or may not be in the log")]
    Unknown,
    /// No such topic, and topics are not made on first use.
    #[error("there is no topic '{0}', and this broker makes none on first use: add it to the file of --init")]
    TopicNotMade(String),
    /// No such topic, and it would be a group's.
    #[error("there is no topic '{0}'{of_group}", of_group = of_group(.0))]
    GroupTopicNotFound(String),
    /// A name that no group gets.
    #[error("no consumer group '{name}' is made: {why}")]
    NoGroupName {
        /// The name.
        name: String,
        /// Why none gets it.
        why: &'static str,
    },
    /// It takes no messages at the moment.
    #[error("topic '{0}' is closed: nothing can be sent to it until it is opened again")]
    TopicClosed(String),
    /// It was there when the call began.
    #[error("topic '{0}' was deleted")]
    TopicDeleted(String),
    /// It was there when the call began.
    #[error("consumer group '{0}' was deleted")]
    GroupDeleted(String),
    /// No topic of this name, for whoever administers topics.
    #[error("there is no topic '{0}': make it first, or look at the list of topics")]
    NoTopic(String),
    /// No group of this name, for whoever administers groups.
    #[error("there is no consumer group '{0}': make it first, or look at the list of groups")]
    NoGroup(String),
    /// The group does not read the topic.
    #[error(
        "consumer group '{group}' does not read topic '{topic}': it does from its first receive on, or from a static subscription on"
    )]
    NotReading {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
    },
    /// The topic has fewer queues.
    #[error("topic '{topic}' has {queues} queue{}, numbered from 0: there is no queue {queue}", if *queues == 1 { "" } else { "s" })]
    NoQueue {
        /// The topic.
        topic: String,
        /// How many queues it has.
        queues: u32,
        /// What was asked for.
        queue: u32,
    },
    /// An offset that the queue does not have.
    #[error(
        "offset {offset} is outside of queue {queue} of topic '{topic}', which goes from {min} to {max}: use one of these; QueryOffset tells them"
    )]
    OffsetOutside {
        /// The topic.
        topic: String,
        /// The queue.
        queue: u32,
        /// What was asked for.
        offset: i64,
        /// The offset of its first message.
        min: u64,
        /// The offset behind its last message.
        max: u64,
    },
    /// A group without a place in the topic.
    #[error(
        "consumer group '{group}' has no offset in topic '{topic}': it has one from its first receive, or update of an offset, on"
    )]
    NoOffset {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
    },
    /// A message that a pull has come to, and nobody can read.
    #[error(
        "message {offset} of queue {queue} of topic '{topic}' cannot be read, and those behind it can be pulled: {cause}"
    )]
    Unreadable {
        /// The topic.
        topic: String,
        /// The queue.
        queue: u32,
        /// Its offset.
        offset: u64,
        /// Why it cannot be read.
        cause: String,
    },
    /// What an administrator asks for is not what it must be.
    #[error("{0}")]
    Invalid(String),
    /// A reset of more queues than are moved at once has ended before its last one.
    #[error(
        "{cause}; the reset ended midway: {} of {of} queues were moved before, up to queue {}: {}. Of the others none is known to be moved: look at the offsets, and reset those queues by their numbers",
        done.len(), done.last().map_or(0, |last| last.queue.0), sums(done)
    )]
    ResetMidway {
        /// What was done, by queue.
        done: Vec<QueueReset>,
        /// How many queues were meant.
        of: usize,
        /// Why it ended.
        cause: Box<EngineError>,
    },
    /// Apply refused it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A record or an entry could not be read.
    #[error("the store could not be read: {0}")]
    Read(String),
    /// As many bytes of messages are unread as may be.
    #[error("{0} bytes of messages were asked for and are not read yet: receive again after a moment")]
    Unread(usize),
    /// As many as one client may leave unread.
    #[error(
        "{0} bytes of messages that this client has asked for are not read yet: read them, or receive with fewer calls at a time"
    )]
    OwnUnread(usize),
    /// As many polls wait as may.
    #[error("{0} polls wait already: receive with fewer clients at a time")]
    PollsFull(usize),
}

impl EngineError {
    /// Where a pull that has ended so can go on all the same.
    pub fn goes_on_at(&self) -> Option<QueueOffset> {
        match self {
            Self::OffsetOutside { offset, min, max, .. } => {
                let nearest = u64::try_from(*offset).map_or(*min, |offset| offset.clamp(*min, *max));
                Some(QueueOffset(nearest))
            }
            Self::Unreadable { offset, .. } => Some(QueueOffset(offset + 1)),
            _ => None,
        }
    }

    /// Whether nothing was done because the system gives the log no room, or no files, or because too much waits for the log, as
    /// when there is room again: another try may do it.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::NoSpace
                | Self::NearlyFull
                | Self::NotPermitted
                | Self::NoDescriptors
                | Self::Busy
                | Self::Late(_)
        )
    }

    /// What became of group and topic between their look-up and apply, by their names.
    pub(super) fn named(self, group: &Group, topic: &Topic) -> Self {
        match self {
            Self::Refused(Refused::NoTopic(_)) => Self::TopicDeleted(topic.spec.name.clone()),
            Self::Refused(Refused::NoGroup(_) | Refused::NotSubscribed(..)) => {
                Self::GroupDeleted(group.spec.name.clone())
            }
            other => other,
        }
    }
}

impl From<Exceeded> for EngineError {
    fn from(exceeded: Exceeded) -> Self {
        match exceeded {
            Exceeded::All(max) => Self::Unread(max),
            Exceeded::Own(max) => Self::OwnUnread(max),
        }
    }
}

impl From<NotProposed> for EngineError {
    fn from(why: NotProposed) -> Self {
        match why {
            NotProposed::Busy => Self::Busy,
            NotProposed::Late { max } => Self::Late(max),
            NotProposed::TooLarge { size, max } => Self::TooLarge { size, max },
            NotProposed::NoSpace => Self::NoSpace,
            NotProposed::NotPermitted => Self::NotPermitted,
            NotProposed::NoDescriptors => Self::NoDescriptors,
            NotProposed::NearlyFull => Self::NearlyFull,
            NotProposed::Stopping => Self::Stopping,
        }
    }
}
