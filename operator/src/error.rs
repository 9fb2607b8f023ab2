//! Why a reconciliation failed, and when it is tried again.

use crate::backoff::Pace;
use crate::broker::BrokerError;
use std::time::Duration;
use thiserror::Error;

/// A reconciliation that is to be tried again.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// The API server refused something, or did not answer.
    #[error("the API server: {0}")]
    Kubernetes(#[from] Box<kube::Error>),
    /// The broker did.
    #[error("{0}")]
    Broker(#[from] BrokerError),
    /// What was looked at was changed before it could be written.
    #[error("{0}")]
    Overtaken(String),
    /// It was not over in time.
    #[error("not over within {} s: something that was asked does not answer", .0.as_secs())]
    Slow(Duration),
    /// Nothing that cannot be guessed can be made.
    #[error("the system has no randomness for a token")]
    NoRandomness,
}

impl From<kube::Error> for ReconcileError {
    fn from(error: kube::Error) -> Self {
        Self::Kubernetes(Box::new(error))
    }
}

impl ReconcileError {
    /// How soon to try again.
    pub fn pace(&self) -> Pace {
        match self {
            Self::Kubernetes(error) => match &**error {
                kube::Error::Api(status) if status.code == 409 || status.code == 404 => Pace::Overtaken,
                kube::Error::Api(status) if matches!(status.code, 400..=499) && status.code != 429 => {
                    Pace::Refused
                }
                _ => Pace::Down,
            },
            Self::Broker(BrokerError::Conflict(_) | BrokerError::Exists(_) | BrokerError::NotFound(_)) => {
                Pace::Overtaken
            }
            Self::Broker(error) if error.retryable() => Pace::Down,
            Self::Broker(_) => Pace::Refused,
            Self::Overtaken(_) => Pace::Overtaken,
            Self::Slow(_) | Self::NoRandomness => Pace::Down,
        }
    }

    /// A word for it, for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Kubernetes(_) => "Kubernetes",
            Self::Broker(error) => error.reason(),
            Self::Overtaken(_) => "Overtaken",
            Self::Slow(_) => "Slow",
            Self::NoRandomness => "NoRandomness",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn api(code: u16) -> ReconcileError {
        let status = Status {
            code,
            ..Status::default()
        };
        kube::Error::Api(Box::new(status)).into()
    }

    #[test]
    fn what_others_have_overtaken_is_tried_soon_and_what_is_refused_late() {
        let text = String::new;
        for (error, pace) in [
            (api(409), Pace::Overtaken),
            (api(404), Pace::Overtaken),
            (api(422), Pace::Refused),
            (api(403), Pace::Refused),
            (api(429), Pace::Down),
            (api(500), Pace::Down),
            (BrokerError::Conflict(text()).into(), Pace::Overtaken),
            (BrokerError::Exists(text()).into(), Pace::Overtaken),
            (BrokerError::Unavailable(text()).into(), Pace::Down),
            (BrokerError::NotEmpty(text()).into(), Pace::Down),
            (BrokerError::Invalid(text()).into(), Pace::Refused),
            (BrokerError::NotLeading.into(), Pace::Refused),
            (ReconcileError::Overtaken(text()), Pace::Overtaken),
            (ReconcileError::Slow(Duration::ZERO), Pace::Down),
        ] {
            assert_eq!(error.pace(), pace, "{error}");
        }
    }
}
