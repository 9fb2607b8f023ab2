//! One request at the port for alerts: who may ask is asked first, and only then is anything read.

use super::notification::Notification;
use super::receiver::{Receiver, Taken, Unavailable};
use crate::http::text;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use sluice_access::{Denied, Door, Shown};
use std::error::Error;
use std::time::Duration;
use thiserror::Error;

/// Where notifications go.
pub const PATH: &str = "/v4/alerts";
/// Of a notification; an alert is about a kilobyte. The receiver's `max_alerts` bounds what an Alertmanager sends.
pub const BODY_BYTES_MAX: usize = 1 << 20;
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Why a request comes to nothing.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Nothing lets it in. No text tells a token.
    #[error("{}", told(*.0))]
    Unauthorized(Denied),
    /// It is for something that is not there.
    #[error("there is nothing here: notifications go to POST {PATH}")]
    NotFound,
    /// It is of another kind.
    #[error("only POST is answered")]
    MethodNotAllowed,
    /// Its body is too long.
    #[error(
        "the notification has more than {BODY_BYTES_MAX} bytes: set max_alerts in the receiver's webhook_configs, or group by more labels"
    )]
    TooLarge,
    /// Its body does not come.
    #[error("the notification has not come within {} s", BODY_WITHIN.as_secs())]
    TimedOut,
    /// It is no notification.
    #[error("{0}")]
    Invalid(String),
    /// It can be taken later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

fn told(denied: Denied) -> &'static str {
    match denied {
        Denied::NoToken {
            or_certificate: false,
        } => {
            "the request has no token: send 'authorization: Bearer TOKEN' with a token of the operator's --webhook-token-file"
        }
        Denied::NoToken { or_certificate: true } => {
            "the request has no token: send 'authorization: Bearer TOKEN' with a token of the operator's --webhook-token-file, or show a \
             certificate that its --webhook-client-ca has signed"
        }
        Denied::WrongToken => {
            "the token is not one of the operator's: take one that stands in its --webhook-token-file, which is read again a few seconds \
             after it changes"
        }
        Denied::NoCertificate | Denied::Plaintext => {
            "the request came without a client certificate: show one that the operator's --webhook-client-ca has signed"
        }
    }
}

impl Refusal {
    /// A word for it, for metrics.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Unauthorized(_) => "Unauthorized",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::TooLarge => "TooLarge",
            Self::TimedOut => "TimedOut",
            Self::Invalid(_) => "Invalid",
            Self::Unavailable(_) => "Unavailable",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn answer(&self) -> Response<Full<Bytes>> {
        let mut answer = text(self.status(), &format!("{self}\n"));
        let header = match self {
            Self::Unauthorized(_) => Some((WWW_AUTHENTICATE, "Bearer")),
            Self::MethodNotAllowed => Some((ALLOW, "POST")),
            _ => None,
        };
        if let Some((name, value)) = header {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        answer
    }
}

/// Answers a request. What it shows besides its headers is in `shown`.
pub async fn answer<B>(
    request: Request<B>,
    mut shown: Shown<'_>,
    door: &Door,
    receiver: &Receiver,
) -> (Response<Full<Bytes>>, Option<Refusal>)
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    shown.authorization = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let taken = async {
        door.let_in(&shown).map_err(Refusal::Unauthorized)?;
        if head.uri.path() != PATH {
            return Err(Refusal::NotFound);
        }
        if head.method != Method::POST {
            return Err(Refusal::MethodNotAllowed);
        }
        let notification = Notification::read(&read(body).await?).map_err(Refusal::Invalid)?;
        Ok(receiver.take(&notification).await?)
    };
    let taken = taken.await;
    let outcome = taken.as_ref().map_or_else(Refusal::outcome, |_| "Ok");
    let requests = &receiver.metrics.alerts.requests;
    requests.with_label_values(&[outcome]).inc();
    match taken {
        Ok(taken) => (text(StatusCode::OK, &line(&taken)), None),
        Err(refusal) => (refusal.answer(), Some(refusal)),
    }
}

async fn read<B>(body: B) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // What is announced as too long is not read.
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(Refusal::TooLarge);
    }
    let read = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_WITHIN, read).await {
        Err(_) => Err(Refusal::TimedOut),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Ok(Err(error)) => Err(Refusal::Invalid(format!("the notification breaks off: {error}"))),
    }
}

fn line(taken: &Taken) -> String {
    format!(
        "evaluations started: {}; alerts: {} new about a consumer group that is scaled, {} new about none, {} repeated\n",
        taken.evaluations, taken.mapped, taken.unmapped, taken.repeated
    )
}
