//! What the pages claim about the code and the code about the pages.

use std::collections::BTreeMap;

use super::Violation;
use super::tree::{File, Tree};
use crate::tools;

const TESTING: &str = "docs/testing.md";

const SUITES_HEADING: &str = "## System suites";

const TOOLS_HEADING: &str = "| Tool | Version |";

/// The folder whose Rust files are the system suites.
const SUITES: &str = "tests/tests/";

/// docs/testing.md's table of suites has a row for each system suite, and none for a suite that is not there.
pub fn every_suite_is_described(tree: &Tree) -> Vec<Violation> {
    let described = tree.file(TESTING).map(described_suites).unwrap_or_default();
    let there: Vec<_> = tree
        .files
        .iter()
        .filter_map(|file| suite_name(&file.path).map(|name| (name, file)))
        .collect();
    let undescribed = there
        .iter()
        .filter(|(name, _)| !described.contains_key(name))
        .map(|(name, file)| {
            Violation::new(
                &file.path,
                1,
                format!("{TESTING} does not say what this suite proves: add a row for `{name}`"),
            )
        });
    let gone = described
        .iter()
        .filter(|(name, _)| !there.iter().any(|(suite, _)| suite == *name));
    let gone = gone
        .map(|(name, &line)| Violation::new(TESTING, line, format!("there is no suite {SUITES}{name}.rs")));
    undescribed.chain(gone).collect()
}

/// Every environment variable of ours that any file reads or sets is explained on some page.
pub fn every_variable_is_documented(tree: &Tree) -> Vec<Violation> {
    let explained: String = tree
        .markdown()
        .filter(|page| page.path != "CHANGELOG.md")
        .map(|page| page.text.as_str())
        .collect();
    let explained: Vec<_> = variables(&explained).collect();
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| !file.path.ends_with(".md")) {
        for (line, number) in file.text.lines().zip(1..) {
            for name in variables(line).filter(|name| !explained.contains(name)) {
                violations.push(Violation::new(
                    &file.path,
                    number,
                    format!("no page in docs/ explains {name}"),
                ));
            }
        }
    }
    violations
}

/// README.md's table of tools states the versions that `cargo xtask test` asks for, and no tool that it does not.
pub fn tool_versions_are_stated(tree: &Tree) -> Vec<Violation> {
    let Some(readme) = tree.file("README.md") else {
        return vec![Violation::new("README.md", 1, "there is no README.md")];
    };
    let unstated = tools::TOOLS
        .iter()
        .map(|tool| format!("| {} | {} |", tool.name, tool.at_least));
    let unstated = unstated.filter(|row| !readme.text.lines().any(|line| line == row));
    let unstated = unstated
        .map(|row| Violation::new(&readme.path, 1, format!("the table of tools lacks the row {row}")));
    let rows = readme.text.lines().zip(1..);
    let unused = rows.skip_while(|(line, _)| *line != TOOLS_HEADING).skip(2);
    let unused =
        unused.map_while(|(line, number)| Some((line.strip_prefix("| ")?.split_once(" |")?.0, number)));
    let unused = unused.filter(|(name, _)| tools::TOOLS.iter().all(|tool| tool.name != *name));
    let unused = unused.map(|(name, number)| {
        Violation::new(
            &readme.path,
            number,
            format!("`cargo xtask test` does not ask for {name}"),
        )
    });
    unstated.chain(unused).collect()
}

/// The names in the first column of the table under the heading for suites, with their lines.
fn described_suites(page: &File) -> BTreeMap<&str, usize> {
    let from_heading = page
        .text
        .lines()
        .zip(1..)
        .skip_while(|(line, _)| *line != SUITES_HEADING)
        .skip(1);
    let rows = from_heading.take_while(|(line, _)| !line.starts_with("## "));
    rows.filter_map(|(line, number)| Some((line.strip_prefix("| `")?.split_once('`')?.0, number)))
        .collect()
}

