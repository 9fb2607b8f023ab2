//! Sizes as people set them: `256KiB`, `10GiB`. A broker reads its configuration's so, and these are read alike.

const UNITS: [(&str, u64); 17] = [
    ("", 1),
    ("B", 1),
    ("K", 1 << 10),
    ("KiB", 1 << 10),
    ("KB", 1000),
    ("M", 1 << 20),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("G", 1 << 30),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("T", 1 << 40),
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("P", 1 << 50),
    ("PiB", 1 << 50),
    ("PB", 1_000_000_000_000_000),
];

/// Reads a size in bytes; a number alone is bytes.
///
/// # Errors
/// When the text is no size.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim();
    let known = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let Some((_, factor)) = known.filter(|_| !number.is_empty()) else {
        return Err(format!(
            "{text:?} is no size: write a whole number and B, KiB, MiB, GiB, TiB or PiB, or KB, MB, GB, TB or PB for powers of 1000, such as 512MiB or 10GiB"
        ));
    };
    let bytes = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor));
    bytes.ok_or_else(|| format!("{text:?} is more than can be counted: take less"))
}

/// A size to the byte, as [`parse_size`] reads it: a whole number of the largest unit that fits.
pub fn exact_size(bytes: u64) -> String {
    let mut units = UNITS.iter().rev().filter(|(name, _)| name.ends_with("iB"));
    match units.find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor)) {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_a_unit_in_large_or_small_letters_or_none() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("256 kib", 256 << 10),
            ("10GiB", 10 << 30),
            ("2G", 2 << 30),
            ("1TiB", 1 << 40),
            ("1MB", 1_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "GiB", "1.5GiB", "-1", "10 gallons"] {
            let refusal = parse_size(text).unwrap_err();
            assert!(refusal.contains("is no size"), "{refusal}");
        }
        for text in ["99999999999GiB", "99999999999999999999"] {
            let refusal = parse_size(text).unwrap_err();
            assert!(refusal.contains("more than can be counted"), "{refusal}");
        }
    }

    #[test]
    fn a_size_that_was_set_is_shown_to_the_byte_and_read_again() {
        for (bytes, text) in [
            (0, "0B"),
            (1000, "1000B"),
            (8 << 20, "8MiB"),
            (1536 << 20, "1536MiB"),
            (10 << 30, "10GiB"),
            (1 << 50, "1PiB"),
        ] {
            assert_eq!(exact_size(bytes), text);
            assert_eq!(parse_size(text), Ok(bytes));
        }
    }
}
