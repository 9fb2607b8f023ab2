//! The table of features: which client can do what.

use std::collections::BTreeMap;

use sluice_tests::binaries::workspace;

use super::cells;

/// The tests of quirks alone, which have a table of their own.
const OF_QUIRKS: &str = "quirks::";
const COLUMNS: [&str; 5] = ["java", "go", "node", "python", "rust"];

/// The clients behind each test, as its file has them: `module::test` to their names.
pub fn shown() -> BTreeMap<String, Vec<String>> {
    let folder = workspace().join("tests/tests/official_clients");
    let mut shown = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let Some((_, list)) = source.split_once("\nwith_clients! {") else {
            continue;
        };
        for test in list.trim_end().trim_end_matches('}').split(';') {
            let Some((name, clients)) = test.split_once(':') else {
                continue;
            };
            let mut clients: Vec<_> = clients.split_whitespace().map(str::to_owned).collect();
            clients.sort();
            shown.insert(format!("{module}::{}", name.trim()), clients);
        }
    }
    shown
}

/// As [`shown`], of features.
fn proven() -> BTreeMap<String, Vec<String>> {
    let mut proven = shown();
    proven.retain(|test, _| !test.starts_with(OF_QUIRKS));
    proven
}

/// The rows of the table whose last cell names a test: that name to the clients that the row says yes of.
fn promised() -> BTreeMap<String, Vec<String>> {
    let page = std::fs::read_to_string(workspace().join("docs/clients.md")).unwrap();
    let mut promised = BTreeMap::new();
    for line in page.lines() {
        let cells = cells(line);
        let Some((test, cells)) = cells.split_last() else {
            continue;
        };
        let is_test = test.starts_with('`') && test.contains("::");
        if !is_test || cells.len() != 1 + COLUMNS.len() {
            continue;
        }
        let said = COLUMNS.iter().zip(&cells[1..]);
        let mut clients: Vec<_> = said
            .filter(|(_, cell)| **cell == "yes")
            .map(|(client, _)| (*client).to_owned())
            .collect();
        clients.sort();
        promised.insert(test.trim_matches('`').to_owned(), clients);
    }
    promised
}

#[test]
fn every_cell_of_the_table_of_clients_has_a_test_and_every_test_a_row() {
    assert_eq!(promised(), proven());
    assert!(proven().len() > 20);
}
