//! Why a broker did not do what it was asked.

use tonic::{Code, Status};

/// The trailing metadata in which the admin API names the exact reason (docs/admin-api.md, "Refusals").
const REASON: &str = "sluice-reason";

/// A call that was not answered as hoped, by what a caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// There is no such topic, group, queue or key.
    #[error("{0}")]
    NotFound(String),
    /// There is one of that name already.
    #[error("{0}")]
    Exists(String),
    /// It has another generation than expected: somebody has changed it in between.
    #[error("{0}")]
    Conflict(String),
    /// Nothing can be as asked.
    #[error("{0}")]
    Invalid(String),
    /// It has messages that are not done, and was to be deleted only without any.
    #[error("{0}")]
    NotEmpty(String),
    /// Something of it is in flight, and it was to be changed in a way that takes a rest.
    #[error("{0}")]
    InUse(String),
    /// It cannot be as asked in the state that it is in.
    #[error("{0}")]
    Refused(String),
    /// Another writer has fenced since this one did.
    #[error("{0}")]
    StaleEpoch(String),
    /// The broker does not know this operator.
    #[error("{0}")]
    Unauthenticated(String),
    /// It has as many as it takes, too much to do or no room.
    #[error("{0}")]
    Exhausted(String),
    /// Nobody answers, or not in time, or not as a broker does.
    #[error("{0}")]
    Unavailable(String),
    /// It may have been done or not.
    #[error("{0}")]
    Unknown(String),
    /// A fault of the broker's.
    #[error("{0}")]
    Faulty(String),
    /// This process leads no longer, and must not write.
    #[error("this replica of the operator leads no longer")]
    NotLeading,
}

impl BrokerError {
    /// Whether the same call can succeed later without anybody changing what it asks for.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Exists(_)
            | Self::Conflict(_)
            | Self::NotEmpty(_)
            | Self::InUse(_)
            | Self::Unauthenticated(_)
            | Self::Exhausted(_)
            | Self::Unavailable(_)
            | Self::Unknown(_)
            | Self::Faulty(_) => true,
            Self::NotFound(_)
            | Self::Invalid(_)
            | Self::Refused(_)
            | Self::StaleEpoch(_)
            | Self::NotLeading => false,
        }
    }

    /// A word for it, for metrics and conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "NotFound",
            Self::Exists(_) => "Exists",
            Self::Conflict(_) => "Conflict",
            Self::Invalid(_) => "Invalid",
            Self::NotEmpty(_) => "NotEmpty",
            Self::InUse(_) => "InUse",
            Self::Refused(_) => "Refused",
            Self::StaleEpoch(_) => "StaleEpoch",
            Self::Unauthenticated(_) => "Unauthenticated",
            Self::Exhausted(_) => "Exhausted",
            Self::Unavailable(_) => "Unavailable",
            Self::Unknown(_) => "Unknown",
            Self::Faulty(_) => "Faulty",
            Self::NotLeading => "NotLeading",
        }
    }

    /// The answer of the broker at this address.
    pub(super) fn of(address: &str, status: &Status) -> Self {
        let reason = status
            .metadata()
            .get(REASON)
            .and_then(|reason| reason.to_str().ok());
        let text = || {
            if status.message().is_empty() {
                format!("the broker at {address}: {}", status.code().description())
            } else {
                format!("the broker at {address}: {}", status.message())
            }
        };
        let Some(reason) = reason else {
            return Self::unanswered(address, status);
        };
        let of = match (reason, status.code()) {
            ("GENERATION_STALE", _) => Self::Conflict,
            ("EPOCH_STALE", _) => Self::StaleEpoch,
            ("TOPIC_NOT_EMPTY" | "GROUP_NOT_EMPTY", _) => Self::NotEmpty,
            ("GROUP_IN_USE", _) => Self::InUse,
            ("NOT_LEADER", _) => Self::Unavailable,
            ("OUTCOME_UNKNOWN", _) => Self::Unknown,
            (_, Code::NotFound) => Self::NotFound,
            (_, Code::AlreadyExists) => Self::Exists,
            (_, Code::InvalidArgument) => Self::Invalid,
            (_, Code::FailedPrecondition | Code::Unimplemented) => Self::Refused,
            (_, Code::Unauthenticated | Code::PermissionDenied) => Self::Unauthenticated,
            (_, Code::ResourceExhausted) => Self::Exhausted,
            (_, Code::Unavailable) => Self::Unavailable,
            _ => Self::Faulty,
        };
        of(text())
    }

    /// Without a reason no broker has answered: the connection broke, time was up, or it was somebody else.
    fn unanswered(address: &str, status: &Status) -> Self {
        match status.code() {
            Code::Unimplemented => Self::Unavailable(format!(
                "{address} does not serve this part of the admin API: it may be another port, or an older broker"
            )),
            Code::ResourceExhausted => {
                Self::Exhausted(format!("the broker at {address}: {}", status.message()))
            }
            // The timeout of a call that was under way.
            Code::DeadlineExceeded | Code::Cancelled => {
                Self::Unavailable(format!("the broker at {address} did not answer in time"))
            }
            _ => {
                let cause =
                    std::error::Error::source(status).map_or_else(|| status.message().to_owned(), causes);
                Self::Unavailable(format!("no broker can be reached at {address}: {cause}"))
            }
        }
    }
}

