//! A query, its bounds, and what is believed of the answer.

use super::answer::{self, Sample, Wrong};
use super::error::{ErrorKind, QueryError};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error;
use std::time::Duration;

/// The longest answer that is read: some 10,000 queues.
pub(super) const BODY_BYTES_MAX: usize = 4 << 20;

/// Connections that nobody uses are closed after this; the next query comes in half a minute or less.
const IDLE: Duration = Duration::from_secs(60);

/// Connections that are kept for the next queries: as many groups as are evaluated at one time ask one server.
const IDLE_MAX: usize = 64;

/// Asks one server. Cloning it is cheap, and clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Uri,
    headers: HeaderMap,
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// A query that has one value, and how old that may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The query.
    pub query: String,
    /// A query for the age of what goes into the value, in seconds. Without it the time that the server says counts, which
    /// for most queries is that of the evaluation.
    pub age_query: Option<String>,
    /// The greatest age, in seconds.
    pub max_age_seconds: u32,
}

impl Client {
    pub(super) fn new(
        endpoint: Uri,
        headers: HeaderMap,
        connector: HttpsConnector<HttpConnector>,
        timeout: Duration,
    ) -> Self {
        let mut http = legacy::Client::builder(TokioExecutor::new());
        http.pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX);
        Self {
            endpoint,
            headers,
            http: http.build(connector),
            timeout,
        }
    }

    /// The one value of a question, at `now` in seconds since 1970.
    ///
    /// # Errors
    /// When there is not exactly one, it is not finite, or it is too old.
    pub async fn value(&self, question: &Question, now: u64) -> Result<Sample, QueryError> {
        let age = async {
            match &question.age_query {
                None => Ok(None),
                Some(query) => self.vector(query).await.map(Some),
            }
        };
        let (sample, ages) = tokio::join!(self.vector(&question.query), age);
        let sample = answer::one(sample?).map_err(|wrong| self.error(wrong))?;
        let age = match ages? {
            None => seconds(now) - sample.time,
            Some(ages) => answer::one(ages).map_err(|wrong| self.error(wrong))?.value,
        };
        if age > f64::from(question.max_age_seconds) {
            // Without its age: the words stand in conditions, which are not to change all the time.
            let detail = format!("the sample is older than {} s", question.max_age_seconds);
            return Err(self.error((ErrorKind::Stale, detail)));
        }
        Ok(sample)
    }

    /// The one value of a question as a number of messages, or of anything else that is counted.
    ///
    /// # Errors
    /// As [`Client::value`], and when it is negative.
    pub async fn count(&self, question: &Question, now: u64) -> Result<u64, QueryError> {
        let sample = self.value(question, now).await?;
        sample.count().map_err(|wrong| self.error(wrong))
    }

    /// All samples of a query; none where there are none.
    ///
    /// # Errors
    /// When the server does not answer, cannot evaluate the query, or has a value that is not finite.
    pub async fn vector(&self, query: &str) -> Result<Vec<Sample>, QueryError> {
        let asked = tokio::time::timeout(self.timeout, self.ask(query)).await;
        let slow = |_| {
            (
                ErrorKind::Slow,
                format!("no answer within {} ms", self.timeout.as_millis()),
            )
        };
        asked.map_err(slow).flatten().map_err(|wrong| self.error(wrong))
    }

    async fn ask(&self, query: &str) -> Result<Vec<Sample>, Wrong> {
        let response = self.http.request(self.request(query)?).await;
        let response = response.map_err(|error| (ErrorKind::Unreachable, causes(&error)))?;
        let (head, body) = response.into_parts();
        let status = head.status;
        if status.is_redirection() {
            let to = head
                .headers
                .get(LOCATION)
                .and_then(|to| to.to_str().ok())
                .unwrap_or("nowhere");
            return Err((
                ErrorKind::Redirected,
                format!("it redirects ({status}) to {}", answer::words(to)),
            ));
        }
        let body = read(Response::new(body)).await;
        if status == StatusCode::OK {
            return answer::samples(&body?);
        }
        let kind = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Unauthorized,
            _ => ErrorKind::Status,
        };
        // Proxies have bodies of their own, which say little.
        let refusal = body
            .ok()
            .and_then(|body| answer::refusal(&body))
            .filter(|_| kind == ErrorKind::Status);
        Err(refusal.unwrap_or_else(|| (kind, format!("it answers {status}"))))
    }

    /// By POST: a query may be long, and stands in no access log then.
    fn request(&self, query: &str) -> Result<Request<Full<Bytes>>, Wrong> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", query)
            .append_pair("timeout", &format!("{}ms", self.timeout.as_millis()))
            // Thanos would leave out what it cannot reach, and other servers do not know the word.
            .append_pair("partial_response", "false")
            .finish();
        let mut request = Request::new(Full::new(Bytes::from(form)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(request)
    }

    fn error(&self, (kind, detail): Wrong) -> QueryError {
        let server = self.endpoint.to_string();
        QueryError {
            kind,
            server: server.trim_end_matches("/api/v1/query").to_owned(),
            detail,
        }
    }
}

async fn read(response: Response<Incoming>) -> Result<Bytes, Wrong> {
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|error| match error.is::<LengthLimitError>() {
            true => (
                ErrorKind::TooLarge,
                format!("its answer is longer than {BODY_BYTES_MAX} bytes"),
            ),
            false => (ErrorKind::Unreachable, causes(&*error)),
        })
}

/// An error with what is behind it: the outermost one says little.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    answer::words(&words)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 stay far below 2^53"
)]
fn seconds(now: u64) -> f64 {
    now as f64
}
