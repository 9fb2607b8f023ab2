//! The broker's table of keys and the page that explains them say the same.

use std::collections::BTreeMap;

use super::Violation;
use super::tree::{File, Tree};

const TABLE: &str = "broker/src/config/keys.rs";
/// Where the keys of a heading may stand in files of their own.
const PARTS: &str = "broker/src/config/keys/";

const PAGE: &str = "docs/configuration.md";

const HEADING: &str = "| Key | Flag | Variable | Default | Live | Meaning |";

/// Each key of the table has a row on the page with its flag, its variable, its default and whether it is live, and each row
/// is a key's.
pub fn keys_and_page_agree(tree: &Tree) -> Vec<Violation> {
    if tree.file(TABLE).is_none() {
        return Vec::new();
    }
    let is_of_table = |file: &&File| file.path == TABLE || file.path.starts_with(PARTS);
    let keys: Vec<_> = tree.files.iter().filter(is_of_table).flat_map(keys).collect();
    if keys.is_empty() {
        return vec![Violation::new(TABLE, 1, "no key can be found in here")];
    }
    let rows = tree.file(PAGE).map(rows).unwrap_or_default();
    let undescribed = keys.iter().filter(|key| !rows.contains_key(&*key.name));
    let undescribed = undescribed.map(|key| {
        let message = format!("{PAGE} has no row for the key {}", key.name);
        Violation::new(key.file, key.line, message)
    });
    let wrong = keys.iter().filter_map(|key| {
        let row = rows.get(&*key.name)?;
        let message = row.differs(key)?;
        Some(Violation::new(PAGE, row.line, message))
    });
    let gone = rows
        .iter()
        .filter(|(name, _)| keys.iter().all(|key| key.name != **name));
    let gone = gone.map(|(name, row)| Violation::new(PAGE, row.line, format!("there is no key {name}")));
    undescribed.chain(wrong).chain(gone).collect()
}

/// A key as the broker has it.
struct Key<'a> {
    file: &'a str,
    line: usize,
    name: String,
    flag: String,
    variable: String,
    default: Option<String>,
    live: bool,
}

/// A key as the page has it: its cells behind the name.
struct Row<'a> {
    line: usize,
    cells: Vec<&'a str>,
}

impl Row<'_> {
    /// What the row says otherwise than the table.
    fn differs(&self, key: &Key<'_>) -> Option<String> {
        let default = key
            .default
            .as_ref()
            .map_or_else(|| "none".to_owned(), |default| format!("`{default}`"));
        let [flag, variable, shown, live, meaning] = self.cells[..] else {
            return Some(format!("the row of {} has not six cells", key.name));
        };
        let live_as = if key.live { "yes" } else { "no" };
        let cells = [
            ("flag", flag.starts_with(&format!("`--{} ", key.flag)), &*key.flag),
            (
                "variable",
                variable == format!("`{}`", key.variable),
                &*key.variable,
            ),
            ("default", shown == default, &*default),
            ("word on whether it is live", live == live_as, live_as),
            ("meaning", !meaning.is_empty(), "some text"),
        ];
        let wrong = cells.iter().find(|(_, same, _)| !same);
        wrong.map(|(what, _, wanted)| format!("the {what} of {} is {wanted}", key.name))
    }
}

/// The statics of the type `Key`, as the formatter writes them.
fn keys(table: &File) -> Vec<Key<'_>> {
    let mut lines = table.text.lines().zip(1..);
    let mut keys = Vec::new();
    while let Some((line, number)) = lines.next() {
        if !(line.starts_with("pub static ") && line.ends_with(": Key = Key {")) {
            continue;
        }
        let block: Vec<_> = lines
            .by_ref()
            .map(|(line, _)| line)
            .take_while(|line| *line != "};")
            .collect();
        let text = |field: &str| {
            let start = format!("    {field}: ");
            let value = block.iter().find_map(|line| line.strip_prefix(&*start))?;
            Some(value.split('"').nth(1)?.to_owned())
        };
        keys.push(Key {
            file: &table.path,
            line: number,
            name: text("name").unwrap_or_default(),
            flag: text("flag").unwrap_or_default(),
            variable: text("variable").unwrap_or_default(),
            default: text("default"),
            live: block.contains(&"    live: true,"),
        });
    }
    keys
}

