//! What a command has found out, and how it is shown: a table for people, JSON and YAML for programs.

mod print;
mod table;

pub use print::{Printer, print_failure, taken};
pub use table::{Align, Fields, Table};

use clap::ValueEnum;
use serde::Serialize;

/// How to show what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns for people
    #[default]
    Table,
    /// More columns
    Wide,
    /// Exact values for programs
    Json,
    /// The same as YAML
    Yaml,
}

impl Format {
    /// Whether programs read it.
    pub fn is_for_programs(self) -> bool {
        matches!(self, Self::Json | Self::Yaml)
    }
}

/// How a value is shown to people. To programs it is what it serialises to.
pub trait Show {
    /// Text of whole lines, without a newline at the end; `wide` asks for everything.
    fn text(&self, wide: bool) -> String;
}

/// A value that can be shown in every format.
pub trait Report {
    /// The text, without a newline at its end. JSON is on one line if `compact`.
    fn render(&self, format: Format, compact: bool) -> String;
}

impl<T: Show + Serialize> Report for T {
    fn render(&self, format: Format, compact: bool) -> String {
        // Values of ours have string keys and finite numbers: they serialise.
        let broken = |error: &dyn std::fmt::Display| format!("{{\"error\":\"not serialised: {error}\"}}");
        match format {
            Format::Table => self.text(false),
            Format::Wide => self.text(true),
            Format::Json if compact => serde_json::to_string(self).unwrap_or_else(|error| broken(&error)),
            Format::Json => serde_json::to_string_pretty(self).unwrap_or_else(|error| broken(&error)),
            Format::Yaml => {
                let text = serde_yaml::to_string(self).unwrap_or_else(|error| broken(&error));
                let text = text.trim_end().to_owned();
                if compact { format!("---\n{text}") } else { text }
            }
        }
    }
}

/// Only a text for people; programs are told the rest of what was done.
#[derive(Debug, Serialize)]
pub struct Done<T: Serialize> {
    /// One line for people.
    #[serde(skip)]
    pub line: String,
    /// What programs get.
    #[serde(flatten)]
    pub value: T,
}

impl<T: Serialize> Show for Done<T> {
    fn text(&self, _wide: bool) -> String {
        self.line.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Two {
        first: u64,
        second: Option<&'static str>,
    }

    impl Show for Two {
        fn text(&self, wide: bool) -> String {
            format!("{} {wide}", self.first)
        }
    }

    #[test]
    fn every_format_shows_the_same_value() {
        let two = Two {
            first: 1,
            second: None,
        };
        for (format, compact, text) in [
            (Format::Table, false, "1 false"),
            (Format::Wide, false, "1 true"),
            (Format::Json, false, "{\n  \"first\": 1,\n  \"second\": null\n}"),
            (Format::Json, true, r#"{"first":1,"second":null}"#),
            (Format::Yaml, false, "first: 1\nsecond: null"),
            (Format::Yaml, true, "---\nfirst: 1\nsecond: null"),
        ] {
            assert_eq!(two.render(format, compact), text);
        }
    }
}
