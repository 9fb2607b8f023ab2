//! The table of quirks, the lists of them in the broker's code, and the tests that name them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sluice_tests::binaries::workspace;

use super::cells;

/// As the page calls the tests of a folder.
const SUITES: [(&str, &str); 6] = [
    ("broker", "broker/src"),
    ("broker_process", "tests/tests/broker_process"),
    ("client_insight", "tests/tests/client_insight"),
    ("grpc", "broker/tests/grpc"),
    ("hostile_clients", "tests/tests/hostile_clients"),
    ("official_clients", "tests/tests/official_clients"),
];
const LISTS: [&str; 6] = ["all", "go", "java", "node", "python", "rust"];
const COLUMNS: usize = 5;
const ABSENT: &str = "not there yet";

#[derive(Debug)]
struct Row {
    quirks: BTreeSet<String>,
    tests: BTreeSet<String>,
}

/// What stands in backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(workspace().join("docs/clients.md")).unwrap();
    let mut rows = Vec::new();
    for line in page.lines() {
        let cells = cells(line);
        if cells.len() != COLUMNS || !cells[0].starts_with('`') {
            continue;
        }
        let last = cells[COLUMNS - 1];
        assert!(last.starts_with('`') || last == ABSENT, "{line}");
        rows.push(Row {
            quirks: quoted(cells[0]),
            tests: quoted(last),
        });
    }
    rows
}

/// The quirks that the broker's code lists, by language.
fn listed() -> BTreeMap<String, BTreeSet<String>> {
    let folder = workspace().join("broker/src/service/quirks");
    let of = |language: &str| {
        let name = if language == "all" { "mod" } else { language };
        let source = std::fs::read_to_string(folder.join(format!("{name}.rs"))).unwrap();
        let items = source.lines().filter_map(|line| line.strip_prefix("//! - "));
        // A list of names goes on in the same line up to what is said of them.
        let quirks = items.filter_map(|item| item.split(": ").next()).flat_map(quoted);
        (language.to_owned(), quirks.collect())
    };
    LISTS.into_iter().map(of).collect()
}

/// The quirks that a test's comment names: `// Quirk node-1093: …`, `// Quirks go-await, rust-deadline.`
fn names(comment: &str) -> Option<BTreeSet<String>> {
    let text = comment.strip_prefix("// Quirk")?;
    let text = text.strip_prefix('s').unwrap_or(text).strip_prefix(' ')?;
    let end = text.find([':', '.']).unwrap_or(text.len());
    Some(
        text[..end]
            .split(',')
            .map(|name| name.trim().to_owned())
            .collect(),
    )
}

/// The tests that name quirks, as the page calls them.
fn naming() -> BTreeMap<String, BTreeSet<String>> {
    let mut naming = BTreeMap::new();
    for (suite, folder) in SUITES {
        read_folder(suite, &workspace().join(folder), "", &mut naming);
    }
    naming
}

fn read_folder(suite: &str, folder: &Path, within: &str, naming: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy();
        let module = match &*stem {
            "mod" | "main" | "lib" => within.to_owned(),
            stem => format!("{within}{stem}::"),
        };
        if path.is_dir() {
            read_folder(suite, &path, &module, naming);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            read_file(suite, &source, &module, naming);
        }
    }
}

fn read_file(suite: &str, source: &str, module: &str, naming: &mut BTreeMap<String, BTreeSet<String>>) {
    let (mut module, mut named) = (module.to_owned(), None);
    for line in source.lines().map(str::trim) {
        if line.ends_with("mod tests {") {
            module.push_str("tests::");
        } else if line.starts_with("// Quirk") {
            named = names(line);
        } else if let Some((_, head)) = line.split_once("fn ") {
            if let Some(quirks) = named.take() {
                let name = head.split('(').next().unwrap();
                naming.insert(format!("{suite} {module}{name}"), quirks);
            }
        } else if !line.starts_with("//") && !line.starts_with("#[") {
            named = None;
        }
    }
}

#[test]
fn every_quirk_of_the_page_is_listed_with_its_language_and_every_listed_one_is_on_the_page() {
    let on_page: Vec<_> = rows().into_iter().flat_map(|row| row.quirks).collect();
    let mut of_language = BTreeMap::<_, BTreeSet<_>>::new();
    for quirk in &on_page {
        let (language, _) = quirk.split_once('-').unwrap();
        let is_new = of_language
            .entry(language.to_owned())
            .or_default()
            .insert(quirk.clone());
        assert!(is_new, "{quirk} has two rows");
    }
    assert_eq!(of_language, listed());
    assert!(on_page.len() > 50);
}

/// A client's quirk is shown with that client, where it is shown with official ones; one of all of them with two at least.
#[test]
fn a_quirk_is_shown_with_the_client_that_has_it() {
    let shown = super::features::shown();
    for (test, quirks) in naming() {
        let Some(clients) = test
            .strip_prefix("official_clients ")
            .and_then(|test| shown.get(test))
        else {
            continue;
        };
        for quirk in quirks {
            let (language, _) = quirk.split_once('-').unwrap();
            let is_shown = match language {
                "all" => clients.len() > 1,
                language => clients.iter().any(|client| client == language),
            };
            assert!(is_shown, "{test} names {quirk} and runs with {clients:?}");
        }
    }
}

#[test]
fn every_quirk_has_a_test_that_names_it_and_every_test_that_names_one_is_on_the_page() {
    let (rows, naming) = (rows(), naming());
    for row in rows.iter().filter(|row| !row.tests.is_empty()) {
        let mut shown = BTreeSet::new();
        for test in &row.tests {
            let named = naming.get(test).cloned().unwrap_or_default();
            assert!(
                !named.is_disjoint(&row.quirks),
                "no comment `// Quirk …` above {test} names one of {:?}",
                row.quirks
            );
            shown.extend(named);
        }
        assert!(
            row.quirks.is_subset(&shown),
            "{row:?} has quirks that none of its tests names"
        );
    }
    for (test, quirks) in &naming {
        for quirk in quirks {
            let has_both = rows
                .iter()
                .any(|row| row.quirks.contains(quirk) && row.tests.contains(test));
            assert!(
                has_both,
                "{test} names {quirk}, and the page does not have it there"
            );
        }
    }
}
