//! Quantities of storage and of messages: their bytes, and how they compare.

/// Suffixes with what they multiply by.
const SUFFIXES: &[(&str, u128)] = &[
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
];

/// The bytes of a quantity such as `1.5Gi`, rounded up as Kubernetes does; none if it is no such quantity.
pub fn bytes(quantity: &str) -> Option<u128> {
    let suffix = SUFFIXES.iter().find(|(suffix, _)| quantity.ends_with(suffix));
    let (number, factor) = match suffix {
        Some((suffix, factor)) => (quantity.strip_suffix(suffix)?, *factor),
        None => (quantity, 1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |part: &str| part.len() <= 15 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse::<u128>().ok()?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(digits.checked_mul(factor)?.div_ceil(scale))
}

/// Whether the first is less than the second. What cannot be read is not.
pub fn less(one: &str, other: &str) -> bool {
    matches!((bytes(one), bytes(other)), (Some(one), Some(other)) if one < other)
}

/// Whether both are the same amount.
pub fn same(one: &str, other: &str) -> bool {
    one == other || matches!((bytes(one), bytes(other)), (Some(one), Some(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (quantity, wanted) in [
            ("1", Some(1)),
            ("1Ki", Some(1024)),
            ("1.5Gi", Some(1_610_612_736)),
            ("2G", Some(2_000_000_000)),
            ("100k", Some(100_000)),
            ("0.3Ki", Some(308)),
            ("", None),
            (".", None),
            ("Gi", None),
            ("-1Gi", None),
            ("1e3", None),
            ("ten", None),
        ] {
            assert_eq!(bytes(quantity), wanted, "{quantity}");
        }
    }

    #[test]
    fn amounts_are_compared_and_not_their_spelling() {
        assert!(same("1024Mi", "1Gi") && !same("1G", "1Gi"));
        assert!(less("1G", "1Gi") && !less("1Gi", "1024Mi") && !less("ten", "1Gi"));
    }
}