/// `tests/tests/crash.rs` and `tests/tests/crash/main.rs` are the suite `crash`.
fn suite_name(path: &str) -> Option<&str> {
    let path = path.strip_prefix(SUITES)?;
    let name = path
        .strip_suffix("/main.rs")
        .or_else(|| path.strip_suffix(".rs"))?;
    (!name.contains('/')).then_some(name)
}

/// The names that begin like ours, wherever they stand in the text.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let prefix = "SLUICE_";
    text.match_indices(prefix).filter_map(move |(at, _)| {
        let rest = &text[at..];
        let end = rest
            .find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
            .unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches('_');
        (name.len() > prefix.len()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{passes, places};

    const PAGE: &str = "| `before` | x |\n## System suites\n\n| suite | proves |\n| --- | --- |\n\
                        | `crash` | nothing is lost |\n| `java` | the client works |\n\n\
                        ## Other\n\n| `after` | x |\n";

    #[test]
    fn described_suites_pass() {
        let suites = [
            ("docs/testing.md", PAGE),
            ("tests/tests/crash.rs", ""),
            ("tests/tests/java/main.rs", ""),
        ];
        passes(every_suite_is_described, &suites);
        passes(
            every_suite_is_described,
            &[
                &suites[..],
                &[("tests/tests/java/send.rs", ""), ("tests/src/lib.rs", "")],
            ]
            .concat(),
        );
    }

    #[test]
    fn a_suite_without_a_row_and_a_row_without_a_suite_are_caught() {
        let files = [
            ("docs/testing.md", PAGE),
            ("tests/tests/crash.rs", ""),
            ("tests/tests/load.rs", ""),
        ];
        assert_eq!(
            places(every_suite_is_described, &files),
            ["tests/tests/load.rs:1", "docs/testing.md:7"]
        );
        assert_eq!(
            places(every_suite_is_described, &files[1..2]),
            ["tests/tests/crash.rs:1"]
        );
    }

    /// A variable's name, made of parts: this file is checked too.
    fn variable(name: &str) -> String {
        ["SLUICE", name].join("_")
    }

    #[test]
    fn an_explained_variable_passes() {
        let name = variable("BIN_DIR");
        let page = format!("`{name}` is where the executables are.\n");
        let source = format!("let dir = env(\"{name}\"); // SLUICE_\nsluice_bin_dir();\n");
        passes(
            every_variable_is_documented,
            &[("docs/testing.md", &page), ("tests/src/lib.rs", &source)],
        );
    }

    #[test]
    fn an_unexplained_variable_is_caught() {
        let longer = variable("BIN_DIR_2");
        let page = format!("`{}`\n", variable("BIN_DIR"));
        let files = [
            ("docs/a.md", &*page),
            ("CHANGELOG.md", &longer),
            ("a.sh", &format!("\nexport {longer}=1\n")),
        ];
        assert_eq!(places(every_variable_is_documented, &files), ["a.sh:2"]);
    }

    #[test]
    fn a_readme_with_all_versions_passes_and_one_without_is_caught() {
        let rows = tools::TOOLS
            .iter()
            .map(|tool| format!("| {} | {} |\n", tool.name, tool.at_least));
        let rows: Vec<_> = rows.collect();
        passes(tool_versions_are_stated, &[("README.md", &rows.concat())]);
        assert_eq!(
            places(tool_versions_are_stated, &[("README.md", &rows[1..].concat())]),
            ["README.md:1"]
        );
        assert_eq!(places(tool_versions_are_stated, &[]), ["README.md:1"]);
    }

    #[test]
    fn a_tool_that_nothing_asks_for_is_caught() {
        let rows = tools::TOOLS
            .iter()
            .map(|tool| format!("| {} | {} |\n", tool.name, tool.at_least));
        let rows: String = rows.collect();
        let readme = format!("{TOOLS_HEADING}\n| --- | --- |\n| Abacus | 1.0 |\n{rows}\n| Other | table |\n");
        assert_eq!(
            places(tool_versions_are_stated, &[("README.md", &readme)]),
            ["README.md:3"]
        );
    }
}
