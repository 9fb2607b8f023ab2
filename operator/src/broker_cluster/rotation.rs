//! The admin token that the operator makes, and how it is exchanged so that whoever has one of two is let in at any time:
//!
//! ```text
//! [old]  ──period──►  [old, new]  ──spread──►  [new, old]  ──spread──►  [new]
//!                     brokers learn             everybody goes over
//! ```
//!
//! The first line is the one to use. A step waits until what the step before has written is known everywhere.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use sluice_operator_api::labels;
use std::fmt;
use std::time::Duration;

/// How long a changed Secret takes to be known everywhere: a kubelet looks at least every minute and a half, a broker every few
/// seconds, a controller every minute.
const SPREAD: SignedDuration = SignedDuration::from_secs(300);
/// Bounds of what a broker takes as a token.
const CHARACTERS: std::ops::RangeInclusive<usize> = 16..=512;

/// What a Secret with tokens holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// One or two, in the order in which they are to be used.
    pub lines: Vec<String>,
    /// When the newest was made.
    pub made_at: Timestamp,
    /// How far an exchange has come, and since when.
    pub step: Option<(Step, Timestamp)>,
}

/// A step of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The new token stands second.
    Adding,
    /// The new token stands first.
    Replacing,
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// What the Secret is to hold now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// All of it.
    pub tokens: Tokens,
    /// When the operator makes the next token.
    pub next_exchange: Timestamp,
    /// How long until something is to be done again.
    pub due_in: Duration,
    /// What is to be told, if something has happened.
    pub told: Option<&'static str>,
}

/// Takes the one step that is due at `now`, if one is. `fresh` is a token that nobody has seen.
pub fn next(present: Option<&Secret>, key: &str, period_seconds: i32, now: Timestamp, fresh: &str) -> Next {
    let period = SignedDuration::from_secs(i64::from(period_seconds));
    let (tokens, told) = match present.and_then(|secret| read(secret, key, now)) {
        None => (single(fresh, now), Some("made an admin token")),
        Some(tokens) => step(tokens, period, now, fresh),
    };
    let next_exchange = tokens.made_at.saturating_add(period).unwrap_or(Timestamp::MAX);
    let due = match &tokens.step {
        Some((_, since)) => since.saturating_add(SPREAD).unwrap_or(Timestamp::MAX),
        None => next_exchange,
    };
    Next {
        due_in: due.duration_since(now).try_into().unwrap_or(Duration::ZERO),
        next_exchange,
        tokens,
        told,
    }
}

/// The first token of a file, if the file is one that a broker takes.
pub fn first(file: &[u8]) -> Option<String> {
    lines(file).map(|lines| lines[0].clone())
}

/// One or two tokens, as a broker reads them.
fn lines(file: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(file).ok()?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.map(str::to_owned).collect();
    let is_token =
        |line: &String| CHARACTERS.contains(&line.len()) && line.bytes().all(|byte| byte.is_ascii_graphic());
    ((1..=2).contains(&lines.len()) && lines.iter().all(is_token)).then_some(lines)
}

fn single(token: &str, now: Timestamp) -> Tokens {
    Tokens {
        lines: vec![token.to_owned()],
        made_at: now,
        step: None,
    }
}

/// What the Secret says, unless somebody has made something else of it: then it is made anew. What is missing of its times is
/// taken to be now.
fn read(secret: &Secret, key: &str, now: Timestamp) -> Option<Tokens> {
    let lines = lines(&secret.data.as_ref()?.get(key)?.0)?;
    let annotation = |name: &str| {
        secret
            .metadata
            .annotations
            .as_ref()?
            .get(name)
            .map(String::as_str)
    };
    let time = |name: &str| annotation(name).and_then(|text| text.parse().ok()).unwrap_or(now);
    let step = match annotation(labels::TOKEN_STEP) {
        Some("Adding") => Some(Step::Adding),
        Some("Replacing") => Some(Step::Replacing),
        _ => None,
    };
    Some(Tokens {
        // Two lines and no step: somebody has added one by hand, which an exchange would not know from the new one.
        step: match (lines.len(), step) {
            (1, _) => None,
            (_, step) => Some((step.unwrap_or(Step::Replacing), time(labels::TOKEN_STEP_AT))),
        },
        lines,
        made_at: time(labels::TOKEN_MADE_AT),
    })
}

