//! Marks of unfinished work.

use super::Violation;
use super::tokens;
use super::tree::{File, Tree};

/// What is not finished has an issue; the source does not promise it alone.
pub fn no_unfinished_work(tree: &Tree) -> Vec<Violation> {
    let code = tree.files.iter().filter(|file| is_code(file));
    let in_code = code.flat_map(|file| notes(file).chain(macros(file)));
    in_code.chain(tree.files.iter().flat_map(open_merges)).collect()
}

/// What git leaves in a file whose two versions it cannot merge; pages and code alike.
fn open_merges(file: &File) -> impl Iterator<Item = Violation> + '_ {
    let marks = ["<", ">"].map(|sign| sign.repeat(7) + " ");
    file.text.lines().zip(1..).filter_map(move |(line, number)| {
        let is_open = marks.iter().any(|mark| line.starts_with(mark));
        is_open.then(|| Violation::new(&file.path, number, "make one text of the two versions".to_owned()))
    })
}

/// Pages may speak of the marks (this project's own rules do), and protocol definitions are taken over as
/// they are.
fn is_code(file: &File) -> bool {
    !file.path.ends_with(".md") && !file.path.ends_with(".proto")
}

/// The marks, made of parts: this file is checked too.
fn marks() -> [String; 3] {
    [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["XX", "X"].concat(),
    ]
}

/// Notes to oneself without `(#123)` behind them.
fn notes(file: &File) -> impl Iterator<Item = Violation> + '_ {
    let marks = marks();
    file.text.lines().zip(1..).filter_map(move |(line, number)| {
        let mark = marks.iter().find(|mark| stands_alone(line, mark))?;
        Some(Violation::new(
            &file.path,
            number,
            format!("give the issue: {mark}(#123), or finish it"),
        ))
    })
}

/// Tells whether the word stands in the line without an issue number at least once.
fn stands_alone(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + mark.len()..];
        let is_part_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let is_word = !before.is_some_and(is_part_of_word) && !after.starts_with(is_part_of_word);
        is_word && !has_issue(after)
    })
}

/// `(#` and a number and `)`.
fn has_issue(after: &str) -> bool {
    let number = after
        .strip_prefix("(#")
        .and_then(|rest| rest.split_once(')'))
        .map(|(number, _)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `todo!` and `unimplemented!`, which clippy denies as well, but only in what it is given to compile.
fn macros(file: &File) -> impl Iterator<Item = Violation> + '_ {
    let tokens = if file.path.ends_with(".rs") {
        tokens::of(file)
    } else {
        Vec::new()
    };
    let mut lines: Vec<usize> = Vec::new();
    for name in ["todo", "unimplemented"] {
        lines.extend(tokens::find(&tokens, &[name, "!"]).map(|index| tokens[index].line));
    }
    lines
        .into_iter()
        .map(|line| Violation::new(&file.path, line, "no stub: write it, or leave it out"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{passes, places};

    #[test]
    fn a_note_with_an_issue_passes() {
        let [todo, fixme, _] = marks();
        let source = format!(
            "// {todo}(#12): grow it\n# {fixme}(#3)\nconst AUTO{todo}S: u32 = 1;\nlet todo = !done;\n"
        );
        passes(
            no_unfinished_work,
            &[("a.rs", &source), ("a.md", &format!("No {todo}.\n"))],
        );
    }

    #[test]
    fn a_note_without_an_issue_is_caught_in_any_language() {
        for mark in marks() {
            let note = format!("first\n// {mark}: grow it\n// {mark}(#) and {mark}(later)\n");
            let files = [("a.java", &*note), ("b.sh", &*note)];
            assert_eq!(
                places(no_unfinished_work, &files),
                ["a.java:2", "a.java:3", "b.sh:2", "b.sh:3"]
            );
        }
    }

    #[test]
    fn a_merge_that_was_left_open_is_caught_in_pages_too() {
        let [ours, theirs] = ["<", ">"].map(|sign| sign.repeat(7));
        let page = format!("# Page\n{ours} HEAD\nthis\n=======\nthat\n{theirs} other\n{theirs}> quoted\n");
        assert_eq!(
            places(no_unfinished_work, &[("a.md", &page)]),
            ["a.md:2", "a.md:6"]
        );
    }

    #[test]
    fn a_stub_is_caught() {
        let source = "fn a() {\n    todo!()\n}\nfn b() { unimplemented!(\"later\") }\n// todo!()\n";
        assert_eq!(
            places(no_unfinished_work, &[("a.rs", source)]),
            ["a.rs:2", "a.rs:4"]
        );
    }
}
