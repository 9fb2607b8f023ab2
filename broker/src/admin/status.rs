//! What callers of the admin API are told: the one place where an error becomes a gRPC code and a reason, which is in the
//! trailing metadata `sluice-reason`. The reasons are listed in docs/admin-api.md.

use crate::engine::EngineError;
use crate::service::validate::Invalid;
use sluice_core::state::Refused;
use thiserror::Error;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

const REASON: &str = "sluice-reason";

/// Why a call was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    code: Code,
    /// In upper snake case, for programs.
    reason: &'static str,
    /// For people: what is wrong, and what to do.
    message: String,
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let mut metadata = MetadataMap::new();
        metadata.insert(REASON, MetadataValue::from_static(failure.reason));
        Self::with_metadata(failure.code, failure.message, metadata)
    }
}

/// Why a caller is not let in. No text tells a token.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Denied {
    /// Plaintext where certificates are asked for.
    #[error(
        "this port takes TLS only, for the broker was given --admin-client-ca: call it with TLS, and with a certificate that this CA has signed or a token"
    )]
    Plaintext,
    /// Nothing to be let in by.
    #[error(
        "the call has no token: send 'authorization: Bearer TOKEN' with a token of the broker's --admin-token-file{}",
        if *or_certificate { ", or show a certificate that its --admin-client-ca has signed" } else { "" }
    )]
    NoToken {
        /// Whether a certificate would do.
        or_certificate: bool,
    },
    /// A token that is none.
    #[error(
        "the token is not one of the broker's: take one that stands in its --admin-token-file, which is read again a few seconds after it changes"
    )]
    WrongToken,
    /// No certificate where nothing else would do.
    #[error(
        "the call came without a client certificate: show one that the broker's --admin-client-ca has signed"
    )]
    NoCertificate,
}

/// What of a request cannot be followed, or names what is not there.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Wrong {
    /// A page's token that this list has not given.
    #[error(
        "the page token is not one that this list has given: leave it out for the first page, and take the others' from the page before, with the same filters"
    )]
    PageToken,
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        let reason = match &denied {
            Denied::Plaintext => "TLS_REQUIRED",
            Denied::NoToken { .. } => "TOKEN_MISSING",
            Denied::WrongToken => "TOKEN_WRONG",
            Denied::NoCertificate => "CERTIFICATE_MISSING",
        };
        Self {
            code: Code::Unauthenticated,
            reason,
            message: denied.to_string(),
        }
    }
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        let (code, reason) = match &wrong {
            Wrong::PageToken => (Code::InvalidArgument, "PAGE_TOKEN_INVALID"),
        };
        Self {
            code,
            reason,
            message: wrong.to_string(),
        }
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        let reason = match &invalid {
            Invalid::Topic(_) => "TOPIC_NAME_INVALID",
            Invalid::Group(_) => "GROUP_NAME_INVALID",
            Invalid::Filter(_) | Invalid::FilterType => "EXPRESSION_INVALID",
            _ => "REQUEST_INVALID",
        };
        Self {
            code: Code::InvalidArgument,
            reason,
            message: invalid.to_string(),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let (code, reason) = match &error {
            EngineError::Busy | EngineError::PollsFull(_) => (Code::ResourceExhausted, "BUSY"),
            EngineError::NoSpace => (Code::ResourceExhausted, "DISK_FULL"),
            EngineError::TooLarge { .. } => (Code::InvalidArgument, "TOO_LARGE"),
            EngineError::Stopping => (Code::Unavailable, "STOPPING"),
            EngineError::NotLeader(_) => (Code::FailedPrecondition, "NOT_LEADER"),
            // Whoever repeats the call with the generation it expects finds out.
            EngineError::Unknown => (Code::Unknown, "OUTCOME_UNKNOWN"),
            EngineError::NoTopic(_)
            | EngineError::TopicDeleted(_)
            | EngineError::TopicNotFound(_)
            | EngineError::TopicNotMade(_)
            | EngineError::GroupTopicNotFound(_) => (Code::NotFound, "TOPIC_NOT_FOUND"),
            EngineError::NoGroup(_) | EngineError::GroupDeleted(_) => (Code::NotFound, "GROUP_NOT_FOUND"),
            EngineError::NoQueue { .. } => (Code::NotFound, "QUEUE_NOT_FOUND"),
            EngineError::NotReading { .. } => (Code::FailedPrecondition, "NOT_SUBSCRIBED"),
            EngineError::Invalid(_) => (Code::InvalidArgument, "REQUEST_INVALID"),
            EngineError::Read(_) => (Code::Internal, "STORE_UNREADABLE"),
            EngineError::Refused(refused) => return refused.clone().into(),
        };
        Self {
            code,
            reason,
            message: error.to_string(),
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let (code, reason) = match &refused {
            Refused::OutOfBounds(_) => (Code::InvalidArgument, "OUT_OF_BOUNDS"),
            Refused::Full(..) => (Code::ResourceExhausted, "LIMIT_REACHED"),
            Refused::NoTopic(_) => (Code::NotFound, "TOPIC_NOT_FOUND"),
            Refused::NoQueue(..) => (Code::NotFound, "QUEUE_NOT_FOUND"),
            Refused::NoGroup(_) => (Code::NotFound, "GROUP_NOT_FOUND"),
            Refused::TopicExists(_) => (Code::AlreadyExists, "TOPIC_EXISTS"),
            Refused::GroupExists(_) => (Code::AlreadyExists, "GROUP_EXISTS"),
            Refused::Generation { .. } => (Code::Aborted, "GENERATION_STALE"),
            Refused::Epoch { .. } => (Code::Aborted, "EPOCH_STALE"),
            Refused::QueuesShrink { .. } => (Code::FailedPrecondition, "QUEUES_SHRINK"),
            Refused::InUse(_) => (Code::FailedPrecondition, "GROUP_IN_USE"),
            Refused::NotEmpty(_) => (Code::FailedPrecondition, "NOT_EMPTY"),
            Refused::NotSubscribed(..) => (Code::FailedPrecondition, "NOT_SUBSCRIBED"),
            Refused::Closed(_)
            | Refused::KindNotTaken(_)
            | Refused::NotHeld
            | Refused::Malformed(_)
            | Refused::Level { .. } => (Code::Internal, "INTERNAL"),
        };
        Self {
            code,
            reason,
            message: refused.to_string(),
        }
    }
}
