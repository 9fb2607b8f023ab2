//! What callers of the admin API are told: the one place where an error becomes a gRPC code and a reason, which is in the
//! trailing metadata `sluice-reason`.

use super::reason::Reason;
use crate::clients::AskError;
use crate::config::ChangeError;
use crate::engine::EngineError;
use crate::engine::find::FindError;
use crate::service::ask::QuestionError;
use crate::service::invalid::Invalid;
use sluice_core::state::Refused;
use thiserror::Error;
use tonic::Status;
use tonic::metadata::{MetadataMap, MetadataValue};

const REASON: &str = "sluice-reason";

/// Why a call was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For programs.
    pub reason: Reason,
    /// For people: what is wrong, and what to do.
    pub message: String,
}

impl From<Failure> for Status {
    fn from(Failure { reason, message }: Failure) -> Self {
        let mut metadata = MetadataMap::new();
        metadata.insert(REASON, MetadataValue::from_static(reason.text()));
        Self::with_metadata(reason.code(), message, metadata)
    }
}

/// What a change is about: apply knows numbers, and people names.
#[derive(Clone, Copy, Debug)]
pub enum About<'a> {
    /// A topic.
    Topic(&'a str),
    /// A consumer group.
    Group(&'a str),
}

impl About<'_> {
    /// Why the change was not made, with the name of what it is about.
    pub fn failure(self, error: EngineError) -> Failure {
        if let EngineError::ResetMidway { done, of, cause } = error {
            let Failure { reason, message } = self.failure(*cause);
            let cause = Box::new(EngineError::Invalid(message));
            let message = EngineError::ResetMidway { done, of, cause }.to_string();
            return Failure { reason, message };
        }
        let EngineError::Refused(refused) = error else {
            return error.into();
        };
        let (what, name) = match self {
            Self::Topic(name) => ("topic", name),
            Self::Group(name) => ("consumer group", name),
        };
        let message = match &refused {
            Refused::TopicExists(_) | Refused::GroupExists(_) => {
                format!("there is a {what} '{name}' already: update it instead")
            }
            Refused::NoTopic(_) | Refused::NoGroup(_) => format!("{what} '{name}' was deleted meanwhile"),
            refused => format!("{what} '{name}': {refused}"),
        };
        let reason = match (self, &refused) {
            (Self::Group(_), Refused::NotEmpty(_)) => Reason::GroupNotEmpty,
            _ => Failure::from(refused).reason,
        };
        Failure { reason, message }
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
    /// It would be, but for all those that run already.
    #[error("{0} admin calls run already: call again after a moment")]
    TooMany(usize),
}

/// What of a request cannot be followed, or names what is not there.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Wrong {
    /// A page's token that this list has not given.
    #[error(
        "the page token is not one that this list has given: leave it out for the first page, and take the others' from the page before, with the same filters"
    )]
    PageToken,
    /// A specification that nothing can have.
    #[error("{0}")]
    Spec(String),
    /// Something else.
    #[error("{0}")]
    Request(String),
    /// Nobody of this id.
    #[error("there is no client '{0}': list the clients to see which there are")]
    NoClient(String),
}

