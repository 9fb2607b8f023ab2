//! `config print`: every key with its value and where that is from.

use super::forms::{Choices, Form};
use super::layers::{Entry, Source};
use serde::Serialize;
use std::fmt::Write as _;

/// How the keys are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Table,
    Yaml,
    Json,
}

impl Output {
    pub(super) const CHOICES: Choices = &[
        ("table", "For people"),
        ("yaml", "A file that --config takes, with the sources as remarks"),
        ("json", "A list of objects"),
    ];

    pub(super) fn named(name: &str) -> Self {
        match name {
            "yaml" => Self::Yaml,
            "json" => Self::Json,
            _ => Self::Table,
        }
    }
}

/// The text, with a line's end at its end.
pub(super) fn print(entries: &[Entry], output: Output) -> String {
    match output {
        Output::Table => table(entries),
        Output::Yaml => yaml(entries),
        Output::Json => json(entries),
    }
}

fn table(entries: &[Entry]) -> String {
    let shown = |entry: &Entry| entry.value.clone().unwrap_or_else(|| "-".to_owned());
    let width = |cell: &dyn Fn(&Entry) -> usize, title: &str| {
        entries
            .iter()
            .map(cell)
            .chain([title.len()])
            .max()
            .unwrap_or_default()
    };
    let keys = width(&|entry| entry.key.name.len(), "KEY");
    let values = width(&|entry| shown(entry).chars().count(), "VALUE");
    let mut text = format!("{:keys$}  {:values$}  {:4}  SOURCE\n", "KEY", "VALUE", "LIVE");
    for entry in entries {
        let live = if entry.key.live { "yes" } else { "no" };
        let source = source(entry);
        let _ = writeln!(
            text,
            "{:keys$}  {:values$}  {live:4}  {source}",
            entry.key.name,
            shown(entry)
        );
    }
    text
}

/// `--config` takes it back: what cannot stand in a file, or says nothing, is a remark.
fn yaml(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        let name = entry.key.name;
        let line = match &entry.value {
            None => format!("# {name}:"),
            Some(value) if name == super::keys::CONFIG.name => format!("# {name}: {value}"),
            Some(value) => format!("{name}: {}", scalar(entry.key.form, value)),
        };
        let _ = writeln!(text, "{line}  # {}", source(entry));
    }
    text
}

fn scalar(form: Form, value: &str) -> String {
    match form {
        Form::Switch | Form::Seconds | Form::Count(..) => value.to_owned(),
        // In quotes where it has to be.
        _ => serde_yaml::to_string(value)
            .map_or_else(|_| format!("{value:?}"), |text| text.trim_end().to_owned()),
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    key: &'a str,
    value: Option<&'a str>,
    source: String,
    place: Option<&'a str>,
    live: bool,
}

fn json(entries: &[Entry]) -> String {
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| Shown {
            key: entry.key.name,
            value: entry.value.as_deref(),
            source: entry.source.to_string(),
            place: Some(entry.place.as_str()).filter(|place| !place.is_empty()),
            live: entry.key.live,
        })
        .collect();
    serde_json::to_string_pretty(&shown).map_or_else(|error| format!("{error}\n"), |text| text + "\n")
}

fn source(entry: &Entry) -> String {
    match entry.source {
        Source::File | Source::Environment | Source::Flag => format!("{} ({})", entry.source, entry.place),
        _ => entry.source.to_string(),
    }
}
