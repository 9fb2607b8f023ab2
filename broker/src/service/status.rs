//! What clients are told: the one place where an error becomes a code of the protocol.
//!
//! Clients know these codes since 2022, with one exception that [`super::quirks::rust`] takes care of, and but for what only
//! clients that pull are told.

use super::invalid::Invalid;
use crate::clients::Full;
use crate::engine::EngineError;
use sluice_core::state::Refused;
use sluice_proto::v2::{self, Code};

/// Why a call, or one entry of it, was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The protocol's code.
    pub code: Code,
    /// For people.
    pub message: String,
}

impl Failure {
    /// The status for a response.
    pub fn into_status(self) -> v2::Status {
        v2::Status {
            code: self.code.into(),
            message: self.message,
        }
    }

    /// As a refusal of the whole call, for the only one whose answers have no status that clients look at.
    pub fn into_refusal(self) -> tonic::Status {
        match self.code {
            Code::InternalError | Code::InternalServerError => tonic::Status::internal(self.message),
            Code::TooManyRequests => tonic::Status::resource_exhausted(self.message),
            _ => tonic::Status::invalid_argument(self.message),
        }
    }
}

/// Done. Without a text: most answers carry it once or twice.
pub fn ok() -> v2::Status {
    v2::Status {
        code: Code::Ok.into(),
        message: String::new(),
    }
}

/// A code that is no failure, or says all there is to say.
pub fn plain(code: Code) -> v2::Status {
    v2::Status {
        code: code.into(),
        message: code.as_str_name().to_owned(),
    }
}

/// The status over entries that each have their own: theirs where they agree.
pub fn over<'a>(mut entries: impl Iterator<Item = &'a Option<v2::Status>>) -> v2::Status {
    let Some(first) = entries.next() else {
        return ok();
    };
    let code = |status: &Option<v2::Status>| status.as_ref().map_or(0, |status| status.code);
    if entries.all(|status| code(status) == code(first)) {
        first.clone().unwrap_or_else(ok)
    } else {
        plain(Code::MultipleResults)
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        let code = match &invalid {
            Invalid::ClientId => Code::ClientIdRequired,
            Invalid::Request(_) | Invalid::Broker(_) => Code::BadRequest,
            Invalid::TooMany { .. } => Code::PayloadTooLarge,
            Invalid::Topic(_) => Code::IllegalTopic,
            Invalid::Group(_) => Code::IllegalConsumerGroup,
            Invalid::Endpoints(_) => Code::IllegalAccessPoint,
            Invalid::Corrupted(_) => Code::MessageCorrupted,
            Invalid::MessageId => Code::IllegalMessageId,
            Invalid::Tag => Code::IllegalMessageTag,
            Invalid::Key => Code::IllegalMessageKey,
            Invalid::MessageGroup => Code::IllegalMessageGroup,
            Invalid::Property { .. } => Code::IllegalMessagePropertyKey,
            Invalid::Properties { .. } | Invalid::StoredProperties { .. } => Code::MessagePropertiesTooLarge,
            Invalid::BodyEmpty => Code::MessageBodyEmpty,
            Invalid::BodyTooLarge { .. } => Code::MessageBodyTooLarge,
            Invalid::Type { .. } | Invalid::TypeUnknown(_) | Invalid::NoMessageGroup => {
                Code::MessagePropertyConflictWithType
            }
            Invalid::Filter(_) | Invalid::FilterType => Code::IllegalFilterExpression,
            Invalid::Invisible { .. } | Invalid::InvisibleMissing => Code::IllegalInvisibleTime,
            Invalid::Handle => Code::InvalidReceiptHandle,
            Invalid::UnknownClient => Code::UnrecognizedClientType,
            Invalid::ClientsFull(_)
            | Invalid::SettingsFull(_)
            | Invalid::Overload(_)
            | Invalid::OwnOverload(_) => Code::TooManyRequests,
            Invalid::NotImplemented(_) => Code::NotImplemented,
        };
        Self {
            code,
            message: invalid.to_string(),
        }
    }
}