impl From<sluice_access::Denied> for Denied {
    fn from(denied: sluice_access::Denied) -> Self {
        use sluice_access::Denied;
        match denied {
            Denied::Plaintext => Self::Plaintext,
            Denied::NoToken { or_certificate } => Self::NoToken { or_certificate },
            Denied::WrongToken => Self::WrongToken,
            Denied::NoCertificate => Self::NoCertificate,
        }
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        let reason = match &denied {
            Denied::Plaintext => Reason::TlsRequired,
            Denied::NoToken { .. } => Reason::TokenMissing,
            Denied::WrongToken => Reason::TokenWrong,
            Denied::NoCertificate => Reason::CertificateMissing,
            Denied::TooMany(_) => Reason::Busy,
        };
        Self::new(reason, &denied)
    }
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        let reason = match &wrong {
            Wrong::PageToken => Reason::PageTokenInvalid,
            Wrong::Spec(_) => Reason::SpecInvalid,
            Wrong::Request(_) => Reason::RequestInvalid,
            Wrong::NoClient(_) => Reason::ClientNotFound,
        };
        Self::new(reason, &wrong)
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        let reason = match &invalid {
            Invalid::Topic(_) => Reason::TopicNameInvalid,
            Invalid::Group(_) => Reason::GroupNameInvalid,
            _ => Reason::RequestInvalid,
        };
        Self::new(reason, &invalid)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let reason = match &error {
            EngineError::Busy | EngineError::Late(_) | EngineError::PollsFull(_) => Reason::Busy,
            EngineError::NoSpace | EngineError::NearlyFull => Reason::DiskFull,
            EngineError::NotPermitted | EngineError::NoDescriptors => Reason::FolderClosed,
            EngineError::TooLarge { .. } => Reason::TooLarge,
            EngineError::Stopping => Reason::Stopping,
            EngineError::NotLeader(_) => Reason::NotLeader,
            EngineError::Unknown => Reason::OutcomeUnknown,
            // Nothing of this API sends or pulls.
            EngineError::TopicClosed(_)
            | EngineError::OffsetOutside { .. }
            | EngineError::NoOffset { .. }
            | EngineError::Unread(_)
            | EngineError::OwnUnread(_)
            | EngineError::Unreadable { .. } => Reason::Internal,
            EngineError::NoTopic(_)
            | EngineError::TopicDeleted(_)
            | EngineError::TopicNotMade(_)
            | EngineError::GroupTopicNotFound(_) => Reason::TopicNotFound,
            EngineError::NoGroup(_) | EngineError::GroupDeleted(_) => Reason::GroupNotFound,
            EngineError::NoGroupName { .. } => Reason::GroupNameInvalid,
            EngineError::NoQueue { .. } => Reason::QueueNotFound,
            EngineError::NotReading { .. } => Reason::NotSubscribed,
            EngineError::Invalid(_) => Reason::RequestInvalid,
            EngineError::Read(_) => Reason::StoreUnreadable,
            EngineError::ResetMidway { cause, .. } => Self::from((**cause).clone()).reason,
            EngineError::Refused(refused) => return refused.clone().into(),
        };
        Self::new(reason, &error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let reason = match &refused {
            Refused::OutOfBounds(_) => Reason::SpecInvalid,
            Refused::Full(..) => Reason::LimitReached,
            Refused::NoTopic(_) => Reason::TopicNotFound,
            Refused::NoQueue(..) => Reason::QueueNotFound,
            Refused::NoGroup(_) => Reason::GroupNotFound,
            Refused::TopicExists(_) => Reason::TopicExists,
            Refused::GroupExists(_) => Reason::GroupExists,
            Refused::Generation { .. } => Reason::GenerationStale,
            Refused::Epoch { .. } => Reason::EpochStale,
            Refused::QueuesShrink { .. } => Reason::QueuesShrink,
            Refused::InUse(_) => Reason::GroupInUse,
            Refused::NotEmpty(_) => Reason::TopicNotEmpty,
            Refused::NotSubscribed(..) => Reason::NotSubscribed,
            Refused::Closed(_)
            | Refused::KindNotTaken(_)
            | Refused::NotHeld
            | Refused::Malformed(_)
            | Refused::Leaving(_)
            | Refused::Bounds { .. }
            | Refused::Level { .. } => Reason::Internal,
        };
        Self::new(reason, &refused)
    }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        let reason = match &error {
            FindError::NoTopic(_) => Reason::TopicNotFound,
            FindError::NoQueue { .. } => Reason::QueueNotFound,
            FindError::NoId(_) | FindError::NoIdSince { .. } | FindError::NoOffset { .. } => {
                Reason::MessageNotFound
            }
            FindError::Position(_) => Reason::PageTokenInvalid,
            FindError::Unreadable { .. } => Reason::MessageUnreadable,
            FindError::Read(_) => Reason::StoreUnreadable,
        };
        Self::new(reason, &error)
    }
}

impl From<QuestionError> for Failure {
    fn from(error: QuestionError) -> Self {
        let reason = match &error {
            QuestionError::Refused { .. } => Reason::ClientRefuses,
            QuestionError::Damaged(_) => Reason::MessageUnreadable,
            QuestionError::Unanswered(why) => match why {
                AskError::NoClient(_) => Reason::ClientNotFound,
                AskError::NotConnected(_) | AskError::NotReading(_) | AskError::Gone(_) => {
                    Reason::ClientNotConnected
                }
                AskError::TimedOut { .. } => Reason::ClientSilent,
                AskError::Full(_) => Reason::Busy,
                AskError::NoNonce(_) => Reason::Internal,
            },
        };
        Self::new(reason, &error)
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        let reason = match &error {
            ChangeError::Unknown { .. } => Reason::KeyNotFound,
            ChangeError::Fixed(_) => Reason::KeyFixed,
            ChangeError::Value { .. } | ChangeError::Together(_) => Reason::ValueInvalid,
        };
        Self::new(reason, &error)
    }
}

