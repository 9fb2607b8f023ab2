//! What a body of `/api/v1/query` says.

use super::error::ErrorKind;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// So much of a server's own words is repeated.
const WORDS: usize = 300;

/// The greatest number that can be counted to with a float's exactness.
const COUNT_MAX: f64 = 9_007_199_254_740_992.0;

/// A value with its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The labels, the name among them; none for a scalar.
    pub labels: BTreeMap<String, String>,
    /// The time it was evaluated for, in seconds since 1970.
    pub time: f64,
    /// The value, which is finite.
    pub value: f64,
}

/// Why a body is no answer.
pub type Wrong = (ErrorKind, String);

#[derive(Deserialize)]
struct Body {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Scalar((f64, String)),
    Matrix(IgnoredAny),
    String(IgnoredAny),
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    // A native histogram has none.
    value: Option<(f64, String)>,
}

/// The samples in a body, in the server's order.
///
/// # Errors
/// When the body is no answer, or one of its values is not finite.
pub fn samples(body: &[u8]) -> Result<Vec<Sample>, Wrong> {
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        (
            ErrorKind::Malformed,
            format!("its answer is not Prometheus's: {error}"),
        )
    })?;
    if body.status != "success" {
        let kind = match &*body.error_type {
            "timeout" | "canceled" => ErrorKind::Slow,
            "unavailable" | "internal" => ErrorKind::Status,
            _ => ErrorKind::Refused,
        };
        return Err((
            kind,
            format!("it says {}: {}", words(&body.error_type), words(&body.error)),
        ));
    }
    match body.data {
        Some(Data::Vector(series)) => series.into_iter().map(of_series).collect(),
        Some(Data::Scalar((time, value))) => Ok(vec![sample(BTreeMap::new(), time, &value)?]),
        Some(Data::Matrix(_)) => Err(refused("a range of values")),
        Some(Data::String(_)) => Err(refused("a text")),
        None => Err((ErrorKind::Malformed, "its answer has no data".to_owned())),
    }
}

/// What the body of another status than success says, if it is Prometheus's.
pub fn refusal(body: &[u8]) -> Option<Wrong> {
    samples(body)
        .err()
        .filter(|(kind, _)| *kind != ErrorKind::Malformed)
}

/// The one sample among these.
///
/// # Errors
/// When there is none, or another one.
pub fn one(samples: Vec<Sample>) -> Result<Sample, Wrong> {
    let count = samples.len();
    let mut samples = samples.into_iter();
    match (samples.next(), samples.next()) {
        (Some(sample), None) => Ok(sample),
        (None, _) => Err((ErrorKind::Empty, "the query has no sample".to_owned())),
        (Some(_), Some(_)) => Err((
            ErrorKind::Several,
            format!("the query has {count} samples where one is wanted"),
        )),
    }
}

impl Sample {
    /// The value as a number of messages, or of anything else that is counted; parts count as a whole.
    ///
    /// # Errors
    /// When it is negative, or too great to be exact.
    pub fn count(&self) -> Result<u64, Wrong> {
        if !(0.0..=COUNT_MAX).contains(&self.value) {
            return Err((
                ErrorKind::NotANumber,
                format!("{} is no number of anything", self.value),
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 2^53 it is exact"
        )]
        let count = self.value.ceil() as u64;
        Ok(count)
    }
}

fn of_series(series: Series) -> Result<Sample, Wrong> {
    let (time, value) = series.value.ok_or_else(|| refused("a histogram"))?;
    sample(series.metric, time, &value)
}

fn sample(labels: BTreeMap<String, String>, time: f64, text: &str) -> Result<Sample, Wrong> {
    let value: f64 = text.parse().map_err(|_| {
        (
            ErrorKind::Malformed,
            format!("its value {} is no number", words(text)),
        )
    })?;
    if !value.is_finite() || !time.is_finite() {
        return Err((ErrorKind::NotANumber, format!("the value is {text}")));
    }
    Ok(Sample { labels, time, value })
}

fn refused(what: &str) -> Wrong {
    (
        ErrorKind::Refused,
        format!("the query gives {what} where a number is wanted"),
    )
}

/// A server's words, in one line and not too many.
pub fn words(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(WORDS).collect()
}
