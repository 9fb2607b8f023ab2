//! What is quoted of a text that somebody else has sent.

use std::borrow::Cow;

/// Bytes that are quoted: every name that can be one is shown whole.
pub const EXCERPT_BYTES_MAX: usize = 256;

/// The text, or its beginning where it is longer. Errors go into headers, answers and lines of the log, and a client may send
/// megabytes where a name should be.
pub fn excerpt(text: &str) -> Cow<'_, str> {
    if text.len() <= EXCERPT_BYTES_MAX {
        return Cow::Borrowed(text);
    }
    let start = &text[..text.floor_char_boundary(EXCERPT_BYTES_MAX)];
    Cow::Owned(format!("{start}…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        let full = "x".repeat(EXCERPT_BYTES_MAX);
        for text in ["", "orders", &full] {
            assert_eq!(excerpt(text), text);
        }
        assert_eq!(excerpt(&format!("{full}y")), format!("{full}…"));
        let odd = format!("x{}", "ö".repeat(EXCERPT_BYTES_MAX));
        assert_eq!(excerpt(&odd).chars().count(), EXCERPT_BYTES_MAX / 2 + 1);
    }
}
