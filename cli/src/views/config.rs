//! The broker's configuration.

use crate::output::{Align, Show, Table};
use serde::Serialize;
use sluice_proto::admin;

/// Keys with their values.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Config(pub Vec<ConfigEntry>);

/// A key.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ConfigEntry {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Where that comes from: `default`, `profile`, `file`, `environment`, `flag` or `live`.
    pub source: String,
    /// Whether it can be changed without a restart.
    pub live: bool,
    /// What it means.
    pub description: String,
}

impl From<Vec<admin::ConfigEntry>> for Config {
    fn from(entries: Vec<admin::ConfigEntry>) -> Self {
        let entry = |entry: admin::ConfigEntry| ConfigEntry {
            key: entry.key,
            value: entry.value,
            source: entry.source,
            live: entry.live,
            description: entry.description,
        };
        Self(entries.into_iter().map(entry).collect())
    }
}

impl Show for Config {
    fn text(&self, wide: bool) -> String {
        let mut columns = vec![
            ("KEY", Align::Left),
            ("VALUE", Align::Left),
            ("FROM", Align::Left),
            ("LIVE", Align::Left),
        ];
        if wide {
            columns.push(("MEANING", Align::Left));
        }
        let mut table = Table::new("no keys", &columns);
        for entry in &self.0 {
            let live = if entry.live { "yes" } else { "no" };
            let mut row = vec![
                entry.key.clone(),
                entry.value.clone(),
                entry.source.clone(),
                live.to_owned(),
            ];
            if wide {
                row.push(entry.description.clone());
            }
            table.row(row);
        }
        table.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Format, Report as _};

    #[test]
    fn keys_are_shown_with_their_sources() {
        let config = Config::from(vec![admin::ConfigEntry {
            key: "log".to_owned(),
            value: "debug".to_owned(),
            source: "live".to_owned(),
            live: true,
            description: "what is logged".to_owned(),
        }]);
        assert_eq!(
            config.text(false),
            "KEY   VALUE   FROM   LIVE\nlog   debug   live   yes"
        );
        assert_eq!(
            config.render(Format::Json, true),
            r#"[{"key":"log","value":"debug","source":"live","live":true,"description":"what is logged"}]"#
        );
    }
}
