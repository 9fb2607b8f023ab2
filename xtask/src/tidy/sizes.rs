//! How long files may be. Functions are clippy's (`too_many_lines`), whose exceptions `attributes.rs` looks
//! at.

use proc_macro2::{Delimiter, TokenTree};

use super::tree::{File, Tree};
use super::{Violation, tokens};

/// Lines of a source file without the tests at its end. A file aims at a quarter of that.
const FILE_LINES_MAX: usize = 600;

/// Lines of a main.rs: it parses arguments and calls what a test can call too.
const MAIN_LINES_MAX: usize = 60;

/// No file is longer than its bound.
pub fn files_are_short(tree: &Tree) -> Vec<Violation> {
    tree.rust()
        .filter_map(|file| {
            let bound = if is_main(file) {
                MAIN_LINES_MAX
            } else {
                FILE_LINES_MAX
            };
            let lines = lines_without_tests(file);
            let message =
                format!("{lines} lines without the tests at the end, at most {bound}: divide it by subject");
            (lines > bound).then(|| Violation::new(&file.path, bound + 1, message))
        })
        .collect()
}

fn is_main(file: &File) -> bool {
    file.path.rsplit('/').next() == Some("main.rs")
}

fn lines_without_tests(file: &File) -> usize {
    let all = file.text.lines().count();
    let Some(stream) = tokens::stream(file) else {
        return all;
    };
    let mut items: Vec<_> = stream.into_iter().collect();
    let mut lines = all;
    while let Some(first) = take_test_module(&mut items) {
        lines = first - 1;
    }
    lines
}

/// Removes `#[cfg(test)] mod name { … }` from the end of the items; returns the line it starts at.
fn take_test_module(items: &mut Vec<TokenTree>) -> Option<usize> {
    let [
        ..,
        TokenTree::Ident(keyword),
        TokenTree::Ident(_),
        TokenTree::Group(body),
    ] = items.as_slice()
    else {
        return None;
    };
    if *keyword != "mod" || body.delimiter() != Delimiter::Brace {
        return None;
    }
    let mut start = items.len() - 3;
    let mut first_line = None;
    let mut is_test = false;
    // Attributes stand before the item as `#` and a group.
    while let Some([TokenTree::Punct(hash), TokenTree::Group(attribute)]) =
        start.checked_sub(2).map(|at| &items[at..start])
    {
        if hash.as_char() != '#' || attribute.delimiter() != Delimiter::Bracket {
            break;
        }
        is_test |= attribute.stream().to_string().replace(' ', "") == "cfg(test)";
        first_line = Some(hash.span().start().line);
        start -= 2;
    }
    if !is_test {
        return None;
    }
    items.truncate(start);
    first_line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{passes, places};

    fn of_length(lines: usize) -> String {
        "// line\n".repeat(lines)
    }

    #[test]
    fn files_up_to_the_bound_pass() {
        passes(
            files_are_short,
            &[
                ("a.rs", &of_length(600)),
                ("src/main.rs", &of_length(60)),
                ("a.md", &of_length(900)),
            ],
        );
    }

    #[test]
    fn longer_files_are_caught() {
        let files = [("a.rs", &*of_length(601)), ("broker/src/main.rs", &of_length(61))];
        assert_eq!(
            places(files_are_short, &files),
            ["a.rs:601", "broker/src/main.rs:61"]
        );
    }

    #[test]
    fn tests_at_the_end_do_not_count() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", of_length(500));
        let source = format!(
            "{}{tests}#[cfg(test)]\n#[expect(dead_code, reason = \"r\")]\n{}",
            of_length(400),
            &tests[13..]
        );
        assert!(source.lines().count() > 600);
        passes(
            files_are_short,
            &[("a.rs", &format!("{}{tests}", of_length(400)))],
        );
        passes(files_are_short, &[("a.rs", &source)]);
    }

    #[test]
    fn a_module_that_is_not_for_tests_counts() {
        let module = format!("{}mod inner {{\n{}}}\n", of_length(400), of_length(300));
        assert_eq!(places(files_are_short, &[("a.rs", &module)]), ["a.rs:601"]);
    }

    #[test]
    fn tests_in_the_middle_count() {
        let source = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\nfn last() {{}}\n",
            of_length(600)
        );
        assert_eq!(places(files_are_short, &[("a.rs", &source)]), ["a.rs:601"]);
    }
}
