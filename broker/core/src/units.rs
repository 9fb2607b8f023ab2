//! Sizes and durations as people write them: `256KiB`, `1GiB`, `500ms`, `10m`.

use std::time::Duration;

/// Powers of 1024 also as Kubernetes writes them.
const SIZES: [(&str, u64); 22] = [
    ("", 1),
    ("B", 1),
    ("K", 1 << 10),
    ("Ki", 1 << 10),
    ("KiB", 1 << 10),
    ("KB", 1000),
    ("M", 1 << 20),
    ("Mi", 1 << 20),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("G", 1 << 30),
    ("Gi", 1 << 30),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("T", 1 << 40),
    ("Ti", 1 << 40),
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("P", 1 << 50),
    ("Pi", 1 << 50),
    ("PiB", 1 << 50),
    ("PB", 1_000_000_000_000_000),
];

const TIMES_MS: [(&str, u64); 5] = [
    ("", 1000),
    ("ms", 1),
    ("s", 1000),
    ("m", 60 * 1000),
    ("h", 3600 * 1000),
];

/// Reads a size in bytes; a bare number is bytes.
///
/// # Errors
/// When the text is no size, or too large a one: what to write instead.
pub fn size(text: &str) -> Result<u64, String> {
    read(text, &SIZES).map_err(|wrong| match wrong {
        Wrong::Form => format!(
            "'{text}' is no size: write a whole number and B, KiB, MiB, GiB, TiB or PiB, or KB, MB, GB, TB or PB for powers of 1000, such as 256KiB or 1GiB"
        ),
        Wrong::TooMuch => format!("'{text}' is more than can be counted: take less"),
    })
}

/// Reads a duration; a bare number is in seconds.
///
/// # Errors
/// As [`size`].
pub fn duration(text: &str) -> Result<Duration, String> {
    let ms = read(text, &TIMES_MS).map_err(|wrong| match wrong {
        Wrong::Form => {
            format!("'{text}' is no duration: write a whole number and ms, s, m or h, such as 500ms or 10s")
        }
        Wrong::TooMuch => format!("'{text}' is more than can be counted: take less"),
    });
    ms.map(Duration::from_millis)
}

/// Writes a duration so that [`duration`] reads it: as a whole number of the largest unit that fits.
pub fn write(duration: Duration) -> String {
    let ms = duration.as_millis();
    let mut units = TIMES_MS.iter().rev().filter(|(name, _)| !name.is_empty());
    match units.find(|(_, factor)| ms > 0 && ms.is_multiple_of(u128::from(*factor))) {
        Some((name, factor)) => format!("{}{name}", ms / u128::from(*factor)),
        None => "0s".to_owned(),
    }
}

/// Writes a size so that [`size`] reads it: as a whole number of the largest unit that fits.
pub fn write_size(bytes: u64) -> String {
    let mut units = SIZES.iter().rev().filter(|(name, _)| name.ends_with("iB"));
    match units.find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor)) {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

/// Why a text is no number with a unit.
enum Wrong {
    Form,
    /// It is one, and too large a one.
    TooMuch,
}

fn read(text: &str, units: &[(&str, u64)]) -> Result<u64, Wrong> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let known = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let (_, factor) = known.filter(|_| !number.is_empty()).ok_or(Wrong::Form)?;
    let number = number.parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(*factor))
        .ok_or(Wrong::TooMuch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("256KiB", 256 << 10),
            ("256 kib", 256 << 10),
            ("512MiB", 512 << 20),
            ("1GiB", 1 << 30),
            ("2G", 2 << 30),
            ("10Gi", 10 << 30),
            ("1TiB", 1 << 40),
            ("1MB", 1_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "GiB", "1.5GiB", "-1", "1TiBs", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["99999999999GiB", "99999999999999999999"] {
            let refusal = size(text).unwrap_err();
            assert!(refusal.contains("more than can be counted"), "{refusal}");
        }
    }

    #[test]
    fn sizes_are_written_as_they_are_read() {
        for (bytes, text) in [
            (0, "0B"),
            (1000, "1000B"),
            (8 << 20, "8MiB"),
            (1536 << 20, "1536MiB"),
            (1 << 40, "1TiB"),
            (1 << 50, "1PiB"),
        ] {
            assert_eq!(write_size(bytes), text);
            assert_eq!(size(text), Ok(bytes));
        }
    }

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, ms) in [
            ("5", 5000),
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "1.5s", "3 days"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for (ms, text) in [
            (0, "0s"),
            (500, "500ms"),
            (1500, "1500ms"),
            (90_000, "90s"),
            (60_000, "1m"),
            (7_200_000, "2h"),
        ] {
            assert_eq!(write(Duration::from_millis(ms)), text);
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)));
        }
    }
}
