//! The commands of a page: its blocks in `sh`, in order. A block in `text` right behind one is what it prints.

use std::path::Path;

use crate::binaries;
use anyhow::{Context as _, Result};

/// Stands for anything in a line of what is printed.
const ANYTHING: &str = "…";

/// Commands as they stand on a page.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// The heading that they stand under.
    pub heading: String,
    /// The line that the block begins in.
    pub line: usize,
    /// The commands.
    pub commands: String,
    /// What they print, line by line.
    pub prints: Vec<String>,
}

impl Block {
    /// The first line of what is to be printed that is not.
    #[must_use]
    pub fn missing_in(&self, output: &str) -> Option<&str> {
        let mut printed = output.lines();
        self.prints
            .iter()
            .find(|line| !printed.any(|printed| matches(printed.trim_end(), line.trim_end())))
            .map(String::as_str)
    }
}

/// The blocks of a page of this repository.
///
/// # Errors
/// When it cannot be read.
pub fn of(page: &str) -> Result<Vec<Block>> {
    let path = binaries::workspace().join(Path::new(page));
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(blocks(&text))
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut heading, mut adjacent) = (String::new(), false);
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        match line.trim_start().strip_prefix("```") {
            Some(language) => {
                let inside: Vec<_> = lines
                    .by_ref()
                    .map(|(line, _)| line)
                    .take_while(|line| !line.trim_start().starts_with("```"))
                    .collect();
                match blocks.last_mut() {
                    Some(block) if language == "text" && adjacent => {
                        block.prints = inside.into_iter().map(str::to_owned).collect();
                    }
                    _ if language == "sh" => blocks.push(Block {
                        heading: heading.clone(),
                        line: number,
                        commands: inside.join("\n"),
                        prints: Vec::new(),
                    }),
                    _ => {}
                }
                adjacent = language == "sh";
            }
            None if line.starts_with('#') => {
                line.trim_start_matches('#').trim().clone_into(&mut heading);
                adjacent = false;
            }
            None => adjacent &= line.trim().is_empty(),
        }
    }
    blocks
}

/// Spaces are of no account: columns are as wide as what is in them.
fn matches(printed: &str, pattern: &str) -> bool {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let (printed, pattern) = (words(printed), words(pattern));
    let mut rest = printed.as_str();
    let mut parts = pattern.split(ANYTHING);
    let Some(first) = parts.next().and_then(|first| rest.strip_prefix(first)) else {
        return false;
    };
    rest = first;
    let parts: Vec<_> = parts.collect();
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn commands_are_found_with_their_headings_and_what_they_print() {
    let page = "# One\n\n```sh\na\n  b\n```\n\n```text\nx … y\n```\n\n## Two\n\n```yaml\nc: d\n```\n\n\
                ```sh\ne\n```\n\nProse.\n\n```text\nnot printed\n```\n";
    let block = |heading: &str, line, commands: &str, prints: &[&str]| Block {
        heading: heading.to_owned(),
        line,
        commands: commands.to_owned(),
        prints: prints.iter().map(|&line| line.to_owned()).collect(),
    };
    assert_eq!(
        blocks(page),
        [block("One", 3, "a\n  b", &["x … y"]), block("Two", 18, "e", &[])]
    );
}

#[test]
fn what_is_printed_is_compared_line_by_line_and_may_leave_parts_open() {
    let block = |prints: &[&str]| Block {
        heading: String::new(),
        line: 1,
        commands: String::new(),
        prints: prints.iter().map(|&line| line.to_owned()).collect(),
    };
    let output = "NAME    LAG\nbilling   12   7s\nsomething else\n";
    for (prints, missing) in [
        (vec!["NAME LAG", "billing 12 …s"], None),
        (vec!["… LAG", "something else"], None),
        (vec!["billing …7…"], None),
        (vec!["billing 13 …"], Some("billing 13 …")),
        (vec!["something else", "NAME LAG"], Some("NAME LAG")),
        (vec!["billing 12"], Some("billing 12")),
    ] {
        assert_eq!(block(&prints).missing_in(output), missing, "{prints:?}");
    }
}
