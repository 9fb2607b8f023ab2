//! What clients are told: the one place where an error becomes a code of the protocol.
//!
//! Clients know these codes since 2022, with one exception that [`Failure::known_to`] takes care of.

use super::validate::Invalid;
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
    /// With a code that the client's language knows: the Rust client 5.0.0 panics on codes added after it.
    pub fn known_to(self, language: &str) -> Self {
        match self.code {
            Code::MessageBodyEmpty if language.eq_ignore_ascii_case("RUST") => Self {
                code: Code::BadRequest,
                ..self
            },
            _ => self,
        }
    }

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
            Invalid::Request(_) | Invalid::Broker(_) | Invalid::Settings { .. } => Code::BadRequest,
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
            Invalid::Type { .. } => Code::MessagePropertyConflictWithType,
            Invalid::Filter(_) | Invalid::FilterType => Code::IllegalFilterExpression,
            Invalid::Invisible { .. } => Code::IllegalInvisibleTime,
            Invalid::Handle => Code::InvalidReceiptHandle,
            Invalid::UnknownClient => Code::UnrecognizedClientType,
            Invalid::ClientsFull(_) | Invalid::Overload(_) => Code::TooManyRequests,
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
        Invalid::ClientsFull(full.0).into()
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let code = match &error {
            // A full disk too: nothing was stored, and this is the one code on which clients wait before they try again.
            // The persistence timeouts say that a message is there, and only not synced yet.
            EngineError::Busy | EngineError::PollsFull(_) | EngineError::NoSpace => Code::TooManyRequests,
            EngineError::TooLarge { .. } => Code::MessageBodyTooLarge,
            EngineError::NotLeader(_) => Code::HaNotAvailable,
            EngineError::TopicNotFound(_)
            | EngineError::TopicNotMade(_)
            | EngineError::GroupTopicNotFound(_)
            | EngineError::TopicDeleted(_)
            | EngineError::NoTopic(_)
            | EngineError::NoQueue { .. } => Code::TopicNotFound,
            // As RocketMQ answers for a topic without permission to write.
            EngineError::TopicClosed(_) => Code::Forbidden,
            EngineError::GroupDeleted(_) | EngineError::NoGroup(_) => Code::ConsumerGroupNotFound,
            EngineError::NotReading { .. } | EngineError::Invalid(_) => Code::BadRequest,
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
            Refused::Malformed(_)
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
    use sluice_core::ids::TopicId;

    #[test]
    fn each_error_of_the_engine_has_its_code() {
        for (error, code) in [
            (EngineError::Busy, Code::TooManyRequests),
            (EngineError::PollsFull(1), Code::TooManyRequests),
            (EngineError::NoSpace, Code::TooManyRequests),
            (
                EngineError::TooLarge { size: 2, max: 1 },
                Code::MessageBodyTooLarge,
            ),
            (EngineError::Stopping, Code::InternalServerError),
            (EngineError::NotLeader(None), Code::HaNotAvailable),
            (EngineError::Unknown, Code::InternalServerError),
            (EngineError::TopicNotFound("t".into()), Code::TopicNotFound),
            (EngineError::TopicNotMade("t".into()), Code::TopicNotFound),
            (
                EngineError::GroupTopicNotFound("%DLQ%g".into()),
                Code::TopicNotFound,
            ),
            (EngineError::TopicDeleted("t".into()), Code::TopicNotFound),
            (EngineError::TopicClosed("t".into()), Code::Forbidden),
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

    #[test]
    fn the_old_rust_client_is_told_codes_that_it_knows() {
        let empty = || Failure::from(Invalid::BodyEmpty);
        assert_eq!(empty().known_to("RUST").code, Code::BadRequest);
        assert_eq!(empty().known_to("JAVA").code, Code::MessageBodyEmpty);
    }
}
