//! What became of the messages of one send: a request may be taken in part.

use super::client;
use super::refused;
use super::status::Asked;
use crate::failure::Failure;
use sluice_proto::v2;
use tonic::Code;

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its id.
    pub message_id: String,
    /// Its offset in its queue.
    pub offset: u64,
}

/// What became of the messages of one send.
#[derive(Debug, Default)]
pub struct Sending {
    /// Those that were taken, in order.
    pub sent: Vec<Sent>,
    /// How many others may have been taken, for all that is known.
    pub in_doubt: usize,
    /// Why not all were: the first refusal, or that nobody answers.
    pub failure: Option<Failure>,
}

fn check(asked: &Asked, status: Option<&v2::Status>) -> Result<(), Failure> {
    client::check(asked, status).map_err(|failure| {
        let hint = status.and_then(|status| refused::hint_of_send(status.code(), &status.message));
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

impl Sending {
    pub(super) fn answered(asked: &Asked, response: v2::SendMessageResponse, count: usize) -> Self {
        let mut sending = Self::default();
        // A call that was refused as a whole has no entries.
        if response.entries.is_empty() {
            sending.failure = check(asked, response.status.as_ref()).err();
            sending.in_doubt = if is_in_doubt(response.status.as_ref()) {
                count
            } else {
                0
            };
        }
        for entry in response.entries {
            match check(asked, entry.status.as_ref()) {
                Ok(()) => sending.sent.push(Sent {
                    message_id: entry.message_id,
                    offset: u64::try_from(entry.offset).unwrap_or(0),
                }),
                Err(failure) => {
                    sending.in_doubt += usize::from(is_in_doubt(entry.status.as_ref()));
                    sending.failure.get_or_insert(failure);
                }
            }
        }
        sending
    }
}

/// Whether a broker that answers so may have taken the message: it says this too where it does not know itself.
fn is_in_doubt(status: Option<&v2::Status>) -> bool {
    status.is_none_or(|status| {
        [
            v2::Code::InternalServerError as i32,
            v2::Code::InternalError as i32,
        ]
        .contains(&status.code)
    })
}

/// Whether nothing of a call with this outcome was done.
pub(super) fn refused_unread(code: Code) -> bool {
    matches!(
        code,
        Code::Unimplemented
            | Code::OutOfRange
            | Code::InvalidArgument
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::ResourceExhausted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(code: v2::Code) -> v2::SendResultEntry {
        let status = v2::Status {
            code: code.into(),
            message: String::new(),
        };
        v2::SendResultEntry {
            status: Some(status),
            message_id: "01AB".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn what_of_a_send_was_taken_is_counted_whatever_became_of_the_rest() {
        use v2::Code::{InternalServerError, Ok, TooManyRequests, TopicNotFound};
        for (codes, sent, in_doubt, reason) in [
            (&[Ok, Ok][..], 2, 0, None),
            (
                &[Ok, Ok, TooManyRequests, TooManyRequests],
                2,
                0,
                Some("TOO_MANY_REQUESTS"),
            ),
            (
                &[Ok, TopicNotFound, TooManyRequests],
                1,
                0,
                Some("TOPIC_NOT_FOUND"),
            ),
            (
                &[Ok, InternalServerError, InternalServerError],
                1,
                2,
                Some("INTERNAL_SERVER_ERROR"),
            ),
        ] {
            let response = v2::SendMessageResponse {
                status: None,
                entries: codes.iter().copied().map(entry).collect(),
            };
            let sending = Sending::answered(&Asked::topic("orders"), response, codes.len());
            assert_eq!(
                (sending.sent.len(), sending.in_doubt),
                (sent, in_doubt),
                "{codes:?}"
            );
            let told = sending.failure.and_then(|failure| failure.reason);
            assert_eq!(told.as_deref(), reason, "{codes:?}");
        }
    }

    #[test]
    fn a_send_that_was_refused_as_a_whole_has_taken_nothing() {
        for (code, in_doubt) in [(v2::Code::TopicNotFound, 0), (v2::Code::InternalServerError, 64)] {
            let response = v2::SendMessageResponse {
                status: entry(code).status,
                entries: Vec::new(),
            };
            let sending = Sending::answered(&Asked::topic("orders"), response, 64);
            assert_eq!((sending.sent.len(), sending.in_doubt), (0, in_doubt));
            assert!(sending.failure.is_some());
        }
    }
}
