//! Words of the admin API as the command line writes them: types in lower case.

use serde::Serialize;
use sluice_proto::admin::{MessageType, TopicType};
use std::fmt;

/// A type of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TypeName {
    /// Without order.
    Normal,
    /// In order within a message group.
    Fifo,
    /// One that this sluicectl does not know.
    Unknown,
}

impl TypeName {
    /// As the API has it.
    pub fn to_topic_type(self) -> TopicType {
        match self {
            Self::Normal => TopicType::Normal,
            Self::Fifo => TopicType::Fifo,
            Self::Unknown => TopicType::Unspecified,
        }
    }

    /// From a topic's number.
    pub fn of_topic(number: i32) -> Self {
        match TopicType::try_from(number) {
            Ok(TopicType::Normal) => Self::Normal,
            Ok(TopicType::Fifo) => Self::Fifo,
            Ok(TopicType::Unspecified) | Err(_) => Self::Unknown,
        }
    }

    /// From a message's number.
    pub fn of_message(number: i32) -> Self {
        match MessageType::try_from(number) {
            Ok(MessageType::Normal) => Self::Normal,
            Ok(MessageType::Fifo) => Self::Fifo,
            Ok(MessageType::Unspecified) | Err(_) => Self::Unknown,
        }
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Fifo => "fifo",
            Self::Unknown => "unknown",
        })
    }
}
