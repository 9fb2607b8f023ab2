//! Aligned text: tables with a column a value, and lists of fields.

use comfy_table::{CellAlignment, ContentArrangement, presets};

/// No name that a broker takes has more; a message's id, tag and keys may have thousands.
const CHARACTERS_MAX: usize = 128;

/// On which side a column is even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a heading. A column is as wide as its widest value; nothing is wrapped, and no name is cut, so that it can be
/// searched. What is longer than any name ends with `…`, or one message's id would move all columns apart; JSON has the whole.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
    empty: &'static str,
    /// Whether what is longer than any name is cut.
    is_cut: bool,
}

impl Table {
    /// A table that says `empty` where it has no rows.
    pub fn new(empty: &'static str, columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
            empty,
            is_cut: true,
        }
    }

    /// Cuts nothing: for a table whose last column says in words what is the matter.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.is_cut = false;
        self
    }

    /// Adds a row; `-` stands where a value is empty.
    pub fn row(&mut self, values: impl IntoIterator<Item = String>) {
        let is_cut = self.is_cut;
        let filled = values.into_iter().map(|value| match value.as_str() {
            "" => "-".to_owned(),
            _ if is_cut => cut(one_line(&value)),
            _ => one_line(&value),
        });
        self.rows.push(filled.collect());
    }

    /// The text, without a newline at its end.
    pub fn render(self) -> String {
        if self.rows.is_empty() {
            return self.empty.to_owned();
        }
        let mut table = plain();
        table.set_header(self.columns.iter().map(|(name, _)| *name));
        table.add_rows(self.rows);
        for (column, (_, align)) in table.column_iter_mut().zip(&self.columns) {
            column.set_padding((0, 3));
            column.set_cell_alignment(match align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
        }
        lines(&table)
    }
}

/// Names with their values, one a line.
#[derive(Debug, Default)]
pub struct Fields {
    rows: Vec<(String, String)>,
}

impl Fields {
    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.add(name, value);
        self
    }

    /// Adds a field; `-` stands where the value is empty.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        let value = if value.is_empty() {
            "-".to_owned()
        } else {
            one_line(&value)
        };
        self.rows.push((name.to_owned(), value));
    }

    /// The text, without a newline at its end.
    pub fn render(self) -> String {
        let mut table = plain();
        table.add_rows(
            self.rows
                .into_iter()
                .map(|(name, value)| [format!("{name}:"), value]),
        );
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        lines(&table)
    }
}

fn plain() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Without the blanks that fill the last column.
fn lines(table: &comfy_table::Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(CHARACTERS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What comes from outside must not move a terminal's cursor, nor break a row.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_even_on_the_left_and_numbers_on_the_right() {
        let mut table = Table::new(
            "nothing",
            &[
                ("NAME", Align::Left),
                ("READY", Align::Right),
                ("STATE", Align::Left),
            ],
        );
        table.row(["orders".to_owned(), "1,234".to_owned(), "open".to_owned()]);
        table.row(["a".to_owned(), "5".to_owned(), String::new()]);
        assert_eq!(
            table.render(),
            "NAME     READY   STATE\n\
             orders   1,234   open\n\
             a            5   -"
        );
    }

    #[test]
    fn a_table_without_rows_says_so() {
        assert_eq!(
            Table::new("no topics", &[("NAME", Align::Left)]).render(),
            "no topics"
        );
    }

    #[test]
    fn a_value_longer_than_any_name_is_cut_in_a_table_and_not_among_fields() {
        let (longest, longer) = ("ü".repeat(CHARACTERS_MAX), "ü".repeat(CHARACTERS_MAX + 1));
        let mut table = Table::new("", &[("MESSAGE ID", Align::Left), ("TAG", Align::Left)]);
        for id in [&longest, &longer] {
            table.row([id.clone(), "t".to_owned()]);
        }
        let text = table.render();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [format!("{longest}    t"), format!("{longest}…   t")],
            "cut, and even"
        );
        let mut whole = Table::new("", &[("WHAT", Align::Left)]).whole();
        whole.row([longer.clone()]);
        assert_eq!(whole.render(), format!("WHAT\n{longer}"));
        assert_eq!(
            Fields::default().with("id", &longer).render(),
            format!("id:  {longer}")
        );
    }

    #[test]
    fn fields_stand_under_each_other() {
        let fields = Fields::default()
            .with("name", "orders")
            .with("generation", "7")
            .with("tag", "");
        assert_eq!(
            fields.render(),
            "name:        orders\ngeneration:  7\ntag:         -"
        );
    }

    #[test]
    fn control_characters_from_outside_are_shown_as_such() {
        let mut table = Table::new("", &[("NAME", Align::Left)]);
        table.row(["red\x1b[31m\nalert".to_owned()]);
        assert_eq!(table.render(), "NAME\nred\u{fffd}[31m\u{fffd}alert");
    }
}
