//! Why a query has no answer.

use std::fmt;

/// Why a query has no answer, in words that name the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// The kind of reason.
    pub kind: ErrorKind,
    /// The server's address.
    pub server: String,
    /// What was wrong.
    pub detail: String,
}

/// The kinds of reasons why a query has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No connection, or it broke.
    Unreachable,
    /// No whole answer in time.
    Slow,
    /// The server wants other credentials, or refuses these.
    Unauthorized,
    /// The server answers with a redirection, which credentials do not follow.
    Redirected,
    /// The server answers with another status than success.
    Status,
    /// The answer is longer than any that is wanted.
    TooLarge,
    /// The answer is not what Prometheus's API says.
    Malformed,
    /// The server cannot evaluate the query.
    Refused,
    /// The query has no sample.
    Empty,
    /// The query has several samples where one is wanted.
    Several,
    /// The value is no number, infinite, or none that can be counted to.
    NotANumber,
    /// The sample is too old.
    Stale,
}

impl ErrorKind {
    /// The word for it, in capitals as conditions have them.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::Slow => "Slow",
            Self::Unauthorized => "Unauthorized",
            Self::Redirected => "Redirected",
            Self::Status => "Status",
            Self::TooLarge => "TooLarge",
            Self::Malformed => "Malformed",
            Self::Refused => "Refused",
            Self::Empty => "Empty",
            Self::Several => "Several",
            Self::NotANumber => "NotANumber",
            Self::Stale => "Stale",
        }
    }

    /// What to do about it.
    const fn advice(self) -> &'static str {
        match self {
            Self::Unreachable => "check its address, its certificate and the way to it",
            Self::Slow => "give it more time, or a query that costs less",
            Self::Unauthorized => "check the credentials and the tenant",
            Self::Redirected => "give the address that it points to",
            Self::Status => "check its address and its own log",
            Self::TooLarge => "ask for fewer series",
            Self::Malformed => "check that the address is a Prometheus API's",
            Self::Refused => "correct the query",
            Self::Empty => "check that the series exist and that they are scraped",
            Self::Several => "sum over the series, so that one is left",
            Self::NotANumber => "correct the query so that it gives a number",
            Self::Stale => "check that its targets are scraped",
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.server, self.detail, self.kind.advice())
    }
}

impl std::error::Error for QueryError {}
