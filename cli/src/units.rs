//! Times, moments and sizes as people write them on a command line, and as tables show them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", SECOND_MS),
    ("m", MINUTE_MS),
    ("h", HOUR_MS),
    ("d", DAY_MS),
];

/// Reads `500ms`, `30s`, `2m`, `1h`, `7d` or several of them together (`1h30m`); a number alone means seconds.
///
/// # Errors
/// When the text is none of these.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    parse_ms(text).map(Duration::from_millis).ok_or_else(|| {
        format!("{text:?} is no time span: write a number with ms, s, m, h or d, such as 500ms, 30s or 1h30m")
    })
}

/// As [`parse_duration`], and not nothing.
///
/// # Errors
/// When the text is no time span, or no time.
pub fn parse_some_time(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("it is no time at all: write a longer one, such as 500ms or 2s".to_owned()),
        span => Ok(span),
    }
}

/// As [`parse_duration`], in milliseconds.
///
/// # Errors
/// When the text is no time span.
pub fn parse_duration_ms(text: &str) -> Result<u64, String> {
    parse_duration(text).map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

fn parse_ms(text: &str) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<u64>().ok()?.checked_mul(SECOND_MS);
    }
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
        let factor = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// A moment as it was written: some are known only when they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Milliseconds since the epoch.
    At(u64),
    /// Milliseconds before now.
    Ago(u64),
}

impl Moment {
    /// Reads RFC 3339, milliseconds since the epoch, `earliest`, `latest` or `now`, or a span before now such as `-1h`.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        let moment = match text.strip_prefix('-') {
            Some(span) => parse_ms(span).map(Self::Ago),
            None if text == "earliest" => Some(Self::At(0)),
            None if matches!(text, "latest" | "now") => Some(Self::Ago(0)),
            None if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok().map(Self::At)
            }
            None => OffsetDateTime::parse(text, &Rfc3339)
                .ok()
                .and_then(|time| u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok())
                .map(Self::At),
        };
        moment.ok_or_else(|| {
            format!(
                "{text:?} is no time: write 2026-07-01T12:00:00Z, milliseconds since 1970, a span before now such as -1h, or earliest, latest or now"
            )
        })
    }

    /// Milliseconds since the epoch.
    pub fn resolve(self, now_ms: u64) -> u64 {
        match self {
            Self::At(ms) => ms,
            Self::Ago(ms) => now_ms.saturating_sub(ms),
        }
    }
}

/// The wall clock, in milliseconds since the epoch.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since the epoch as RFC 3339 in UTC, with three digits of the second's fraction.
pub fn rfc3339(ms: u64) -> String {
    stamp(ms, 'T').unwrap_or_else(|| ms.to_string())
}

/// As [`rfc3339`], easier on the eye.
pub fn moment(ms: u64) -> String {
    stamp(ms, ' ').unwrap_or_else(|| ms.to_string())
}

fn stamp(ms: u64, between: char) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(i64::try_from(ms / 1000).ok()?).ok()?;
    let (date, clock) = (time.date(), time.time());
    Some(format!(
        "{:04}-{:02}-{:02}{between}{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        ms % 1000
    ))
}

/// A span of milliseconds as people say it: the two largest units, `-` for none.
pub fn span(ms: u64) -> String {
    match ms {
        0 => "-".to_owned(),
        ms if ms < SECOND_MS => format!("{ms}ms"),
        ms if ms < 10 * SECOND_MS && ms % SECOND_MS >= 100 => {
            format!("{}.{}s", ms / SECOND_MS, ms % SECOND_MS / 100)
        }
        ms if ms < MINUTE_MS => format!("{}s", ms / SECOND_MS),
        ms if ms < HOUR_MS => two(ms, (MINUTE_MS, "m"), (SECOND_MS, "s")),
        ms if ms < DAY_MS => two(ms, (HOUR_MS, "h"), (MINUTE_MS, "m")),
        ms => two(ms, (DAY_MS, "d"), (HOUR_MS, "h")),
    }
}

