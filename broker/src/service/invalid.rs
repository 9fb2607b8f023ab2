//! Why a request cannot be followed, in the words that its client is told.

use super::body_max::BodyMax;
use super::validate::MESSAGE_GROUP_BYTES_MAX;
use crate::budget::Exceeded;
use sluice_core::limits;
use sluice_core::plan::FilterError;
use sluice_core::units;
use std::time::Duration;
use thiserror::Error;

/// Why a request cannot be followed. What the client is told is in [`super::status`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Invalid {
    /// More parts than one request may have.
    #[error("the request has {count} {what}: at most {max} are taken, send the others by further requests")]
    TooMany {
        /// Parts of which kind.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// No `x-mq-client-id`.
    #[error("the header x-mq-client-id is missing or blank")]
    ClientId,
    /// A field that must be there is not, or is malformed.
    #[error("{0}")]
    Request(&'static str),
    /// A topic's name.
    #[error("{0}")]
    Topic(String),
    /// A group's name.
    #[error("{0}")]
    Group(String),
    /// The access point.
    #[error("the access point is malformed: {0}")]
    Endpoints(&'static str),
    /// A broker that this one is not.
    #[error("there is no broker '{0}' here")]
    Broker(String),
    /// Messages of several topics, or none; a body that does not fit its digest.
    #[error("{0}")]
    Corrupted(&'static str),
    /// A message's id.
    #[error("the message id is blank or has control characters")]
    MessageId,
    /// A tag.
    #[error("the tag is blank, or has '|' or control characters")]
    Tag,
    /// A key.
    #[error("a message key is blank or has control characters")]
    Key,
    /// A message group.
    #[error(
        "the message group is blank, longer than {MESSAGE_GROUP_BYTES_MAX} bytes, or has control characters"
    )]
    MessageGroup,
    /// A user property.
    #[error("user property '{name}' {reason}")]
    Property {
        /// Its name, or the beginning of it.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Too many properties, or too long ones.
    #[error(
        "the message has {count} user properties of {bytes} bytes: at most {} of {} bytes are taken",
        limits::USER_PROPERTIES_MAX,
        limits::USER_PROPERTIES_BYTES_MAX
    )]
    Properties {
        /// How many.
        count: usize,
        /// Names and values.
        bytes: usize,
    },
    /// Properties, keys and ids together.
    #[error(
        "the message's properties take {bytes} bytes: at most {} are taken",
        limits::PROPERTIES_BYTES_MAX
    )]
    StoredProperties {
        /// As stored.
        bytes: usize,
    },
    /// No body.
    #[error("the message has no body")]
    BodyEmpty,
    /// A body beyond the limit.
    #[error("the message's body has {bytes} bytes: at most {max} are taken")]
    BodyTooLarge {
        /// Its bytes.
        bytes: usize,
        /// The limit.
        max: BodyMax,
    },
    /// The topic does not take such messages.
    #[error("topic '{topic}' does not take messages of type {kind}")]
    Type {
        /// The topic.
        topic: String,
        /// The message's type.
        kind: &'static str,
    },
    /// A type that no version of the protocol has.
    #[error("message type {0} is not known: take that of the topic, NORMAL (1) or FIFO (2)")]
    TypeUnknown(i32),
    /// A message that is to be in order, and not of what.
    #[error("the message is of type FIFO and has no message group: give it one, or send it as NORMAL")]
    NoMessageGroup,
    /// A tag expression.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A filter that is not by tag.
    #[error("this broker filters by tag only")]
    FilterType,
    /// An invisible duration out of its bounds.
    #[error(
        "the invisible duration is not between {} and {}",
        units::write(Duration::from_millis(*min_ms)),
        units::write(Duration::from_millis(limits::INVISIBLE_MS_MAX))
    )]
    Invisible {
        /// The shortest.
        min_ms: u64,
    },
    /// No invisible duration where one is to be changed.
    #[error("the new invisible duration is missing")]
    InvisibleMissing,
    /// A receipt handle that settles nothing.
    #[error("the receipt handle is malformed, of another group or topic, or its delivery is over")]
    Handle,
    /// A client that has not introduced itself.
    #[error("the client has sent no settings over telemetry")]
    UnknownClient,
    /// As many clients as may be.
    #[error("{0} clients are connected already")]
    ClientsFull(usize),
    /// As many bytes of settings as may be.
    #[error(
        "{0} bytes of settings are kept already, of all clients together: announce less, or try again later"
    )]
    SettingsFull(usize),
    /// As many bytes on their way as may be.
    #[error("{0} bytes of messages are on their way already: send again after a moment")]
    Overload(usize),
    /// As many bytes on their way as one client may have.
    #[error("{0} bytes of this client's messages are on their way already: send again after a moment")]
    OwnOverload(usize),
    /// A call that this broker does not know.
    #[error("this broker does not implement {0}")]
    NotImplemented(&'static str),
}

impl From<Exceeded> for Invalid {
    fn from(exceeded: Exceeded) -> Self {
        match exceeded {
            Exceeded::All(max) => Self::Overload(max),
            Exceeded::Own(max) => Self::OwnOverload(max),
        }
    }
}
