//! Why a command failed.

use std::fmt;

use rocketmq::error::ClientError;
use tokio::task::JoinError;

/// A kind and a text.
#[derive(Debug)]
pub struct Failure {
    kind: String,
    text: String,
}

impl Failure {
    /// The client cannot do this at all.
    pub fn unsupported(text: &str) -> Self {
        Self::new("Unsupported", text)
    }

    /// The command makes no sense.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new("Invalid", text)
    }

    fn new(kind: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.kind, self.text)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let mut text = error.to_string();
        // The error's own text ends with the first of its causes.
        for cause in error
            .source()
            .into_iter()
            .flat_map(|source| source.chain().skip(1))
        {
            text = format!("{text}: {cause}");
        }
        Self::new(format!("{:?}", error.kind()), text)
    }
}

impl From<JoinError> for Failure {
    fn from(ended: JoinError) -> Self {
        let payload = match ended.try_into_panic() {
            Ok(payload) => payload,
            Err(cancelled) => return Self::new("Cancelled", cancelled.to_string()),
        };
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied());
        Self::new("Panic", text.unwrap_or("without a text"))
    }
}
