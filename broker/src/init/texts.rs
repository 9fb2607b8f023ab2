//! What the parser says, in the words of those who write the file.

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
    let nearest = || {
        let (_, rest) = message.split_once("unknown field `")?;
        let (unknown, known) = rest.split_once('`')?;
        let known = known.split('`').skip(1).step_by(2);
        known
            .map(|key| (distance(unknown, key), key))
            .min()
            .filter(|(steps, _)| *steps <= 3)
    };
    match nearest() {
        Some((_, key)) => format!("{message}; did you mean '{key}'?"),
        None => message.to_owned(),
    }
}

/// Levenshtein's: insertions, deletions and replacements, not counting case.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(!x.eq_ignore_ascii_case(&y));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
