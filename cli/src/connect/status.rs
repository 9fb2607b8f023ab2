//! Why a call was refused: the broker's answer as a failure with an exit code.

use super::refused;
use super::unreachable::{Purpose, causes, unreachable};
use crate::failure::{Failure, Kind};
use crate::settings::Address;
use sluice_proto::v2;
use tonic::{Code, Status};

/// The trailing metadata in which the admin API names the exact reason.
const REASON: &str = "sluice-reason";

/// What there is to do with a topic that the broker makes for itself.
const LETTERS: &str = "dead letters are kept as long as the broker keeps messages (`sluicectl config get retentionHours`); `sluicectl group update GROUP --max-attempts N` decides when a message becomes one";

/// What a call was about, for its failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Such as "topic 'orders'".
    object: String,
}

impl Asked {
    /// About the broker.
    pub fn broker() -> Self {
        Self::default()
    }

    /// About a topic.
    pub fn topic(name: &str) -> Self {
        Self {
            object: format!("topic '{name}'"),
        }
    }

    /// About a consumer group.
    pub fn group(name: &str) -> Self {
        Self {
            object: format!("group '{name}'"),
        }
    }

    /// About a client.
    pub fn client(id: &str) -> Self {
        Self {
            object: format!("client '{id}'"),
        }
    }

    /// About a message.
    pub fn message(id: &str) -> Self {
        Self {
            object: format!("message {id}"),
        }
    }

