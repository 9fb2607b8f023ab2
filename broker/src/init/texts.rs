//! What the parser says, in the words of those who write the file.

use crate::nearest::nearest;

/// Keys and values for what serde calls after Rust's parts; for an unknown key the nearest one.
pub(super) fn plain(message: &str) -> String {
    let message = with_hint(message);
    let words = [
        ("unknown field", "unknown key"),
        ("missing field", "missing key"),
        ("duplicate field", "duplicate key"),
        ("unknown variant", "unknown value"),
    ];
    words
        .into_iter()
        .fold(message, |text, (theirs, ours)| text.replacen(theirs, ours, 1))
}

/// serde names the unknown key and all known ones; this adds the nearest.
fn with_hint(message: &str) -> String {
    let meant = || {
        let (_, rest) = message.split_once("unknown field `")?;
        let (unknown, known) = rest.split_once('`')?;
        nearest(unknown, known.split('`').skip(1).step_by(2))
    };
    match meant() {
        Some(key) => format!("{message}; did you mean '{key}'?"),
        None => message.to_owned(),
    }
}
