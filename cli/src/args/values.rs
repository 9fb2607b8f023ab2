//! Values of a group's options that are more than a number: waits, starts, subscriptions, targets.

use crate::units::{Moment, parse_duration_ms};

/// Waits between attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackoffArg {
    /// One wait an attempt, in milliseconds.
    Steps(Vec<u64>),
    /// Growing ones.
    Exponential {
        /// The first, in milliseconds.
        initial_ms: u64,
        /// The longest, in milliseconds.
        max_ms: u64,
        /// The factor in thousandths.
        multiplier_milli: u32,
    },
}

impl BackoffArg {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some(exponential) = text.strip_prefix("exponential:") else {
            let steps: Result<Vec<u64>, String> = text.split(',').map(parse_duration_ms).collect();
            return steps.map(Self::Steps);
        };
        let parts: Vec<&str> = exponential.split(':').collect();
        let [initial, max, factor] = parts[..] else {
            return Err("write exponential:FIRST:MOST:FACTOR, such as exponential:1s:10m:2".to_owned());
        };
        let milli = thousandths(factor).ok_or_else(|| format!("{factor:?} is no factor such as 2 or 1.5"))?;
        Ok(Self::Exponential {
            initial_ms: parse_duration_ms(initial)?,
            max_ms: parse_duration_ms(max)?,
            multiplier_milli: milli,
        })
    }
}

fn thousandths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u32 = format!("{fraction:0<3}").parse().ok()?;
    whole
        .parse::<u32>()
        .ok()?
        .checked_mul(1000)?
        .checked_add(fraction)
}

/// Where a group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartArg {
    /// At the first message.
    Earliest,
    /// Behind the last message.
    Latest,
    /// At the first message from then on.
    Time(Moment),
}

impl StartArg {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "earliest" => Ok(Self::Earliest),
            None if text == "latest" => Ok(Self::Latest),
            Some(("time", time)) => Moment::parse(time).map(Self::Time),
            _ => Err("there are earliest, latest and time:T, as in time:-1h".to_owned()),
        }
    }
}

/// A topic that a group reads whether or not it has clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionArg {
    /// The topic.
    pub topic: String,
    /// The tag expression.
    pub expression: String,
}

impl SubscriptionArg {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (topic, expression) = text.split_once('=').unwrap_or((text, "*"));
        if topic.is_empty() {
            return Err("write TOPIC or TOPIC=TAGS".to_owned());
        }
        Ok(Self {
            topic: topic.to_owned(),
            expression: expression.to_owned(),
        })
    }
}

/// A number of things that are wanted.
pub(super) fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("0 is too few: take at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err(format!("{text:?} is no whole number from 1 on")),
    }
}

/// Hours: a number alone, or whole ones as spans of time are written.
pub(super) fn hours(text: &str) -> Result<u32, String> {
    const HOUR_MS: u64 = 3_600_000;
    let number = match text.parse::<u64>() {
        Ok(number) => Some(number),
        Err(_) => match parse_duration_ms(text) {
            Ok(ms) if ms.is_multiple_of(HOUR_MS) => Some(ms / HOUR_MS),
            Ok(_) => {
                return Err(format!(
                    "{text} is no whole number of hours: write one such as 72, 72h or 3d"
                ));
            }
            Err(_) => None,
        },
    };
    let number =
        number.ok_or_else(|| format!("{text:?} is no number of hours: write one such as 72, 72h or 3d"))?;
    u32::try_from(number).map_err(|_| format!("{text} is more hours than can be kept"))
}

/// Where a reset goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the first message.
    Earliest,
    /// Behind the last message.
    Latest,
    /// To an offset.
    Offset(u64),
    /// To the first message from a time on.
    Time(Moment),
    /// To the newest messages, so many of each queue.
    Skip(u64),
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let number = |number: &str| {
            number
                .parse()
                .map_err(|_| format!("{number:?} is no whole number from 0 on"))
        };
        match text.split_once(':') {
            None if text == "earliest" => Ok(Self::Earliest),
            None if text == "latest" => Ok(Self::Latest),
            Some(("offset", offset)) => number(offset).map(Self::Offset),
            Some(("skip", newest)) => number(newest).map(Self::Skip),
            Some(("time", time)) => Moment::parse(time).map(Self::Time),
            _ => Err("there are earliest, latest, offset:N, time:T and skip:N".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_a_reset_are_read() {
        for (text, target) in [
            ("earliest", Target::Earliest),
            ("latest", Target::Latest),
            ("offset:42", Target::Offset(42)),
            ("skip:0", Target::Skip(0)),
            ("time:1700000000000", Target::Time(Moment::At(1_700_000_000_000))),
            ("time:-1h", Target::Time(Moment::Ago(3_600_000))),
        ] {
            assert_eq!(Target::parse(text), Ok(target), "{text}");
        }
        for text in ["", "now", "offset", "offset:-1", "skip:x", "time:", "earliest:1"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hours_are_a_number_alone_or_whole_ones_with_units() {
        for (text, number) in [
            ("72", 72),
            ("0", 0),
            ("72h", 72),
            ("3d", 72),
            ("1d12h", 36),
            ("120m", 2),
        ] {
            assert_eq!(hours(text), Ok(number), "{text}");
        }
        for (text, told) in [
            ("90m", "no whole number of hours"),
            ("1w", "such as 72, 72h or 3d"),
            ("", "such as 72, 72h or 3d"),
            ("-1", "such as 72, 72h or 3d"),
            ("7.5", "such as 72, 72h or 3d"),
            ("99999999999", "more hours than can be kept"),
        ] {
            let refusal = hours(text).unwrap_err();
            assert!(refusal.contains(told), "{text}: {refusal}");
        }
    }

    #[test]
    fn waits_between_attempts_are_steps_or_grow() {
        assert_eq!(
            BackoffArg::parse("1s,500ms"),
            Ok(BackoffArg::Steps(vec![1000, 500]))
        );
        let growing = BackoffArg::Exponential {
            initial_ms: 1000,
            max_ms: 600_000,
            multiplier_milli: 1500,
        };
        assert_eq!(BackoffArg::parse("exponential:1s:10m:1.5"), Ok(growing));
        for text in [
            "",
            "1s,,2s",
            "exponential:1s:10m",
            "exponential:1s:10m:x",
            "exponential:1s:10m:1.0005",
        ] {
            assert!(BackoffArg::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_subscription_may_have_tags() {
        let subscription = |topic: &str, expression: &str| SubscriptionArg {
            topic: topic.to_owned(),
            expression: expression.to_owned(),
        };
        assert_eq!(SubscriptionArg::parse("orders"), Ok(subscription("orders", "*")));
        assert_eq!(
            SubscriptionArg::parse("orders=a || b"),
            Ok(subscription("orders", "a || b"))
        );
        assert!(SubscriptionArg::parse("=a").is_err());
    }
}