impl From<Full> for Failure {
    fn from(full: Full) -> Self {
        match full {
            Full::Clients(max) => Invalid::ClientsFull(max).into(),
            Full::Settings(max) => Invalid::SettingsFull(max).into(),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let code = match &error {
            // A full disk too: nothing was stored, and this is the one code on which clients wait before they try again.
            // The persistence timeouts say that a message is there, and only not synced yet.
            EngineError::Busy
            | EngineError::Late(_)
            | EngineError::PollsFull(_)
            | EngineError::Unread(_)
            | EngineError::OwnUnread(_)
            | EngineError::NoSpace
            | EngineError::NotPermitted
            | EngineError::NoDescriptors
            | EngineError::NearlyFull => Code::TooManyRequests,
            EngineError::TooLarge { .. } => Code::MessageBodyTooLarge,
            EngineError::NotLeader(_) => Code::HaNotAvailable,
            EngineError::TopicNotMade(_)
            | EngineError::GroupTopicNotFound(_)
            | EngineError::TopicDeleted(_)
            | EngineError::NoTopic(_)
            | EngineError::NoQueue { .. } => Code::TopicNotFound,
            // As RocketMQ answers for a topic without permission to write.
            EngineError::TopicClosed(_) => Code::Forbidden,
            EngineError::GroupDeleted(_) | EngineError::NoGroup(_) => Code::ConsumerGroupNotFound,
            EngineError::NotReading { .. } | EngineError::Invalid(_) => Code::BadRequest,
            EngineError::NoGroupName { .. } => Code::IllegalConsumerGroup,
            EngineError::OffsetOutside { .. } => Code::IllegalOffset,
            EngineError::NoOffset { .. } => Code::OffsetNotFound,
            // Told apart from what is wrong with the broker as such: the client is to go on behind it.
            EngineError::Unreadable { .. } => Code::MessageCorrupted,
            // Clients move no groups.
            EngineError::ResetMidway { .. } => Code::InternalServerError,
            EngineError::Stopping | EngineError::Unknown | EngineError::Read(_) => Code::InternalServerError,
            EngineError::Refused(refused) => return refused.clone().into(),
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let code = match &refused {
            Refused::OutOfBounds(_) => Code::BadRequest,
            // No code of the protocol's is about this; this one does not make clients try again after a wait.
            Refused::Full(..) | Refused::Closed(_) => Code::Forbidden,
            Refused::NoTopic(_) | Refused::NoQueue(..) => Code::TopicNotFound,
            Refused::NoGroup(_) => Code::ConsumerGroupNotFound,
            Refused::KindNotTaken(_) => Code::MessagePropertyConflictWithType,
            Refused::NotSubscribed(..) | Refused::NotHeld => Code::InvalidReceiptHandle,
            // Retention has it elsewhere in a moment.
            Refused::Leaving(_) => Code::TooManyRequests,
            Refused::Malformed(_)
            | Refused::Bounds { .. }
            | Refused::Level { .. }
            | Refused::TopicExists(_)
            | Refused::GroupExists(_)
            | Refused::Generation { .. }
            | Refused::Epoch { .. }
            | Refused::NotEmpty(_)
            | Refused::QueuesShrink { .. }
            | Refused::InUse(_) => Code::InternalServerError,
        };
        Self {
            code,
            message: refused.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::quirks::rust;
    use sluice_core::ids::{QueueOffset, TopicId};

    /// In a queue that goes from 2 to 4.
    fn outside(offset: i64) -> EngineError {
        EngineError::OffsetOutside {
            topic: "t".into(),
            queue: 0,
            offset,
            min: 2,
            max: 4,
        }
    }

    fn unreadable(offset: u64) -> EngineError {
        EngineError::Unreadable {
            topic: "t".into(),
            queue: 0,
            offset,
            cause: "damaged".into(),
        }
    }

    #[test]
    fn a_pull_that_has_failed_is_told_where_it_can_go_on_if_it_can() {
        for (error, next) in [
            (outside(i64::MIN), Some(2)),
            (outside(-1), Some(2)),
            (outside(1), Some(2)),
            (outside(5), Some(4)),
            (outside(i64::MAX), Some(4)),
            (unreadable(7), Some(8)),
            (EngineError::TopicDeleted("t".into()), None),
        ] {
            assert_eq!(error.goes_on_at(), next.map(QueueOffset), "{error:?}");
        }
    }

    #[test]
    fn each_error_of_the_engine_has_its_code() {
        for (error, code) in [
            (EngineError::Busy, Code::TooManyRequests),
            (
                EngineError::Late(std::time::Duration::from_millis(500)),
                Code::TooManyRequests,
            ),
            (EngineError::PollsFull(1), Code::TooManyRequests),
            (EngineError::NoSpace, Code::TooManyRequests),
            (EngineError::NotPermitted, Code::TooManyRequests),
            (EngineError::NoDescriptors, Code::TooManyRequests),
            (EngineError::NearlyFull, Code::TooManyRequests),
            (
                EngineError::TooLarge { size: 2, max: 1 },
                Code::MessageBodyTooLarge,
            ),
            (EngineError::Stopping, Code::InternalServerError),
            (EngineError::NotLeader(None), Code::HaNotAvailable),
            (EngineError::Unknown, Code::InternalServerError),
            (EngineError::TopicNotMade("t".into()), Code::TopicNotFound),
            (
                EngineError::GroupTopicNotFound("%DLQ%g".into()),
                Code::TopicNotFound,
            ),
            (EngineError::TopicDeleted("t".into()), Code::TopicNotFound),
            (EngineError::TopicClosed("t".into()), Code::Forbidden),
            (outside(5), Code::IllegalOffset),
            (
                EngineError::NoOffset {
                    group: "g".into(),
                    topic: "t".into(),
                },
                Code::OffsetNotFound,
            ),
            (unreadable(7), Code::MessageCorrupted),
            (EngineError::GroupDeleted("g".into()), Code::ConsumerGroupNotFound),
            (EngineError::Refused(Refused::Full("topics", 1)), Code::Forbidden),
            (EngineError::Refused(Refused::Closed(TopicId(1))), Code::Forbidden),
            (EngineError::Refused(Refused::NotHeld), Code::InvalidReceiptHandle),
            (
                EngineError::Refused(Refused::KindNotTaken(TopicId(1))),
                Code::MessagePropertyConflictWithType,
            ),
        ] {
            assert_eq!(Failure::from(error.clone()).code, code, "{error:?}");
        }
    }

    #[test]
    fn the_status_over_entries_is_theirs_where_they_agree() {
        let entries = |codes: &[Code]| codes.iter().map(|code| Some(plain(*code))).collect::<Vec<_>>();
        for (codes, expected) in [
            (&[][..], Code::Ok),
            (&[Code::Ok, Code::Ok], Code::Ok),
            (&[Code::InvalidReceiptHandle], Code::InvalidReceiptHandle),
            (&[Code::Ok, Code::InvalidReceiptHandle], Code::MultipleResults),
        ] {
            assert_eq!(over(entries(codes).iter()).code, i32::from(expected), "{codes:?}");
        }
    }

    // Quirk rust-code.
    #[test]
    fn the_old_rust_client_is_told_codes_that_it_knows() {
        let empty = || Failure::from(Invalid::BodyEmpty);
        assert_eq!(rust::known_to("RUST", empty()).code, Code::BadRequest);
        assert_eq!(rust::known_to("JAVA", empty()).code, Code::MessageBodyEmpty);
    }
}