impl Failure {
    fn new(reason: Reason, error: &impl std::error::Error) -> Self {
        Self {
            reason,
            message: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::QueueReset;
    use sluice_core::ids::{GroupId, QueueId, QueueOffset, TopicId};
    use sluice_core::state::FloorMove;

    #[test]
    fn a_refusal_names_what_it_is_about() {
        let refused = |about: About<'_>, refused: Refused| about.failure(EngineError::Refused(refused));
        for (failure, reason, text) in [
            (
                refused(About::Topic("orders"), Refused::TopicExists(TopicId(7))),
                Reason::TopicExists,
                "there is a topic 'orders' already: update it instead",
            ),
            (
                refused(About::Topic("orders"), Refused::NotEmpty(3)),
                Reason::TopicNotEmpty,
                "topic 'orders': it is not empty: 3 messages are not done",
            ),
            (
                refused(About::Group("billing"), Refused::NotEmpty(3)),
                Reason::GroupNotEmpty,
                "consumer group 'billing': it is not empty",
            ),
            (
                refused(About::Group("billing"), Refused::NoGroup(GroupId(7))),
                Reason::GroupNotFound,
                "consumer group 'billing' was deleted meanwhile",
            ),
            (
                refused(
                    About::Group("billing"),
                    Refused::Generation {
                        expected: 1,
                        present: 2,
                    },
                ),
                Reason::GenerationStale,
                "consumer group 'billing': its generation is 2, not 1",
            ),
        ] {
            assert_eq!(failure.reason, reason, "{failure:?}");
            assert!(failure.message.starts_with(text), "{failure:?}");
        }
        assert_eq!(About::Topic("t").failure(EngineError::Busy).reason, Reason::Busy);
    }

    #[test]
    fn a_reset_that_ended_midway_says_why_and_what_it_did() {
        let moved = |queue, skipped| QueueReset {
            queue: QueueId(queue),
            min: QueueOffset(0),
            max: QueueOffset(9),
            moved: FloorMove {
                skipped,
                voided: 1,
                ..FloorMove::default()
            },
        };
        let midway = |cause| EngineError::ResetMidway {
            done: vec![moved(0, 4), moved(2, 5)],
            of: 600,
            cause: Box::new(cause),
        };
        let deleted = Refused::NoGroup(GroupId(7)).into();
        for (cause, reason, text) in [
            (EngineError::Busy, Reason::Busy, "the broker is busy"),
            (
                EngineError::Unknown,
                Reason::OutcomeUnknown,
                "the outcome is not known",
            ),
            (
                deleted,
                Reason::GroupNotFound,
                "consumer group 'billing' was deleted",
            ),
        ] {
            let failure = About::Group("billing").failure(midway(cause));
            assert_eq!(failure.reason, reason, "{failure:?}");
            assert!(failure.message.starts_with(text), "{failure:?}");
            let done = "2 of 600 queues were moved before, up to queue 2: 9 messages are skipped, 0 come again, 2 deliveries are void";
            assert!(failure.message.contains(done), "{failure:?}");
        }
        assert_eq!(
            Failure::from(midway(EngineError::NoSpace)).reason,
            Reason::DiskFull
        );
    }

    #[test]
    fn each_error_of_the_engine_has_its_reason() {
        let name = || "x".to_owned();
        for (error, reason) in [
            (EngineError::Busy, Reason::Busy),
            (EngineError::NoSpace, Reason::DiskFull),
            (EngineError::NearlyFull, Reason::DiskFull),
            (EngineError::NotPermitted, Reason::FolderClosed),
            (EngineError::NoDescriptors, Reason::FolderClosed),
            (EngineError::TooLarge { size: 2, max: 1 }, Reason::TooLarge),
            (EngineError::Stopping, Reason::Stopping),
            (EngineError::NotLeader(None), Reason::NotLeader),
            (EngineError::Unknown, Reason::OutcomeUnknown),
            (EngineError::TopicDeleted(name()), Reason::TopicNotFound),
            (EngineError::GroupDeleted(name()), Reason::GroupNotFound),
            (EngineError::Invalid(name()), Reason::RequestInvalid),
            (EngineError::Read(name()), Reason::StoreUnreadable),
            (Refused::Full("topics", 1).into(), Reason::LimitReached),
            (Refused::OutOfBounds("it").into(), Reason::SpecInvalid),
            (Refused::NotHeld.into(), Reason::Internal),
        ] {
            assert_eq!(Failure::from(error.clone()).reason, reason, "{error:?}");
        }
    }

    #[test]
    fn a_status_carries_code_reason_and_text() {
        let status = Status::from(Failure::from(Denied::WrongToken));
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
        assert_eq!(status.metadata().get(REASON).unwrap(), "TOKEN_WRONG");
        assert!(status.message().contains("--admin-token-file"));
    }
}