/// Everything that an error says, each cause once.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    // What it was while doing says little once there is a cause.
    if parts.len() > 1 {
        parts.retain(|part| part != "transport error" && part != "client error (Connect)");
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::metadata::MetadataMap;

    fn of(code: Code, reason: &'static str) -> BrokerError {
        let mut metadata = MetadataMap::new();
        if !reason.is_empty() {
            metadata.insert(REASON, reason.parse().unwrap());
        }
        BrokerError::of("db:8082", &Status::with_metadata(code, "its words", metadata))
    }

    #[test]
    fn each_answer_of_the_admin_api_is_of_one_kind() {
        for (code, reason, kind, retryable) in [
            (Code::NotFound, "TOPIC_NOT_FOUND", "NotFound", false),
            (Code::AlreadyExists, "GROUP_EXISTS", "Exists", true),
            (Code::Aborted, "GENERATION_STALE", "Conflict", true),
            (Code::InvalidArgument, "SPEC_INVALID", "Invalid", false),
            (Code::InvalidArgument, "TOPIC_NAME_INVALID", "Invalid", false),
            (Code::FailedPrecondition, "TOPIC_NOT_EMPTY", "NotEmpty", true),
            (Code::FailedPrecondition, "GROUP_NOT_EMPTY", "NotEmpty", true),
            (Code::FailedPrecondition, "QUEUES_SHRINK", "Refused", false),
            (Code::FailedPrecondition, "GROUP_IN_USE", "InUse", true),
            (Code::FailedPrecondition, "NOT_LEADER", "Unavailable", true),
            (Code::FailedPrecondition, "EPOCH_STALE", "StaleEpoch", false),
            (Code::Unauthenticated, "TOKEN_WRONG", "Unauthenticated", true),
            (Code::ResourceExhausted, "BUSY", "Exhausted", true),
            (Code::Unavailable, "STOPPING", "Unavailable", true),
            (Code::Unknown, "OUTCOME_UNKNOWN", "Unknown", true),
            (Code::Internal, "INTERNAL", "Faulty", true),
            (Code::Unavailable, "", "Unavailable", true),
            (Code::DeadlineExceeded, "", "Unavailable", true),
            (Code::Cancelled, "", "Unavailable", true),
            (Code::Unimplemented, "", "Unavailable", true),
            (Code::Unknown, "", "Unavailable", true),
        ] {
            let error = of(code, reason);
            assert_eq!(
                (error.reason(), error.retryable()),
                (kind, retryable),
                "{code:?} {reason}"
            );
            assert!(error.to_string().contains("db:8082"), "{error}");
        }
    }
}
