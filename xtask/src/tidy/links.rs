//! Relative links of Markdown pages lead somewhere, headings included.

use std::collections::BTreeSet;

use super::Violation;
use super::tree::{File, Tree};

/// Every relative link names a file or folder of the repository, and a heading that is there if it names one.
pub fn links_resolve(tree: &Tree) -> Vec<Violation> {
    let paths: BTreeSet<&str> = tree.paths.iter().flat_map(|path| and_folders(path)).collect();
    let mut violations = Vec::new();
    for page in tree.markdown() {
        for (link, line) in links(&page.text) {
            if let Some(message) = broken(tree, &paths, page, &link) {
                violations.push(Violation::new(&page.path, line, message));
            }
        }
    }
    violations
}

/// The path and all folders above it.
fn and_folders(path: &str) -> impl Iterator<Item = &str> {
    std::iter::once(path).chain(path.match_indices('/').map(|(at, _)| &path[..at]))
}

fn broken(tree: &Tree, paths: &BTreeSet<&str>, page: &File, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = link
        .split_once('#')
        .map_or((link, None), |(path, heading)| (path, Some(heading)));
    let Some(target) = resolved(&page.path, path) else {
        return Some(format!("the link {link} leads out of the repository"));
    };
    if !target.is_empty() && !paths.contains(target.as_str()) {
        return Some(format!("the link {link} leads nowhere: there is no {target}"));
    }
    let heading = heading?;
    let target = tree.file(&target).filter(|target| target.path.ends_with(".md"))?;
    let found = anchors(&target.text).any(|anchor| anchor == heading);
    (!found).then(|| {
        format!(
            "the link {link} leads nowhere: {} has no heading #{heading}",
            target.path
        )
    })
}

/// The link's path from the root; the page's own for an empty one. None where it leads out of the repository.
fn resolved(page: &str, link: &str) -> Option<String> {
    if link.is_empty() {
        return Some(page.to_owned());
    }
    let mut parts: Vec<_> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Targets of `[text](target)` and `[name]: target`, with their lines.
fn links(text: &str) -> Vec<(String, usize)> {
    let mut links = Vec::new();
    for (line, number) in prose(text) {
        let line = without_code(line);
        let inline = line
            .match_indices("](")
            .filter_map(|(at, _)| line[at + 2..].split_once(')').map(|(link, _)| link));
        let defined = line
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "))
            .map(|(_, link)| link);
        // A title may follow the target.
        let targets = inline
            .chain(defined)
            .filter_map(|link| link.split_whitespace().next());
        links.extend(targets.map(|link| (link.trim_matches(['<', '>']).to_owned(), number)));
    }
    links
}

/// The lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut fenced = false;
    text.lines().zip(1..).filter(move |(line, _)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    })
}

/// The line without what stands between backquotes.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// What the headings of a page are linked by: lower case, no signs, hyphens for spaces.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = prose(text)
        .map(|(line, _)| line)
        .filter(|line| line.starts_with('#'));
    let headings = headings.map(|line| line.trim_start_matches('#').trim());
    headings.map(|heading| {
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.flat_map(char::to_lowercase)
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{passes, places};

    const TARGET: (&str, &str) = (
        "docs/adr/0001-log.md",
        "# One log\n\n## Why: it's `simple`, and fast\n",
    );

    #[test]
    fn links_that_lead_somewhere_pass() {
        let page = "[a](docs/adr/0001-log.md) and [b](docs/adr)\n\
                    [c](https://example.org/none.md \"title\")\n\
                    [d](#the-end) [e](./docs/adr/0001-log.md#why-its-simple-and-fast) ![f](logo.png)\n\
                    `[g](none.md)` and\n```\n[h](none.md)\n```\n[i]: docs/adr/0001-log.md\n# The end\n";
        passes(links_resolve, &[("README.md", page), TARGET, ("logo.png", "")]);
        passes(
            links_resolve,
            &[
                ("docs/README.md", "[a](adr/0001-log.md) [b](../docs/adr/)\n"),
                TARGET,
            ],
        );
    }

    #[test]
    fn links_that_lead_nowhere_are_caught() {
        let page = "[a](none.md)\n\n[b](docs/adr/0001-log.md#none) and [c](#none)\n\
                    [d]: docs/none.md\n[e](../outside.md)\n";
        let expected = [
            "README.md:1",
            "README.md:3",
            "README.md:3",
            "README.md:4",
            "README.md:5",
        ];
        assert_eq!(places(links_resolve, &[("README.md", page), TARGET]), expected);
    }
}
