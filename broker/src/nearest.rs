//! What somebody may have meant by a word that is not known.

/// Changes that turn a slip into the word: one for each so many letters of it.
const LETTERS_PER_SLIP: usize = 3;

/// The known word that is nearest to `word`, if it is near. Case, hyphens and underscores do not
/// count: `grpc-listen` is `grpcListen`.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let asked = letters(word);
    let slips_max = (asked.len() / LETTERS_PER_SLIP).max(1);
    let known = known.into_iter();
    known
        .map(|name| (strsim::damerau_levenshtein(&asked, &letters(name)), name))
        .min()
        .filter(|(slips, _)| *slips <= slips_max)
        .map(|(_, name)| name)
}

fn letters(word: &str) -> String {
    let kept = word.chars().filter(|letter| !matches!(letter, '-' | '_' | ' '));
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["queues", "name", "grpcListen", "httpListen", "log", "logFormat"];
        for (word, meant) in [
            ("queus", Some("queues")),
            ("Name", Some("name")),
            ("grpc-listen", Some("grpcListen")),
            ("GRPC_LISTEN", Some("grpcListen")),
            ("htpListen", Some("httpListen")),
            ("lgo", Some("log")),
            ("logFromat", Some("logFormat")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