/// The rows under the heading of the table of keys, by the names in their first cells.
fn rows(page: &File) -> BTreeMap<&str, Row<'_>> {
    let lines = page.text.lines().zip(1..);
    let rows = lines.skip_while(|(line, _)| *line != HEADING).skip(2);
    let rows = rows.map_while(|(line, number)| Some((cells(line.strip_prefix('|')?), number)));
    let rows = rows.filter_map(|(mut cells, line)| {
        let name = cells.remove(0).strip_prefix('`')?.strip_suffix('`')?;
        Some((name, Row { line, cells }))
    });
    rows.collect()
}

/// What stands between the bars, but for those with a backslash in front.
fn cells(row: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut from = 0;
    for (at, _) in row
        .match_indices('|')
        .filter(|(at, _)| !row[..*at].ends_with('\\'))
    {
        cells.push(row[from..at].trim());
        from = at + 1;
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{passes, places};

    const KEYS: &str = "pub static KEYS: &[&Key] = &[&A, &B];\n\
        pub static A: Key = Key {\n    name: \"dataDir\",\n    flag: \"data-dir\",\n    variable: \"V_A\",\n    default: Some(\"./data\"),\n    ..KEY\n};\n\
        pub static B: Key = Key {\n    name: \"log\",\n    flag: \"log\",\n    variable: \"V_B\",\n    live: true,\n    help: \"x\",\n};\n";

    const A: &str = "| `dataDir` | `--data-dir DIR` | `V_A` | `./data` | no | Where. |\n";
    const B: &str = "| `log` | `--log a\\|b` | `V_B` | none | yes | What. |\n";

    fn page(rows: &[&str]) -> String {
        format!(
            "# Page\n\n| `other` | table |\n\n{HEADING}\n| --- | --- | --- | --- | --- | --- |\n{}\n| `after` | x |\n",
            rows.concat()
        )
    }

    fn found(table: &str, rows: &[&str]) -> Vec<String> {
        places(keys_and_page_agree, &[(TABLE, table), (PAGE, &page(rows))])
    }

    #[test]
    fn a_page_with_a_row_for_each_key_passes() {
        passes(keys_and_page_agree, &[(TABLE, KEYS), (PAGE, &page(&[A, B]))]);
        passes(keys_and_page_agree, &[(PAGE, "no broker here\n")]);
    }

    #[test]
    fn a_key_without_a_row_and_a_row_without_a_key_are_caught() {
        assert_eq!(found(KEYS, &[A]), ["broker/src/config/keys.rs:9"]);
        let only_a = &KEYS[..KEYS.find("pub static B").unwrap()];
        assert_eq!(found(only_a, &[A, B]), ["docs/configuration.md:8"]);
        assert_eq!(
            places(keys_and_page_agree, &[(TABLE, KEYS)]),
            ["broker/src/config/keys.rs:2", "broker/src/config/keys.rs:9"]
        );
    }

    #[test]
    fn a_key_in_a_part_of_the_table_needs_a_row_too() {
        let (a, b) = KEYS.split_at(KEYS.find("pub static B").unwrap());
        let part = "broker/src/config/keys/b.rs";
        passes(
            keys_and_page_agree,
            &[(TABLE, a), (part, b), (PAGE, &page(&[A, B]))],
        );
        let found = places(keys_and_page_agree, &[(TABLE, a), (part, b), (PAGE, &page(&[A]))]);
        assert_eq!(found, ["broker/src/config/keys/b.rs:1"]);
    }

    #[test]
    fn a_row_that_says_otherwise_is_caught() {
        for (cell, other) in [
            ("--data-dir DIR", "--data DIR"),
            ("V_A", "V_C"),
            ("`./data`", "none"),
            ("| no |", "| yes |"),
            ("Where.", ""),
            ("| no | Where. |", "| no |"),
        ] {
            let row = A.replace(cell, other);
            assert_eq!(found(KEYS, &[&row, B]), ["docs/configuration.md:7"], "{row}");
        }
    }

    #[test]
    fn a_table_in_which_no_key_is_found_is_caught() {
        assert_eq!(
            found("pub static KEYS: &[&Key] = &[];\n", &[]),
            ["broker/src/config/keys.rs:1"]
        );
    }
}
