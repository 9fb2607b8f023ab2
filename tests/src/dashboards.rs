//! What Grafana's dashboards ask Prometheus for.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::binaries;

/// What stands for variables of a dashboard: all that there is, and a span of time that has samples.
const VARIABLES: [(&str, &str); 7] = [
    ("$__rate_interval", "5m"),
    ("$cluster", ".*"),
    ("$node", ".*"),
    ("$topic", ".*"),
    ("$group", ".*"),
    ("$namespace", ".*"),
    ("$resource", ".*"),
];

/// A query of a panel, or of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The dashboard's file without its ending.
    pub dashboard: String,
    /// The panel's title, or the variable's name.
    pub of: String,
    /// PromQL, in which nothing is left to be filled in.
    pub promql: String,
}

/// The dashboards by their file's name without its ending, in alphabetical order.
///
/// # Errors
/// When one cannot be read.
pub fn all() -> Result<Vec<(String, Value)>> {
    let folder = binaries::workspace().join("monitoring/dashboards");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut dashboards = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        dashboards.push((name.context("a dashboard has no name")?.to_owned(), read(&path)?));
    }
    dashboards.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(dashboards)
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// The queries of all panels. A real Prometheus answers each of them once there has been traffic.
///
/// # Errors
/// When a dashboard cannot be read, or a panel asks for nothing.
pub fn queries() -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    for (dashboard, content) in all()? {
        let panels = content["panels"]
            .as_array()
            .context("a dashboard has no panels")?;
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            let title = panel["title"].as_str().context("a panel has no title")?;
            let targets = panel["targets"].as_array().into_iter().flatten();
            let before = queries.len();
            for target in targets {
                let promql = target["expr"].as_str().context("a target has no query")?;
                queries.push(Query {
                    dashboard: dashboard.clone(),
                    of: title.to_owned(),
                    promql: filled_in(promql)?,
                });
            }
            ensure!(
                queries.len() > before,
                "{dashboard}: the panel {title} asks for nothing"
            );
        }
    }
    Ok(queries)
}

/// The selectors of the series that the variables of all dashboards take their values from.
///
/// # Errors
/// As [`queries`].
pub fn selectors_of_variables() -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    for (dashboard, content) in all()? {
        let variables = content["templating"]["list"]
            .as_array()
            .context("there are no variables")?;
        for variable in variables.iter().filter(|variable| variable["type"] == "query") {
            let query = variable["query"]["query"]
                .as_str()
                .context("a variable has no query")?;
            let selector = query
                .strip_prefix("label_values(")
                .and_then(|rest| rest.rsplit_once(','));
            let (selector, _) = selector.with_context(|| format!("{query} is no label_values"))?;
            queries.push(Query {
                dashboard: dashboard.clone(),
                of: variable["name"].as_str().unwrap_or_default().to_owned(),
                promql: filled_in(selector)?,
            });
        }
    }
    Ok(queries)
}

fn filled_in(promql: &str) -> Result<String> {
    let filled = VARIABLES
        .iter()
        .fold(promql.to_owned(), |text, (name, value)| text.replace(name, value));
    ensure!(!filled.contains('$'), "{filled}: nothing stands for a variable");
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_unknown_ones_are_refused() {
        let promql = "rate(a{cluster=~\"$cluster\"}[$__rate_interval])";
        assert_eq!(filled_in(promql).unwrap(), "rate(a{cluster=~\".*\"}[5m])");
        assert!(filled_in("a{b=\"$unknown\"}").is_err());
    }
}