fn step(
    tokens: Tokens,
    period: SignedDuration,
    now: Timestamp,
    fresh: &str,
) -> (Tokens, Option<&'static str>) {
    let since = |moment: Timestamp| now.duration_since(moment);
    match tokens.step {
        None if since(tokens.made_at) >= period => {
            let mut lines = tokens.lines;
            lines.push(fresh.to_owned());
            let tokens = Tokens {
                lines,
                made_at: now,
                step: Some((Step::Adding, now)),
            };
            (tokens, Some("made a new admin token; brokers take both"))
        }
        Some((Step::Adding, at)) if since(at) >= SPREAD => {
            let lines = tokens.lines.into_iter().rev().collect();
            let step = Some((Step::Replacing, now));
            (
                Tokens {
                    lines,
                    step,
                    ..tokens
                },
                Some("the new admin token is the one to use; brokers take the old one for some minutes more"),
            )
        }
        Some((Step::Replacing, at)) if since(at) >= SPREAD => {
            let lines = tokens.lines.into_iter().take(1).collect();
            (
                Tokens {
                    lines,
                    step: None,
                    ..tokens
                },
                Some("the old admin token is no longer taken"),
            )
        }
        _ => (tokens, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker_cluster::children::token_secret;
    use crate::broker_cluster::testing::cluster;

    const OLD: &str = "old-old-old-old-old";
    const NEW: &str = "new-new-new-new-new";
    const PERIOD: i32 = 3_600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn secret(tokens: &Tokens) -> Secret {
        serde_json::from_value(token_secret(&cluster("{}"), tokens).body).unwrap()
    }

    fn next_at(present: Option<&Secret>, seconds: i64) -> Next {
        next(present, "token", PERIOD, at(seconds), NEW)
    }

    #[test]
    fn an_exchange_takes_its_steps_by_time_and_one_at_a_time() {
        let mut present = secret(&single(OLD, at(0)));
        for (seconds, lines, due_in) in [
            (0, &[OLD][..], 3_600),
            (3_599, &[OLD], 1),
            (3_600, &[OLD, NEW], 300),
            (3_899, &[OLD, NEW], 1),
            // The operator was down for long: still one step, and the next one after the spread.
            (9_000, &[NEW, OLD], 300),
            (9_001, &[NEW, OLD], 299),
            (9_300, &[NEW], 0),
        ] {
            let next = next_at(Some(&present), seconds);
            assert_eq!(next.tokens.lines, lines, "{seconds}");
            assert_eq!(next.due_in.as_secs(), due_in, "{seconds}");
            present = secret(&next.tokens);
        }
    }

    #[test]
    fn while_nothing_is_due_the_secret_stays_the_same() {
        for step in [
            None,
            Some((Step::Adding, at(10))),
            Some((Step::Replacing, at(10))),
        ] {
            let lines = if step.is_some() { vec![OLD, NEW] } else { vec![OLD] };
            let tokens = Tokens {
                lines: lines.into_iter().map(str::to_owned).collect(),
                made_at: at(10),
                step,
            };
            let next = next_at(Some(&secret(&tokens)), 20);
            assert_eq!((next.tokens, next.told), (tokens, None));
        }
    }

    #[test]
    fn what_is_no_secret_with_tokens_is_made_anew() {
        let with = |file: &str| {
            let mut secret = secret(&single(OLD, at(0)));
            let data = secret.data.as_mut().unwrap();
            data.insert("token".to_owned(), k8s_openapi::ByteString(file.into()));
            secret
        };
        let three = format!("{OLD}\n{OLD}\n{OLD}\n");
        for present in [
            None,
            Some(with("")),
            Some(with("short")),
            Some(with(&three)),
            Some(Secret::default()),
        ] {
            let next = next_at(present.as_ref(), 5);
            assert_eq!(next.tokens, single(NEW, at(5)), "{present:?}");
        }
    }

    #[test]
    fn a_secret_without_times_keeps_its_token_for_a_whole_period() {
        let mut present = secret(&single(OLD, at(0)));
        present.metadata.annotations = None;
        let next = next_at(Some(&present), 50);
        assert_eq!(next.tokens, single(OLD, at(50)));
        assert_eq!(next.next_exchange, at(50 + i64::from(PERIOD)));
    }
}
