//! Sizes and times as people write them on a command line.

use std::time::Duration;

/// Reads `4096`, `256KiB`, `4MiB` or `1GiB`.
///
/// # Errors
/// When the text is not a whole number with one of these units, or does not fit.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let refuse =
        || format!("size {text:?} is not a whole number of bytes, KiB, MiB or GiB, such as 4096 or 1GiB");
    let (digits, unit) = split(text);
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(refuse()),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(refuse)
}

/// Reads `500ms`, `30s` or `2m`; a number alone means seconds.
///
/// # Errors
/// When the text is not a whole number with one of these units, or does not fit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("time {text:?} is not a whole number of ms, s or m, such as 500ms or 30s");
    let (digits, unit) = split(text);
    let factor: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        _ => return Err(refuse()),
    };
    let millis = digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(refuse)?;
    Ok(Duration::from_millis(millis))
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Whole microseconds; what does not fit is as good as for ever.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Whole nanoseconds; what does not fit is as good as for ever.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_binary_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("7B", 7),
            ("256KiB", 262_144),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "1GB", "1.5GiB", "-1", "99999999999GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_take_milliseconds_seconds_and_minutes() {
        for (text, millis) in [("500ms", 500), ("30s", 30_000), ("30", 30_000), ("2m", 120_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "1h", "0.5s", "-1s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