    /// The failure that an admin call's status is.
    pub(super) fn failure(&self, address: &Address, tls: bool, status: &Status) -> Failure {
        let reason = status
            .metadata()
            .get(REASON)
            .and_then(|reason| reason.to_str().ok())
            .map(str::to_owned);
        // Without a reason nobody has answered: the connection broke, or it was no broker.
        if reason.is_none() && matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Unknown) {
            let cause = std::error::Error::source(status).map_or_else(|| status.message().to_owned(), causes);
            return unreachable(address, &cause, tls, Purpose::Admin);
        }
        if reason.is_none() && status.code() == Code::Unimplemented {
            return Failure::new(Kind::Failed, format!("{address} does not serve this part of the admin API")).hint(
                "it may be the port for clients, or the broker may be older than this sluicectl; its --admin-listen is the one",
            );
        }
        let (kind, hint) = advice(status.code(), reason.as_deref());
        let hint = match reason.as_deref() {
            // Of such names it is not the letters that are wrong.
            Some("TOPIC_NAME_INVALID") if status.message().contains("is the broker's own") => {
                Some(LETTERS.to_owned())
            }
            _ => hint,
        };
        Failure {
            kind,
            object: self.object.clone(),
            message: match reason.as_deref() {
                Some("SPEC_INVALID") => with_flags(&text(status)),
                _ => text(status),
            },
            hint: hint.or_else(|| self.not_found_hint(kind, reason.as_deref(), status.message())),
            reason,
        }
    }

    /// What is not there is in the broker's reason: it need not be what was asked about. Without one it is taken to be.
    fn not_found_hint(&self, kind: Kind, reason: Option<&str>, text: &str) -> Option<String> {
        let (asked, _) = self.object.split_once(' ').filter(|_| kind == Kind::NotFound)?;
        let what = match reason {
            Some("TOPIC_NOT_FOUND") => "topic",
            Some("QUEUE_NOT_FOUND") => "queue",
            Some("GROUP_NOT_FOUND" | "CONSUMER_GROUP_NOT_FOUND") => "group",
            Some("CLIENT_NOT_FOUND") => "client",
            Some("MESSAGE_NOT_FOUND") => "message",
            _ => asked,
        };
        let hint = match what {
            "queue" => "`sluicectl topic show TOPIC` shows the topic's queues",
            // The broker's own topics: nobody can make one.
            "topic" if text.contains("'%DLQ%") => {
                "`sluicectl group show GROUP` says how many dead letters the group has"
            }
            "topic" if text.contains("'%RETRY%") => return None,
            "topic" => {
                "`sluicectl topic list --all` shows which there are, `sluicectl topic create` makes one"
            }
            "group" => "`sluicectl group list` shows which there are, `sluicectl group create` makes one",
            "client" => "`sluicectl client list` shows which are connected",
            "message" => "`sluicectl message find TOPIC --from -1h` shows what came lately",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// The failure that the protocol's status is.
    pub(super) fn refusal(&self, status: &v2::Status) -> Failure {
        let code = v2::Code::try_from(status.code).unwrap_or_default();
        let kind = match status.code {
            40_100..=40_399 if code == v2::Code::Forbidden => Kind::Refused,
            40_100..=40_399 => Kind::NotAllowed,
            40_400..=40_499 => Kind::NotFound,
            42_800..=42_899 => Kind::Refused,
            40_000..=40_999 | 41_300..=41_399 | 43_100..=43_199 => Kind::Usage,
            _ => Kind::Failed,
        };
        let hint = match code {
            v2::Code::MessagePropertyConflictWithType => Some(
                "a topic of type fifo takes messages with --group-key, one of type normal those without"
                    .to_owned(),
            ),
            v2::Code::TooManyRequests => Some(refused::hint(&status.message).to_owned()),
            v2::Code::Forbidden if status.message.contains("is closed") => {
                Some("`sluicectl topic open TOPIC` has it take messages again".to_owned())
            }
            _ => self.not_found_hint(kind, Some(code.as_str_name()), &status.message),
        };
        Failure {
            kind,
            object: self.object.clone(),
            message: if status.message.is_empty() {
                code.as_str_name().to_owned()
            } else {
                status.message.clone()
            },
            hint,
            reason: Some(code.as_str_name().to_owned()),
        }
    }

    /// The failure of a call of the protocol for clients that was not answered at all.
    pub(super) fn unanswered(
        &self,
        address: &Address,
        tls: bool,
        purpose: Purpose,
        status: &Status,
    ) -> Failure {
        match status.code() {
            Code::Unavailable | Code::Cancelled | Code::Unknown => {
                let cause =
                    std::error::Error::source(status).map_or_else(|| status.message().to_owned(), causes);
                unreachable(address, &cause, tls, purpose)
            }
            Code::Unimplemented => Failure::new(
                Kind::Failed,
                format!("{address} does not speak RocketMQ's protocol for clients"),
            )
            .hint("name the broker's address for clients with --endpoint HOST:PORT"),
            // The request was too large to be read at all.
            Code::OutOfRange => Failure::usage("it is larger than what the broker reads at once")
                .about(self.object.clone())
                .hint("a message's body has at most 4 MiB: send it in parts, or where it can be found"),
            code => {
                let (kind, hint) = advice(code, None);
                Failure {
                    kind,
                    object: self.object.clone(),
                    message: text(status),
                    hint,
                    reason: None,
                }
            }
        }
    }
}

/// Fields of the API that stand in its refusals, and the flags that they are here.
const FLAGS: [(&str, &str); 4] = [
    ("max_attempts ", "--max-attempts "),
    ("receive_batch ", "--receive-batch "),
    ("long_poll_ms ", "--long-poll in ms "),
    ("invisible_ms ", "--invisible in ms "),
];

fn with_flags(text: &str) -> String {
    FLAGS
        .iter()
        .fold(text.to_owned(), |text, (field, flag)| text.replace(field, flag))
}

fn text(status: &Status) -> String {
    if status.message().is_empty() {
        status.code().description().to_owned()
    } else {
        status.message().to_owned()
    }
}

fn advice(code: Code, reason: Option<&str>) -> (Kind, Option<String>) {
    let hint = |text: &str| Some(text.to_owned());
    match (code, reason) {
        (_, Some("OUTCOME_UNKNOWN")) => (
            Kind::Failed,
            hint("it may have been done or not: look before you say it again"),
        ),
        (_, Some("CONFIG_KEY_NOT_FOUND")) => (
            Kind::NotFound,
            hint("`sluicectl config get` shows which keys there are"),
        ),
        // The broker's own words say what to do.
        (_, Some("CONFIG_KEY_FIXED")) => (Kind::Refused, None),
        (_, Some("TOPIC_NAME_INVALID" | "GROUP_NAME_INVALID")) => (
            Kind::Usage,
            hint("choose another one, of letters, digits, '-', '_', '|' and '%'"),
        ),
        (Code::InvalidArgument | Code::OutOfRange, _) => (Kind::Usage, None),
        (Code::NotFound, _) => (Kind::NotFound, None),
        (_, Some("GENERATION_STALE")) => (
            Kind::Refused,
            hint("somebody has changed it in between: look at it, and say again what you want"),
        ),
        (_, Some("EPOCH_STALE")) => (
            Kind::Refused,
            hint("an operator has taken over: change its resource instead, or wait until it is gone"),
        ),
        (Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted, _) => (Kind::Refused, None),
        (Code::Unauthenticated, Some("TLS_REQUIRED")) => (
            Kind::NotAllowed,
            hint("give --tls or --ca FILE, with --cert and --cert-key"),
        ),
        (Code::Unauthenticated | Code::PermissionDenied, _) => (
            Kind::NotAllowed,
            hint("give --token-file FILE, or SLUICE_TOKEN, or --cert and --cert-key"),
        ),
        (Code::DeadlineExceeded, _) => (
            Kind::Unreachable,
            hint("it may be busy: try again with a longer --timeout"),
        ),
        (Code::Unavailable, _) => (Kind::Unreachable, hint("try again in a moment")),
        (_, Some("DISK_FULL")) => (Kind::Failed, hint(refused::DISK)),
        (_, Some("FOLDER_CLOSED")) => (Kind::Failed, hint(refused::FOLDER)),
        (_, Some("LIMIT_REACHED")) => (Kind::Failed, hint("delete what nobody needs any more")),
        (Code::ResourceExhausted, _) => (Kind::Failed, hint("try again in a moment")),
        _ => (Kind::Failed, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::metadata::MetadataMap;

    fn status(code: Code, reason: &'static str) -> Status {
        let mut metadata = MetadataMap::new();
        if !reason.is_empty() {
            metadata.insert(REASON, reason.parse().unwrap());
        }
        Status::with_metadata(code, "the broker's words", metadata)
    }

    fn failure(code: Code, reason: &'static str) -> Failure {
        let address = Address::parse("127.0.0.1:8082").unwrap();
        Asked::topic("orders").failure(&address, false, &status(code, reason))
    }

    #[test]
    fn each_answer_has_its_exit_code() {
        for (code, reason, kind) in [
            (Code::InvalidArgument, "TOPIC_NAME_INVALID", Kind::Usage),
            (Code::NotFound, "TOPIC_NOT_FOUND", Kind::NotFound),
            (Code::AlreadyExists, "TOPIC_EXISTS", Kind::Refused),
            (Code::FailedPrecondition, "TOPIC_NOT_EMPTY", Kind::Refused),
            (Code::FailedPrecondition, "GENERATION_STALE", Kind::Refused),
            (Code::Unauthenticated, "TOKEN_MISSING", Kind::NotAllowed),
            (Code::DeadlineExceeded, "", Kind::Unreachable),
            (Code::Unavailable, "", Kind::Unreachable),
            (Code::Unavailable, "STOPPING", Kind::Unreachable),
            (Code::Unknown, "OUTCOME_UNKNOWN", Kind::Failed),
            (Code::Internal, "INTERNAL", Kind::Failed),
            (Code::Unimplemented, "", Kind::Failed),
        ] {
            assert_eq!(failure(code, reason).kind, kind, "{code:?} {reason}");
        }
    }

    #[test]
    fn failures_say_what_to_do_and_keep_the_brokers_reason() {
        let missing = failure(Code::NotFound, "TOPIC_NOT_FOUND");
        assert!(missing.hint.unwrap().contains("sluicectl topic list"));
        assert_eq!(missing.reason.as_deref(), Some("TOPIC_NOT_FOUND"));
        assert!(
            failure(Code::Unauthenticated, "TOKEN_MISSING")
                .hint
                .unwrap()
                .contains("--token-file")
        );
        // What is not there decides, not what was asked about.
        for (reason, part) in [
            ("GROUP_NOT_FOUND", "sluicectl group list"),
            ("QUEUE_NOT_FOUND", "sluicectl topic show"),
            ("MESSAGE_NOT_FOUND", "sluicectl message find"),
        ] {
            let hint = failure(Code::NotFound, reason).hint.unwrap();
            assert!(hint.contains(part), "{reason}: {hint}");
        }
        let letters = Asked::group("g").not_found_hint(
            Kind::NotFound,
            Some("TOPIC_NOT_FOUND"),
            "there is no topic '%DLQ%g' yet",
        );
        assert!(letters.unwrap().contains("sluicectl group show"));
        let mut own = status(Code::InvalidArgument, "TOPIC_NAME_INVALID");
        own = Status::with_metadata(
            own.code(),
            "topic '%DLQ%g' is the broker's own, …",
            own.metadata().clone(),
        );
        let address = Address::parse("127.0.0.1:8082").unwrap();
        let own = Asked::topic("%DLQ%g").failure(&address, false, &own);
        assert_eq!(own.hint.as_deref(), Some(LETTERS));
        let dead = failure(Code::Unavailable, "");
        assert!(dead.message.contains("127.0.0.1:8082") && dead.hint.unwrap().contains("--admin"));
    }

    #[test]
    fn a_call_that_is_refused_leads_to_what_shows_why() {
        use v2::Code::{Forbidden, TooManyRequests};
        for (code, text, part) in [
            (TooManyRequests, "the broker's disk is full: …", refused::DISK),
            (TooManyRequests, "the broker is busy", "try again in a moment"),
            (Forbidden, "topic 'orders' is closed: …", "sluicectl topic open"),
        ] {
            let status = v2::Status {
                code: code.into(),
                message: text.to_owned(),
            };
            let hint = Asked::topic("orders").refusal(&status).hint.unwrap();
            assert!(hint.contains(part), "{text}: {hint}");
        }
        for (reason, hint) in [("DISK_FULL", refused::DISK), ("FOLDER_CLOSED", refused::FOLDER)] {
            assert_eq!(
                failure(Code::ResourceExhausted, reason).hint.as_deref(),
                Some(hint)
            );
        }
    }

    #[test]
    fn the_protocols_codes_have_exit_codes_too() {
        for (code, kind) in [
            (v2::Code::TopicNotFound, Kind::NotFound),
            (v2::Code::IllegalTopic, Kind::Usage),
            (v2::Code::MessageBodyTooLarge, Kind::Usage),
            (v2::Code::MessagePropertyConflictWithType, Kind::Usage),
            (v2::Code::Forbidden, Kind::Refused),
            (v2::Code::Unauthorized, Kind::NotAllowed),
            (v2::Code::TooManyRequests, Kind::Failed),
            (v2::Code::InternalError, Kind::Failed),
        ] {
            let status = v2::Status {
                code: code.into(),
                message: String::new(),
            };
            let refusal = Asked::topic("orders").refusal(&status);
            assert_eq!(
                (refusal.kind, refusal.message.as_str()),
                (kind, code.as_str_name())
            );
        }
    }
}