/// A span of milliseconds to the millisecond, as [`parse_duration`] reads it: what somebody has set.
pub fn exact(ms: u64) -> String {
    let mut text = String::new();
    let mut rest = ms;
    for (name, factor) in UNITS.iter().rev() {
        let number = rest / factor;
        rest %= factor;
        if number > 0 {
            text.push_str(&number.to_string());
            text.push_str(name);
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// How long ago a moment was.
pub fn ago(ms: u64, now_ms: u64) -> String {
    match now_ms.saturating_sub(ms) {
        0..SECOND_MS => "now".to_owned(),
        since => format!("{} ago", span(since)),
    }
}

fn two(ms: u64, (large, large_unit): (u64, &str), (small, small_unit): (u64, &str)) -> String {
    match ms % large / small {
        0 => format!("{}{large_unit}", ms / large),
        rest => format!("{}{large_unit}{rest}{small_unit}", ms / large),
    }
}

/// A number with a comma between thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// So many of something, with its words for one and for several.
pub fn counted(number: u64, one: &str, several: &str) -> String {
    let what = if number == 1 { one } else { several };
    format!("{} {what}", count(number))
}

/// A number with commas that may be less: some of it was not counted yet.
pub fn at_most(number: u64, uncounted: u64) -> String {
    let may_be_less = if uncounted > 0 { "≤" } else { "" };
    format!("{may_be_less}{}", count(number))
}

/// Bytes in the largest unit that leaves a number above one.
pub fn size(bytes: u64) -> String {
    const NAMES: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut whole = bytes;
    while whole >= 1024 * 1024 && unit + 1 < NAMES.len() {
        whole /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", whole / 1024, whole % 1024 * 10 / 1024, NAMES[unit])
}

/// Milliseconds as seconds, for JSON.
pub fn seconds(ms: u64) -> Seconds {
    Seconds(ms)
}

/// Milliseconds that are written as a number of seconds: whole where they are whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seconds(u64);

impl Seconds {
    /// As [`exact`], for people.
    pub fn exact(self) -> String {
        exact(self.0)
    }
}

impl serde::Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(SECOND_MS) {
            serializer.serialize_u64(self.0 / SECOND_MS)
        } else {
            // Milliseconds below 2^53 have an exact double, and its quotient prints with three digits.
            #[expect(clippy::cast_precision_loss, reason = "no age has 2^53 milliseconds")]
            serializer.serialize_f64(self.0 as f64 / 1000.0)
        }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&span(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_take_units_alone_and_together() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("30", 30_000),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "1w", "0.5s", "-1s", "1h30", "99999999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_rfc_3339_or_milliseconds_or_before_now() {
        let now = 1_000_000_000_000;
        for (text, ms) in [
            ("1970-01-01T00:00:01Z", 1000),
            ("1970-01-01T01:00:01.250+01:00", 1250),
            ("1700000000000", 1_700_000_000_000),
            ("now", now),
            ("latest", now),
            ("earliest", 0),
            ("-1h", now - HOUR_MS),
            ("-90", now - 90 * SECOND_MS),
        ] {
            assert_eq!(
                Moment::parse(text).map(|moment| moment.resolve(now)),
                Ok(ms),
                "{text}"
            );
        }
        for text in [
            "",
            "-",
            "yesterday",
            "beginning",
            "2026-07-01",
            "1h",
            "1969-01-01T00:00:00Z",
        ] {
            let refusal = Moment::parse(text).unwrap_err();
            assert!(refusal.contains("earliest, latest or now"), "{refusal}");
        }
    }

    #[test]
    fn moments_are_written_in_utc_with_three_digits() {
        assert_eq!(rfc3339(1_700_000_000_005), "2023-11-14T22:13:20.005Z");
        assert_eq!(moment(0), "1970-01-01 00:00:00.000Z");
        assert_eq!(rfc3339(u64::MAX), u64::MAX.to_string());
    }

    #[test]
    fn spans_are_shown_in_two_units() {
        for (ms, text) in [
            (0, "-"),
            (7, "7ms"),
            (1_000, "1s"),
            (1_250, "1.2s"),
            (59_999, "59s"),
            (60_000, "1m"),
            (90_500, "1m30s"),
            (7_260_000, "2h1m"),
            (200_000_000, "2d7h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn a_span_that_was_set_is_shown_to_the_millisecond_and_read_again() {
        for (ms, text) in [
            (0, "0s"),
            (50, "50ms"),
            (1_050, "1s50ms"),
            (12_500, "12s500ms"),
            (60_000, "1m"),
            (90_500, "1m30s500ms"),
            (7_200_000, "2h"),
            (90_061_001, "1d1h1m1s1ms"),
        ] {
            assert_eq!(exact(ms), text);
            assert_eq!(parse_duration_ms(text), Ok(ms));
        }
    }

    #[test]
    fn numbers_have_commas_and_sizes_have_units() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [12, 2048, 1_572_864, 5 << 40].map(size),
            ["12 B", "2.0 KiB", "1.5 MiB", "5.0 TiB"]
        );
    }

    #[test]
    fn seconds_in_json_are_numbers() {
        let json = |ms| serde_json::to_string(&seconds(ms)).unwrap();
        assert_eq!([0, 1_000, 1_250].map(json), ["0", "1", "1.25"]);
    }
}
