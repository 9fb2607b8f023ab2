//! Rust source as a flat list of tokens, so that no rule mistakes a comment or a string for code.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::Violation;
use super::tree::{File, Tree};

/// A word, a sign, a literal, or one side of a pair of brackets.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    /// From 1.
    pub line: usize,
}

/// The tokens of a file; none if it is not Rust (`source_can_be_read` tells).
pub fn of(file: &File) -> Vec<Token> {
    stream(file).map(flat).unwrap_or_default()
}

/// The file as a tree of tokens.
pub fn stream(file: &File) -> Option<TokenStream> {
    file.text.parse().ok()
}

/// All tokens of a stream, in the order of the source.
pub fn flat(stream: TokenStream) -> Vec<Token> {
    let mut tokens = Vec::new();
    push_all(stream, &mut tokens);
    tokens
}

/// Every place at which the tokens stand one after the other, as the index of the first.
pub fn find<'a>(tokens: &'a [Token], wanted: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    tokens
        .windows(wanted.len())
        .enumerate()
        .filter_map(move |(index, window)| {
            window
                .iter()
                .zip(wanted)
                .all(|(token, text)| token.text == *text)
                .then_some(index)
        })
}

/// A file that cannot be read as Rust would pass every other rule unseen.
pub fn source_can_be_read(tree: &Tree) -> Vec<Violation> {
    let unreadable = tree
        .rust()
        .filter_map(|file| Some((file, file.text.parse::<TokenStream>().err()?)));
    unreadable
        .map(|(file, error)| {
            Violation::new(
                &file.path,
                error.span().start().line,
                format!("not Rust: {error}"),
            )
        })
        .collect()
}

fn push_all(stream: TokenStream, tokens: &mut Vec<Token>) {
    for token in stream {
        let line = token.span().start().line;
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                tokens.push(Token {
                    text: open.to_owned(),
                    line,
                });
                push_all(group.stream(), tokens);
                tokens.push(Token {
                    text: close.to_owned(),
                    line: group.span_close().start().line,
                });
            }
            other => tokens.push(Token {
                text: other.to_string(),
                line,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{passes, places};

    fn tokens(source: &str) -> Vec<Token> {
        of(&File {
            path: "a.rs".to_owned(),
            text: source.to_owned(),
        })
    }

    #[test]
    fn tokens_carry_their_lines() {
        let tokens = tokens("fn main() {\n    run();\n}\n");
        let lines: Vec<_> = tokens
            .iter()
            .map(|token| (token.text.as_str(), token.line))
            .collect();
        let expected = [
            ("fn", 1),
            ("main", 1),
            ("(", 1),
            (")", 1),
            ("{", 1),
            ("run", 2),
            ("(", 2),
            (")", 2),
            (";", 2),
            ("}", 3),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        let tokens = tokens("//! unsafe\n/* unsafe */ const WORD: &str = \"unsafe\"; // unsafe\n");
        assert_eq!(find(&tokens, &["unsafe"]).count(), 0);
    }

    #[test]
    fn a_run_of_tokens_is_found_wherever_it_stands() {
        let tokens = tokens("use std::fs;\nfn read() { std::fs::read(path) }\n");
        let lines: Vec<_> = find(&tokens, &["std", ":", ":", "fs"])
            .map(|index| tokens[index].line)
            .collect();
        assert_eq!(lines, [1, 2]);
    }

    #[test]
    fn source_that_is_not_rust_is_caught() {
        passes(source_can_be_read, &[("a.rs", "fn main() {}\n"), ("a.txt", "}")]);
        assert_eq!(
            places(source_can_be_read, &[("a.rs", "fn main() {}\n}\n")]),
            ["a.rs:2"]
        );
    }
}
